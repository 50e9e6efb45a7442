"""Pairs of domains: previews, and problems that name the key that a folder is configured by."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gan_cli.data.base import Dataset, PairDataset
from gan_cli.data.pairs import UnpairedFolders
from gan_cli.errors import Problem, SettingsError, UserError
from gan_cli.spec import DataSpec


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_TRAIN_CACHE", str(tmp_path / "cache"))


def photos(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for index in range(count):
        pixels = np.full((20, 24, 3), 10 * index, np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def source(root: Path, **changes: Any) -> UnpairedFolders:
    settings: dict[str, Any] = {
        "root": str(root), "public_name": None, "download": False, "a": None, "b": None,
        "channels_a": 3, "channels_b": 3, "image_size": 16, "load_size": None,
        "preprocess": "resize", "flip": False, "cache": True, "workers": None,
        "pixel_range": (-1, 1),
    }  # fmt: skip
    return UnpairedFolders(**settings | changes)


def problems_of(pair: UnpairedFolders) -> list[Problem]:
    with pytest.raises(UserError) as error:
        pair.load(seed=0, progress=lambda *_: None)
    return error.value.problems


def gray(values: list[int]) -> Dataset:
    images = torch.tensor(values, dtype=torch.uint8).view(-1, 1, 1, 1)
    return Dataset(images, None, DataSpec((1, 1, 1), (0.0, 1.0)))


def test_previews_are_as_many_of_each_domain_and_held_out_if_possible() -> None:
    pair = PairDataset(gray([0, 51, 102]), gray([255, 204]))
    a, b = pair.preview_images(6)
    assert a.flatten().tolist() == pytest.approx([0.0, 0.2])
    assert b.flatten().tolist() == pytest.approx([1.0, 0.8])
    assert [len(images) for images in pair.preview_images(1)] == [1, 1]
    held_out = PairDataset(gray([0]), gray([0]), (gray([51]), gray([255, 204])))
    a, b = held_out.preview_images(6)
    assert (a.item(), b.item()) == pytest.approx((0.2, 1.0))


@pytest.mark.parametrize("preprocess", ["resize", "crop"])
@pytest.mark.parametrize("cached", [True, False])
def test_a_folder_is_named_by_the_key_that_configures_it(
    tmp_path: Path, preprocess: str, cached: bool
) -> None:
    a, b = photos(tmp_path / "a", 2), tmp_path / "data.root=b"  # no message is parsed
    b.mkdir()
    named = source(tmp_path, a=str(a), b=str(b), preprocess=preprocess, cache=cached, image_size=12)
    (problem,) = problems_of(named)
    assert (problem.key, problem.value) == ("data.b", b)
    assert problem.advice.startswith("no files.")


def test_every_missing_folder_is_a_problem(tmp_path: Path) -> None:
    one, two = problems_of(source(tmp_path, a="nowhere", b="neither"))
    assert [(one.key, one.value), (two.key, two.value)] == [
        ("data.a", Path("nowhere")),
        ("data.b", Path("neither")),
    ]
    photos(tmp_path / "trainA", 1)
    (problem,) = problems_of(source(tmp_path))
    assert (problem.key, problem.value) == ("data.root", tmp_path)
    assert problem.advice.startswith("has no trainB.")


@pytest.mark.parametrize("preprocess", ["resize", "crop"])
def test_a_folder_without_a_key_is_named_by_its_path(tmp_path: Path, preprocess: str) -> None:
    photos(tmp_path / "trainA", 1)
    (tmp_path / "trainB").mkdir()
    (tmp_path / "trainB" / "notes.txt").write_text("no photo")
    (problem,) = problems_of(source(tmp_path, preprocess=preprocess))
    assert str(problem).startswith(f"{tmp_path / 'trainB'}: no usable image.")


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"a": "x"}, ["b"]),
        ({"b": "x"}, ["a"]),
        ({"channels_a": 2, "channels_b": 5, "download": True},
         ["channels_a", "channels_b", "download"]),
        ({"load_size": 20}, ["load_size"]),
        ({"preprocess": "resize_and_crop"}, ["load_size"]),
        ({"preprocess": "resize_and_crop", "load_size": [16, 16]}, ["load_size"]),
        ({"workers": -1}, ["workers"]),
    ],
)  # fmt: skip
def test_impossible_settings(tmp_path: Path, changes: dict[str, Any], keys: list[str]) -> None:
    with pytest.raises(SettingsError) as error:
        source(tmp_path, **changes)
    assert [problem.key for problem in error.value.problems] == keys
