"""Epoch order: complete, seeded, reachable at any point."""

import pytest
import torch

from gan_cli.data.base import Dataset
from gan_cli.data.batches import Batches, MemoryBatches
from gan_cli.spec import DataSpec

CPU = torch.device("cpu")


def numbered(n: int) -> Dataset:
    """Datum i is the point i, with label i."""
    values = torch.arange(n, dtype=torch.float32)[:, None]
    return Dataset(values, torch.arange(n), DataSpec((1,), None, classes=n))


def stream(batches: Batches, n: int) -> list[list[float]]:
    return [next(batches).x[:, 0].tolist() for _ in range(n)]


@pytest.mark.parametrize(("n", "m"), [(12, 4), (10, 4), (3, 8), (1, 5), (7, 7)])
def test_every_epoch_holds_every_datum_once(n: int, m: int) -> None:
    batches = MemoryBatches(numbered(n), m, seed=0, device=CPU)
    drawn = stream(batches, 3 * n)  # m whole epochs and more
    assert all(len(batch) == m for batch in drawn)
    flat = [x for batch in drawn for x in batch]
    for epoch in range(len(flat) // n):
        assert sorted(flat[epoch * n : (epoch + 1) * n]) == list(range(n))


def test_labels_stay_with_their_data() -> None:
    batch = next(MemoryBatches(numbered(50), 20, seed=1, device=CPU))
    assert batch.labels is not None
    assert batch.x[:, 0].tolist() == batch.labels.tolist()


def test_order_is_a_function_of_seed_and_epoch() -> None:
    first, again, other = (MemoryBatches(numbered(20), 6, seed=s, device=CPU) for s in (3, 3, 4))
    assert stream(first, 8) == stream(again, 8)
    assert stream(other, 3) != stream(MemoryBatches(numbered(20), 6, seed=3, device=CPU), 3)
    order = first.epoch(0).rows
    assert not torch.equal(order, first.epoch(1).rows)
    assert torch.equal(order, first.epoch(0).rows)


def test_any_batch_is_reached_directly() -> None:
    walked = MemoryBatches(numbered(10), 4, seed=5, device=CPU)
    expected = stream(walked, 9)[-1]
    jumped = MemoryBatches(numbered(10), 4, seed=5, device=CPU)
    jumped.load_state_dict({"next_batch": 8})
    assert stream(jumped, 1) == [expected]
    assert jumped.state_dict() == walked.state_dict()


def test_images_come_in_the_datas_range() -> None:
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1)
    for low, high in ((-1.0, 1.0), (0.0, 1.0)):
        data = Dataset(images, None, DataSpec((1, 1, 1), (low, high)))
        batch = next(MemoryBatches(data, 3, seed=0, device=CPU))
        expected = [low, low + 0.2 * (high - low), high]
        assert sorted(batch.x.flatten().tolist()) == pytest.approx(expected, abs=1e-6)
        assert batch.labels is None
