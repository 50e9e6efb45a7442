"""What a run tells: progress on the terminal, metrics.jsonl, TensorBoard, train.log, pictures.

Logging never stops training: what cannot be written is said once and then left out.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from gan_cli.pictures import Picture, write_png
from gan_cli.system.files import Appender, replacing
from gan_cli.system.terminal import Terminal

METRICS, LOG = "metrics.jsonl", "train.log"
SAMPLES, FILTERS, THEORY = "samples", "filters", "theory"  # folders of pictures
REFRESH_SECONDS = 0.2  # how often the bar moves
PLAIN_SECONDS = 5.0  # at most one plain line in this time, when no terminal listens
#: Keys worth a person's glance, and how the papers write them.
HEADLINES = {
    "loss/d": "loss D",
    "loss/g": "loss G",
    "prob/real": "D(x)",
    "prob/fake": "D(G(z))",
    "images_per_s": "images/s",
}


class Display(Progress):
    """A progress bar with the newest numbers on a line below."""

    status = ""

    def get_renderables(self) -> Iterable[Any]:
        """The bar, then the numbers."""
        yield from super().get_renderables()
        yield Text(self.status, style="cyan", overflow="ellipsis", no_wrap=True)


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
        self.console = Terminal()
        self.last: dict[str, float] = {}
        self.last_step = step
        self._failed: set[str] = set()
        self._log_file = self._open(LOG)
        metrics = directory / METRICS
        if step == 0 and metrics.is_file() and metrics.stat().st_size:
            self._guard(METRICS, lambda: metrics.replace(directory / f"before_restart.{METRICS}"))
        self._guard(METRICS, lambda: trim_lines(metrics, step))
        self._metrics_file = self._open(METRICS)
        self._writer: Any = None
        self._guard("TensorBoard", self._open_tensorboard)
        self._display: Display | None = None
        self._refreshed = self._printed = 0.0

    def __enter__(self) -> RunLog:
        if self.console.is_terminal:
            self._display = Display(
                TextColumn("step"),
                MofNCompleteColumn(),
                BarColumn(bar_width=None),
                TaskProgressColumn(),
                TextColumn("eta"),
                TimeRemainingColumn(),
                console=self.console,
                refresh_per_second=1 / REFRESH_SECONDS,
                expand=True,
            )
            self._display.add_task("train", total=self.steps, completed=self.first_step)
            self._display.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._display:
            self._display.stop()
            self._display = None

    def say(self, text: str = "") -> None:
        """Print lines, unwrapped so that commands can be pasted, and keep them in train.log."""
        self.console.say(text)
        self.note(text)

    def note(self, text: str) -> None:
        """Write lines to train.log alone."""
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        lines = "".join(f"{stamp}  {line}\n" for line in text.splitlines() if line.strip())
        self._write(LOG, self._log_file, lines)

    def advance(self, step: int) -> None:
        """Move the bar, at most a few times a second."""
        now = time.monotonic()
        if self._display and (now - self._refreshed > REFRESH_SECONDS or step == self.steps):
            self._refreshed = now
            self._display.update(self._display.task_ids[0], completed=step)

    def scalars(self, step: int, scalars: dict[str, float]) -> None:
        """Record one line of numbers everywhere; only lines with losses are shown."""
        self._write(METRICS, self._metrics_file, json.dumps({"step": step, **scalars}) + "\n")
        self._guard("TensorBoard", lambda: self._scalars_to_tensorboard(step, scalars))
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
            tell = self.note if self._display else self.say
            tell(f"step {step}/{self.steps}   {status}   eta {left}")

    def picture(self, step: int, picture: Picture, *, what: str = SAMPLES) -> None:
        """Keep a picture of `step` on disk, in a folder named after `what`, and in TensorBoard."""
        self._save_picture(what, f"step_{step:08d}.png", picture)

        def to_tensorboard() -> None:
            self._writer.add_image(what, picture, step, dataformats="HWC")

        if self._writer:
            self._guard("TensorBoard", to_tensorboard)

    def final_picture(self, picture: Picture) -> Path:
        """Keep the picture of the last state as samples/final.png."""
        return self._save_picture(SAMPLES, "final.png", picture)

    def flush(self) -> None:
        """Bring all records to the files, before a checkpoint claims that they are there."""
        if self._writer:
            self._guard("TensorBoard", self._writer.flush)

    def sync(self) -> None:
        """Bring metrics.jsonl to the disk itself."""
        if self._metrics_file:
            self._guard(METRICS, self._metrics_file.sync)

    def finding(self, step: int, text: str) -> None:
        """Say what the health monitor found, and keep it in TensorBoard's TEXT tab."""
        self.say(f"health at step {step}: {text}")
        if self._writer:
            self._guard("TensorBoard", lambda: self._writer.add_text("health", text, step))

    def hparams(self, settings: dict[str, object], metrics: Iterable[str]) -> None:
        """Enter the run's settings into TensorBoard's HPARAMS tab, beside its newest metrics."""

        def write() -> None:
            from torch.utils.tensorboard.summary import hparams

            for summary in hparams(settings, dict.fromkeys(metrics, 0.0)):
                self._writer.file_writer.add_summary(summary)

        if self._writer:
            self._guard("TensorBoard", write)

    def table(self) -> None:
        """Print the newest line of numbers as a small table."""
        title = f"step {self.last_step}"
        table = Table(title=title, title_justify="left", show_header=False)
        for key, value in self.last.items():
            table.add_row(key, number(value))
        if self.last:
            self.console.print(table)

    def close(self) -> None:
        """Close all records."""
        if self._writer:
            self._guard("TensorBoard", self._writer.close)
        for name, file in ((METRICS, self._metrics_file), (LOG, self._log_file)):
            if file:
                self._guard(name, file.flush)
                file.close()

    def _time_left(self, step: int, scalars: dict[str, float]) -> str:
        pace = scalars["time"] / max(step, 1)
        return str(timedelta(seconds=round(pace * max(self.steps - step, 0))))

    def _save_picture(self, folder: str, name: str, picture: Picture) -> Path:
        path = self.directory / folder / name

        def write() -> None:
            path.parent.mkdir(exist_ok=True)
            write_png(path, picture)

        self._guard(folder, write)
        return path

    def _open_tensorboard(self) -> None:
        from torch.utils.tensorboard import SummaryWriter

        for file in sorted(self.directory.glob("events.out.tfevents.*")):
            if self.first_step:
                trim_events(file, self.first_step)
            else:  # starting over: kept, under a name that TensorBoard does not read
                file.replace(file.with_name(file.name.replace("tfevents", "before_restart")))
        self._writer = SummaryWriter(str(self.directory), max_queue=1000, flush_secs=10)

    def _scalars_to_tensorboard(self, step: int, scalars: dict[str, float]) -> None:
        if self._writer:
            for key, value in scalars.items():
                self._writer.add_scalar(key, value, step)

    def _open(self, name: str) -> Appender | None:
        try:
            return Appender(self.directory / name)
        except OSError as error:
            self._report(name, error)
            return None

    def _write(self, name: str, file: Appender | None, text: str) -> None:
        if file:
            self._guard(name, lambda: file.write(text))

    def _guard(self, name: str, action: Callable[[], object]) -> None:
        try:
            action()
        except (OSError, ImportError, ValueError) as error:
            self._report(name, error)

    def _report(self, name: str, error: Exception) -> None:
        if name not in self._failed:
            self._failed.add(name)
            print(f"warning: {name} cannot be written: {error}", file=sys.stderr)  # noqa: T201


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


#: Keys that depend on the machine, and so are no part of exact resume.
MACHINE = ("time", "images_per_s", "system/")


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics.jsonl that can be read; none if there is no such file."""
    try:
        lines = (run / METRICS).read_bytes().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return [line for line in found if isinstance(line, dict)]


def merge_line(run: Path, step: int, scalars: Mapping[str, float], *, afresh: bool = False) -> None:
    """Enter numbers into the line of a step of metrics.jsonl; all other lines stay as they are.

    Args:
        run: its directory.
        step: whose line.
        scalars: the numbers.
        afresh: drop what an earlier evaluation entered into it (`eval/...`).

    Raises:
        OSError: it could not be written; the file is as before.
    """
    file = run / METRICS
    lines = file.read_bytes().splitlines(keepends=True) if file.is_file() else []
    at, known, replaced = 0, {"step": step}, 0
    for number, line in enumerate(lines):
        found = step_of(line)
        if found is not None and found < step:
            at = number + 1
        elif found == step:
            at, known, replaced = number, json.loads(line), 1
    if afresh:
        known = {key: value for key, value in known.items() if not key.startswith("eval/")}
    merged = json.dumps({**known, **scalars}) + "\n"
    lines[at : at + replaced] = [merged.encode()]
    with replacing(file) as temporary:
        temporary.write_bytes(b"".join(lines))


def line_at(run: Path, step: int) -> dict[str, Any]:
    """The line of a step of metrics.jsonl; empty if there is none."""
    file = run / METRICS
    lines = file.read_bytes().splitlines() if file.is_file() else []
    found: dict[str, Any] = next((json.loads(x) for x in lines if step_of(x) == step), {})
    return found


def step_of(line: bytes) -> int | None:
    """The step of a line of metrics.jsonl; None if it cannot be read."""
    try:
        step = json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):
        return None
    return step if isinstance(step, int) else None


def write_events(
    folder: Path, step: int, scalars: Mapping[str, float], pictures: Mapping[str, Picture]
) -> None:
    """Write numbers and pictures of one step into TensorBoard files of their own.

    Raises:
        OSError: they could not be written.
    """
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for key, value in scalars.items():
            writer.add_scalar(key, value, step)
        for name, picture in pictures.items():
            writer.add_image(name, picture, step, dataformats="HWC")


def without_machine(line: Mapping[str, float]) -> dict[str, float]:
    """A line's numbers that two runs on one kind of machine have in common."""
    return {key: value for key, value in line.items() if not key.startswith(MACHINE)}


def number(value: float) -> str:
    """A number as a person likes to read it."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def trim_lines(file: Path, step: int) -> None:
    """Drop lines of a metrics file beyond `step`, and a last line that was cut short."""
    if not file.exists():
        return
    kept = []
    for line in file.read_bytes().splitlines(keepends=True):  # a crash may leave any bytes
        try:
            if line.endswith(b"\n") and json.loads(line)["step"] <= step:
                kept.append(line)
        except (ValueError, KeyError, TypeError):
            continue
    with replacing(file) as temporary:
        temporary.write_bytes(b"".join(kept))


def trim_events(file: Path, step: int) -> None:
    """Drop TensorBoard events beyond `step`, and a last one that was cut short."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    records = list(RawEventFileLoader(str(file)).Load())
    with replacing(file) as temporary, temporary.open("wb") as output:
        writer = RecordWriter(output)
        for record in records:
            if Event.FromString(record).step <= step:
                writer.write(record)
        writer.flush()


def peak_memory_mib() -> float | None:
    """Most memory that this process has held, in MiB; None: the system does not tell."""
    status = Path("/proc/self/status")
    if status.is_file():  # Linux; getrusage would count what the starting process held, too
        found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text())
        if found is not None:
            return int(found[1]) / 2**10
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def system_scalars(device: torch.device) -> dict[str, float]:
    """Peak memory of the process, and of the GPU, in MiB."""
    peak = peak_memory_mib()
    scalars = {} if peak is None else {"system/memory_mib": peak}
    if device.type == "cuda":
        scalars["system/gpu_memory_mib"] = torch.cuda.max_memory_allocated(device) / 2**20
    return scalars
