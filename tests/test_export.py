"""What gan-export writes computes what the live model does, without gan_cli."""

import json
import runpy
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor, nn

from gan_cli.cli.commands import EXPORT
from gan_cli.errors import UserError
from gan_cli.export import DifferentError, export_to, in_place_of
from gan_cli.exporting import verify, writing
from gan_cli.exporting.graph import trace
from gan_cli.exporting.network import GivenDropout, exported_networks
from gan_cli.exporting.verify import TOLERANCE, Case, largest_difference
from gan_cli.loading import TrainedModel
from gan_cli.noise import Noise, Normal, Spherical, Uniform
from gan_cli.seeding import generator_for
from gan_cli.settings.build import build_game, load_data
from gan_cli.spec import DataSpec
from gan_cli.system.terminal import Terminal
from tests.conftest import Cli
from tests.test_config import composed

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytest.importorskip("safetensors")

DROPOUT = ("model.generator.dropout=0.5", "model.generator.dropout_in_sampling=true")
DCGAN = ("model=dcgan", "model.width=4", "data.image_size=16")
CGAN = ("model=cgan", "model.width=4")
PERCEPTRON = ("model=cgan", "model/backbone@model=mlp")
CYCLEGAN = (
    *("model=cyclegan", "model.width=4", "data.image_size=8", "model.generator.blocks=1"),
    "model.discriminator.layers=1",
)
#: Each model with every option that changes the graph of its generator.
MODELS = {
    "vanilla": (),
    "maxout": ("model.generator.activation=maxout", "model.generator.maxout_pieces=3"),
    "leaky": ("model.generator.activation=leaky_relu", "noise=uniform"),
    "silu": ("model.generator.activation=silu", "data.pixel_range=[0,1]"),
    "smooth": ("model.generator.activation=tanh", "model.generator.dropout=0.3"),
    "fourier": ("model.generator.fourier_features=16", "noise=spherical", "noise.dim=3"),
    "dropout": DROPOUT,
    "points": ("data=ring",),
    "one dimension": ("data=mixture_1d", "noise=uniform", "noise.dim=1"),
    "dcgan": DCGAN,
    "averaged": (*DCGAN, "ema.decay=0.9"),
    "instance norm": (*DCGAN, "model.norm=instance", "model.generator.hidden=9"),
    "layer norm": (*DCGAN, "model.norm=layer", "model.generator.norm_affine=false"),
    "no norm": (*DCGAN, "model.norm=none", "data.image_size=[8,12]"),
    "spectral": (*DCGAN, "model.generator.spectral_norm=true", "model.generator.hidden=9"),
    "nearest": (*DCGAN, "model.generator.upsampling=nearest"),
    "nearest, spectral": (
        *DCGAN, "model.generator.upsampling=nearest", "model.generator.spectral_norm=true",
    ),
    "large kernels": (*DCGAN, "model.generator.kernel_size=5", "performance=plain"),
    "cgan": CGAN,
    "cgan, labels once": (*CGAN, "model.generator.labels=input", "model.generator.hidden=9"),
    "cgan, projection": (*CGAN, "model.discriminator.labels=projection", "ema.decay=0.5"),
    "cgan, perceptron": PERCEPTRON,
    "cgan, maxout": (*PERCEPTRON, "model.generator.activation=maxout"),
    "cgan, dropout": (*PERCEPTRON, *DROPOUT),
    "cyclegan": CYCLEGAN,
    "cyclegan, plain": (*CYCLEGAN, "performance=plain", "ema.decay=0.9"),
    "cyclegan without norm": (*CYCLEGAN, "model.generator.norm=none", "model.generator.blocks=0"),
}  # fmt: skip
DEFAULT = (("cgan, dropout", "uint8"),)  # the others are slow


def model_of(*overrides: str) -> TrainedModel:
    """A model whose weights and averages are random, as if it had been trained."""
    config = composed("data=digits", "data.validation=0", *overrides)
    if "model=cyclegan" in overrides:
        config = composed(*overrides)
    spec = load_data(config).spec
    game = build_game(config, spec, torch.device("cpu"))
    random = torch.Generator().manual_seed(0)

    def moved(name: str, value: Tensor) -> Tensor:
        more = 0.2 * torch.randn(value.shape, generator=random)
        return value + (more.abs() if name.endswith("running_var") else more)

    state = game.state_dict()
    for name, value in state.items():
        learned = isinstance(value, Tensor) and value.is_floating_point()
        if learned and not name.endswith(("_u", "_v", "fixed_noise", "fixed_a", "fixed_b")):
            state[name] = moved(name, value)
    game.load_state_dict(state)
    return TrainedModel(game.eval(), spec, 0, config, Path("untrained"))


def run_here(folder: Path, cases: Sequence[Case]) -> list[np.ndarray]:
    """As `verify.run_in_child`, in this process, which is faster."""
    sys.modules.pop("model", None)
    sys.path.insert(0, str(folder))
    try:
        run = runpy.run_path(str(folder / "generate.py"))["run"]
        return [run(case.exported.name, *case.inputs) for case in cases]
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("model", None)


def settings(**changed: object) -> dict[str, Any]:
    return {"format": "all", "pixels": "float", "license": None, **changed}


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        pytest.param(name, pixels, marks=() if (name, pixels) in DEFAULT else pytest.mark.slow)
        for name in MODELS
        for pixels in ("float", "uint8")
    ],
)
def test_every_model_in_every_format(
    name: str, pixels: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "run_in_child", run_here)
    model = model_of(*MODELS[name])
    export_to(tmp_path, model, settings(pixels=pixels), Terminal())
    stored = json.loads((tmp_path / "config.json").read_text())
    assert stored["formats"] == ["onnx", "pt2", "safetensors"]
    assert max(stored["largest_difference"].values()) <= TOLERANCE
    kinds = {each["output"]["dtype"] for each in stored["networks"].values()}
    assert kinds == {"uint8" if pixels == "uint8" and model.spec.is_image else "float32"}


def written_by(cli: Cli, run_of: Callable[..., None], *arguments: str) -> Path:
    """The export of a short run of a conditional model, its averages kept."""
    run_of("r", *CGAN, "ema.decay=0.5", "steps=2")
    out = next((word for word in arguments if word.startswith("out=")), "out=exported")
    others = [word for word in arguments if word != out]
    result = cli("run=outputs/r", out, *others, app=EXPORT)
    assert result.code == 0, result.err
    assert "differs from the live model by" in result.out
    return Path(out.removeprefix("out="))


def test_an_export_needs_no_gan_train(cli: Cli, run_of: Callable[..., None]) -> None:
    folder = written_by(cli, run_of, "license=mit")
    assert {path.name for path in folder.iterdir()} == {
        "generator.onnx", "generate.py", "README.md", "config.json", "examples.png",
    }  # fmt: skip
    command = ["generate.py", "--number", "5", "--labels", "3", "--out", "five.png"]
    guard = (
        "import runpy, sys; sys.modules.update({name: None for name in ('torch', 'gan_cli')}); "
        f"sys.argv = {command!r}; runpy.run_path('generate.py', run_name='__main__')"
    )
    subprocess.run([sys.executable, "-c", guard], cwd=folder, check=True, timeout=60)
    with Image.open(folder / "five.png") as picture:
        assert picture.size == (3 * 8 * 6, 2 * 8 * 6)  # each pixel six times as large
        assert np.asarray(picture)[48:, 96:].max() == 0  # there is no sixth
        assert np.asarray(picture)[:48].std() > 2


def test_the_card_says_what_hugging_face_reads(
    cli: Cli, run_of: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "run_in_child", run_here)
    run_of("r", *CGAN, "ema.decay=0.5", "steps=2")
    measured = {"run": "r", "step": 2, "seed": 0, "samples": 9, "weights": "averaged"}
    measured |= {"eval/diversity": 0.5, "eval/diversity_error": 0.1}
    Path("outputs/r/evaluation.json").write_text(json.dumps(measured))
    folder = written_by(cli, run_of, "format=safetensors", "license=cc-by-4.0")
    text = (folder / "README.md").read_text()
    matter = yaml.safe_load(text.split("---\n")[1])
    assert matter["license"] == "cc-by-4.0"
    assert matter["pipeline_tag"] == "unconditional-image-generation"
    (result,) = matter["model-index"][0]["results"]
    values = {entry["type"]: entry for entry in result["metrics"]}
    assert values["eval/diversity"]["value"] == 0.5
    assert "0.1" in values["eval/diversity"]["name"]
    assert "± 0.1" in text
    assert "averaged weights" in text
    assert "gan-train data=digits model=cgan" in text
    assert "model.width=4" in text
    assert str(Path.cwd()) not in text + (folder / "config.json").read_text()
    assert "other weights" not in text
    Path("outputs/r/evaluation.json").write_text(json.dumps(measured | {"step": 1}))
    text = (written_by(cli, run_of, "out=again") / "README.md").read_text()
    assert "model-index" not in text
    assert "other weights" in text
    recipe = json.loads((folder / "config.json").read_text())["training"]
    assert recipe["ema"]["decay"] == 0.5


@pytest.mark.slow
def test_all_formats_in_fresh_processes(cli: Cli, run_of: Callable[..., None]) -> None:
    run_of("r", *CYCLEGAN, "steps=1")
    assert cli("run=outputs/r", "out=all", "format=all", app=EXPORT).code == 0
    pixels = np.random.default_rng(0).integers(0, 256, (30, 37, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("photo.png")
    pictures = []
    for name in ("onnx", "pt2", "safetensors"):
        command = [f"all/{name}/generate.py", "photo.png", f"{name}.png", "--direction", "b2a"]
        subprocess.run([sys.executable, *command], check=True, timeout=60)
        with Image.open(f"{name}.png") as picture:
            assert picture.size == (37, 30)
            pictures.append(np.asarray(picture).astype(int))
    assert max(np.abs(pictures[0] - other).max() for other in pictures[1:]) <= 1
    assert pictures[0].std() > 0


def refused(cli: Cli, *arguments: str) -> str:
    result = cli("run=outputs/r", *arguments, app=EXPORT)
    assert result.code == 2, result.out
    return result.err


def test_bad_values_are_refused(
    cli: Cli, run_of: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_of("r", *CGAN, "ema.decay=0.5", "steps=2")
    Path("full").mkdir()
    Path("full/notes.txt").write_text("mine")
    assert "out=full: holds files already" in refused(cli, "out=full")
    assert "out=full/notes.txt: is a file" in refused(cli, "out=full/notes.txt")
    assert Path("full/notes.txt").read_text() == "mine"
    error = refused(cli, "out=new", "format=onx", "pixels=bytes", "license=''")
    for part in ("Did you mean onnx?", "pixels=bytes: use float, uint8", "license=''"):
        assert part in error
    assert "no such run directory" in cli("run=outputs/no", "out=new", app=EXPORT).err
    monkeypatch.setitem(writing.LIBRARIES, "onnx", ("no_such_library",))
    assert "pip install 'gan-train[export]'" in refused(cli, "out=new", "format=all")
    assert not Path("new").exists()


@pytest.mark.parametrize("fault", ["other weights", "not a number", "other shape", "crash"])
def test_what_differs_is_not_written(
    cli: Cli, run_of: Callable[..., None], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def run_wrongly(folder: Path, cases: Sequence[Case]) -> list[np.ndarray]:
        outputs = [case.expected.copy() for case in cases]
        if fault == "crash":
            (folder / "generate.py").write_text("raise SystemError('broken file')")
            return verify_child(folder, cases)
        if fault == "other shape":
            return [output[:, :, 1:] for output in outputs]
        outputs[3].flat[0] = np.nan if fault == "not a number" else outputs[3].flat[0] + 1.01e-4
        return outputs

    verify_child = verify.run_in_child
    run_of("r", *CGAN, "ema.decay=0.5", "steps=2")
    monkeypatch.setattr(verify, "run_in_child", run_wrongly)
    result = cli("run=outputs/r", "out=sub/new", "format=safetensors", app=EXPORT)
    assert result.code == 1
    words = {"crash": "broken file", "other shape": "in place of (1, 1, 8, 8)"}
    assert words.get(fault, "Nothing is written") in result.err
    assert list(Path("sub").iterdir()) == []


def test_bytes_are_held_against_what_is_not_rounded_yet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    exported = exported_networks(model_of(), pixels="uint8")[0]
    expected = np.linspace(0, 1, 9_999, dtype=np.float32)
    case = Case(exported, [], expected)

    def difference_of(found: np.ndarray) -> float:
        monkeypatch.setattr(verify, "run_in_child", lambda *_: [found])
        return largest_difference(tmp_path, [case])

    assert difference_of((expected * 255).round().astype(np.uint8)) < 1e-6
    wrong = ((expected + 2e-4) * 255).round().clip(0, 255).astype(np.uint8)
    assert TOLERANCE < difference_of(wrong) < 3e-4


def test_the_averages_are_exported() -> None:
    model = model_of(*MODELS["averaged"])
    (exported,) = exported_networks(model, pixels="float")
    z = torch.randn(2, model.sampler.noise.dim)
    game = model.sampler
    of_average = game.spec.to_unit(game.map_noise(z))
    assert torch.allclose(exported(z), of_average, atol=1e-6)
    game.average = None
    assert not torch.allclose(exported(z), game.spec.to_unit(game.map_noise(z)), atol=1e-2)


def test_dropout_takes_its_masks_as_inputs() -> None:
    (exported,) = exported_networks(model_of(*MODELS["dropout"]), pixels="float")
    masks = [each for each in exported.inputs if each.dropped]
    assert [each.dropped for each in masks] == [0.5, 0.5]
    assert sum(isinstance(part, GivenDropout) for part in exported.modules()) == 2
    z = torch.randn(1, 64)
    one, other = (
        exported(z, *(torch.full((1, 512), x) for x in pair)) for pair in ((1, 1), (0, 1))
    )
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    "noise",
    [Normal(3, std=2.0), Uniform(3, low=-1.0, high=4.0), Spherical(3)],
    ids=["normal", "uniform", "spherical"],
)
def test_numpy_draws_the_same_prior(noise: Noise) -> None:
    names = {"rng": np.random.default_rng(0), "np": np}
    drawn = eval(noise.in_numpy("200_000"), names)
    z = noise.sample(200_000, generator=generator_for(0, "test")).numpy()
    assert drawn.shape == z.shape
    assert np.allclose(drawn.mean(0), z.mean(0), atol=0.03)
    assert np.allclose(np.cov(drawn.T), np.cov(z.T), atol=0.06)
    assert np.allclose(np.quantile(drawn, [0.01, 0.99]), np.quantile(z, [0.01, 0.99]), atol=0.06)


class Choosy(nn.Module):
    """A generator whose operations depend on values."""

    def __init__(self, noise_dim: int, spec: DataSpec) -> None:
        super().__init__()
        self.shape, self.linear = spec.shape, nn.Linear(noise_dim, spec.size)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.linear(z)
        return (x.tanh() if x.sum() > 0 else x.sigmoid()).view(-1, *self.shape)


class Odd(Noise):
    """A prior that does not say how numpy draws it."""

    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        return torch.rand(n, self.dim, generator=generator)


def test_what_cannot_be_exported_says_why(tmp_path: Path) -> None:
    model = model_of()
    (exported,) = exported_networks(model, pixels="float")
    exported.network = Choosy(64, model.sampler.spec)
    with pytest.raises(UserError, match="no choices by values"):
        trace(exported)
    model.sampler.noise = Odd(64)
    with pytest.raises(UserError, match=r"Odd.in_numpy is not there"):
        export_to(tmp_path, model, settings(), Terminal())


class Own(nn.Module):
    """A user's generator, with operations and tensors that none of ours has."""

    def __init__(self, noise_dim: int, spec: DataSpec) -> None:
        super().__init__()
        self.shape, self.linear = spec.shape, nn.Linear(noise_dim, spec.size)
        self.scale = nn.Parameter(torch.tensor(0.3))
        self.register_buffer("places", torch.linspace(-1, 1, spec.size))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        x = torch.add(self.linear(z) * self.scale, self.places.softmax(0), alpha=2)
        first, others = torch.split(x, [10, x.shape[1] - 10], dim=1)
        return torch.cat([others, first.sin()], dim=1).tanh().view(-1, *self.shape)


def test_a_network_of_ones_own_needs_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "run_in_child", run_here)
    config = composed("data=digits")
    config["model"]["generator"] = {"_target_": "tests.test_export.Own"}
    spec = load_data(config).spec
    game = build_game(config, spec, torch.device("cpu")).eval()
    model = TrainedModel(game, spec, 0, config, Path("untrained"))
    export_to(tmp_path, model, settings(format="safetensors"), Terminal())
    text = (tmp_path / "model.py").read_text()
    assert "torch.ops.aten.sin.default(" in text
    assert "torch.empty(())" in text


def test_a_folder_gets_its_name_at_the_end(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()

    def fail() -> None:
        with in_place_of(out) as folder:
            (folder / "half").write_text("")
            raise DifferentError("wrong")

    with pytest.raises(DifferentError):
        fail()
    assert [*tmp_path.iterdir()] == [out]
    with in_place_of(out) as folder:
        (folder / "whole").write_text("")
    assert [path.name for path in out.iterdir()] == ["whole"]
