"""A user's folders: each file is converted or named as unusable; caches and streams agree."""

import json
import multiprocessing
import os
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gan_cli.data.base import Dataset
from gan_cli.data.batches import StreamedBatches, make_batches
from gan_cli.data.files import cache as cache_module
from gan_cli.data.files import decode as decoding
from gan_cli.data.files.decode import Shape, UnusableImageError, decode
from gan_cli.data.files.listing import list_files
from gan_cli.data.image_folder import ImageFolder
from gan_cli.errors import SettingsError, UserError
from gan_cli.runs import checkpoint
from tests.conftest import Cli
from tests.test_resume import assert_equal

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("GAN_TRAIN_CACHE", str(folder))
    return folder


def quiet(*_: object) -> None:
    pass


def noise_image(mode: str, size: tuple[int, int], seed: int = 0) -> Image.Image:
    random = np.random.default_rng(seed)
    bands = {"L": 1, "P": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    pixels = random.integers(0, 256, (size[1], size[0], bands), dtype=np.uint8)
    if mode == "P":
        return Image.fromarray(pixels.repeat(3, axis=2)).quantize(16)
    if mode == "CMYK":
        return Image.fromarray(pixels[..., :3]).convert("CMYK")
    return Image.fromarray(pixels[..., 0] if bands == 1 else pixels)


def awkward_folder(root: Path) -> tuple[set[str], set[str]]:
    """20 files of every kind; returns the usable and the unusable names."""
    root.mkdir(parents=True)
    good: dict[str, Any] = {
        "gray.png": noise_image("L", (30, 30)),
        "gray alpha.png": noise_image("LA", (30, 40)),
        "palette.png": noise_image("P", (31, 33)),
        "palette.gif": noise_image("P", (40, 30)),
        "rgb.PNG": noise_image("RGB", (100, 20)),
        "rgba.png": noise_image("RGBA", (20, 100)),
        "photo (1).JPG": noise_image("RGB", (64, 48)),
        "a=b,c.jpeg": noise_image("RGB", (48, 64)),
        "größe.jpg": noise_image("L", (50, 50)),
        "cmyk.jpg": noise_image("CMYK", (33, 44)),
        "bits.png": noise_image("L", (32, 32)).convert("1"),
        "tiny.bmp": noise_image("RGB", (1, 1)),
        "big.webp": noise_image("RGB", (300, 200)),
        "sixteen.png": Image.fromarray(
            np.linspace(0, 65535, 900).astype(np.uint16).reshape(30, 30)
        ),
    }
    for name, image in good.items():
        image.save(root / name)
    (root / "truncated.png").write_bytes((root / "big.webp").read_bytes()[:500])
    (root / "cut.jpg").write_bytes((root / "photo (1).JPG").read_bytes()[:700])
    (root / "notes.txt").write_text("not an image")
    (root / "empty.png").write_bytes(b"")
    (root / "bomb.png").write_bytes(lying_png(60_000, 60_000))
    (root / "float.tiff").write_bytes(b"")
    noise_image("L", (9, 9)).convert("F").save(root / "float.tiff")
    bad = {"truncated.png", "cut.jpg", "notes.txt", "empty.png", "bomb.png", "float.tiff"}
    (root / ".hidden").write_text("ignored")
    return set(good), bad


def lying_png(width: int, height: int) -> bytes:
    """A small PNG whose header claims a huge picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    end = chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + end


def source(root: Path, **changes: Any) -> ImageFolder:
    settings: dict[str, Any] = {
        "root": str(root),
        "channels": 3,
        "image_size": 16,
        "load_size": None,
        "resize": "cover",
        "crop": "center",
        "flip": False,
        "cache": True,
        "workers": None,
        "pixel_range": (-1, 1),
    }
    return ImageFolder(**settings | changes)


def load(root: Path, **changes: Any) -> Dataset:
    return source(root, **changes).load(seed=0, progress=quiet)


def test_twenty_awkward_files(cli: Cli) -> None:
    good, bad = awkward_folder(Path("my pictures (1)"))
    assert len(good | bad) == 20
    result = cli(
        "data=image_folder", "data.root='my pictures (1)'", "data.image_size=[12,20]", "steps=3",
        "data.batch_size=8",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert f"{len(bad)} of 20 files are not used" in result.out
    assert all(f"    {name}: " in result.out for name in bad)
    assert not any(f"    {name}: " in result.out for name in good)
    log = (Path("outputs/vanilla-image_folder-1") / "train.log").read_text()
    assert all(name in log for name in bad)


@pytest.mark.parametrize("resize", ["cover", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_becomes_bytes_of_one_shape(tmp_path: Path, channels: int, resize: Any) -> None:
    good, bad = awkward_folder(tmp_path / "x")
    for name in good:
        pixels = decode(tmp_path / "x" / name, channels=channels, height=9, width=14, resize=resize)
        assert pixels.shape == (channels, 9, 14)
        assert pixels.dtype == np.uint8
    for name in bad:
        with pytest.raises(UnusableImageError):
            decode(tmp_path / "x" / name, channels=channels, height=9, width=14, resize=resize)


def test_pixels_are_what_they_should_be(tmp_path: Path) -> None:
    def pixel(image: Image.Image, channels: int = 3) -> list[int]:
        image.save(tmp_path / "x.png")
        pixels = decode(tmp_path / "x.png", channels=channels, height=1, width=1, resize="stretch")
        return pixels.flatten().tolist()

    assert pixel(Image.new("RGB", (1, 1), (1, 2, 3))) == [1, 2, 3]
    assert pixel(Image.new("L", (1, 1), 77)) == [77, 77, 77]
    assert pixel(Image.fromarray(np.full((1, 1), 65535, np.uint16))) == [255, 255, 255]
    assert pixel(Image.fromarray(np.full((1, 1), 257 * 10, np.uint16)), channels=1) == [10]
    assert pixel(Image.new("RGBA", (1, 1), (0, 0, 0, 0))) == [255, 255, 255]  # laid over white
    assert pixel(Image.new("RGBA", (1, 1), (9, 8, 7, 255))) == [9, 8, 7]


def test_cover_cuts_evenly_and_none_does_not_scale(tmp_path: Path) -> None:
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = 200  # the middle third
    Image.fromarray(pixels).save(tmp_path / "x.png")
    cover = decode(tmp_path / "x.png", channels=3, height=10, width=10, resize="cover")
    assert (cover == 200).all()
    none = decode(tmp_path / "x.png", channels=3, height=4, width=12, resize="none")
    assert (none[0, 0] == pixels[0, 9:21, 0]).all()
    with pytest.raises(UnusableImageError, match="30x10 is smaller than 12x11"):
        decode(tmp_path / "x.png", channels=3, height=11, width=12, resize="none")


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 255]], np.uint8).repeat(8, 0).repeat(4, 1))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    image.save(tmp_path / "x.png", exif=exif)
    pixels = decode(tmp_path / "x.png", channels=1, height=8, width=8, resize="stretch")[0]
    assert (pixels[:, 0] == 255).all()
    assert (pixels[:, -1] == 0).all()


def class_folder(root: Path, counts: dict[str, int]) -> None:
    for number, (name, count) in enumerate(counts.items()):
        (root / name / "deeper").mkdir(parents=True)
        for index in range(count):
            image = Image.new("RGB", (20, 24), (40 * number, index, 7))
            image.save(root / name / ("deeper" if index % 2 else ".") / f"{index}.png")


def test_sub_folders_are_classes(tmp_path: Path) -> None:
    class_folder(tmp_path / "x", {"zebra": 3, "apple": 2, "Ünicode": 1})
    (tmp_path / "x" / "empty").mkdir()
    data = load(tmp_path / "x")
    assert data.spec.class_names == ("apple", "zebra", "Ünicode")
    assert data.spec.classes == 3
    assert data.labels is not None
    assert data.labels.tolist() == [0, 0, 1, 1, 1, 2]
    assert data.values[:, 0, 0, 0].tolist() == [40, 40, 0, 0, 0, 80]  # type: ignore[index]


def test_files_at_the_top_mean_no_classes(tmp_path: Path) -> None:
    class_folder(tmp_path / "x", {"a": 2})
    Image.new("L", (5, 5)).save(tmp_path / "x" / "top.png")
    data = load(tmp_path / "x")
    assert (len(data), data.labels, data.spec.classes) == (3, None, 0)


@pytest.mark.parametrize("cache", [True, False])
def test_nothing_usable_shows_what_is_there(tmp_path: Path, cache: bool) -> None:
    with pytest.raises(UserError, match=r"data\.root=.*nowhere: no such folder(.|\n)*expected"):
        load(tmp_path / "nowhere", cache=cache)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no files(.|\n)*nothing"):
        load(tmp_path / "empty", cache=cache)
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("x")
    with pytest.raises(UserError, match=r"no usable image(.|\n)*a\.txt"):
        load(tmp_path / "text", cache=cache)


def test_the_second_start_opens_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class_folder(tmp_path / "x", {"a": 4, "b": 3})
    first = load(tmp_path / "x")

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("an image was opened")

    monkeypatch.setattr(decoding, "decode", fail)
    again = load(tmp_path / "x")
    assert torch.equal(first.values, again.values)  # type: ignore[arg-type]
    assert first.fingerprint() == again.fingerprint()


def test_a_changed_file_or_setting_makes_a_new_cache(tmp_path: Path) -> None:
    class_folder(tmp_path / "x", {"a": 4})
    keys = {load(tmp_path / "x").fingerprint(), load(tmp_path / "x", channels=1).fingerprint()}
    Image.new("RGB", (20, 24), (9, 9, 9)).save(tmp_path / "x" / "a" / "0.png")
    os.utime(tmp_path / "x" / "a" / "0.png", ns=(1, 1))
    changed = load(tmp_path / "x")
    assert len(keys | {changed.fingerprint()}) == 3
    assert changed.values[0, 0, 0, 0] == 9  # type: ignore[index]


def test_a_killed_build_leaves_nothing_that_counts(tmp_path: Path, cache: Path) -> None:
    class_folder(tmp_path / "x", {"a": 4})
    folder = source(tmp_path / "x")
    key = folder.listing.key(folder.shape)
    partial = cache / "images" / f"{key}.partial"
    partial.mkdir(parents=True)
    (partial / "images.u8").write_bytes(b"half")
    assert len(load(tmp_path / "x")) == 4
    assert not partial.exists()


def _load_in_process(root: Path) -> None:
    assert len(load(root)) == 40


@pytest.mark.slow
def test_two_runs_build_one_cache(tmp_path: Path, cache: Path) -> None:
    class_folder(tmp_path / "x", {"a": 40})
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_load_in_process, args=(tmp_path / "x",)) for _ in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert len([p for p in (cache / "images").iterdir() if p.is_dir()]) == 1


def test_no_room_for_a_cache_streams_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class_folder(tmp_path / "x", {"a": 4})
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10))
    data = load(tmp_path / "x")
    assert any("no cache" in note for note in data.notes)
    assert isinstance(make_batches(data, 2, seed=0, device=CPU), StreamedBatches)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("validation", [0, 2])
def test_stream_and_cache_give_the_same_batches(
    tmp_path: Path, workers: int, validation: int
) -> None:
    class_folder(tmp_path / "x", {"a": 6, "b": 5})
    settings = {"crop": "random", "flip": True, "load_size": 20}
    sets = [
        load(tmp_path / "x", **settings),
        load(tmp_path / "x", **settings, cache=False, workers=workers),
    ]
    if validation:
        sets = [data.split(validation, mixed=True)[0] for data in sets]
    before = torch.get_rng_state()
    cached, streamed = (make_batches(data, 4, seed=3, device=CPU) for data in sets)
    for _ in range(8):  # over the end of two epochs
        one, other = next(cached), next(streamed)
        assert torch.equal(one.x, other.x)
        assert one.labels is not None
        assert other.labels is not None
        assert torch.equal(one.labels, other.labels)
    resumed = make_batches(sets[1], 4, seed=3, device=CPU)
    resumed.load_state_dict(streamed.state_dict())
    assert torch.equal(next(resumed).x, next(cached).x)
    assert torch.equal(before, torch.get_rng_state())  # exact resume depends on it


def test_a_stream_names_bad_files_and_goes_on(tmp_path: Path) -> None:
    class_folder(tmp_path / "x", {"a": 3})
    (tmp_path / "x" / "a" / "1a.txt").write_text("no image")
    batches = make_batches(load(tmp_path / "x", cache=False, workers=0), 4, seed=0, device=CPU)
    assert isinstance(batches, StreamedBatches)
    said: list[str] = []
    batches.watch(said.append)
    for _ in range(3):
        next(batches)
    assert len(said) == 1
    assert "1a.txt" in said[0]


def test_crops_and_flips_depend_on_seed_epoch_and_index_alone(tmp_path: Path) -> None:
    class_folder(tmp_path / "x", {"a": 5})
    data = load(tmp_path / "x", crop="random", flip=True, load_size=24)
    assert data.augment is not None
    draws = data.augment.draws(5, seed=1, epoch=2)
    assert torch.equal(draws, data.augment.draws(5, seed=1, epoch=2))
    assert not torch.equal(draws, data.augment.draws(5, seed=1, epoch=3))
    images = torch.arange(2 * 24 * 24).view(2, 1, 24, 24)
    fixed = torch.tensor([[0.0, 0.999, 0.1], [0.999, 0.0, 0.9]])
    cut = data.augment.apply(images, fixed)
    assert torch.equal(cut[0], images[0, :, :16, 8:])
    assert torch.equal(cut[1], images[1, :, 8:, :16].flip(2))


def test_center_crop_after_scaling(tmp_path: Path) -> None:
    class_folder(tmp_path / "x", {"a": 1})
    whole = load(tmp_path / "x", image_size=20).values
    middle = load(tmp_path / "x", image_size=16, load_size=20).values
    assert torch.equal(middle, whole[:, :, 2:18, 2:18])  # type: ignore[index]


def test_validation_is_held_out(tmp_path: Path) -> None:
    class_folder(tmp_path / "x", {"a": 10, "b": 10})
    data = load(tmp_path / "x")
    train, held_out = data.split(6, mixed=True)
    assert train.rows is not None
    assert held_out.rows is not None
    assert sorted(train.rows.tolist() + held_out.rows.tolist()) == list(range(20))
    assert set(held_out.rows.tolist()) != set(range(14, 20))
    batches = make_batches(train, 7, seed=0, device=CPU)
    drawn = {int(i) for number in range(2) for p in batches.parts(number) for i in p.rows}
    assert drawn == set(train.rows.tolist())
    last = data.split(6, mixed=False)[1].rows
    assert last is not None
    assert last.tolist() == list(range(14, 20))
    with pytest.raises(UserError, match=r"data\.validation=20"):
        data.split(20, mixed=True)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"load_size": 8}, "load_size=8"),
        ({"crop": "random"}, "crop=random"),
        ({"channels": 2}, "channels=2"),
        ({"workers": -1}, "workers=-1"),
        ({"image_size": (3, 4, 5)}, "image_size"),
        ({"pixel_range": (0, 255)}, "pixel_range"),
    ],
)
def test_impossible_settings(tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        source(tmp_path, **changes)


@pytest.mark.parametrize("cache", ["true", "false"])
def test_exact_resume_in_mid_epoch(cli: Cli, cache: str) -> None:
    class_folder(Path("x"), {"a": 8, "b": 7})
    base = [
        "data=image_folder", "data.root=x", "data.image_size=10", "data.load_size=14",
        "data.crop=random", "data.flip=true", f"data.cache={cache}", "data.batch_size=4",
        "log_every=1", "threads=1", "model.generator.hidden=[8]", "model.discriminator.hidden=[8]",
    ]  # fmt: skip
    assert cli(*base, "steps=10", "name=whole").code == 0
    assert cli(*base, "steps=5", "name=halves").code == 0
    assert cli("resume=outputs/halves", "steps=10", "data.workers=0").code == 0
    runs = [
        [
            {k: v for k, v in json.loads(line).items() if k.startswith(("loss", "prob", "grad"))}
            for line in Path(f"outputs/{name}/metrics.jsonl").read_text().splitlines()
        ]
        for name in ("whole", "halves")
    ]
    assert len(runs[0]) == 10
    assert runs[0] == runs[1]
    states = [
        checkpoint.read(Path(f"outputs/{name}/checkpoints/step_00000010.pt"))["session"]
        for name in ("whole", "halves")
    ]
    assert_equal(states[0], states[1])


def test_listing_does_not_depend_on_the_disks_order(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / name).write_text("x")
    assert list_files(tmp_path).files == ["a", "b", "c"]


def test_caches_of_earlier_versions_stay_valid() -> None:
    """The text of a shape is part of every cache's key."""
    shape = Shape(channels=3, height=16, width=18, load_height=20, load_width=22, resize="cover")
    assert repr(shape) == (
        "Shape(channels=3, height=16, width=18, load_height=20, load_width=22, resize='cover')"
    )


def test_problems_are_data(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        load(tmp_path / "nowhere")
    (problem,) = error.value.problems
    assert (problem.key, problem.value) == ("data.root", tmp_path / "nowhere")
    with pytest.raises(SettingsError) as rejected:
        source(tmp_path, channels=2, workers=-1)
    assert [problem.key for problem in rejected.value.problems] == ["workers", "channels"]


def test_the_old_modules_names_are_kept() -> None:
    """`gan_cli.data.image_files` of version 0.1.0 leads to `cache`, which had the listing too."""
    assert cache_module.list_files is list_files
    assert cache_module.Shape is Shape
