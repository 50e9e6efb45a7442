"""Lets the program that called training learn where the run lies, and when it has drawn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path


class Watcher:
    """Watches a run; this one does nothing."""

    def opened(self, directory: Path) -> None:
        """The run lies in `directory`."""

    def drawn(self, picture: Path) -> None:
        """`picture` has been written."""


_WATCHER: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


def watcher() -> Watcher:
    """Who watches the runs of this process."""
    return _WATCHER.get() or Watcher()


@contextmanager
def watched_by(who: Watcher) -> Iterator[None]:
    """Let `who` watch the runs that train inside."""
    token = _WATCHER.set(who)
    try:
        yield
    finally:
        _WATCHER.reset(token)
