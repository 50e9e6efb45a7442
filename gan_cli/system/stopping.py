"""Stopping in good order: the first signal is noted, the same again ends at once.

`training.loop.reason_to_stop` ends training after the step, and `train.train_to_the_end` saves.
Long work like an evaluation looks for signals between its batches (`polled`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType, TracebackType
from typing import TypeVar

Item = TypeVar("Item")
#: Ctrl-C, a scheduler's end, a closed terminal, a scheduler's warning; not all systems have all.
SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
    if hasattr(signal, name)
]


class StoppedAtOnceError(KeyboardInterrupt):
    """A second signal came; `exit_code` is what the command ends with."""

    def __init__(self, number: int) -> None:
        super().__init__("stopped at once; the last checkpoint is kept.")
        self.exit_code = 128 + number


class StopRequest:
    """Context manager that notes signals; the loop reads `signal_number` between steps."""

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if number == getattr(signal, "SIGHUP", None) and is_ignored(number):
                    continue  # nohup: the run shall outlive its terminal
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.signal_number == number:
            raise StoppedAtOnceError(number)
        # A signal of the other kind may be the first one passed on: a terminal sends it to all
        # processes, and a sweep to its jobs.
        self.signal_number = self.signal_number or number
        if number == getattr(signal, "SIGHUP", None):
            drop_closed_terminal()

    @property
    def name(self) -> str:
        """SIGINT, say; empty if none came."""
        return signal.Signals(self.signal_number).name if self.signal_number else ""

    @property
    def exit_code(self) -> int:
        """128 + signal, as shells report it; 0 if none came."""
        return 128 + self.signal_number if self.signal_number else 0


def is_ignored(number: int) -> bool:
    """Whether whoever started this process has a signal ignored."""
    return signal.getsignal(number) is signal.SIG_IGN


def drop_closed_terminal() -> None:
    """Let what would be printed vanish if the terminal is gone, where writing is an error."""
    for stream in (1, 2):  # stdout, stderr
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(stream).st_mode) and not os.isatty(stream):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream)
                os.close(nowhere)


class WorkStoppedError(Exception):
    """Work was given up, because a signal asks to stop."""


_REQUEST: ContextVar[StopRequest | None] = ContextVar("request", default=None)


@contextmanager
def stoppable(request: StopRequest | None) -> Iterator[None]:
    """Let `polled` give up inside when a signal comes; None: never."""
    token = _REQUEST.set(request)
    try:
        yield
    finally:
        _REQUEST.reset(token)


def polled(items: Iterable[Item]) -> Iterator[Item]:
    """The items one after the other, as long as no signal asks to stop.

    Raises:
        WorkStoppedError: one does, and `stoppable` said that this work may be given up.
    """
    for item in items:
        request = _REQUEST.get()
        if request is not None and request.signal_number:
            raise WorkStoppedError(request.name)
        yield item
