"""Minibatches: shuffled epochs joined end to end, cut into batches of exactly m.

The order is a function of (seed, epoch), so any batch can be reached directly. No datum is
left out, every batch is full, and a data set smaller than a batch just spans several epochs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gan_cli.data.base import Dataset
from gan_cli.seeding import generator_for
from gan_cli.spec import Batch

ROOM = 0.25  # share of the accelerator's free memory that a data set may take


class Batches:
    """Endless iterator over batches; its state is the number of the next one."""

    def __init__(
        self, dataset: Dataset, batch_size: int, *, seed: int, device: torch.device
    ) -> None:
        self.dataset, self.batch_size = dataset, batch_size
        self.seed, self.device = seed, device
        self.next_batch = 0
        home = device if has_room(dataset.values, device) else torch.device("cpu")
        self.values = dataset.values.to(home)
        self.labels = None if dataset.labels is None else dataset.labels.to(home)
        self._order: tuple[int, Tensor] | None = None

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> Batch:
        indices = self.indices(self.next_batch)
        self.next_batch += 1
        values = self.values.index_select(0, indices).to(self.device)
        labels = None if self.labels is None else self.labels.index_select(0, indices)
        return Batch(
            self.dataset.to_range(values), None if labels is None else labels.to(self.device)
        )

    def indices(self, number: int) -> Tensor:
        """Which data form batch `number`, int64 (batch_size,)."""
        parts, position, missing = [], number * self.batch_size, self.batch_size
        while missing:
            epoch, offset = divmod(position, len(self.dataset))
            part = self.order(epoch)[offset : offset + missing]
            parts.append(part)
            position, missing = position + len(part), missing - len(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def order(self, epoch: int) -> Tensor:
        """The permutation of all data in `epoch`, a function of (seed, epoch)."""
        if self._order is None or self._order[0] != epoch:
            generator = generator_for(self.seed, "order", epoch)
            order = torch.randperm(len(self.dataset), generator=generator)
            self._order = (epoch, order.to(self.values.device))
        return self._order[1]

    def state_dict(self) -> dict[str, int]:
        """Where to go on."""
        return {"next_batch": self.next_batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on where `state_dict` was taken."""
        self.next_batch = state["next_batch"]


def has_room(values: Tensor, device: torch.device) -> bool:
    """Whether the data set may lie on `device` beside the training."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return values.nbytes < ROOM * free
