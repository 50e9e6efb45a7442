"""Several processes that train one model together, as torchrun starts them.

All of them hold the same weights; each works on its share of every batch, and the mean of their
gradients is what one process would get from the whole batch. Rank 0 alone writes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

Made = TypeVar("Made")
#: How long the others wait for rank 0, which may read data or evaluate alone.
PATIENCE = timedelta(hours=2)


@dataclass(frozen=True)
class Ranks:
    """This process among all.

    Attributes:
        rank: its number.
        world: how many there are.
        local: its number on this machine.
    """

    rank: int = 0
    world: int = 1
    local: int = 0

    @property
    def alone(self) -> bool:
        """There are no others."""
        return self.world == 1

    @property
    def is_first(self) -> bool:
        """This one writes and speaks."""
        return self.rank == 0

    def share(self, whole: Tensor) -> Tensor:
        """This process's part of a joint batch, (world * n, ...) -> (n, ...)."""
        if self.alone:
            return whole
        n = len(whole) // self.world
        return whole[self.rank * n : (self.rank + 1) * n]

    def draw(self, n: int, draw: Callable[[int], Tensor]) -> Tensor:
        """This process's n of the random data that one process would draw for all.

        All ranks have the same stream, so that its position is the same everywhere, and a
        checkpoint can be gone on from by any number of processes.
        """
        return self.share(draw(n * self.world))

    def mean(self, values: Tensor) -> Tensor:
        """Mean over all processes."""
        if self.alone:
            return values
        total = values.clone()
        distributed.all_reduce(total)
        return total / self.world

    def largest(self, values: list[float]) -> list[float]:
        """The largest of each number over all processes, the same everywhere."""
        if self.alone:
            return values
        device = _device()
        found = torch.tensor(values, dtype=torch.float64, device=device)
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return [float(value) for value in found.tolist()]

    def gather(self, value: Any) -> list[Any]:
        """What each process has, by rank."""
        if self.alone:
            return [value]
        found: list[Any] = [None] * self.world
        distributed.all_gather_object(found, value)
        return found

    def from_first(self, make: Callable[[], Made]) -> Made:
        """What rank 0 makes; it fails everywhere if it fails there.

        Raises:
            Exception: what `make` raised on rank 0.
        """
        if self.alone:
            return make()
        told: list[Any] = [None, None]
        if self.is_first:
            try:
                told = [make(), None]
            except Exception as error:  # noqa: BLE001  (raised below, by all)
                told = [None, error]
        distributed.broadcast_object_list(told)
        if told[1] is not None:
            raise told[1]
        made: Made = told[0]
        return made


ALONE = Ranks()


def _device() -> torch.device:
    """Where the processes exchange numbers."""
    if distributed.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def from_environment(environment: Mapping[str, str] = os.environ) -> Ranks:
    """What torchrun says of this process; alone if it did not start it."""
    return Ranks(
        rank=int(environment.get("RANK", 0)),
        world=int(environment.get("WORLD_SIZE", 1)),
        local=int(environment.get("LOCAL_RANK", 0)),
    )


def meet(ranks: Ranks, device: torch.device) -> None:
    """Wait for the other processes."""
    if not ranks.alone and not distributed.is_initialized():
        backend = "nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=PATIENCE)


def part() -> None:
    """Leave the others in good order."""
    if distributed.is_initialized():
        distributed.destroy_process_group()
