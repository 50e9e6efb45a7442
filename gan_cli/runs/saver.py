"""Checkpoints are written in a thread of their own, from copies, so that training need not wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from torch import Tensor
from typing_extensions import override

from gan_cli.runs import checkpoint


def snapshot(state: Any) -> Any:
    """A copy on the CPU of nested dicts, lists and tuples, which training no longer changes."""
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, Mapping):
        return {key: snapshot(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(map(snapshot, state))
    return state


class Saver:
    """Writes checkpoints in a thread, one after the other, while training continues."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: The newest step that is safely on disk.
        self.saved_step: int | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: tuple[int | None, Future[Path]] | None = None

    def has_saved(self, step: int) -> bool:
        """Whether the checkpoint of `step` is safely on disk."""
        return self.saved_step == step

    def save(
        self,
        state: dict[str, Any],
        *,
        keep_last: int,
        keep_every: int,
        metrics: Mapping[str, float] | None = None,
        first: Callable[[], object] = lambda: None,
    ) -> None:
        """Copy `state` and begin to write it, as `checkpoint.save` does; first wait for the last.

        Raises:
            OSError: the last one could not be written. This one is not begun.
        """
        self.wait()
        writing = self._thread.submit(
            checkpoint.save,
            self.folder,
            snapshot(state),
            keep_last=keep_last,
            keep_every=keep_every,
            metrics=metrics,
            first=first,
        )
        self._pending = state["step"], writing

    def save_best(self, state: dict[str, Any]) -> None:
        """Copy `state` and begin to write it as the best so far; first wait for the last one.

        Raises:
            OSError: the last one could not be written. This one is not begun.
        """
        self.wait()
        writing = self._thread.submit(checkpoint.save_best, self.folder, snapshot(state))
        self._pending = None, writing

    def wait(self) -> None:
        """Wait until all is written.

        Raises:
            OSError: it could not be.
        """
        if self._pending is not None:
            step, future = self._pending
            try:
                future.result()
                if step is not None:
                    self.saved_step = step
            finally:
                if future.done():
                    self._pending = None

    def poll(self) -> None:
        """Like `wait`, but only if the writing has ended."""
        if self._pending is not None and self._pending[1].done():
            self.wait()


class NoSaver(Saver):
    """Of a process other than the first: takes part in all that is saved, and writes nothing."""

    @override
    def has_saved(self, step: int) -> bool:
        """Yes: this process has nothing to save."""
        return True

    @override
    def save(
        self,
        state: dict[str, Any],
        *,
        keep_last: int,
        keep_every: int,
        metrics: Mapping[str, float] | None = None,
        first: Callable[[], object] = lambda: None,
    ) -> None:
        """Nothing is written."""

    @override
    def save_best(self, state: dict[str, Any]) -> None:
        """Nothing is written."""
