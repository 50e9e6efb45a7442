"""Several processes that train one model together, as torchrun starts them.

All hold the same weights, and each works on its share of every batch. The mean of their gradients
is what one process would get from the whole batch. Only rank 0 writes.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from gan_cli.errors import UserError

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
        """Whether there are no other processes."""
        return self.world == 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def share(self, whole: Tensor) -> Tensor:
        """This process's part of a joint batch, (world * n, ...) -> (n, ...)."""
        if self.alone:
            return whole
        n = len(whole) // self.world
        return whole[self.rank * n : (self.rank + 1) * n]

    def draw(self, n: int, draw: Callable[[int], Tensor]) -> Tensor:
        """This process's n of the random data that one process would draw for all.

        All ranks have the same stream, so that its position is the same everywhere, and any
        number of processes can resume a checkpoint.
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
        largest = torch.tensor(values, dtype=torch.float64, device=device)
        distributed.all_reduce(largest, distributed.ReduceOp.MAX)
        return [float(value) for value in largest.tolist()]

    def gather(self, value: Any) -> list[Any]:
        """What each process has, by rank."""
        if self.alone:
            return [value]
        values: list[Any] = [None] * self.world
        distributed.all_gather_object(values, value)
        return values

    def from_first(self, make: Callable[[], Made]) -> Made:
        """What rank 0 makes; it fails everywhere if it fails there.

        Raises:
            Exception: what `make` raised on rank 0.
        """
        if self.alone:
            return make()
        outcome: list[Any] = [None, None]  # what was made, and the error
        if self.is_first:
            try:
                outcome = [make(), None]
            except Exception as error:  # noqa: BLE001  (raised below, by all)
                outcome = [None, error]
        distributed.broadcast_object_list(outcome)
        made: Made
        made, failure = outcome
        if failure is not None:
            failure.is_reported = not self.is_first
            if not self.is_first:
                time.sleep(1.0)  # torchrun ends all when one ends; let rank 0 print the error
            raise failure
        return made


ALONE = Ranks()


def _device() -> torch.device:
    """Where the processes exchange numbers."""
    if distributed.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def from_environment(environment: Mapping[str, str] = os.environ) -> Ranks:
    """This process's place among all, as torchrun sets it; alone without torchrun.

    Raises:
        UserError: a variable is missing or no number.
    """
    keys = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    try:
        rank, world, local = (
            int(environment.get(key, default)) for key, default in zip(keys, (0, 1, 0), strict=True)
        )
    except ValueError as error:
        settings = ", ".join(f"{key}={environment[key]}" for key in keys if key in environment)
        raise UserError(f"{settings}: must be whole numbers, as torchrun sets them.") from error
    missing = [key for key in ("MASTER_ADDR", "MASTER_PORT") if key not in environment]
    if world > 1 and missing:
        raise UserError(
            f"WORLD_SIZE={world}: without {' and '.join(missing)} the processes cannot meet. "
            "Start them with torchrun, which sets all, or unset it."
        )
    return Ranks(rank, world, local)


def restarts(environment: Mapping[str, str] = os.environ) -> int:
    """How often torchrun has started this group anew (--max-restarts)."""
    return int(environment.get("TORCHELASTIC_RESTART_COUNT", 0))


def group_name(environment: Mapping[str, str] = os.environ) -> str:
    """A name that this group of processes keeps when torchrun starts it anew."""
    run = re.sub(r"[^\w.-]", "_", environment.get("TORCHELASTIC_RUN_ID", "none"))
    return f"{run}-{os.getppid()}"


def meet(ranks: Ranks, device: torch.device) -> None:
    """Wait for the other processes."""
    if ranks.alone or distributed.is_initialized():
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        distributed.init_process_group(backend, timeout=PATIENCE)
        return
    # The store outlives restarts, and gloo (PyTorch 2.15) would read the addresses of ended
    # processes from it: each attempt gets different keys.
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = distributed.TCPStore(  # type: ignore[attr-defined]
        host, port, is_master=False, timeout=PATIENCE
    )
    distributed.init_process_group(
        backend,
        store=distributed.PrefixStore(  # type: ignore[attr-defined]
            f"attempt {restarts()}", store
        ),
        rank=ranks.rank,
        world_size=ranks.world,
        timeout=PATIENCE,
    )


def is_loss_of_another(error: RuntimeError) -> bool:
    """Whether an exchange failed because another process has ended."""
    return distributed.is_initialized() and any(
        words in str(error) for words in ("by peer", "imed out", "NCCL", "Broken pipe")
    )


def part() -> None:
    """Leave the group of processes."""
    if distributed.is_initialized():
        distributed.destroy_process_group()
