"""Minibatches: shuffled epochs joined end to end, cut into batches of exactly m.

The order is a function of (seed, epoch) and each crop or flip one of (seed, epoch, index), so any
batch can be reached directly. No datum is left out, every batch is full, and a data set smaller
than a batch just spans several epochs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from gan_cli.data.base import (
    AHEAD,
    AnyDataset,
    Dataset,
    FileImages,
    PairDataset,
    ShardDataset,
)
from gan_cli.data.files.decode import UnusableImageError
from gan_cli.data.shards.batches import ShardBatches
from gan_cli.seeding import derive_seed, generator_for
from gan_cli.spec import Batch, PairBatch
from gan_cli.system.ranks import ALONE, Ranks

ROOM = 0.25  # share of the accelerator's free memory that a data set may take


@dataclass(frozen=True)
class Part:
    """Data of one epoch in a batch: their rows, int64 (n,), and their draws for `augment`."""

    rows: Tensor
    draws: Tensor | None


class Batches(ABC, Iterator[Batch]):
    """Endless iterator over batches; its state is the number of the next one."""

    #: What going on from a state left out.
    resume_notes: tuple[str, ...] = ()

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        *,
        seed: int,
        device: torch.device,
        ranks: Ranks = ALONE,
    ) -> None:
        """Begin with batch 0.

        Args:
            dataset: what to draw from.
            batch_size: m, of all processes together.
            seed: of the order.
            device: where batches go.
            ranks: the processes that share each batch.
        """
        self.dataset, self.batch_size, self.ranks = dataset, batch_size, ranks
        self.images_per_batch = batch_size
        self.seed, self.device = seed, device
        self.next_batch = 0
        self._on_unusable: Callable[[str], None] = lambda _: None
        self._epoch: tuple[int, Part] | None = None
        self.prepare()

    @abstractmethod
    def prepare(self) -> None:
        """What one way of drawing needs, once at the start."""

    def __next__(self) -> Batch:
        values, labels = self.fetch(self.next_batch)
        self.next_batch += 1
        return Batch(self.dataset.to_range(values), labels)

    @abstractmethod
    def fetch(self, number: int) -> tuple[Tensor, Tensor | None]:
        """Stored values and labels of batch `number`, on the device."""

    def parts(self, number: int) -> list[Part]:
        """Which data form batch `number`, epoch by epoch."""
        missing = self.batch_size // self.ranks.world
        found, position = [], number * self.batch_size + self.ranks.rank * missing
        while missing:
            epoch, offset = divmod(position, len(self.dataset))
            whole = self.epoch(epoch)
            rows = whole.rows[offset : offset + missing]
            draws = None if whole.draws is None else whole.draws[offset : offset + missing]
            found.append(Part(rows, draws))
            position, missing = position + len(rows), missing - len(rows)
        return found

    def epoch(self, epoch: int) -> Part:
        """All data of one epoch in order, a function of (seed, epoch)."""
        if self._epoch is None or self._epoch[0] != epoch:
            n, augment = len(self.dataset), self.dataset.augment
            order = torch.randperm(n, generator=generator_for(self.seed, "order", epoch))
            draws = None
            if augment is not None:
                draws = augment.draws(n, seed=self.seed, epoch=epoch)[order]
            rows = order if self.dataset.rows is None else self.dataset.rows[order]
            self._epoch = (epoch, self.place(Part(rows, draws)))
        return self._epoch[1]

    def place(self, part: Part) -> Part:
        """Bring an epoch's order to where it is used."""
        return part

    def watch(self, on_unusable: Callable[[str], None]) -> None:
        """Have each file told, once, that cannot be used."""
        self._on_unusable = on_unusable

    def state_dict(self) -> dict[str, int]:
        """Where to go on."""
        return {"next_batch": self.next_batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on where `state_dict` was taken.

        Raises:
            ValueError: there is no such batch.
        """
        number = state["next_batch"]
        if not isinstance(number, int) or not 0 <= number < 2**63:
            raise ValueError(f"next_batch={number}")
        self.next_batch = number


class MemoryBatches(Batches):
    """Batches gathered by index from one tensor, on the device if that has room."""

    def prepare(self) -> None:
        """Bring the data to where they are gathered."""
        dataset, device = self.dataset, self.device
        assert isinstance(dataset.values, Tensor)
        home = device if has_room(dataset.values, device) else torch.device("cpu")
        self.values = dataset.values.to(home)
        self.labels = None if dataset.labels is None else dataset.labels.to(home)

    def place(self, part: Part) -> Part:
        """Bring the order to the data, once an epoch."""
        return Part(part.rows.to(self.values.device), part.draws)

    def fetch(self, number: int) -> tuple[Tensor, Tensor | None]:
        """Gather, then crop and flip."""
        parts = self.parts(number)
        rows = joined([part.rows for part in parts])
        values = self.bring(self.values.index_select(0, rows))
        if self.dataset.augment is not None:
            draws = joined([part.draws for part in parts if part.draws is not None])
            values = self.dataset.augment.apply(values, draws)
        labels = None if self.labels is None else self.labels.index_select(0, rows)
        return values, None if labels is None else self.bring(labels)

    def bring(self, gathered: Tensor) -> Tensor:
        """To the device; if the data set has no room there, while it computes."""
        if gathered.device.type == "cpu" and self.device.type == "cuda":
            gathered = gathered.pin_memory()
        return gathered.to(self.device, non_blocking=True)


class StreamedBatches(Batches):
    """Batches decoded from files by worker processes, ahead of their use."""

    def prepare(self) -> None:
        """No file is known to be unusable, and no stream has been started."""
        self._unusable: set[int] = set()
        self._stream: tuple[int, Iterator[tuple[Tensor, Tensor]]] | None = None

    def fetch(self, number: int) -> tuple[Tensor, Tensor | None]:
        """The next batch of the stream, which is started anew if another one is asked for."""
        if self._stream is None or self._stream[0] != number:
            self._stream = (number, self._start(number))
        values, rows = next(self._stream[1])
        self._stream = (number + 1, self._stream[1])
        parts = self.parts(number)
        asked = joined([part.rows for part in parts])
        self._report(asked[asked != rows].tolist())
        values = values.to(self.device, non_blocking=True)
        if self.dataset.augment is not None:
            draws = joined([part.draws for part in parts if part.draws is not None])
            values = self.dataset.augment.apply(values, draws)
        labels = None if self.dataset.labels is None else self.dataset.labels[rows]
        return values, None if labels is None else labels.to(self.device)

    def _start(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        files = self.dataset.values
        assert isinstance(files, FileImages)
        # Another one looks ahead, so that workers hold nothing that holds them: they end at once.
        ahead = type(self)(
            self.dataset, self.batch_size, seed=self.seed, device=self.device, ranks=self.ranks
        )
        loader = DataLoader(
            Decoder(files, self.dataset.rows),
            batch_sampler=rows_from(ahead, number),
            num_workers=files.workers,
            prefetch_factor=AHEAD if files.workers else None,
            pin_memory=self.device.type == "cuda",
            # Its own stream, or the loader would draw from the one that a checkpoint holds.
            generator=torch.Generator(),
        )
        return iter(loader)

    def _report(self, rows: list[int]) -> None:
        assert isinstance(self.dataset.values, FileImages)
        for row in set(rows) - self._unusable:
            self._unusable.add(row)
            self._on_unusable(f"{self.dataset.values.paths[row]} cannot be used; the next one is.")


def rows_from(batches: Batches, number: int) -> Iterator[list[int]]:
    """Rows of each batch from `number` on, without end."""
    while True:
        yield joined([part.rows for part in batches.parts(number)]).tolist()
        number += 1


class Decoder(TorchDataset[tuple[np.ndarray, int]]):
    """Decodes a row's file, or the next one that can be, and tells which row that was.

    Args:
        files: at least one of which can be used.
        rows: to choose the next one from, int64, sorted; None: all.
    """

    def __init__(self, files: FileImages, rows: Tensor | None) -> None:
        self.files = files
        self.rows = torch.arange(len(files)) if rows is None else rows

    def __getitem__(self, row: int) -> tuple[np.ndarray, int]:
        first = int(torch.searchsorted(self.rows, row))
        for step in range(len(self.rows)):
            used = int(self.rows[(first + step) % len(self.rows)])
            try:
                return np.ascontiguousarray(self.files.read(self.files.paths[used])), used
            except UnusableImageError:
                continue
        raise RuntimeError("no file can be used, though one could when the run started")


class PairBatches(Iterator[PairBatch]):
    """Batches of two domains, each with epochs and an order of its own."""

    resume_notes: tuple[str, ...] = ()

    def __init__(self, a: Batches, b: Batches) -> None:
        self.a, self.b = a, b
        self.batch_size = a.batch_size
        self.images_per_batch = 2 * a.batch_size

    def __next__(self) -> PairBatch:
        return PairBatch(next(self.a).x, next(self.b).x)

    def watch(self, on_unusable: Callable[[str], None]) -> None:
        """Have each file told that cannot be used."""
        self.a.watch(on_unusable)
        self.b.watch(on_unusable)

    def state_dict(self) -> dict[str, Any]:
        """Where to go on."""
        return {"a": self.a.state_dict(), "b": self.b.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
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
    """The way to draw from a data set, by where it lies."""
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


def joined(tensors: list[Tensor]) -> Tensor:
    """One tensor of all; no copy of a single one."""
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors)


def has_room(values: Tensor, device: torch.device) -> bool:
    """Whether the data set may lie on `device` beside the training."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return values.nbytes < ROOM * free
