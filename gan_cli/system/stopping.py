"""Stopping in good order: the first SIGINT or SIGTERM is noted, the same again ends at once.

`training.loop.reason_to_stop` ends training after the step, and `train.train_to_the_end` saves.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


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
            for number in (signal.SIGINT, signal.SIGTERM):
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

    @property
    def name(self) -> str:
        """SIGINT or SIGTERM; empty if none came."""
        return signal.Signals(self.signal_number).name if self.signal_number else ""

    @property
    def exit_code(self) -> int:
        """128 + signal, as shells report it; 0 if none came."""
        return 128 + self.signal_number if self.signal_number else 0
