"""A job of a sweep, as its page needs it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from gan_cli.runs.jobs import Record


@dataclass(frozen=True)
class Job:
    """A job of a sweep with what its run's files tell.

    Attributes:
        record: what became of it.
        folder: of its run.
        numbers: the newest of each key.
    """

    record: Record
    folder: Path
    numbers: dict[str, float]

    @property
    def value(self) -> float:
        """Its objective; not a number if it has none."""
        return self.numbers.get(self.record.objective or "", math.nan)

    @property
    def error(self) -> float | None:
        """The standard error of its objective, if it is logged and finite."""
        error = self.numbers.get(f"{self.record.objective}_error", math.nan)
        return error if math.isfinite(error) else None
