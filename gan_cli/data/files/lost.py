"""Reading processes that die, and data that are gone, as one message with what would work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from gan_cli.errors import GanTrainError, is_out_of_memory

Item = TypeVar("Item")


class LostDataError(GanTrainError):
    """The next batch cannot be read; nothing of its step was trained yet unless k is above 1."""


class NoFileError(LostDataError):
    """None of the files can be used any more, though one could when the run started."""

    exit_code = 2


def next_of(stream: Iterator[Item], *, workers: int, remedy: str) -> Item:
    """The next item of a stream that worker processes may fill.

    Args:
        stream: of a DataLoader.
        workers: how many processes fill it; 0: this one, whose errors are raised as they are.
        remedy: what to set instead.

    Raises:
        LostDataError: a worker died, or failed.
    """
    try:
        return next(stream)
    except (GanTrainError, KeyboardInterrupt, StopIteration):
        raise
    except Exception as error:
        if not workers:
            raise
        raise LostDataError(dead_worker(error, remedy=remedy)) from error


def dead_worker(error: BaseException, *, remedy: str) -> str:
    """One line on a worker process that died, and what to set instead."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = (lines[-1] if lines else type(error).__name__)[:200]
    return (
        f"a process that reads the data died ({reason}). The memory, or /dev/shm, may be too "
        f"small for it. Resume with {remedy}."
    )


def is_dead_worker(error: BaseException) -> bool:
    """Whether PyTorch says, at any place of the program, that a worker process died."""
    is_ours = isinstance(error, RuntimeError) and not is_out_of_memory(error)
    return is_ours and "DataLoader worker" in str(error)
