"""The ways to draw minibatches: from memory, from files, from two domains, from shards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from gan_cli.data.base import AnyDataset, FileImages, PairDataset, ShardDataset
from gan_cli.data.epochs import Batches, Part, concatenate
from gan_cli.data.files.batches import StreamedBatches
from gan_cli.data.files.lost import LostDataError
from gan_cli.data.shards.batches import ShardBatches
from gan_cli.seeding import derive_seed
from gan_cli.spec import PairBatch
from gan_cli.system.ranks import ALONE, Ranks

__all__ = [
    "AnyBatches",
    "Batches",
    "MemoryBatches",
    "PairBatches",
    "ShardBatches",
    "StreamedBatches",
    "make_batches",
]

MOST_OF_MEMORY = 0.25  # share of the accelerator's free memory that a data set may take


class MemoryBatches(Batches):
    """Batches gathered by index from one tensor, on the device if that has room."""

    @override
    def prepare(self) -> None:
        """Bring the data to where they are gathered."""
        dataset, device = self.dataset, self.device
        assert isinstance(dataset.values, Tensor)
        home = device if has_room(dataset.values, device) else torch.device("cpu")
        self.values = dataset.values.to(home)
        self.labels = None if dataset.labels is None else dataset.labels.to(home)

    @override
    def place(self, part: Part) -> Part:
        """Bring the order to the data, once an epoch."""
        return Part(part.rows.to(self.values.device), part.draws)

    @override
    def fetch(self, number: int) -> tuple[Tensor, Tensor | None]:
        """Gather, then crop and flip."""
        parts = self.parts(number)
        rows = concatenate([part.rows for part in parts])
        values = self.bring(self.values.index_select(0, rows))
        if self.dataset.augment is not None:
            draws = concatenate([part.draws for part in parts if part.draws is not None])
            values = self.dataset.augment.apply(values, draws)
        labels = None if self.labels is None else self.labels.index_select(0, rows)
        return values, None if labels is None else self.bring(labels)

    def bring(self, gathered: Tensor) -> Tensor:
        """Move a batch to the device; from the CPU's memory, while the device computes."""
        if gathered.device.type == "cpu" and self.device.type == "cuda":
            gathered = gathered.pin_memory()
        return gathered.to(self.device, non_blocking=True)


class PairBatches(Iterator[PairBatch]):
    """Batches of two domains, each with epochs and an order of its own."""

    #: What a resumed run should know about the data that it draws.
    resume_notes: tuple[str, ...] = ()

    def __init__(self, a: Batches, b: Batches) -> None:
        self.a, self.b = a, b
        self.batch_size = a.batch_size
        self.images_per_batch = 2 * a.batch_size

    @override
    def __next__(self) -> PairBatch:
        a = next(self.a).x
        try:
            return PairBatch(a, next(self.b).x)
        except LostDataError:
            self.a.next_batch -= 1  # it is drawn again when the run resumes
            raise

    def watch(self, on_unusable: Callable[[str], None]) -> None:
        """Call `on_unusable` with a sentence, once, for each file that cannot be used."""
        self.a.watch(on_unusable)
        self.b.watch(on_unusable)

    def state_dict(self) -> dict[str, Any]:
        """The positions in both domains' data, for a checkpoint."""
        return {"a": self.a.state_dict(), "b": self.b.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume where `state_dict` was taken.

        Raises:
            ValueError: there is no such batch.
        """
        self.a.load_state_dict(state["a"])
        self.b.load_state_dict(state["b"])


AnyBatches = Batches | PairBatches | ShardBatches


def make_batches(
    dataset: AnyDataset,
    batch_size: int,
    *,
    seed: int,
    device: torch.device,
    ranks: Ranks = ALONE,
) -> AnyBatches:
    """The way to draw from a data set, by where its data lie.

    Args:
        dataset: what to draw from.
        batch_size: m, of all processes together; of two domains, m of each.
        seed: of the order.
        device: where batches go.
        ranks: the processes that share each batch.
    """
    if isinstance(dataset, PairDataset):
        a, b = (
            make_batches(
                part,
                batch_size,
                seed=derive_seed(seed, "domain", name),
                device=device,
                ranks=ranks,
            )
            for name, part in (("a", dataset.a), ("b", dataset.b))
        )
        assert isinstance(a, Batches)
        assert isinstance(b, Batches)
        return PairBatches(a, b)
    if isinstance(dataset, ShardDataset):
        return ShardBatches(dataset, batch_size, seed=seed, device=device, ranks=ranks)
    kind = StreamedBatches if isinstance(dataset.values, FileImages) else MemoryBatches
    return kind(dataset, batch_size, seed=seed, device=device, ranks=ranks)


def has_room(values: Tensor, device: torch.device) -> bool:
    """Whether the data set may lie on `device` beside the training."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return values.nbytes < MOST_OF_MEMORY * free
