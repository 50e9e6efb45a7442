"""metrics.jsonl, the numbers of a run: one JSON object a line, read and changed here alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_cli.system.files import replacing
from gan_cli.system.plain import open_plain

METRICS = "metrics.jsonl"
MOST_STEP = 2**63 - 1  # what TensorBoard and arrays can hold
LONGEST_LINE = 2**20  # bytes; a longer line is none of ours
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
        """Its step; None if it has none that a run can be at."""
        step = None if self.values is None else self.values.get("step")
        if not isinstance(step, int) or isinstance(step, bool):
            return None
        return step if 0 <= step <= MOST_STEP else None


def scan(file: Path) -> Iterator[StoredLine]:
    """The lines of a metrics file, one after the other; none if it cannot be read.

    A crash may leave any bytes.
    """
    try:
        lines = open_plain(file)
    except OSError:
        return
    with lines:
        is_start = True
        while raw := lines.readline(LONGEST_LINE):
            is_whole = is_start and (raw.endswith(b"\n") or len(raw) < LONGEST_LINE)
            is_start = raw.endswith(b"\n")
            try:
                values = json.loads(raw) if is_whole else None
            except (ValueError, RecursionError):
                values = None
            yield StoredLine(raw, values if isinstance(values, dict) else None)


def read_lines(run: Path) -> Iterator[dict[str, float]]:
    """The numbers in the lines of a run that can be read, one line after the other."""
    for line in scan(run / METRICS):
        if line.values is not None and line.step is not None:
            yield numbers_in(line.values)


def numbers_in(values: Mapping[str, Any]) -> dict[str, float]:
    """Those values that are numbers and can be computed with."""
    return {key: value for key, value in values.items() if is_number(value)}


def is_number(value: object) -> bool:
    """Whether it is an int or a float, within a float's range."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) <= sys.float_info.max


def line_at(run: Path, step: int) -> dict[str, float]:
    """The numbers in the line of a step; empty if there is none."""
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
    at, known, replaced = 0, {"step": step}, 0
    for number, line in enumerate(scan(file)):
        if line.step is not None and line.step < step:
            at = number + 1
        elif line.step == step and line.values is not None:
            at, known, replaced = number, line.values, 1
    if afresh:
        known = {key: value for key, value in known.items() if not key.startswith("eval/")}
    merged = (json.dumps({**known, **scalars}) + "\n").encode()
    with replacing(file) as temporary, temporary.open("wb") as output:
        number = -1
        for number, line in enumerate(scan(file)):
            if number == at:
                output.write(merged)
            if not at <= number < at + replaced:
                output.write(line.raw)
        if number < at:
            output.write(merged)


def trim_lines(file: Path, step: int) -> str | None:
    """Drop lines beyond `step`, and a last line that was cut short.

    Returns:
        What is wrong with it beyond a last line that was cut short; None: nothing.
    """
    if not file.exists():
        return None
    unreadable = last = odd = 0
    with replacing(file) as temporary, temporary.open("wb") as output:
        for line in scan(file):
            unreadable += last
            last = int(line.step is None)
            if line.raw.endswith(b"\n") and line.step is not None and line.step <= step:
                output.write(line.raw)
                odd += not all(map(is_number, (line.values or {}).values()))
    dropped = f"{unreadable} lines cannot be read, and were left out." if unreadable else ""
    passed_over = f"{odd} lines hold values that are no numbers; those are passed over."
    return " ".join(filter(None, (dropped, passed_over if odd else ""))) or None


def without_machine(line: Mapping[str, float]) -> dict[str, float]:
    """A line's numbers that two runs on one kind of machine have in common."""
    return {key: value for key, value in line.items() if not key.startswith(MACHINE)}
