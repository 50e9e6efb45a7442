"""Minibatches: shuffled epochs joined end to end, cut into batches of exactly m.

The order is a function of (seed, epoch) and each crop or flip one of (seed, epoch, index), so any
batch can be reached directly. No datum is left out, every batch is full, and a data set smaller
than a batch just spans several epochs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from gan_cli.data.datasets import Dataset
from gan_cli.seeding import generator_for
from gan_cli.spec import Batch
from gan_cli.system.ranks import ALONE, Ranks


@dataclass(frozen=True)
class Part:
    """Data of one epoch in a batch, in order.

    Attributes:
        rows: their rows in the data set's values, int64 (n,).
        draws: their draws for `Augment.apply`, float32 (n, 3); None: nothing is augmented.
    """

    rows: Tensor
    draws: Tensor | None


class Batches(ABC, Iterator[Batch]):
    """Endless iterator over batches; its state is the number of the next one."""

    #: What a resumed run should know about the data that it draws.
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
            batch_size: m, of all processes together; each draws its share.
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
        """Make ready what one way of drawing needs, once at the start."""

    @override
    def __next__(self) -> Batch:
        values, labels = self.fetch(self.next_batch)
        self.next_batch += 1
        return Batch(self.dataset.to_range(values), labels)

    @abstractmethod
    def fetch(self, number: int) -> tuple[Tensor, Tensor | None]:
        """Stored values of batch `number`, augmented, and its labels, int64 (m,), on the device."""

    def parts(self, number: int) -> list[Part]:
        """Which data form this process's share of batch `number`, epoch by epoch."""
        missing = self.batch_size // self.ranks.world
        parts, position = [], number * self.batch_size + self.ranks.rank * missing
        while missing:
            epoch, offset = divmod(position, len(self.dataset))
            whole = self.epoch(epoch)
            rows = whole.rows[offset : offset + missing]
            draws = None if whole.draws is None else whole.draws[offset : offset + missing]
            parts.append(Part(rows, draws))
            position, missing = position + len(rows), missing - len(rows)
        return parts

    def epoch(self, epoch: int) -> Part:
        """All data of one epoch in order, a function of (seed, epoch)."""
        if self._epoch is None or self._epoch[0] != epoch:
            n, augment = len(self.dataset), self.dataset.augment
            generator = generator_for(self.seed, "order", epoch)
            labels = self.labels_to_balance()
            if labels is None:
                order = torch.randperm(n, generator=generator)
            else:
                order = balanced_order(labels, generator)
            draws = None
            if augment is not None:
                draws = augment.draws(n, seed=self.seed, epoch=epoch)
                # A datum may come twice, and then shall look different.
                draws = draws[order] if labels is None else draws
            rows = order if self.dataset.rows is None else self.dataset.rows[order]
            self._epoch = (epoch, self.place(Part(rows, draws)))
        return self._epoch[1]

    def labels_to_balance(self) -> Tensor | None:
        """The label of each datum, if classes are drawn equally often; int64 (n,)."""
        labels, rows = self.dataset.labels, self.dataset.rows
        if not self.dataset.balance or labels is None:
            return None
        return labels if rows is None else labels[rows]

    def place(self, part: Part) -> Part:
        """Bring an epoch's order to where it is used."""
        return part

    def watch(self, on_unusable: Callable[[str], None]) -> None:
        """Call `on_unusable` with a sentence, once, for each file that cannot be used."""
        self._on_unusable = on_unusable

    def state_dict(self) -> dict[str, int]:
        """The position in the data, for a checkpoint."""
        return {"next_batch": self.next_batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Resume where `state_dict` was taken.

        Raises:
            ValueError: there is no such batch.
        """
        number = state["next_batch"]
        if not isinstance(number, int) or not 0 <= number < 2**63:
            raise ValueError(f"next_batch={number}")
        self.next_batch = number


def balanced_order(labels: Tensor, generator: torch.Generator) -> Tensor:
    """An order of as many data as there are, in which all classes come equally often.

    Data of a small class come several times, in one shuffled order after the other; of a large
    class only some come. The classes that come once more than others are drawn too.

    Args:
        labels: of the data, int64 (n,).
        generator: of the shuffles.

    Returns:
        Places in `labels`, int64 (n,).
    """
    n, classes = len(labels), labels.unique()
    share, rest = divmod(n, len(classes))
    more = set(torch.randperm(len(classes), generator=generator)[:rest].tolist())
    chosen = []
    for number, label in enumerate(classes):
        members = (labels == label).nonzero().flatten()
        wanted = share + (number in more)
        rounds = -(-wanted // len(members))
        orders = [torch.randperm(len(members), generator=generator) for _ in range(rounds)]
        if orders:
            chosen.append(members[torch.cat(orders)[:wanted]])
    return torch.cat(chosen)[torch.randperm(n, generator=generator)]


def concatenate(tensors: list[Tensor]) -> Tensor:
    """One tensor of all; no copy of a single one."""
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors)
