"""metrics.jsonl, the numbers of a run: one JSON object a line, read and changed here alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_cli.system.files import replacing

METRICS = "metrics.jsonl"
#: Keys that depend on the machine, and so are no part of exact resume.
MACHINE = ("time", "images_per_s", "system/")


@dataclass(frozen=True)
class StoredLine:
    """A line as it is on the disk.

    Attributes:
        raw: its bytes, with the line's end if it has one.
        values: what it says; None if it cannot be read.
    """

    raw: bytes
    values: dict[str, Any] | None

    @property
    def step(self) -> int | None:
        """Its step; None if it cannot be read."""
        step = None if self.values is None else self.values.get("step")
        return step if isinstance(step, int) and not isinstance(step, bool) else None


def scan(file: Path) -> Iterator[StoredLine]:
    """The lines of a metrics file, one after the other; none if it cannot be read.

    A crash may leave any bytes.
    """
    try:
        lines = file.open("rb")
    except OSError:
        return
    with lines:
        for raw in lines:
            try:
                values = json.loads(raw)
            except (ValueError, RecursionError):
                values = None
            yield StoredLine(raw, values if isinstance(values, dict) else None)


def read_lines(run: Path) -> list[dict[str, Any]]:
    """What the lines of a run say that can be read."""
    return [line.values for line in scan(run / METRICS) if line.values is not None]


def line_at(run: Path, step: int) -> dict[str, Any]:
    """The line of a step; empty if there is none."""
    return next((values for values in read_lines(run) if values.get("step") == step), {})


def merge_line(run: Path, step: int, scalars: Mapping[str, float], *, afresh: bool = False) -> None:
    """Enter numbers into the line of a step; all other lines stay as they are.

    Args:
        run: its directory.
        step: whose line.
        scalars: the numbers.
        afresh: drop what an earlier evaluation entered into it (`eval/...`).

    Raises:
        OSError: it could not be written; the file is as before.
    """
    file = run / METRICS
    lines = list(scan(file))
    at, known, replaced = 0, {"step": step}, 0
    for number, line in enumerate(lines):
        if line.step is not None and line.step < step:
            at = number + 1
        elif line.step == step and line.values is not None:
            at, known, replaced = number, line.values, 1
    if afresh:
        known = {key: value for key, value in known.items() if not key.startswith("eval/")}
    merged = (json.dumps({**known, **scalars}) + "\n").encode()
    raw = [line.raw for line in lines]
    raw[at : at + replaced] = [merged]
    with replacing(file) as temporary:
        temporary.write_bytes(b"".join(raw))


def trim_lines(file: Path, step: int) -> None:
    """Drop lines beyond `step`, and a last line that was cut short."""
    if not file.exists():
        return
    with replacing(file) as temporary, temporary.open("wb") as output:
        for line in scan(file):
            if line.raw.endswith(b"\n") and line.step is not None and line.step <= step:
                output.write(line.raw)


def without_machine(line: Mapping[str, float]) -> dict[str, float]:
    """A line's numbers that two runs on one kind of machine have in common."""
    return {key: value for key, value in line.items() if not key.startswith(MACHINE)}
