"""What messages advise works when it is followed."""

import re
import shlex
import time
from pathlib import Path

import pytest

from gan_cli.cli import commands
from gan_cli.cli.app import App
from gan_cli.cli.mistakes import OTHER_KEYS, OTHER_NAMES
from gan_cli.cli.numbers import whole
from gan_cli.cli.sweep.overview import make_table
from gan_cli.runs.jobs import Record
from gan_cli.settings.schema import groups
from tests.conftest import Cli
from tests.processes import DEVNULL, Command, gan_train

FAST = ["steps=2", "data.batch_size=8", "sample_every=0"]

#: A mistake, and the arguments that its message must offer; those are then tried.
FOLLOWED = [
    (["optimizer.betas[0]=0.9"], ["optimizer.betas=[0.9,0.999]"]),
    (["optimizer.betas=(0.5,0.999)"], ["optimizer.betas=[0.5,0.999]"]),
    (["betas=(0.5,0.999)"], ["optimizer.betas=[0.5,0.999]"]),
    (["optimizer.betas=0.5,0.999"], ["optimizer.betas=[0.5,0.999]"]),
    (["output_dir=~/runs"], ["output_dir='~/runs'"]),
    (["--steps", "100"], ["steps=100"]),
    (["--steps=100"], ["steps=100"]),
    (["-steps", "100"], ["steps=100"]),
    (["--batch-size", "4"], ["data.batch_size=4"]),
    (["--lr", "0.1"], ["optimizer.lr=0.1"]),
    (["--latent_dim=3"], ["noise.dim=3"]),
    (["steps", "100"], ["steps=100"]),
    (["dcgan"], ["model=dcgan"]),
    (["DCGAN"], ["model=dcgan"]),
    (["ring"], ["data=ring"]),
    (["data=Ring"], ["data=ring"]),
    (["data=digit-domains", "model=cyclegan"], ["data=digit_domains", "model=cyclegan"]),
    (["loss=bce"], ["loss=non_saturating"]),
    (["loss=lsgan"], ["loss=least_squares"]),
    (["loss=wgan"], ["loss=wasserstein", "regularizer=weight_clipping"]),
    (["loss=wgan-gp"], ["loss=wasserstein", "regularizer=gradient_penalty"]),
    (["regularizer=r1,r2"], ["regularizer=[r1,r2]"]),
    (["noise.low=-2"], ["noise=uniform"]),
    (["eval_metrics=parzen,diversity"], ["eval_metrics=[parzen,diversity]"]),
]


@pytest.mark.parametrize(("mistake", "offered"), FOLLOWED, ids=" ".join)
def test_advice_works(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, mistake: list[str], offered: list[str]
) -> None:
    monkeypatch.setenv("HOME", str(Path.cwd()))
    result = cli(*mistake)
    assert result.code == 2
    assert result.err.startswith("gan-train: ")
    assert "usage:" not in result.err
    spoken = result.err.replace("?", " ").replace(", ", " ")
    try:
        words = shlex.split(spoken.replace("Hydra's", "Hydras"))
    except ValueError:
        words = spoken.split()
    for argument in offered if len(mistake) == 1 or "=" not in mistake[1] else offered[:1]:
        assert argument in words, result.err
    assert cli(*offered, "dry_run=true", "steps=100").code == 0 or "steps=100" in offered
    if "steps=100" in offered:
        assert cli(*offered, "dry_run=true").code == 0


@pytest.mark.parametrize(
    ("app", "mistake", "words"),
    [
        (commands.SAMPLE, ["outputs/x"], "Did you mean run=outputs/x?"),
        (commands.EVALUATE, ["outputs/x"], "Did you mean run=outputs/x?"),
        (commands.TRANSLATE, ["outputs/x", "a", "b"], "Did you mean run=outputs/x?"),
        (commands.TRAIN, ["outputs/x"], "Did you mean resume=outputs/x?"),
        (commands.TRAIN, ["resume", "outputs/x"], "Did you mean resume=outputs/x?"),
        (commands.SAMPLE, ["--n", "3"], "--n: no such flag; settings are key=value. Write n=3"),
        (commands.SAMPLE, ["run=x", "labels=1,2"], "Write 'labels=[1,2]' for a list"),
        (commands.SAMPLE, ["run=x", "n=1,2"], "Give one value, and call gan-sample once for each"),
        (commands.TRAIN, ["seed=1,2"], "Add -m to sweep\n"),
        (commands.TRAIN, ["--nothing-like-it"], "gan-train --help lists them"),
        (commands.TRAIN, ["--config-dir"], "--config-dir: expected one argument"),
        (commands.TRAIN, ["--cfg", "job", "k=1", "--resolve", "seed=2"], "before the flags"),
        (commands.TRAIN, ["data.root=x"], "data=digits has none. For images of your own add data="),
        (commands.TRAIN, ["noise.low=0"], "noise=normal has none. These have it: noise=uniform"),
    ],
)
def test_what_is_offered(cli: Cli, app: App, mistake: list[str], words: str) -> None:
    result = cli(*mistake, app=app)
    assert result.code == 2
    assert words in result.err
    assert "-m" not in result.err or app.sweeps


def test_other_names_lead_to_options_that_exist() -> None:
    for names in OTHER_NAMES.values():
        for meant in names.values():
            for word in meant.split():
                group, _, option = word.partition("=")
                assert option in groups()[group]
    assert all(name == name.lower() for name in OTHER_KEYS)


def test_whole_numbers_may_have_an_exponent(cli: Cli) -> None:
    result = cli("--cfg", "job", "steps=1e4", "noise.dim=1e1", "data.batch_size=32.0", "k=2.")
    assert result.code == 0
    for line in ("steps: 10000\n", "dim: 10\n", "batch_size: 32\n", "k: 2\n"):
        assert line in result.out
    result = cli("--cfg", "job", "optimizer.lr=1e0", "model.generator.hidden=[1e2,64]")
    assert "lr: 1.0\n" in result.out
    assert re.search(r"hidden:\n *- 100\n *- 64\n", result.out)
    assert cli("steps=100.5").err == "gan-train: steps=100.5: must be a whole number\n"
    assert whole("1.5e1") == "15"
    assert whole("1e-1") == "1e-1"
    assert cli("-m", "noise.dim=1e0,2e0", "name=s", *FAST).code == 0
    assert Path("outputs/s/noise.dim-2").is_dir()


RECIPES = [
    ("k: 2\n", "lacks its first line, which lets it set keys of all groups. Add: # @package"),
    ("# @package _global_\ndefaults:\n  - data: ring\n", "`- override /data: ring`"),
    ("# @package _global_\ndefaults:\n  - override data: ring\n", "`- override /data: ring`"),
    ("# @package _global_\ndefaults:\n  - /data: ring\n", "`- override /data: ring`"),
    ("# @package _global_\ndefaults:\n  - override /data: rings\n", "Did you mean ring?"),
    ("# @package _global_\ndata: ring\n", "`- override /data: ring`"),
    ("# @package _global_\nstepps: 3\n", "stepps: no such key. Did you mean steps?"),
    ("# @package _global_\nsteps: 1e3\n", "Write steps: 1000"),
    ("# @package _global_\nk: 2\nk: 3\n", "k (line 2) is there twice"),
    ("# @package _global_\nk: 2\n\tsteps: 3\n", "line 3: a tab. Indent with spaces"),
    ("# @package _global_\noptimizer:\n  lr_d: ${optimizer.lrr}\n", "optimizer.lr_d: refers to"),
    ("# @package _global_\nname: ${oc.env:NO_SUCH}\n", "the environment variable NO_SUCH"),
]


@pytest.mark.parametrize(("text", "words"), RECIPES)
def test_recipes_that_lack_something_are_told_so(cli: Cli, text: str, words: str) -> None:
    file = Path("conf/experiment/mine.yaml")
    file.parent.mkdir(parents=True)
    file.write_text(text)
    result = cli("--config-dir", "conf", "experiment=mine", "dry_run=true")
    assert result.code == 2
    assert words in result.err
    assert "Traceback" not in result.err
    assert result.err.count("\n") == 1


def test_a_recipe_with_what_was_advised_works(cli: Cli) -> None:
    file = Path("conf/experiment/mine.yaml")
    file.parent.mkdir(parents=True)
    file.write_text("# @package _global_\ndefaults:\n  - override /data: ring\nsteps: 1000\n")
    assert cli("--config-dir", "conf", "experiment=mine", "dry_run=true").code == 0
    file.rename("conf/experiment/other.yml")
    result = cli("--config-dir", "conf", "experiment=other", "dry_run=true")
    assert "must end in .yaml. Rename it to other.yaml" in result.err


def test_a_value_twice_runs_once(cli: Cli) -> None:
    result = cli("-m", "seed=1,2,1", "optimizer.lr=0.001,1e-3", "name=s", *FAST)
    assert result.code == 0
    assert "note: seed=1,2,1: 1 is run once." in result.out
    jobs = sorted(path.name for path in Path("outputs/s").iterdir() if path.is_dir())
    assert jobs == [".jobs", "optimizer.lr-0.001_seed-1", "optimizer.lr-0.001_seed-2"]
    assert "job 2 of 2" in result.out


def test_nothing_to_sweep_is_said(cli: Cli) -> None:
    result = cli("-m", "name=s", *FAST)
    assert result.code == 0
    assert "note: there is nothing to sweep: this is one job." in result.out


@pytest.mark.xdist_group("processes")
def test_the_same_sweep_is_not_run_twice_at_once(cli: Cli, tmp_path: Path) -> None:
    sweep = ["-m", "seed=1,2", "name=s", "data.batch_size=8", "sample_every=0"]
    endless = [*sweep, "steps=1000000", "max_minutes=5"]
    first = Command(gan_train, *endless, cwd=tmp_path, stdout=DEVNULL)
    try:
        while not list(tmp_path.glob("outputs/s/.jobs/*.json")):
            assert first.poll() is None
            time.sleep(0.02)
        before = {file: file.read_text() for file in tmp_path.glob("outputs/s/.jobs/*.json")}
        result = cli(*endless)
        assert result.code == 2
        assert "name=s: another command runs this sweep now, in outputs/s" in result.err
        assert {f: f.read_text() for f in tmp_path.glob("outputs/s/.jobs/*.json")} == before
    finally:
        first.terminate()
        first.wait(timeout=120)


@pytest.mark.parametrize("width", [20, 60, 80, 200])
def test_narrow_terminals_keep_names_of_jobs(tmp_path: Path, width: int) -> None:
    from rich.console import Console

    names = [f"optimizer.lr-0.001_noise.dim-{n}_seed-1" for n in (1, 2)]
    swept = {"noise.dim": "1"}
    records = [
        Record(name, "m", swept=swept, objective=None, direction="minimize", state="done")
        for name in names
    ]
    console = Console(width=width)
    with console.capture() as capture:
        console.print(make_table(tmp_path, records, width=width))
    text = capture.get()
    if width >= 60:
        assert all(name in text for name in names)
    assert "done" in text
    assert ("minutes" in text) == (width >= 80)
