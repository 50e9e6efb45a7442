"""Image files of awkward kinds: deep pixels, profiles, backgrounds, pages, sizes, other formats."""

import gzip
import io
import shutil
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from gan_cli.data.files.colours import choose_background
from gan_cli.data.files.decode import Reading, UnusableImageError, open_image
from gan_cli.data.files.kinds import describe, open_heic
from gan_cli.data.files.preprocess import common_size
from gan_cli.data.image_folder import ImageFolder
from gan_cli.data.mnist import MNIST
from gan_cli.data.pairs import UnpairedFolders
from gan_cli.data.small_photos import CIFAR10, SVHN
from gan_cli.errors import SettingsError, UserError
from gan_cli.translate import save
from tests.conftest import idx_bytes
from tests.test_folders import load, quiet, source


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_TRAIN_CACHE", str(tmp_path_factory.mktemp("cache")))


def ramp(low: float, high: float, kind: Any) -> Image.Image:
    """A deep image, 8x8, from low to high."""
    return Image.fromarray(np.linspace(low, high, 64).astype(kind).reshape(8, 8))


def chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(pixels: np.ndarray, extra: bytes = b"") -> bytes:
    """A PNG of uint16 pixels, (H, W), (H, W, 3) or (H, W, 4)."""
    colour = 0 if pixels.ndim == 2 else 2 if pixels.shape[2] == 3 else 6
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    parts = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + parts + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("name", "kind", "low", "high"),
    [
        ("x.png", np.uint16, 0, 4095), ("x.tif", np.uint16, 0, 4095), ("x.png", np.uint16, 9, 255),
        ("x.tif", np.int32, -500, 500), ("x.tif", np.int32, 0, 255), ("x.tif", np.float32, 0, 1),
        ("x.tif", np.float32, 0, 65535), ("x.tif", np.float32, -1, 1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("cache", [True, False])
def test_levels_bring_any_deep_pixels_to_black_and_white(
    tmp_path: Path, name: str, kind: Any, low: float, high: float, cache: bool
) -> None:
    (tmp_path / "x").mkdir()
    ramp(low, high, kind).save(tmp_path / "x" / name)
    data = load(tmp_path / "x", levels=[low, high], cache=cache)
    expected = np.rint(np.linspace(0, 255, 64).reshape(8, 8))
    pixels = (data.first(1)[0, 0].numpy() + 1) * 127.5
    assert np.abs(pixels - expected).max() < 1.1
    assert any(f"holds values {low:g} to {high:g}" in note for note in data.notes)


def test_the_range_is_said_and_a_dark_one_advised_about(tmp_path: Path) -> None:
    for name, high in (("dark", 4095), ("full", 65535)):
        (tmp_path / name).mkdir()
        ramp(0, high, np.uint16).save(tmp_path / name / "x.png")
    (dark,) = load(tmp_path / "dark").notes
    assert "values 0 to 4095" in dark
    assert "data.levels=[0,4095]" in dark
    (full,) = load(tmp_path / "full").notes
    assert "values 0 to 65535" in full
    assert "levels" not in full
    values = load(tmp_path / "full").values
    assert (values[0, 0].min(), values[0, 0].max()) == (0, 255)  # type: ignore[index]


@pytest.mark.parametrize("kind", [np.int32, np.float32])
@pytest.mark.parametrize("cache", [True, False])
def test_pixels_without_a_natural_range_need_levels(tmp_path: Path, kind: Any, cache: bool) -> None:
    (tmp_path / "x").mkdir()
    ramp(-3, 40, kind).save(tmp_path / "x" / "a.tif")
    ramp(0, 99, kind).save(tmp_path / "x" / "b.tif")
    with pytest.raises(UserError, match=r"data\.levels=\[-3,99\]"):
        load(tmp_path / "x", cache=cache)


def test_colour_of_16_bits_keeps_its_lower_bytes(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 4096, (8, 8, 3)).astype(np.uint16)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "x.png").write_bytes(png(pixels))
    data = load(tmp_path / "x", levels=[0, 4095])
    expected = np.rint(pixels / 4095 * 255).transpose(2, 0, 1)
    assert (np.asarray(data.values[0]) == expected).all()  # type: ignore[index]
    plain = load(tmp_path / "x")  # as before: the upper bytes
    assert (np.asarray(plain.values[0]) == (pixels >> 8).transpose(2, 0, 1)).all()  # type: ignore[index]
    assert any("data.levels=[" in note for note in plain.notes)


def test_a_key_value_is_transparent_in_deep_gray() -> None:
    pixels = np.array([[7, 65535]], np.uint16)
    data = png(pixels, chunk(b"tRNS", struct.pack(">H", 7)))
    image = open_image(io.BytesIO(data))
    assert np.asarray(image).tolist() == [[[0, 0], [255, 255]]]


def test_levels_without_deep_images_have_no_effect_and_say_so(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "x.png")
    assert any("data.levels has no effect" in n for n in load(tmp_path, levels=[0, 1]).notes)


def drawing(level: int) -> Image.Image:
    """A square of a gray level on transparency."""
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[..., :3] = level
    pixels[2:6, 2:6, 3] = 255
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    ("background", "corner"), [("white", 255), ("black", 0), ("#808080", 128), ("auto", 0)]
)
@pytest.mark.parametrize("cache", [True, False])
def test_what_shows_through_transparency(
    tmp_path: Path, background: str, corner: int, cache: bool
) -> None:
    for number in range(3):
        drawing(255).save(tmp_path / f"{number}.png")
    data = load(tmp_path, background=background, cache=cache)
    assert data.first(1)[0, 0, 0, 0] == pytest.approx(corner / 127.5 - 1, abs=1e-5)
    notes = "\n".join(data.notes)
    assert ("3 of 3 images are of one colour" in notes) == (background == "white")
    assert ("black is used" in notes) == (background == "auto")


def test_auto_keeps_black_and_white_drawings_visible_together() -> None:
    assert choose_background([drawing(0), drawing(0)]) == ("white", 2)
    assert choose_background([drawing(255), Image.new("L", (4, 4))]) == ("black", 1)
    assert choose_background([drawing(0), drawing(255)]) == ("#808080", 2)


def test_equal_images_are_noted(tmp_path: Path) -> None:
    half = Image.fromarray(np.array([[0, 255]], np.uint8).repeat(4, 0))
    for number in range(10):
        half.save(tmp_path / f"{number}.png")
    assert any("10 of 10 images are equal" in note for note in load(tmp_path).notes)


def test_default_settings_leave_keys_of_caches_as_they_are(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "x.png")
    plain = source(tmp_path)
    same = source(tmp_path, levels=None, background="white", pages="first", max_megapixels=300)
    assert "reading" not in repr(plain.shape)
    assert plain.listing.key(plain.shape) == same.listing.key(same.shape)
    other = source(tmp_path, background="black")
    assert other.listing.key(other.shape) != plain.listing.key(plain.shape)


def wide_profile() -> bytes:
    """A profile of sRGB whose red and blue are exchanged, under another name."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", data[128:132])[0]
    tags = {data[132 + 12 * i : 136 + 12 * i].decode(): 132 + 12 * i for i in range(count)}
    red, blue = (data[tags[name] + 4 : tags[name] + 12] for name in ("rXYZ", "bXYZ"))
    data[tags["rXYZ"] + 4 : tags["rXYZ"] + 12] = blue
    data[tags["bXYZ"] + 4 : tags["bXYZ"] + 12] = red
    for text in (b"sRGB", "sRGB".encode("utf-16-be")):
        data = data.replace(text, text.replace(b"R", b"T"))
    return bytes(data)


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_become_srgb(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGB", (4, 4), (255, 0, 0)).convert(mode)
    image.save(tmp_path / "x.png", icc_profile=wide_profile())
    opened = open_image(tmp_path / "x.png")
    red, green, blue = opened.convert("RGB").getpixel((0, 0))  # type: ignore[misc]
    assert (red < 3, green < 3, blue > 252) == (True, True, True)
    assert opened.mode == mode
    save(opened, tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as written:
        assert b"sRGB" in written.info["icc_profile"].replace(b"\0", b"")
        name = ImageCms.getProfileDescription(
            ImageCms.ImageCmsProfile(io.BytesIO(written.info["icc_profile"]))
        )
    assert "sRGB" in name


def test_srgb_profiles_change_nothing(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png", icc_profile=srgb())
    opened = open_image(tmp_path / "x.png")
    assert (np.asarray(opened) == pixels).all()
    assert opened.info["icc_profile"] == srgb()


def test_broken_profiles_are_noted(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (9, 8, 7)).save(tmp_path / "x.png", icc_profile=b"nonsense")
    data = load(tmp_path)
    assert any("broken colour profile" in note for note in data.notes)
    assert data.values[0, :, 0, 0].tolist() == [9, 8, 7]  # type: ignore[index]


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("name", ["x.tif", "x.gif", "x.webp"])
def test_pages_are_said_and_can_be_used(tmp_path: Path, cache: bool, name: str) -> None:
    (tmp_path / "a").mkdir()
    first, *rest = [Image.new("RGB", (8, 8), (60 * i, 60 * i, 60 * i)) for i in range(4)]
    first.save(tmp_path / "a" / name, save_all=True, append_images=rest, lossless=True)
    Image.new("L", (8, 8), 9).save(tmp_path / "a" / "z.png")
    data = load(tmp_path, cache=cache)
    assert len(data) == 2
    assert any("1 file with several pages" in note for note in data.notes)
    every = load(tmp_path, cache=cache, pages="all", workers=0)
    assert len(every) == 5
    assert every.labels is not None
    assert every.labels.tolist() == [0] * 5
    levels = ((every.first(5)[:, 0, 4, 4] + 1) * 127.5).round().tolist()
    assert levels == pytest.approx([0, 60, 120, 180, 9], abs=2)
    assert not any("pages" in note for note in every.notes)


def test_large_photos_are_used_up_to_a_limit(tmp_path: Path) -> None:
    Image.new("1", (12000, 9000), 1).save(tmp_path / "x.png")
    assert open_image(tmp_path / "x.png").size == (12000, 9000)
    with pytest.raises(UnusableImageError, match=r"12000x9000.*max_megapixels=100"):
        open_image(tmp_path / "x.png", reading=Reading(max_megapixels=100))


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP", b"iTXt"])
def test_a_large_text_or_profile_does_not_spoil_a_png(kind: bytes) -> None:
    large = zlib.compress(bytes(2**25))
    between = b"\1\0\0\0" if kind == b"iTXt" else b"\0"
    data = png(np.full((2, 2), 65535, np.uint16), chunk(kind, b"key\0" + between + large))
    assert np.asarray(open_image(io.BytesIO(data))).tolist() == [[255, 255], [255, 255]]


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\0\0\0\x18ftypheic" + bytes(20), "HEIC: convert it to PNG or JPEG, or pip install"),
        (b"\0\0\0\x18ftypavif" + bytes(20), "AVIF"), (b"\xff\x0a" + bytes(20), "JPEG XL"),
        (bytes(128) + b"DICM", "DICOM"), (b"<?xml version='1.0'?>\n<svg>", "SVG"),
        (b"<svg xmlns", "SVG"), (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"), (b"", "empty"),
        (b"PK\x03\x04aaaa", "unpack it"), (b"\x1f\x8baaaa", "unpack it"),
        (b"<!DOCTYPE html><p>404", "a web page"), (b"a,b,c", "not an image"),
        (b"\0\0\0\x18ftypisom" + bytes(20), "a video"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
    ],
)  # fmt: skip
def test_files_that_are_no_images_are_named(tmp_path: Path, head: bytes, words: str) -> None:
    (tmp_path / "cat.jpg").write_bytes(head)
    with pytest.raises(UnusableImageError, match=words.replace("(", ".")):
        open_image(tmp_path / "cat.jpg")
    assert words in describe(head)


def test_pillow_heif_is_used_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []

    class Fake:
        @staticmethod
        def register_heif_opener() -> None:
            called.append(1)

    open_heic.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    monkeypatch.setitem(sys.modules, "pillow_heif", Fake)  # type: ignore[arg-type]
    assert open_heic()
    assert called
    assert "pip" not in describe(b"\0\0\0\x18ftypheic")
    open_heic.cache_clear()


def test_postscript_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("Ghostscript was started")

    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", fail)
    text = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    (tmp_path / "cat.jpg").write_bytes(text)
    with pytest.raises(UnusableImageError, match="PostScript"):
        open_image(tmp_path / "cat.jpg")


def test_an_archive_that_is_not_read_in_place_is_to_be_unpacked(tmp_path: Path) -> None:
    (tmp_path / "set.rar").write_bytes(b"Rar!\x1a\x07\x00")
    with pytest.raises(UserError, match=r"data\.root=.*set\.rar: is an archive: unpack it"):
        load(tmp_path / "set.rar")
    (tmp_path / "one.png").write_text("x")
    with pytest.raises(UserError, match=r"is a file\. Give a folder"):
        load(tmp_path / "one.png")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"levels": [3, 1]}, "levels"), ({"levels": [1]}, "levels"),
        ({"background": "blueish"}, "background"), ({"max_megapixels": 0}, "max_megapixels"),
    ],
)  # fmt: skip
def test_impossible_settings_of_reading(tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    with pytest.raises(SettingsError) as rejected:
        source(tmp_path, **changes)
    assert [problem.key for problem in rejected.value.problems] == [word]


def turned_photo(path: Path, size: tuple[int, int], orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, exif=exif)


def pair(root: Path) -> UnpairedFolders:
    return UnpairedFolders(
        root=str(root), public_name=None, download=False, a=None, b=None, channels_a=3,
        channels_b=3, image_size=16, load_size=None, preprocess="crop", flip=False, cache=True,
        workers=None, pixel_range=(-1, 1),
    )  # fmt: skip


def test_sizes_are_those_of_photos_the_right_way_up(tmp_path: Path) -> None:
    for domain in "AB":
        (tmp_path / f"train{domain}").mkdir()
        turned_photo(tmp_path / f"train{domain}" / "0.jpg", (40, 24), 6)  # 40 high, 24 wide
        turned_photo(tmp_path / f"train{domain}" / "1.jpg", (30, 50), 1)  # 50 high, 30 wide
        turned_photo(tmp_path / f"train{domain}" / "small.png", (15, 99), 1)
    folder = tmp_path / "trainA"
    assert common_size(folder, key=None, least=(16, 16)) == (40, 24)
    data = pair(tmp_path).load(seed=0, progress=quiet)
    assert len(data.a) == 2
    assert any("small.png" in note for note in data.notes)


def test_photos_that_are_all_too_small_are_an_error(tmp_path: Path) -> None:
    for domain in "AB":
        (tmp_path / f"train{domain}").mkdir()
        turned_photo(tmp_path / f"train{domain}" / "0.jpg", (12, 99), 1)
    with pytest.raises(UserError, match="holds no photo as large as"):
        pair(tmp_path).load(seed=0, progress=quiet)


def mnist(root: str) -> MNIST:
    return MNIST(variant="MNIST", root=root, download=False, image_size=28, pixel_range=(-1, 1))


def test_mnist_is_found_one_or_two_levels_too_deep(
    mnist_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(mnist_root.parent))
    roots = [mnist_root, mnist_root / "MNIST", mnist_root / "MNIST" / "raw", "~/my data"]
    for root in roots:
        assert len(mnist(str(root)).load(seed=0, progress=quiet)) == 200
    shutil.copytree(mnist_root / "MNIST" / "raw", mnist_root / "other")
    with pytest.raises(UserError, match="must lie in"):
        mnist(str(mnist_root / "other")).load(seed=0, progress=quiet)
    fashion = MNIST(
        variant="FashionMNIST", root=str(mnist_root / "MNIST"), download=False, image_size=28,
        pixel_range=(-1, 1),
    )  # fmt: skip
    with pytest.raises(UserError):  # the same names, other images
        fashion.load(seed=0, progress=quiet)


def test_damaged_test_photos_are_an_error(tmp_path: Path) -> None:
    for kind, name in ((CIFAR10, "cifar-10-batches-py/test_batch"), (SVHN, "test_32x32.mat")):
        settings: dict[str, Any] = {"flip": False} if kind is CIFAR10 else {}
        photos: Any = kind(
            root=str(tmp_path), download=False, image_size=32, pixel_range=(-1, 1), **settings
        )
        assert photos.load_test(seed=0, progress=quiet) is None
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(gzip.compress(idx_bytes(np.zeros((1, 2, 2)))))
        with pytest.raises(UserError, match="is damaged"):
            photos.load_test(seed=0, progress=quiet)


def test_a_stream_of_pages_survives_worker_processes(tmp_path: Path) -> None:
    first, *rest = [Image.new("L", (8, 8), 60 * i) for i in range(3)]
    first.save(tmp_path / "x.tif", save_all=True, append_images=rest)
    data = ImageFolder(
        root=str(tmp_path), channels=1, image_size=8, load_size=None, resize="cover",
        crop="center", flip=False, cache=False, workers=2, pixel_range=(0, 1), pages="all",
    ).load(seed=0, progress=quiet)  # fmt: skip
    from gan_cli.data.batches import make_batches

    batch = next(make_batches(data, 3, seed=0, device=torch.device("cpu")))
    assert sorted((batch.x[:, 0, 0, 0] * 255).round().tolist()) == [0, 60, 120]  # type: ignore[union-attr]
