"""The cache of decoded images: damage is mended, its room is limited, no home is needed."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gan_cli.data.files import cache_place
from gan_cli.data.files.cache_place import cache_folder
from gan_cli.errors import UserError
from tests.test_folders import fill, load


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("GAN_TRAIN_CACHE", str(folder))
    return folder


def only(folder: Path) -> Path:
    (entry,) = [path for path in (folder / "images").iterdir() if path.is_dir()]
    return entry


def changed(**values: Any) -> Callable[[Path], None]:
    """Damages an index: its values, or functions of them."""

    def damage(folder: Path) -> None:
        index = json.loads((folder / "index.json").read_text())
        for key, value in values.items():
            index[key] = value(index[key]) if callable(value) else value
        (folder / "index.json").write_text(json.dumps(index))

    return damage


def flip_byte(folder: Path) -> None:
    pixels = bytearray((folder / "images.u8").read_bytes())
    pixels[100] ^= 255
    (folder / "images.u8").write_bytes(pixels)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "index.json").write_text(""),
        lambda folder: (folder / "index.json").write_text('{"good": [0, 1'),
        lambda folder: (folder / "index.json").write_text("[]"),
        lambda folder: (folder / "index.json").unlink(),
        lambda folder: (folder / "images.u8").unlink(),
        lambda folder: os.truncate(folder / "images.u8", 50),
        lambda folder: (folder / "images.u8").write_bytes(b""),
        flip_byte,
        changed(good=lambda good: good[:-1]),
        changed(good=lambda good: [-1, *good[1:]]),
        changed(good=lambda good: [*good[:-1], 99]),
        changed(good=lambda good: good[::-1]),
        changed(good=lambda good: [True, *good[1:]]),
        changed(good=None),
        changed(shape=[1, 2, 3]),
        changed(bad=[["x"]]),
        changed(format=1),
        changed(checksum=None),
    ],
)
def test_a_damaged_cache_is_named_and_built_anew(
    tmp_path: Path, cache: Path, damage: Callable[[Path], object]
) -> None:
    fill(tmp_path / "x", {"a": 3, "b": 3})
    before = load(tmp_path / "x")
    assert isinstance(before.values, torch.Tensor)
    pixels = before.values.clone()
    damage(only(cache))
    again = load(tmp_path / "x")
    assert isinstance(again.values, torch.Tensor)
    assert torch.equal(again.values, pixels)
    assert again.spec.class_names == ("a", "b")
    assert any(str(only(cache)) in note and "built anew" in note for note in again.notes)
    assert not any("built anew" in note for note in load(tmp_path / "x").notes)


def test_notes_come_from_the_cache_too(tmp_path: Path) -> None:
    for number in range(2):
        Image.new("L", (8, 8), 3).save(tmp_path / f"{number}.png")
    assert load(tmp_path).notes == load(tmp_path).notes != ()


def test_the_least_recently_used_caches_are_removed(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        fill(tmp_path / name, {"x": 3})
    load(tmp_path / "a")
    first = only(cache)
    size = sum(file.stat().st_size for file in first.iterdir())
    load(tmp_path / "b")
    second = next(p for p in (cache / "images").iterdir() if p.is_dir() and p != first)
    os.utime(second, (1, 1))
    load(tmp_path / "a")  # used again
    monkeypatch.setenv("GAN_TRAIN_CACHE_GB", str(2.5 * size / 1e9))
    load(tmp_path / "c")
    assert first.is_dir()
    assert not second.exists()
    monkeypatch.setenv("GAN_TRAIN_CACHE_GB", "0")
    assert len(load(tmp_path / "c")) == 3
    assert not first.exists()


@pytest.mark.parametrize("text", ["much", "-1", "nan"])
def test_a_limit_that_is_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    fill(tmp_path, {"a": 1})
    monkeypatch.setenv("GAN_TRAIN_CACHE_GB", text)
    with pytest.raises(UserError, match=f"GAN_TRAIN_CACHE_GB={text}: give a number"):
        load(tmp_path)


@pytest.mark.parametrize("home", ["~", "/proc/nowhere"])
def test_without_a_home_the_cache_is_temporary_and_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    home: str,
) -> None:
    monkeypatch.delenv("GAN_TRAIN_CACHE")
    monkeypatch.setattr(
        "platformdirs.user_cache_path", lambda _: Path(home) / ".cache" / "gan-train"
    )
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(cache_place.tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    cache_place.temporary_cache.cache_clear()
    fill(tmp_path / "x", {"a": 2})
    load(tmp_path / "x")
    assert cache_folder().parent == tmp_path / "tmp"
    assert capsys.readouterr().out.count("GAN_TRAIN_CACHE=FOLDER moves them") == 1
    cache_place.temporary_cache.cache_clear()
    assert not Path("~").exists()
