"""RGBA images, data.channels=4: read, trained on, drawn, sampled and translated."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from gan_cli import load as load_model
from gan_cli.cli import commands
from gan_cli.data.files.decode import Reading, decode, open_image
from gan_cli.errors import SettingsError
from gan_cli.regularizers.images import change_color
from tests.conftest import Cli
from tests.test_decoding import png, wide_profile
from tests.test_folders import load, source

pytestmark = pytest.mark.usefixtures("_own_cache")

CLEAR = (9, 200, 77, 0)  # what an editor may leave in pixels that nobody sees
#: Sizes and colours of a few discs: opaque, and half transparent.
DISCS = [(2, (220, 30, 30, 255)), (6, (30, 30, 220, 128)), (9, (240, 240, 240, 255))]


@pytest.fixture
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_TRAIN_CACHE", str(tmp_path_factory.mktemp("cache")))


def disc(margin: int, colour: tuple[int, ...], side: int = 32) -> Image.Image:
    image = Image.new("RGBA", (side, side), CLEAR)
    ImageDraw.Draw(image).ellipse((margin, margin, side - 1 - margin, side - 1 - margin), colour)
    return image


def icons(folder: Path) -> Path:
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for number, (margin, colour) in enumerate(DISCS):
            disc(margin, colour).save(folder / name / f"{number}.png")
    return folder


def pixels_of(image: Image.Image, **changes: object) -> np.ndarray:
    """An image as it is decoded, (H, W, 4)."""
    file = io.BytesIO()
    image.save(file, "png")
    settings = {"channels": 4, "height": 16, "width": 16, "resize": "cover"} | changes
    return decode(file, **settings).transpose(1, 2, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize(("background", "hidden"), [("white", 255), ("#000000", 0)])
def test_colours_keep_to_their_edges_and_clear_pixels_hide_the_background(
    background: str, hidden: int
) -> None:
    pixels = pixels_of(disc(6, (220, 30, 30, 255)), reading=Reading(background=background))
    opacity = pixels[:, :, 3]
    assert opacity[8, 8] == 255
    assert opacity[0, 0] == 0
    edge = (opacity > 20) & (opacity < 255)
    assert edge.any()  # and not one of them has taken green from the clear pixels beside it
    assert np.abs(pixels[edge][:, :3].astype(int) - [220, 30, 30]).max() <= 6
    assert (pixels[opacity == 0][:, :3] == hidden).all()


def test_files_without_transparency_are_opaque_and_gray_ones_become_colour() -> None:
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    pixels = pixels_of(ramp)
    assert (pixels[:, :, :3] == np.asarray(ramp)[:, :, None]).all()
    assert (pixels[:, :, 3] == 255).all()
    half = ramp.copy()
    half.putalpha(128)
    assert (pixels_of(half)[:, :, 3] == 128).all()
    palette = disc(2, (220, 30, 30, 255)).quantize()
    assert pixels_of(palette)[8, 8].tolist()[3] == 255
    assert pixels_of(palette)[0, 0].tolist() == [255, 255, 255, 0]


def test_profiles_and_levels_leave_opacity_alone(tmp_path: Path) -> None:
    Image.new("RGBA", (16, 16), (255, 0, 0, 90)).save(
        tmp_path / "x.png", icc_profile=wide_profile()
    )
    red, green, blue, alpha = decode(
        tmp_path / "x.png", channels=4, height=16, width=16, resize="cover"
    )[:, 3, 3]
    assert (red < 3, green < 3, blue > 252, alpha) == (True, True, True, 90)
    deep = np.full((8, 8, 4), 4095, np.uint16)
    deep[:, :, 0], deep[:, :, 3] = 2047, 65535
    deep[:4, :, 3] = 32768
    (tmp_path / "deep.png").write_bytes(png(deep))
    image = np.asarray(open_image(tmp_path / "deep.png", reading=Reading(levels=(0.0, 4095.0))))
    assert image[0, 0].tolist() == [127, 255, 255, 128]
    assert image[7, 0].tolist() == [127, 255, 255, 255]


@pytest.mark.parametrize("cache", [True, False])
def test_a_folder_of_icons_is_read_as_rgba(tmp_path: Path, cache: bool) -> None:
    data = load(icons(tmp_path), channels=4, image_size=16, cache=cache)
    assert data.spec.shape == (4, 16, 16)
    assert data.notes == ()
    x = data.first(3)
    assert x.shape == (3, 4, 16, 16)
    assert x[:, 3, 0, 0].tolist() == [-1.0] * 3
    assert x[:, :3, 0, 0].flatten().tolist() == [1.0] * 9  # white, which nobody sees
    assert x[:, 3, 8, 8].tolist() == pytest.approx([1.0, 128 / 127.5 - 1, 1.0], abs=1e-6)
    # A cache of RGB is another one.
    assert load(tmp_path, channels=3, image_size=16, cache=cache).spec.shape == (3, 16, 16)


def test_opaque_data_are_noted_and_white_drawings_are_not_called_blank(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("RGB", (8, 8), (number, 2, 3)).save(tmp_path / f"{number}.png")
    (note,) = [note for note in load(tmp_path, channels=4).notes if "transparent" in note]
    assert "3 channels (RGB) hold the same" in note
    for number in range(3):
        disc(number, (255, 255, 255, 255), side=8).save(tmp_path / f"{number}.png")
    assert load(tmp_path, channels=4).notes == ()
    (note,) = load(tmp_path, channels=3).notes
    assert "3 of 3 images are of one colour with data.background=white" in note


def test_a_background_that_shows_nothing_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        source(tmp_path, channels=4, background="auto")
    (problem,) = caught.value.problems
    assert problem.key == "background"
    assert "transparent pixels stay transparent" in str(problem)
    with pytest.raises(SettingsError, match=r"4 \(RGBA\)"):
        source(tmp_path, channels=2)


def test_random_colours_change_colours_alone() -> None:
    x = torch.rand(2, 4, 5, 5)
    draws = torch.tensor([0.1, 0.9]), torch.tensor([0.3, 0.6]), torch.tensor([0.8, 0.2])
    changed = change_color(x, *draws)
    assert torch.equal(changed[:, 3], x[:, 3])
    assert torch.equal(changed[:, :3], change_color(x[:, :3], *draws))


@pytest.mark.parametrize("model", ["vanilla", "cgan"])
def test_it_trains_draws_samples_and_goes_on(cli: Cli, model: str) -> None:
    icons(Path("icons"))
    small = ["model.generator.hidden=[8]", "model.discriminator.hidden=[8]"]
    small = small if model == "vanilla" else ["model.width=2"]
    result = cli(
        f"model={model}", *small, "data=image_folder", "data.root=icons", "data.channels=4",
        "data.image_size=16", "data.load_size=20", "data.crop=random", "data.flip=true",
        "data.batch_size=4", "regularizer=diffaugment", "steps=2", "log_every=1", "sample_every=1",
        "eval_every=2", "eval_metrics=[diversity,nearest]", "eval_samples=20", "threads=1",
        "name=r",
    )  # fmt: skip
    assert result.code == 0, result.err
    run = Path("outputs/r")
    for picture in ("samples/final.png", "samples/training.gif", "nearest/step_00000002.png"):
        assert (run / picture).is_file()
    assert cli("resume=outputs/r", "steps=3").code == 0

    assert cli("run=outputs/r", "mode=images", "n=4", "out=images", app=commands.SAMPLE).code == 0
    samples = load_model(run).sample(4, None if model != "cgan" else torch.tensor([0, 0, 1, 1]))
    files = sorted(Path("images").rglob("*.png"))
    for file, x in zip(files, samples, strict=True):
        with Image.open(file) as image:
            assert (image.mode, image.size) == ("RGBA", (16, 16))
            written = np.asarray(image).astype(float)
        expected = (x.permute(1, 2, 0).numpy() + 1) * 127.5
        assert np.abs(written - expected).max() <= 0.51
    for mode in ("grid", "sheet", "interpolate", "arithmetic"):
        words = ("run=outputs/r", f"mode={mode}", f"out={mode}.png", "labels=a")
        words = words if model == "cgan" else words[:-1]
        assert cli(*words, app=commands.SAMPLE).code == 0
        with Image.open(f"{mode}.png") as image:
            assert image.mode == "RGB"
    result = cli("run=outputs/r", "metrics=fid", app=commands.EVALUATE)
    assert result.code == 2
    assert "not 4-channel images" in result.err


@pytest.mark.parametrize(
    ("channels", "direction", "mode"),
    [
        ((4, 3), "a2b", "RGB"),
        ((4, 3), "b2a", "RGBA"),
        ((4, 4), "a2b", "RGBA"),
        ((1, 4), "b2a", "L"),
    ],
)
def test_pairs_with_transparency_are_translated(
    cli: Cli, channels: tuple[int, int], direction: str, mode: str
) -> None:
    icons(Path("in"))
    Image.new("RGB", (16, 16), (9, 8, 7)).save("in/photo.jpg")
    result = cli(
        "model=cyclegan", "model.width=2", "model.generator.blocks=1",
        "model.discriminator.layers=1", "data=unpaired_folders", "data.a=in/a", "data.b=in/b",
        f"data.channels_a={channels[0]}", f"data.channels_b={channels[1]}", "data.image_size=16",
        "data.preprocess=resize", "steps=1", "log_every=1", "threads=1", "name=c",
        "model.identity_weight=0",
    )  # fmt: skip
    assert result.code == 0, result.err
    with Image.open("outputs/c/samples/final.png") as image:
        assert image.mode == "RGB"
    words = ("run=outputs/c", f"direction={direction}")
    result = cli(*words, "input=in", "output=out", app=commands.TRANSLATE)
    assert result.code == 0, result.err
    with Image.open("out/a/0.png") as image:
        assert (image.mode, image.size) == (mode, (32, 32))
    photo = "out/photo.jpg.png" if mode == "RGBA" else "out/photo.jpg"
    with Image.open(photo) as image:
        assert image.mode == mode
    result = cli(*words, "input=in/photo.jpg", "output=one.jpg", app=commands.TRANSLATE)
    assert result.code == (2 if mode == "RGBA" else 0)
    assert ("use one.png" in result.err) == (mode == "RGBA")
    result = cli(*words, "input=in", "output=sides", "side_by_side=true", app=commands.TRANSLATE)
    assert result.code == 0
    with Image.open("sides/photo.jpg") as image:
        assert image.size == (32, 16)
