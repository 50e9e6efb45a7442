"""gan-sample's modes, labels, and gan_cli.load for conditional and averaged models."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gan_cli import load
from gan_cli.cli import commands
from gan_cli.noise import Normal, Spherical, interpolate
from gan_cli.pictures import CAPTION_HEIGHT, SHORT_SIDE
from gan_cli.runs import checkpoint
from tests.conftest import Cli, Result

#: Those that need no further key, whatever the run's data.
MODES = ["grid", "sheet", "images", "interpolate", "arithmetic", "filters"]
TINY = ["steps=2", "data.batch_size=8", "sample_every=0"]
TILE = SHORT_SIDE + 2  # an 8x8 image enlarged, and the gap


def sample(cli: Cli, run: str, *arguments: str) -> Result:
    return cli(f"run=outputs/{run}", *arguments, app=commands.SAMPLE)


def pixels_of(path: str) -> np.ndarray:
    with Image.open(path) as opened:
        return np.array(opened)


def size(path: str) -> tuple[int, int]:
    """(columns, rows) of a sheet of 8x8 images."""
    height, width, _ = pixels_of(path).shape
    return (width - 2) // TILE, (height - 2) // TILE


@pytest.fixture
def vanilla(cli: Cli, run_of: Callable[..., None]) -> Cli:
    run_of("v", *TINY, "noise.dim=5", "ema.decay=0.5")
    return cli


@pytest.fixture
def cgan(cli: Cli, run_of: Callable[..., None]) -> Cli:
    run_of("c", *TINY, "model=cgan", "model.width=2", "noise.dim=5")
    return cli


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_works_with_no_further_key(vanilla: Cli, mode: str) -> None:
    result = sample(vanilla, "v", f"mode={mode}")
    assert result.code == 0, result.err
    assert "averaged weights" in result.out
    (written,) = Path("outputs/v/samples").glob(f"{mode}_step*")
    assert written.is_dir() == (mode == "images")


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_works_for_conditional_models(cgan: Cli, mode: str) -> None:
    assert sample(cgan, "c", f"mode={mode}", "out=x").code == 0
    if mode == "grid":
        assert size("x.png") == (10, 10)
    if mode == "images":
        assert sorted(path.name for path in Path("x").iterdir()) == [str(i) for i in range(10)]
        assert len(list(Path("x/3").iterdir())) == 10


def test_pictures_of_other_keys_have_other_names(vanilla: Cli) -> None:
    for more in ([], ["network=generator"], ["layer=1"]):
        assert sample(vanilla, "v", "mode=filters", *more).code == 0
    for more in ([], ["attribute=slant"], ["a=[0,1]"]):
        assert sample(vanilla, "v", "mode=arithmetic", *more).code == 0
    pictures = Path("outputs/v/samples").glob("*_seed_0*")
    names = sorted(path.name.partition("seed_0")[2] for path in pictures)
    assert names == [".png", ".png", "_a_0-1.png", "_attribute_slant.png", "_layer_1.png",
                     "_network_generator.png"]  # fmt: skip


def test_rows_are_classes(cgan: Cli) -> None:
    assert sample(cgan, "c", "labels=[3,1]", "n=8", "mode=images", "out=x").code == 0
    model = load("outputs/c")
    x = model.sample(8, [3, 3, 3, 3, 1, 1, 1, 1])
    for index in range(8):
        name = f"x/{3 if index < 4 else 1}/{index}.png"
        pixels = pixels_of(name).astype(float)
        expected = ((x[index, 0] + 1) / 2 * 255).round().numpy()
        assert np.array_equal(pixels, expected)
    assert sample(cgan, "c", "labels=3", "n=6", "out=y").code == 0
    assert size("y.png") == (6, 1)


def test_labels_from_python(cgan: Cli) -> None:
    del cgan
    model = load("outputs/c")
    every = model.sample(12)
    # Not bit for bit: what a convolution sums first may depend on how many images there are.
    torch.testing.assert_close(every[:10], model.sample(10, torch.arange(10)))
    assert torch.equal(every[11:], model.sample(12, list(range(10)))[11:])
    assert torch.equal(model.sample(3, 7), model.sample(3, [7, 7, 7]))
    assert not torch.equal(model.sample(3, 7), model.sample(3, 8))
    for wrong in (10, -1, "seven", [1, 12]):
        with pytest.raises(ValueError, match="labels="):
            model.sample(2, wrong)
    with pytest.raises(ValueError, match=r"must be \(n, 5\)"):
        model.map_noise(torch.zeros(2, 4))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"labels": 1.0}, "labels=1.0: is of type float, but must be a whole number, a class name"),
        ({"labels": True}, "labels=True: is of type bool, but must be"),
        ({"labels": [1, None]}, "labels=None: is of type NoneType"),
        ({"labels": torch.tensor([1.0])}, "labels=1.0: is of type float"),
        ({"labels": {"a": 1}}, "labels={'a': 1}: is of type dict"),
        ({"n": "5"}, "n='5': is of type str, but must be a whole number"),
        ({"n": 5.0}, "n=5.0: is of type float, but must be a whole number"),
        ({"seed": "x"}, "seed='x': is of type str, but must be a whole number"),
        ({"seed": None}, "seed=None: is of type NoneType, but must be a whole number"),
    ],
)
def test_wrong_types_from_python_are_named(cgan: Cli, keys: dict[str, Any], words: str) -> None:
    del cgan
    model = load("outputs/c")
    with pytest.raises(TypeError, match=re.escape(words)):
        model.sample(**{"n": 2, **keys})


def test_what_counts_as_a_number_from_python(cgan: Cli) -> None:
    del cgan
    model = load("outputs/c")
    x = model.sample(3, [1, 2, 1])
    for labels in ((1, 2), np.array([1, 2]), [np.int64(1), torch.tensor(2)], torch.tensor([1, 2])):
        assert torch.equal(model.sample(np.int64(3), labels), x)  # type: ignore[arg-type]
    assert torch.equal(model.sample(2, range(10)), model.sample(2))
    with pytest.raises(ValueError, match="seed=-1: must be at least 0"):
        model.sample(2, seed=-1)
    with pytest.raises(TypeError, match=r"z: is of type list, but must be a torch.Tensor"):
        model.map_noise([[0.0] * 5])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"z: holds torch.int64, but must be"):
        model.map_noise(torch.zeros(2, 5, dtype=torch.int64))
    with pytest.raises(TypeError, match="run=3: is of type int, but must be a path"):
        load(3)  # type: ignore[arg-type]


def test_a_sample_does_not_depend_on_how_many_there_are(vanilla: Cli) -> None:
    del vanilla
    model = load("outputs/v")
    many = model.game.draw_noise(200, seed=3)
    assert torch.equal(many[:70], model.game.draw_noise(70, seed=3))
    torch.testing.assert_close(model.sample(200, seed=3)[:9], model.sample(9, seed=3))


def test_samples_come_from_the_averaged_weights(vanilla: Cli) -> None:
    del vanilla
    game = load("outputs/v").game
    z = game.draw_noise(4, seed=0)
    assert game.average is not None
    with torch.no_grad():
        averaged, own = game.average.module(z), game.generator(z)
    assert torch.equal(game.map_noise(z), averaged)
    assert not torch.equal(averaged, own)


def test_class_names_are_labels(cli: Cli) -> None:
    for index, name in enumerate(("ape", "bee")):
        Path(f"pictures/{name}").mkdir(parents=True)
        for number in range(3):
            pixels = np.full((8, 8, 3), 40 * index + number, np.uint8)
            Image.fromarray(pixels).save(f"pictures/{name}/{number}.png")
    folder = ["data=image_folder", "data.root=pictures", "data.image_size=8"]
    assert cli(*TINY, *folder, "model=cgan", "model.width=2", "name=f").code == 0
    assert sample(cli, "f", "labels=bee", "n=2", "mode=images", "out=x").code == 0
    assert [path.name for path in Path("x").iterdir()] == ["bee"]
    result = sample(cli, "f", "labels=[bee,eagle]")
    assert result.code == 2
    assert "labels=eagle: there are 0 to 1, or names: ape, bee" in result.err


def test_arithmetic_shows_its_terms(vanilla: Cli) -> None:
    lists = ["a=[0,1]", "b=[5]", "c=[7,8,9]"]
    assert sample(vanilla, "v", "mode=arithmetic", *lists, "out=x").code == 0
    picture = pixels_of("x.png")[CAPTION_HEIGHT:]  # below its title
    model = load("outputs/v")
    z = model.game.draw_noise(10, seed=0)
    result = z[[0, 1]].mean(0) - z[5] + z[[7, 8, 9]].mean(0)
    expected = ((model.map_noise(result[None])[0, 0] + 1) / 2 * 255).round()
    line = SHORT_SIDE + CAPTION_HEIGHT + 2
    top = 2 + 3 * line  # the fourth row begins with it
    tile = picture[top : top + SHORT_SIDE : 6, 2 : 2 + SHORT_SIDE : 6, 0]
    assert np.array_equal(tile, expected.numpy())


def test_interpolation_runs_from_one_z_to_another(vanilla: Cli) -> None:
    assert sample(vanilla, "v", "mode=interpolate", "n=2", "out=x").code == 0
    assert size("x.png") == (10, 2)
    picture = pixels_of("x.png")[CAPTION_HEIGHT:]  # below its title
    ends = load("outputs/v").sample(4)
    for row in range(2):
        for column, index in ((0, 2 * row), (9, 2 * row + 1)):
            tile = picture[2 + row * TILE :, 2 + column * TILE :][:SHORT_SIDE:6, :SHORT_SIDE:6, 0]
            expected = ((ends[index, 0] + 1) / 2 * 255).round().numpy()
            assert np.abs(tile.astype(float) - expected).max() <= 1


def test_spherical_interpolation_keeps_the_length() -> None:
    a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    t = torch.linspace(0, 1, 5)
    round_way = interpolate(a, b, t, spherical=True)
    torch.testing.assert_close(round_way.norm(dim=1), torch.full((5,), 2.0))
    torch.testing.assert_close(round_way[2], torch.full((2,), math.sqrt(2)))
    straight = interpolate(a, b, t, spherical=False)
    torch.testing.assert_close(straight[2], torch.tensor([1.0, 1.0]))
    torch.testing.assert_close(interpolate(a, -a, t, spherical=True)[0], a)
    torch.testing.assert_close(interpolate(a, a, t, spherical=True), a.expand(5, 2))
    z = torch.randn(4, 3)
    torch.testing.assert_close(Spherical(3).onto_support(z).norm(dim=1), torch.ones(4))
    assert torch.equal(Normal(3, std=1.0).onto_support(z), z)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mode=gird"], "Did you mean grid?"),
        (["labels=3"], "model=vanilla takes none"),
        (["labels=[]"], "give one label"),
        (["n=0"], "n=0"),
        (["n=100000000000"], "must lie between 1 and"),
        (["a=[1]"], "only mode=arithmetic uses it"),
        (["mode=arithmetic", "a=[-1]"], "numbers of samples"),
        (["mode=arithmetic", "n=4"], "takes a, b and c"),
        (["interpolation=linear"], "only mode=interpolate uses it"),
        (["mode=interpolate", "interpolation=cubic"], "use linear, spherical"),
        (["a=[x]", "mode=arithmetic"], "a=[x]: must be a list of whole numbers"),
    ],
)
def test_mistakes_have_one_message(vanilla: Cli, arguments: list[str], words: str) -> None:
    result = sample(vanilla, "v", *arguments)
    assert result.code == 2
    assert words in result.err
    assert "Traceback" not in result.err


def test_points_have_a_grid_alone(cli: Cli) -> None:
    assert cli(*TINY, "data=ring", "name=r").code == 0
    assert sample(cli, "r").code == 0
    result = sample(cli, "r", "mode=interpolate")
    assert result.code == 2
    assert "are points" in result.err


def test_filters_are_kept(cli: Cli) -> None:
    assert cli("steps=2", "data.batch_size=8", "sample_every=1", "model=dcgan", "name=d").code == 0
    names = sorted(path.name for path in Path("outputs/d/filters").iterdir())
    assert names == [f"step_{step:08d}.png" for step in range(3)]


def test_backbones(cli: Cli) -> None:
    assert cli(*TINY, "model=cgan", "model.backbone=mlp", "name=m").code == 0
    config = load("outputs/m").config
    assert config["model"]["backbone"] == "mlp"
    for arguments, words in (
        (["model.backbone=mlp"], "only model=cgan has a choice"),
        (["model=cgan", "model.backbone=conf"], "Did you mean conv?"),
        (["resume=outputs/m", "model.backbone=conv"], "cannot change on resume"),
    ):
        result = cli(*arguments)
        assert result.code == 2
        assert words in result.err, result.err
    assert cli(*TINY, "-m", "model=cgan", "model.backbone=mlp,conv", "name=s").code == 0
    jobs = {path.name for path in Path("outputs/s").glob("m*") if path.is_dir()}
    assert jobs == {"model.backbone-mlp", "model.backbone-conv"}


def test_class_names_from_a_file_are_no_paths(cgan: Cli) -> None:
    path = Path("outputs/c/checkpoints/step_00000002.pt")
    for names in ([f"../evil{i}" for i in range(10)], ["/tmp/x"] * 10, ["a"], [3] * 10):
        state = checkpoint.read(path)
        state["spec"]["class_names"] = tuple(names)
        checkpoint.write(Path("hostile.pt"), state)
        result = cgan("run=hostile.pt", "mode=images", "out=x", app=commands.SAMPLE)
        assert result.code == 2
        assert "does not fit its own config" in result.err
        assert not list(Path().rglob("*evil*"))


def test_images_of_several_seeds(vanilla: Cli) -> None:
    result = sample(vanilla, "v", "mode=images", "n=3", "seed=[0,4]", "out=x")
    assert result.code == 0, result.err
    assert "seed 0, 4" in result.out
    names = sorted(path.name for path in Path("x").iterdir())
    assert names == [f"seed_{seed}_{i}.png" for seed in (0, 4) for i in range(3)]
    assert sample(vanilla, "v", "mode=images", "n=3", "seed=4", "out=y").code == 0
    for index in range(3):
        assert np.array_equal(pixels_of(f"x/seed_4_{index}.png"), pixels_of(f"y/{index}.png"))
    assert sample(vanilla, "v", "mode=images", "n=2", "seed=[0,1]").code == 0
    for arguments, words in (
        (["seed=[0,1]"], "seed=[0,1]: only mode=images takes several. Give one, like seed=0"),
        (["mode=images", "seed=[0,0]"], "seed=[0,0]: names one seed twice"),
        (["mode=images", "seed=[]"], "seed=[]: must be a whole number"),
        (["seed=x"], "seed=x: must be a whole number"),
        (["seed=0.5"], "seed=0.5: must be a whole number"),
        (["seed=[-1]", "mode=images"], "must be at least 0"),
        (["seed=1,2"], "Write 'seed=[1,2]' for a list"),
    ):
        rejected = sample(vanilla, "v", *arguments)
        assert rejected.code == 2
        assert words in rejected.err


def test_conditional_images_of_several_seeds(cgan: Cli) -> None:
    result = sample(cgan, "c", "labels=[1,2]", "n=2", "mode=images", "seed=[0,1]", "out=x")
    assert result.code == 0
    assert sorted(path.name for path in Path("x/1").iterdir()) == ["seed_0_0.png", "seed_1_0.png"]
