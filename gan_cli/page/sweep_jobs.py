"""The jobs of a sweep as its table and its page need them, with their ranks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gan_cli.runs.estimates import Estimate, ranks_of, statements
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

    @property
    def estimate(self) -> Estimate:
        """Its objective with the error of its measurement."""
        return Estimate(self.value, self.error, 1)


def place_of(job: Job) -> tuple[int, float]:
    """Where a job stands: finished ones by their objective, then the others."""
    if job.record.state != "done" or not math.isfinite(job.value):
        return 1 if job.record.state == "done" else 2, 0.0
    return 0, -job.value if job.record.direction == "maximize" else job.value


def ranks_of_jobs(jobs: Sequence[Job]) -> dict[str, tuple[str, str]]:
    """The rank of each finished job that has an objective, and what tells it from the best.

    Args:
        jobs: all, in any order.
    """
    there = sorted((job for job in jobs if not place_of(job)[0]), key=place_of)
    estimates = [job.estimate for job in there]
    is_high = bool(there) and there[0].record.direction == "maximize"
    ranks = ranks_of(estimates, maximize=is_high)
    rows = zip(there, ranks, statements(estimates), strict=True)
    return {job.record.job: (rank, statement) for job, rank, statement in rows}
