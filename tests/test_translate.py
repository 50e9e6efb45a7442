"""gan-translate on files of every kind, and .translate from Python."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_cli import load
from gan_cli.cli import commands
from tests.conftest import Cli, Result

TRAIN = [
    "model=cyclegan", "model.width=2", "model.generator.blocks=1", "data.image_size=16",
    "model.discriminator.layers=1", "steps=1", "sample_every=0", "ema.decay=0.5",
]  # fmt: skip


@pytest.fixture
def trained(cli: Cli, run_of: Callable[..., None]) -> Cli:
    run_of("c", *TRAIN)
    return cli


def translate(cli: Cli, *arguments: str) -> Result:
    return cli("run=outputs/c", *arguments, app=commands.TRANSLATE)


def picture(height: int, width: int, channels: int) -> np.ndarray:
    values = np.arange(height * width * channels) % 251
    return values.reshape(height, width, channels).astype(np.uint8)


def awkward(folder: Path) -> dict[str, tuple[tuple[int, int], str]]:
    """Files of many kinds; name of the output -> (size, mode) for b2a, from colour to gray."""
    (folder / "deeper").mkdir(parents=True)
    Image.fromarray(picture(37, 53, 3)).save(folder / "odd.jpg")
    Image.fromarray(picture(16, 16, 1)[:, :, 0]).save(folder / "gray.png")
    Image.fromarray(picture(21, 30, 4)).save(folder / "deeper" / "alpha.png")
    Image.fromarray(picture(5, 3, 3)).save(folder / "tiny.bmp")
    Image.fromarray(picture(24, 20, 3)).convert("P").save(folder / "palette.gif")
    Image.fromarray(picture(20, 24, 1)[:, :, 0].astype(np.uint16) * 257).save(folder / "deep.png")
    Image.fromarray(picture(40, 41, 3)).convert("CMYK").save(folder / "print.tiff")
    (folder / ".hidden").write_text("no image, and not looked at")
    return {
        "odd.jpg": ((53, 37), "L"), "gray.png": ((16, 16), "L"),
        "deeper/alpha.png": ((30, 21), "LA"), "tiny.bmp": ((3, 5), "L"),
        "palette.gif.png": ((20, 24), "L"), "deep.png": ((24, 20), "L"),
        "print.tiff": ((41, 40), "L"),
    }  # fmt: skip


def test_files_of_every_kind_keep_names_and_sizes(trained: Cli) -> None:
    expected = awkward(Path("in"))
    result = translate(trained, "input=in", "output=out", "direction=b2a")
    assert result.code == 0, result.err
    assert "7 of 7 images" in result.out
    found = {}
    for path in Path("out").rglob("*.*"):
        with Image.open(path) as image:
            found[path.relative_to("out").as_posix()] = (image.size, image.mode)
    assert found == expected
    with Image.open("in/deeper/alpha.png") as before, Image.open("out/deeper/alpha.png") as after:
        assert np.array_equal(np.array(before)[:, :, 3], np.array(after)[:, :, 1])


def test_unreadable_files_are_listed_and_the_rest_done(trained: Cli) -> None:
    awkward(Path("in"))
    Path("in/notes.txt").write_text("text")
    Path("in/cut.jpg").write_bytes(Path("in/odd.jpg").read_bytes()[:300])
    result = translate(trained, "input=in", "output=out")
    assert result.code == 2
    assert "7 of 9 images" in result.out
    for words in (
        "2 files could not be translated",
        "in/notes.txt: not an image",
        "in/cut.jpg: damaged",
    ):
        assert words in result.err
    assert len(list(Path("out").rglob("*.*"))) == 7


def test_nothing_is_overwritten(trained: Cli) -> None:
    Path("in").mkdir()
    Path("links").mkdir()
    for name in ("a.gif", "a.gif.png"):
        Image.fromarray(picture(16, 16, 3)).save(f"in/{name}")
    Path("links/a.gif.png").symlink_to(Path("in/a.gif.png").resolve())
    before = Path("in/a.gif.png").read_bytes()
    for arguments, words in (
        (["input=in", "output=out"], "would both be written to"),
        (["input=links", "output=in"], "is an input, and would be overwritten"),
        (["input=''", "output=out"], "input='': name a path"),
    ):
        result = translate(trained, *arguments)
        assert result.code == 2
        assert words in result.err, result.err
    assert Path("in/a.gif.png").read_bytes() == before


def test_what_a_format_cannot_hold_is_listed(trained: Cli) -> None:
    Path("in").mkdir()
    Image.fromarray(picture(8, 9000, 3)).save("in/long.jpg")
    Path("in/long.jpg").rename("in/long.webp")  # 2 x 9,000 is more than WebP has
    Image.fromarray(picture(8, 8, 3)).save("in/small.png")
    result = translate(trained, "input=in", "output=out", "side_by_side=true")
    assert result.code == 2
    assert "in/long.webp: out/long.webp cannot be written" in result.err
    assert Path("out/small.png").is_file()


def test_one_file_is_translated_as_from_python(trained: Cli) -> None:
    pixels = picture(16, 20, 1)[:, :, 0]
    Image.fromarray(pixels).save("x.png")
    assert translate(trained, "input=x.png", "output=out").code == 0
    model = load("outputs/c")
    x = torch.from_numpy(pixels.copy()).float()[None, None] / 127.5 - 1
    y = model.translate(x, "a2b")
    expected = ((y[0] + 1) * 127.5).round().permute(1, 2, 0).numpy()
    with Image.open("out/x.png") as image:
        assert np.abs(np.array(image).astype(float) - expected).max() <= 1
    assert translate(trained, "input=x.png", "output=out", "side_by_side=true").code == 0
    with Image.open("out/x.png") as image:
        assert image.size == (40, 16)
        assert np.array_equal(np.array(image)[:, :20, 0], pixels)


def test_a_second_run_does_not_translate_its_own_output(trained: Cli) -> None:
    awkward(Path("in"))
    for _ in range(2):
        result = translate(trained, "input=in", "output=in/out")
        assert "7 of 7 images" in result.out


def test_gray_stays_gray_between_colour_domains(cli: Cli) -> None:
    for name in ("trainA", "trainB"):
        Path(f"p/{name}").mkdir(parents=True)
        Image.fromarray(picture(16, 16, 3)).save(f"p/{name}/1.png")
    folder = ["data=unpaired_folders", "data.root=p", "data.preprocess=resize"]
    assert cli(*TRAIN, "name=c", *folder).code == 0
    Image.fromarray(picture(16, 16, 1)[:, :, 0]).save("gray.png")
    Image.fromarray(picture(16, 16, 3)).save("colour.png")
    for name, mode in (("gray", "L"), ("colour", "RGB")):
        assert translate(cli, f"input={name}.png", "output=out").code == 0
        with Image.open(f"out/{name}.png") as image:
            assert image.mode == mode


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["input=nowhere", "output=out"], "input=nowhere: no such file"),
        (["input=in", "output=in"], "would be overwritten"),
        (["input=in", "output=out", "direction=left"], "use a2b, b2a"),
        (["input=empty", "output=out"], "no files in it"),
        (["input=in", "output=in/odd.jpg"], "is a file"),
        (["input=in"], "output: is missing"),
    ],
)
def test_mistakes_have_one_message(trained: Cli, arguments: list[str], words: str) -> None:
    awkward(Path("in"))
    Path("empty").mkdir()
    result = translate(trained, *arguments)
    assert result.code == 2
    assert words in result.err
    assert "Traceback" not in result.err


def test_samplers_and_translators_know_what_they_are(trained: Cli) -> None:
    result = trained("run=outputs/c", app=commands.SAMPLE)
    assert result.code == 2
    assert "gan-translate" in result.err
    assert trained("steps=1", "name=v").code == 0
    Path("in").mkdir()
    Image.fromarray(picture(8, 8, 3)).save("in/1.png")
    result = trained("run=outputs/v", "input=in", "output=out", app=commands.TRANSLATE)
    assert result.code == 2
    assert "Use gan-sample" in result.err
    with pytest.raises(ValueError, match=r"use \.sample"):
        load("outputs/v").translate(torch.zeros(1, 1, 8, 8), "a2b")
    model = load("outputs/c")
    with pytest.raises(ValueError, match=r"use \.translate"):
        model.sample(1)
    for images in (torch.zeros(1, 3, 16, 16), torch.zeros(1, 1, 15, 16), torch.zeros(1, 16, 16)):
        with pytest.raises(ValueError, match="multiples of 4"):
            model.translate(images, "a2b")
    with pytest.raises(ValueError, match="direction=up"):
        model.translate(torch.zeros(1, 1, 16, 16), "up")  # type: ignore[arg-type]


def test_one_image_goes_to_one_file(trained: Cli) -> None:
    Image.fromarray(picture(20, 24, 3)).save("photo.jpg")
    Path("folder").mkdir()
    result = translate(trained, "input=photo.jpg", "output=new/x.png", "direction=b2a")
    assert result.code == 0, result.err
    assert result.out.endswith("written to new/x.png\n")
    with Image.open("new/x.png") as image:
        assert (image.size, image.format) == ((24, 20), "PNG")
    assert translate(trained, "input=photo.jpg", "output=new/x.png", "direction=a2b").code == 0
    assert translate(trained, "input=photo.jpg", "output=folder", "direction=b2a").code == 0
    assert Path("folder/photo.jpg").is_file()
    for output, words in (
        ("photo.jpg", "output=photo.jpg: is the input, which would be overwritten"),
        ("x.gif", "output=x.gif: no such format. Use .bmp, .jpeg, .jpg, .png"),
    ):
        rejected = translate(trained, "input=photo.jpg", f"output={output}")
        assert rejected.code == 2
        assert words in rejected.err
    rejected = translate(trained, "input=folder", "output=new/x.png")
    assert "output=new/x.png: is a file; give a folder" in rejected.err
