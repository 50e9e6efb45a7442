"""How far something is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from gan_cli.system.terminal import Terminal

REFRESH_SECONDS = 0.2  # how often a bar moves
PLAIN_SECONDS = 5.0  # at most one plain line in this time, when no terminal listens


class StepsBar(Progress):
    """A progress bar over steps, with the newest numbers on a line below."""

    status = ""

    def __init__(self, console: Terminal, *, total: int, completed: int) -> None:
        super().__init__(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("eta"),
            TimeRemainingColumn(),
            console=console,
            refresh_per_second=1 / REFRESH_SECONDS,
            expand=True,
        )
        self._refreshed = 0.0
        self._total = total
        self._task = self.add_task("train", total=total, completed=completed)

    def get_renderables(self) -> Iterable[Any]:
        """The bar, then the numbers."""
        yield from super().get_renderables()
        yield Text(self.status, style="cyan", overflow="ellipsis", no_wrap=True)

    def move_to(self, step: int) -> None:
        """Move the bar, at most a few times a second."""
        now = time.monotonic()
        if now - self._refreshed > REFRESH_SECONDS or step == self._total:
            self._refreshed = now
            self.update(self._task, completed=step)


class LoadingBar:
    """Shows how far loading is: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self._console = Terminal()
        self._bar: Progress | None = None
        self._printed = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        """`done` of `total` files are read."""
        if self._console.is_terminal:
            if self._bar is None:
                self._bar = Progress(console=self._console, transient=True)
                self._bar.add_task(what, total=total)
                self._bar.start()
            self._bar.update(self._bar.task_ids[0], completed=done)
            if done == total:
                self._bar.stop()
        elif time.monotonic() - self._printed > PLAIN_SECONDS:
            self._printed = time.monotonic()
            self._console.say(f"{what}: {done} of {total}")
