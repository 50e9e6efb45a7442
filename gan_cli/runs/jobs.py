"""What became of a sweep's jobs: small files in `<sweep>/.jobs/`, and the numbers of their runs."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import KW_ONLY, asdict, dataclass, field, fields
from pathlib import Path
from typing import get_type_hints

import typeguard

from gan_cli.errors import UserError
from gan_cli.runs import checkpoint
from gan_cli.runs.records import read_lines
from gan_cli.system.files import replacing
from gan_cli.system.plain import read_json

FOLDER = ".jobs"
#: What a damaged record raises.
UNREADABLE = (OSError, ValueError, TypeError, LookupError, typeguard.TypeCheckError)


@dataclass
class Record:
    """What became of a job.

    Attributes:
        job: its name.
        mark: of the plan that it ran under last.
        swept: the keys that tell it from the others, with their values.
        objective: the metrics key that jobs are ranked by; None: none.
        direction: `minimize` or `maximize`.
        state: running, done, unfinished (its minutes were over), failed, diverged or stopped;
            interrupted, if its process has died.
        code: its exit code; None: it has not ended.
        message: why it failed.
        process: the machine and the process that it runs in.
    """

    job: str
    mark: str
    _: KW_ONLY
    swept: dict[str, str]
    objective: str | None
    direction: str
    state: str = "running"
    code: int | None = None
    message: str = ""
    process: tuple[str, int] = field(default_factory=lambda: (os.uname().nodename, os.getpid()))

    @property
    def failed(self) -> bool:
        """Whether it neither ended well nor was stopped by a person."""
        return self.state not in ("done", "unfinished", "stopped")

    def write(self, folder: Path) -> None:
        """Write it to a file of its own in the sweep's folder."""
        path = folder / FOLDER / f"{self.job}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(asdict(self)), encoding="utf-8")


def read_records(folder: Path, *, mark: str | None = None) -> list[Record]:
    """The jobs of a sweep, in the order of their names; damaged records are left out.

    Args:
        folder: of the sweep.
        mark: only those of the plan with this mark; None: all.
    """
    records = []
    for path in sorted((folder / FOLDER).glob("*.json")):
        with contextlib.suppress(*UNREADABLE):
            record = read_record(path)
            if record.job == path.stem and mark in (None, record.mark):
                records.append(record)
    return records


def read_record(path: Path) -> Record:
    """One job's record; its state is `interrupted` if its process has died.

    Raises:
        Exception: one of UNREADABLE, if the file is damaged.
    """
    record = Record(**read_json(path))
    record.process = (record.process[0], record.process[1])  # a list in JSON
    hints = get_type_hints(Record)
    for attribute in fields(Record):
        typeguard.check_type(getattr(record, attribute.name), hints[attribute.name])
    if record.state == "running" and not is_alive(record):
        record.state = "interrupted"
    return record


def is_alive(record: Record) -> bool:
    """Whether a job's process may still run; those of other machines may."""
    machine, number = record.process
    if number <= 0:  # which would mean a group of processes
        return False
    if machine != os.uname().nodename:
        return True
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def last_step(run: Path) -> int:
    """The step of a run's newest checkpoint, 0 if it has none."""
    with contextlib.suppress(UserError):
        for path in checkpoint.list_checkpoints(run / checkpoint.FOLDER):
            return checkpoint.step_of(path)
    return 0


def final_numbers(run: Path) -> dict[str, float]:
    """The newest value of each key of a run's metrics.jsonl, and its step."""
    numbers: dict[str, float] = {}
    for line in read_lines(run):
        with contextlib.suppress(ValueError, TypeError):
            numbers |= {key: float(value) for key, value in line.items()}
    numbers["step"] = float(last_step(run)) or numbers.get("step", 0.0)
    return numbers
