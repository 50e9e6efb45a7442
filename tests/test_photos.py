"""CIFAR-10, SVHN and CelebA, from files in torchvision's layout."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_cli.data.base import Dataset
from gan_cli.errors import UserError
from gan_cli.settings.build import load_data
from tests.conftest import Cli
from tests.test_config import composed

N = 40


def load(*overrides: str) -> Dataset:
    return load_data(composed(*overrides))


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Five small batches, with their checksums in place of the published ones."""
    from torchvision.datasets import CIFAR10

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (N, 3, 32, 32), dtype=np.uint8)
    sums = []
    for index in range(5):
        part = pixels[index * N // 5 : (index + 1) * N // 5]
        labels = [(index * N // 5 + i) % 10 for i in range(len(part))]
        batch = {"data": part.reshape(len(part), -1), "labels": labels}
        file = folder / f"data_batch_{index + 1}"
        file.write_bytes(pickle.dumps(batch))
        sums.append([file.name, hashlib.md5(file.read_bytes()).hexdigest()])
    meta = folder / "batches.meta"
    meta.write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    digest = hashlib.md5(meta.read_bytes()).hexdigest()
    monkeypatch.setattr(CIFAR10, "train_list", sums)
    monkeypatch.setattr(CIFAR10, "test_list", [])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": digest})
    return pixels


def test_cifar10(tmp_path: Path, cifar: np.ndarray) -> None:
    data = load("data=cifar10", f"data.root='{tmp_path}'")
    assert isinstance(data.values, torch.Tensor)
    assert np.array_equal(data.values.numpy(), cifar)
    assert data.labels is not None
    assert data.labels.tolist() == [i % 10 for i in range(N)]
    assert (data.spec.shape, data.spec.classes, data.spec.name_of(8)) == ((3, 32, 32), 10, "ship")
    assert data.augment is None
    flipped = load(
        "data=cifar10", f"data.root='{tmp_path}'", "data.flip=true", "data.image_size=16"
    )
    assert flipped.augment is not None
    assert flipped.augment.flip
    assert flipped.spec.shape == (3, 16, 16)


def test_files_with_another_checksum_are_not_opened(tmp_path: Path, cifar: np.ndarray) -> None:
    del cifar

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("ran",)

    (tmp_path / "cifar-10-batches-py" / "data_batch_3").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UserError, match="not there or damaged") as error:
        load("data=cifar10", f"data.root='{tmp_path}'", "data.download=false")
    assert "data_batch_1 to data_batch_5" in str(error.value)


def test_svhn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy.io import savemat
    from torchvision.datasets import SVHN

    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3, N), dtype=np.uint8)
    file = tmp_path / "train_32x32.mat"
    savemat(file, {"X": pixels, "y": np.arange(1, N + 1)[:, None] % 11})
    digest = hashlib.md5(file.read_bytes()).hexdigest()
    entry = ["http://nowhere.invalid", file.name, digest]
    monkeypatch.setattr(SVHN, "split_list", {"train": entry})
    data = load("data=svhn", f"data.root='{tmp_path}'")
    assert isinstance(data.values, torch.Tensor)
    assert np.array_equal(data.values.numpy(), pixels.transpose(3, 2, 0, 1))
    assert data.labels is not None
    assert data.labels[9].item() == 0  # the files call zero 10
    assert "flip" not in composed("data=svhn")["data"]  # mirrored digits are none


@pytest.mark.parametrize("data", ["cifar10", "svhn", "celeba"])
def test_what_is_missing_is_said(cli: Cli, data: str) -> None:
    Path("empty").mkdir()
    result = cli(f"data={data}", "data.root=empty", "data.download=false")
    assert result.code == 2
    for words in ("data.root=empty", "data.download=false", "expected there", "http", "by hand"):
        assert words in result.err


def test_failed_downloads_are_one_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torchvision

    def fail(*_: object, download: bool, **__: object) -> None:
        raise RuntimeError("Dataset not found" if not download else "no network")

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", fail)
    with pytest.raises(UserError, match="the download failed: no network"):
        load("data=cifar10", f"data.root='{tmp_path}'")


@pytest.fixture
def faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GAN_TRAIN_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "celeba" / "img_align_celeba"
    folder.mkdir(parents=True)
    rows = []
    for index in range(1, 6):
        pixels = np.full((218, 178, 3), 10 * index, np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:06d}.jpg")
        rows.append(f"{index:06d}.jpg  {'1' if index % 2 else '-1'} -1")
    text = "\n".join(["5", "Smiling Male", *rows]) + "\n"
    (tmp_path / "celeba" / "list_attr_celeba.txt").write_text(text)
    return tmp_path


def test_celeba(faces: Path) -> None:
    data = load("data=celeba", f"data.root='{faces}'", "data.image_size=16")
    assert (len(data), data.spec.shape, data.spec.classes, data.labels) == (5, (3, 16, 16), 0, None)
    assert isinstance(data.values, torch.Tensor)
    assert data.values[:, 0, 8, 8].tolist() == pytest.approx([10, 20, 30, 40, 50], abs=2)


def test_celebas_attributes_are_labels(faces: Path) -> None:
    data = load(
        "data=celeba", f"data.root='{faces}'", "data.image_size=16", "data.attribute=Smiling"
    )
    assert data.labels is not None
    assert data.labels.tolist() == [1, 0, 1, 0, 1]
    assert data.spec.class_names == ("not Smiling", "Smiling")
    with pytest.raises(UserError, match="Did you mean Smiling"):
        load("data=celeba", f"data.root='{faces}'", "data.attribute=Smilin")


def test_celebas_download_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torchvision

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("'gdown' is required")

    monkeypatch.setattr(torchvision.datasets, "CelebA", fail)
    with pytest.raises(UserError, match="the download failed: 'gdown' is required"):
        load("data=celeba", f"data.root='{tmp_path}'")
