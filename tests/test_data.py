"""Data sources: real files read right, and each damage reported in one message."""

import gzip
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gan_cli.data.base import Dataset, DataSource
from gan_cli.data.digits import Digits
from gan_cli.data.images import resize
from gan_cli.data.mnist import MNIST, read_idx
from gan_cli.data.points import Gaussian, Grid, Mixture1d, Ring
from gan_cli.errors import UserError
from gan_cli.seeding import generator_for
from gan_cli.spec import DataSpec
from gan_cli.theory.density import GaussianMixture
from tests.conftest import idx_bytes


def quiet(*_: object) -> None:
    pass


def mnist(root: Path, *, download: bool = False, size: int = 28) -> MNIST:
    return MNIST(
        variant="MNIST", root=str(root), download=download, image_size=size, pixel_range=(-1, 1)
    )


def test_digits_are_scikit_learns() -> None:
    from sklearn.datasets import load_digits

    data = Digits(image_size=8, pixel_range=(0, 1)).load(progress=quiet, seed=0)
    reference = load_digits()
    assert data.values.shape == (1797, 1, 8, 8)
    assert data.values.dtype == torch.uint8
    assert torch.equal(data.labels, torch.from_numpy(reference.target))
    expected = torch.from_numpy(reference.images / 16 * 255).round()
    assert torch.equal(data.values[:, 0].double(), expected)


def test_digits_at_another_size() -> None:
    source = Digits(image_size=[12, 20], pixel_range=(-1, 1))
    assert source.spec.shape == (1, 12, 20)
    assert source.load(progress=quiet, seed=0).values.shape == (1797, 1, 12, 20)


def test_mnist_reads_plain_and_gzipped_files_without_network(mnist_root: Path) -> None:
    data = mnist(mnist_root, download=True).load(progress=quiet, seed=0)
    assert data.values.shape == (200, 1, 28, 28)
    assert data.labels is not None
    assert data.labels.shape == (200,)
    random = np.random.default_rng(0)
    assert np.array_equal(data.values[:, 0].numpy(), random.integers(0, 256, (200, 28, 28)))


@pytest.mark.parametrize("variant", ["FashionMNIST", "KMNIST"])
def test_the_other_two_lie_in_folders_of_their_own(mnist_root: Path, variant: Any) -> None:
    (mnist_root / "MNIST").rename(mnist_root / variant)
    source = MNIST(
        variant=variant, root=str(mnist_root), download=False, image_size=28, pixel_range=(0, 1)
    )
    assert len(source.load(progress=quiet, seed=0)) == 200


def test_mnist_from_a_read_only_root(mnist_root: Path) -> None:
    before = sorted(p.name for p in mnist_root.rglob("*"))
    for folder in [mnist_root, *mnist_root.rglob("*")]:
        folder.chmod(0o555 if folder.is_dir() else 0o444)
    assert len(mnist(mnist_root).load(progress=quiet, seed=0)) == 200
    assert sorted(p.name for p in mnist_root.rglob("*")) == before


def test_missing_files_say_what_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        mnist(tmp_path).load(progress=quiet, seed=0)
    message = str(error.value)
    for part in (f"data.root={tmp_path}", "train-images-idx3-ubyte", "MNIST/raw", "data=digits"):
        assert part in message


def test_failed_download_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision

    # Port 9 of this machine: nothing answers, so the real download code meets a real refusal.
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(UserError) as error:
        mnist(tmp_path, download=True).load(progress=quiet, seed=0)
    assert "the download failed" in str(error.value)
    assert "expected there: train-images-idx3-ubyte" in str(error.value)


def test_download_is_used_when_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mnist_root: Path
) -> None:
    import torchvision

    def fetch(root: Path, *, train: bool, download: bool) -> None:
        assert (train, download) == (True, True)
        (root / "MNIST").mkdir(parents=True)
        (root / "MNIST" / "raw").symlink_to(mnist_root / "MNIST" / "raw")

    monkeypatch.setattr(torchvision.datasets, "MNIST", fetch)
    assert len(mnist(tmp_path / "new", download=True).load(progress=quiet, seed=0)) == 200


@pytest.mark.parametrize(
    "content",
    [b"", b"\0\0\x08", idx_bytes(np.zeros((3, 2, 2)))[:-1], b"<html>not found</html>" * 9],
)
@pytest.mark.parametrize("packed", [True, False])
def test_damaged_files_are_named(tmp_path: Path, content: bytes, packed: bool) -> None:
    file = tmp_path / ("x.gz" if packed else "x")
    file.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(UserError, match=file.name):
        read_idx(file, dimensions=3)
    file.write_bytes(gzip.compress(idx_bytes(np.zeros((3, 2, 2))))[:-9])
    with pytest.raises(UserError, match=file.name):
        read_idx(file, dimensions=3)


def test_images_and_labels_must_be_as_many(mnist_root: Path) -> None:
    raw = mnist_root / "MNIST" / "raw"
    (raw / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(7)))
    with pytest.raises(UserError, match="200 images but 7 labels"):
        mnist(mnist_root).load(progress=quiet, seed=0)


def test_fingerprint_notices_a_change(mnist_root: Path) -> None:
    first = mnist(mnist_root).load(progress=quiet, seed=0)
    again = mnist(mnist_root).load(progress=quiet, seed=0)
    assert first.fingerprint() == again.fingerprint()
    again.values[0, 0, 0, 0] += 1
    assert first.fingerprint() != again.fingerprint()
    assert first.labels is not None
    first.labels[3] += 1
    assert first.fingerprint() != mnist(mnist_root).load(progress=quiet, seed=0).fingerprint()


def test_resize_keeps_means_and_constants() -> None:
    flat = torch.full((2, 3, 9, 7), 77, dtype=torch.uint8)
    assert (resize(flat, 4, 13) == 77).all()
    images = torch.randint(0, 256, (1, 1, 16, 16), dtype=torch.uint8)
    small = resize(images, 4, 4)
    assert small.float().mean().item() == pytest.approx(images.float().mean().item(), abs=6)
    assert resize(images, 16, 16) is images


POINTS: list[tuple[DataSource, int]] = [
    (Gaussian(dim=5, mean=1.0, std=0.5, samples=2000), 5),
    (Mixture1d(means=[-1, 1], stds=[0.1, 0.2], weights=[1, 3], samples=2000), 1),
    (Ring(modes=8, radius=2.0, std=0.02, samples=2000), 2),
    (Grid(side=5, spacing=2.0, std=0.05, samples=2000), 2),
]


@pytest.mark.parametrize(("source", "dim"), POINTS, ids=lambda x: type(x).__name__)
def test_points_are_seeded_draws_of_their_density(source: DataSource, dim: int) -> None:
    data = source.load(progress=quiet, seed=1)
    assert data.values.shape == (2000, dim)
    assert data.values.dtype == torch.float32
    assert torch.equal(data.values, source.load(progress=quiet, seed=1).values)
    assert not torch.equal(data.values, source.load(progress=quiet, seed=2).values)
    assert data.density is not None
    assert source.spec.value_range is None


def test_ring_and_grid_modes() -> None:
    ring = Ring(modes=8, radius=2.0, std=0.02, samples=1).density
    torch.testing.assert_close(ring.means.norm(dim=1), torch.full((8,), 2.0).double())
    grid = Grid(side=5, spacing=2.0, std=0.05, samples=1).density
    assert grid.means.shape == (25, 2)
    assert grid.means.mean(dim=0).abs().max() < 1e-12
    assert (grid.means.min().item(), grid.means.max().item()) == (-4.0, 4.0)


def test_density_integrates_to_one_and_matches_its_draws() -> None:
    density = Mixture1d(means=[-1, 1], stds=[0.1, 0.2], weights=[1, 3], samples=1).density
    x = torch.linspace(-4, 4, 20001, dtype=torch.float64)
    p = density.log_prob(x[:, None]).exp()
    assert torch.trapezoid(p, x).item() == pytest.approx(1.0, abs=1e-9)
    draws, modes = density.sample(100_000, generator=generator_for(0, "test"))
    assert (modes == 1).double().mean().item() == pytest.approx(0.75, abs=0.01)
    assert draws.mean().item() == pytest.approx(0.5, abs=0.01)
    below = torch.trapezoid(p[x < 0.9], x[x < 0.9]).item()
    assert (draws < 0.9).double().mean().item() == pytest.approx(below, abs=0.01)


def test_log_prob_of_one_gaussian_is_the_textbooks() -> None:
    density = GaussianMixture(torch.tensor([[1.0, -2.0]]), torch.tensor([0.5]))
    x = torch.tensor([[1.0, -2.0], [2.0, -2.0]], dtype=torch.float64)
    expected = [-math.log(2 * math.pi * 0.25), -math.log(2 * math.pi * 0.25) - 2.0]
    assert density.log_prob(x).tolist() == pytest.approx(expected)


def test_mean_is_of_the_training_part_in_the_datas_range() -> None:
    images = torch.tensor([0, 255, 51, 99], dtype=torch.uint8).view(4, 1, 1, 1)
    data = Dataset(images, None, DataSpec((1, 1, 1), (-1.0, 1.0)))
    train, _ = data.split(1, mixed=False)
    assert train.mean().item() == pytest.approx(-1 + 2 * (0 + 1 + 0.2) / 3)
