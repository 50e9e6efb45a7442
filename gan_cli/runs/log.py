"""What a run writes: lines on the terminal, metrics.jsonl, TensorBoard, train.log, pictures.

Logging never stops training: what cannot be written is said once and then left out.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.table import Table
from typing_extensions import override

from gan_cli.errors import printable
from gan_cli.pictures import Picture, as_png, write_png
from gan_cli.runs.events import open_events, write_picture, write_settings
from gan_cli.runs.records import METRICS, trim_lines
from gan_cli.runs.watching import watcher
from gan_cli.system.files import Appender
from gan_cli.system.progress import PLAIN_SECONDS, StepsBar
from gan_cli.system.stopping import drop_closed_terminal
from gan_cli.system.terminal import Terminal

LOG = "train.log"
LAST = "final.png"  # the picture of the last state
REAL = "real.png"  # a sheet of real data, beside the samples
SAMPLES, FILTERS, THEORY = "samples", "filters", "theory"  # folders of pictures
BATCH_SECONDS = 1.0  # lines that come faster than that are written together
TENSORBOARD = "TensorBoard"
#: Keys worth a person's glance, and how the papers write them.
HEADLINES = {
    "loss/d": "loss D",
    "loss/g": "loss G",
    "prob/real": "D(x)",
    "prob/fake": "D(G(z))",
    "images_per_s": "images/s",
}


def last_picture(directory: Path) -> Path:
    """The picture of a run's last state, which is drawn after all others."""
    return directory / SAMPLES / LAST


class RunLog:
    """Writes all records of one run, and is the only one to print while it trains."""

    def __init__(self, directory: Path, *, step: int, steps: int) -> None:
        """Open the records, cutting off whatever lies beyond `step`.

        Args:
            directory: the run directory.
            step: finished steps, 0 for a new run.
            steps: where training ends, for the bar.
        """
        self.directory, self.first_step, self.steps = directory, step, steps
        watcher().opened(directory)
        self.console = Terminal()
        self.last: dict[str, float] = {}
        self.last_step = step
        #: The newest value of each key, of lines between two log steps too.
        self.newest: dict[str, float] = {}
        self._failed: set[str] = set()
        self._log_file = self._open(LOG)
        metrics = directory / METRICS
        if step == 0 and metrics.is_file() and metrics.stat().st_size:
            self._guard(METRICS, lambda: metrics.replace(directory / f"before_restart.{METRICS}"))
        self._guard(METRICS, lambda: self._trim(metrics, step))
        self._metrics_file = self._open(METRICS, every_seconds=BATCH_SECONDS)
        self._writer: Any = None
        self._guard(TENSORBOARD, self._open_tensorboard)
        self._display: StepsBar | None = None
        self._printed = 0.0

    def __enter__(self) -> RunLog:
        if self.console.is_terminal:
            self._display = StepsBar(self.console, total=self.steps, completed=self.first_step)
            self._display.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._display:
            self._on_screen(self._display.stop)
            self._display = None

    def say(self, text: str = "") -> None:
        """Print lines, unwrapped so that commands can be pasted, and keep them in train.log."""
        self.console.say(text)
        self.note(text)

    def note(self, text: str) -> None:
        """Write lines to train.log alone."""
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        said = printable(text).split("\n")
        lines = "".join(f"{stamp}  {line}\n" for line in said if line.strip())
        self._write(LOG, self._log_file, lines)

    def advance(self, step: int) -> None:
        """Move the bar."""
        if self._display:
            display = self._display
            self._on_screen(lambda: display.move_to(step))

    def scalars(self, step: int, scalars: dict[str, float]) -> None:
        """Record one line of numbers everywhere; only lines with losses are shown."""
        self.newest |= scalars
        self._write(METRICS, self._metrics_file, json.dumps({"step": step, **scalars}) + "\n")
        self._guard(TENSORBOARD, lambda: self._scalars_to_tensorboard(step, scalars))
        if "time" not in scalars:  # numbers about a picture, between two lines
            return
        self.last, self.last_step = scalars, step
        status = "   ".join(
            f"{name} {number(scalars[key])}" for key, name in HEADLINES.items() if key in scalars
        )
        if self._display:
            self._display.status = status
        if time.monotonic() - self._printed > PLAIN_SECONDS or step >= self.steps:
            self._printed = time.monotonic()
            left = self._time_left(step, scalars)
            write = self.note if self._display else self.say
            write(f"step {step}/{self.steps}   {status}   eta {left}")

    def picture(self, step: int, picture: Picture, *, what: str = SAMPLES) -> None:
        """Keep a picture of `step` on disk, in a folder named after `what`, and in TensorBoard."""
        png = as_png(picture)
        self._save_picture(what, f"step_{step:08d}.png", png)

        def to_tensorboard() -> None:
            write_picture(self._writer, what, png, step, size=picture.shape[:2])

        if self._writer:
            self._guard(TENSORBOARD, to_tensorboard)

    def real_picture(self, picture: Picture) -> Path:
        """Keep a sheet of real data as samples/real.png."""
        return self._save_picture(SAMPLES, REAL, picture)

    def final_picture(self, picture: Picture) -> Path:
        """Keep the picture of the last state as samples/final.png."""
        return self._save_picture(SAMPLES, LAST, picture)

    def flush(self) -> None:
        """Bring all records to the files, before a checkpoint claims that they are there."""
        if self._metrics_file:
            self._guard(METRICS, self._metrics_file.flush)
        if self._writer:
            self._guard(TENSORBOARD, self._writer.flush)

    def sync(self) -> None:
        """Bring metrics.jsonl to the disk itself."""
        if self._metrics_file:
            self._guard(METRICS, self._metrics_file.sync)

    def finding(self, step: int, text: str) -> None:
        """Report what the health monitor noticed, and keep it in TensorBoard's TEXT tab."""
        self.say(f"health at step {step}: {text}")
        if self._writer:
            self._guard(TENSORBOARD, lambda: self._writer.add_text("health", text, step))

    def settings(self, config: str, settings: Mapping[str, object], metrics: list[str]) -> None:
        """Show in TensorBoard the config, the settings beside newest metrics, and curves first."""

        def write() -> None:
            step = self.first_step
            write_settings(self._writer, step, config=config, settings=settings, metrics=metrics)

        if self._writer:
            self._guard(TENSORBOARD, write)

    def table(self) -> None:
        """Print the newest line of numbers as a small table."""
        title = f"step {self.last_step}"
        table = Table(title=title, title_justify="left", show_header=False)
        for key, value in self.last.items():
            table.add_row(key, number(value))
        if self.last:
            self._on_screen(lambda: self.console.print(table))

    def close(self) -> None:
        """Close all records."""
        if self._writer:
            self._guard(TENSORBOARD, self._writer.close)
        for name, file in ((METRICS, self._metrics_file), (LOG, self._log_file)):
            if file:
                self._guard(name, file.flush)
                file.close()

    def _time_left(self, step: int, scalars: dict[str, float]) -> str:
        pace = scalars["time"] / max(step, 1)
        return str(timedelta(seconds=round(pace * max(self.steps - step, 0))))

    def _save_picture(self, folder: str, name: str, picture: Picture | bytes) -> Path:
        path = self.directory / folder / name

        def write() -> None:
            path.parent.mkdir(exist_ok=True)
            write_png(path, picture)
            watcher().drawn(path)

        self._guard(folder, write)
        return path

    def _trim(self, metrics: Path, step: int) -> None:
        if wrong := trim_lines(metrics, step):
            self.say(f"note: {metrics}: {wrong}")

    def _open_tensorboard(self) -> None:
        self._writer = open_events(self.directory, first_step=self.first_step)

    def _scalars_to_tensorboard(self, step: int, scalars: dict[str, float]) -> None:
        if self._writer:
            for key, value in scalars.items():
                self._writer.add_scalar(key, value, step)

    def _open(self, name: str, *, every_seconds: float = 0.0) -> Appender | None:
        try:
            return Appender(self.directory / name, every_seconds=every_seconds)
        except OSError as error:
            self._report(name, error)
            return None

    def _write(self, name: str, file: Appender | None, text: str) -> None:
        if file:
            self._guard(name, lambda: file.write(text))

    def _guard(self, name: str, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:
            # A broken installation of TensorBoard may raise anything, on import or later.
            if name != TENSORBOARD and not isinstance(error, OSError | ImportError | ValueError):
                raise
            self._report(name, error)

    def _on_screen(self, action: Callable[[], object]) -> None:
        """Draw, as long as there is a terminal: training outlives it."""
        try:
            action()
        except OSError:
            self.console.quiet = True
            drop_closed_terminal()

    def _report(self, name: str, error: Exception) -> None:
        if name not in self._failed:
            self._failed.add(name)
            reason = " ".join(str(error).split()) or type(error).__name__
            text = printable(f"warning: {name} cannot be written: {reason}")
            with contextlib.suppress(OSError):  # a terminal that is gone
                print(text, file=sys.stderr)  # noqa: T201


class NoLog(RunLog):
    """Of a process other than the first: takes the same calls, writes and prints nothing."""

    def __init__(self, *, step: int, steps: int) -> None:
        self.directory, self.first_step, self.steps = Path(), step, steps
        self.console = Terminal()
        self.console.quiet = True
        self.last, self.last_step, self.newest = {}, step, {}
        self._failed = set()
        self._log_file = self._metrics_file = None
        self._writer = self._display = None
        self._printed = 0.0

    @override
    def __enter__(self) -> NoLog:
        return self

    @override
    def _save_picture(self, folder: str, name: str, picture: Picture | bytes) -> Path:
        return self.directory / folder / name


def number(value: float) -> str:
    """A number as a person likes to read it."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
