"""Each loss x each prior x k, on images and points, trains a few steps; and from a wheel."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from gan_cli import load
from gan_cli.runs import checkpoint
from gan_cli.settings.schema import groups
from tests.conftest import Cli

ROOT = Path(__file__).parent.parent
QUICK = ["steps=3", "log_every=3", "sample_every=0", "data.batch_size=16"]


GAMES = {
    "digits 1": (["data=digits"], 1),
    "digits 3": (["data=digits"], 3),
    "ring 3": (["data=ring"], 3),
    "gaussian 1": (["data=gaussian", "noise.dim=1"], 1),
}


def combinations() -> Iterator[Any]:
    """All of them; by default those in which each two meet once."""
    losses, noises = groups()["loss"], groups()["noise"]
    for (i, game), (j, loss), (k, noise) in product(*map(enumerate, (GAMES, losses, noises))):
        marks = () if (i + j) % len(noises) == k else (pytest.mark.slow,)
        yield pytest.param(game, loss, noise, marks=marks)


@pytest.mark.parametrize(("game", "loss", "noise"), list(combinations()))
def test_every_loss_prior_and_k(cli: Cli, game: str, loss: str, noise: str) -> None:
    data, k = GAMES[game]
    result = cli(*data, f"loss={loss}", f"noise={noise}", f"k={k}", *QUICK)
    assert result.code == 0, result.err
    (run,) = Path("outputs").iterdir()
    (line,) = (run / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["step"] == 3


@pytest.mark.parametrize(
    "overrides",
    [
        ["data=grid"],
        ["data=mixture_1d", "optimizer=sgd"],
        ["data=gaussian", "data.dim=7"],
        ["data.image_size=[5,9]", "data.pixel_range=[0,1]", "schedule=cosine"],
        ["data.image_size=16", "precision=bf16", "performance=plain", "deterministic=true"],
        ["data.batch_size=4000"],  # larger than the data set
        ["model.generator.hidden=[]", "model.discriminator.hidden=[]"],
        ["max_minutes=1"],
    ],
    ids=" ".join,
)
def test_more_settings_train(cli: Cli, overrides: list[str]) -> None:
    result = cli(*QUICK, *overrides)
    assert result.code == 0, result.err


def test_the_2014_recipe(cli: Cli, mnist_root: Path) -> None:
    root = [f"data.root='{mnist_root}'", "data.validation=100"]  # of 200 images
    result = cli("experiment=goodfellow2014_mnist", *root, "steps=4", "log_every=2")
    assert result.code == 0, result.err
    (run,) = Path("outputs").iterdir()
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert lines[0]["lr/d"] == pytest.approx(0.1 / 1.000004)
    assert lines[0]["loss/d"] == pytest.approx(-0.5 * lines[0]["value"], rel=1e-5)
    state = checkpoint.read(checkpoint.list_checkpoints(run / "checkpoints")[0])["session"]
    group = state["optimizers"]["g"]["param_groups"][0]
    assert group["momentum"] == pytest.approx(0.5 + 0.2 * 3 / 125_000)
    weights = state["game"]
    assert weights["discriminator.layers.1.linear.weight"].shape == (1200, 784)
    assert weights["discriminator.layers.1.linear.weight"].abs().max() < 0.006
    assert weights["generator.layers.4.weight"].shape == (784, 1200)
    model = load(run)
    assert model.spec.value_range == (0.0, 1.0)
    # Random images have mean 1/2 everywhere; so has G before it has learned anything.
    assert model.sample(100).mean().item() == pytest.approx(0.5, abs=0.05)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the compiler warns about much that is not ours
def test_compiled_turns_train(cli: Cli) -> None:
    result = cli(*QUICK, "compile=true")
    assert result.code == 0, result.err


def test_a_wheel_works_with_no_checkout_near(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")],
        cwd=ROOT, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        "import sys; from gan_cli.cli import commands; sys.argv[0] = 'gan-train'; commands.train()"
    )
    work = tmp_path / "work"
    work.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, "steps=2"],
        cwd=work, env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (work / "outputs/vanilla-digits-1/samples/final.png").is_file()
    assert (tmp_path / "site/gan_cli/configs/train.yaml").is_file()


@pytest.mark.gpu
def test_cuda_trains_and_resumes_exactly(cli: Cli) -> None:
    base = ["device=cuda", "deterministic=true", "log_every=2", "precision=fp32"]
    assert cli(*base, "steps=8", "name=whole").code == 0
    assert cli(*base, "steps=4", "name=halves").code == 0
    assert cli("resume=outputs/halves", "steps=8").code == 0
    whole, halves = (
        [
            {k: v for k, v in json.loads(line).items() if k.startswith(("loss", "prob", "grad"))}
            for line in Path(f"outputs/{name}/metrics.jsonl").read_text().splitlines()
        ]
        for name in ("whole", "halves")
    )
    assert whole == halves


@pytest.mark.gpu
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("model", [(), ("model=dcgan", "model.width=8")])
def test_compiled_turns_train_on_cuda(cli: Cli, model: tuple[str, ...]) -> None:
    result = cli(*QUICK, *model, "device=cuda", "compile=true", "steps=3")
    assert result.code == 0, result.err
