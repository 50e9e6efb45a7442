"""When a run stops because its objective no longer improves by more than the errors.

An evaluation with value v and standard error e improves on the best, b with error e_b, if it is
better by more than sqrt(e^2 + e_b^2). `patience=N` stops a run after N evaluations in a row that do
not. The best stays the evaluation that improved last, so that many small steps add up.

What is counted does not depend on N. Checkpoints hold it, so a resumed run counts as if it had
never stopped, and one that goes on with a larger N is the run that had it from the start.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_cli.errors import UserError
from gan_cli.runs import checkpoint
from gan_cli.runs.log import number
from gan_cli.runs.records import is_number

#: What a checkpoint holds it under; older ones lack it.
STORED = "patience"
EVALUATED = "eval/samples"  # what every evaluation logs


@dataclass
class Patience:
    """For how many evaluations the objective has not improved beyond its error.

    Attributes:
        objective: the log key; None: nothing is counted.
        direction: `minimize` or `maximize`.
        value: of the evaluation that improved last; None: there was none yet.
        error: its standard error; 0 where the metric gives none.
        step: at which it was.
        waited: evaluations since then.
    """

    objective: str | None
    direction: str
    value: float | None = None
    error: float = 0.0
    step: int = 0
    waited: int = 0
    _was_noted: bool = False

    def add(self, step: int, scalars: Mapping[str, float]) -> None:
        """Count an evaluation.

        Args:
            step: at which it was made.
            scalars: what it measured; without the objective, which then was not finite, it improves
                nothing; empty: there was none.
        """
        if self.objective is None or not scalars:
            return
        value, error = scalars.get(self.objective), error_in(scalars, self.objective) or 0.0
        if value is not None and self._improves(value, error):
            self.value, self.error, self.step, self.waited = float(value), error, step, 0
        elif self.value is not None:
            self.waited += 1

    def _improves(self, value: float, error: float) -> bool:
        if self.value is None:
            return True
        gain = value - self.value if self.direction == "maximize" else self.value - value
        return gain > math.hypot(error, self.error)

    def is_over(self, limit: int | None) -> bool:
        """Whether `limit` evaluations have passed without improvement; None or 0: no limit."""
        return bool(limit) and self.waited >= (limit or 0)

    def note(self, scalars: Mapping[str, float]) -> str | None:
        """Says, once, that the objective comes without an error; None: nothing to say."""
        is_there = self.objective is not None and self.objective in scalars
        if not is_there or self._was_noted or error_in(scalars, str(self.objective)) is not None:
            return None
        self._was_noted = True
        return (
            f"note: {self.objective} has no standard error, so patience counts it as 0: "
            "the smallest gain is an improvement."
        )

    def sentence(self) -> str:
        """Why it stops a run."""
        error = f" ± {number(self.error)}" if self.error else ""
        return (
            f"{self.objective} has not improved beyond its error in {self.waited} "
            f"evaluation{'' if self.waited == 1 else 's'}: the best is "
            f"{number(self.value or 0.0)}{error}, at step {self.step}."
        )

    def as_stored(self) -> dict[str, object]:
        """What a checkpoint holds of it."""
        names = ("objective", "direction", "value", "error", "step", "waited")
        return {name: getattr(self, name) for name in names}


def error_in(scalars: Mapping[str, float], key: str) -> float | None:
    """The standard error of a key; None: there is none that can be computed with."""
    error = scalars.get(f"{key}_error")
    return float(error) if error is not None and 0 <= error < math.inf else None


def patience_in(state: Mapping[str, Any] | None, config: Mapping[str, Any]) -> Patience | None:
    """What a checkpoint has counted for the objective of a config; None: nothing.

    Args:
        state: the checkpoint, maybe of an older version, or of anybody; None: there is none.
        config: of the run that goes on with it.
    """
    stored = (state or {}).get(STORED)
    if not isinstance(stored, Mapping):
        return None
    objective, direction = config["objective"], config["direction"]
    if (stored.get("objective"), stored.get("direction")) != (objective, direction):
        return None
    value, error = stored.get("value"), stored.get("error")
    step, waited = stored.get("step"), stored.get("waited")
    counts = all(type(count) is int and count >= 0 for count in (step, waited))
    if not (counts and is_number(error) and (value is None or is_number(value))):
        return None
    assert isinstance(step, int)
    assert isinstance(waited, int)
    return Patience(
        objective, direction, None if value is None else float(value), float(error or 0.0), step,
        waited,
    )  # fmt: skip


def counted_from(lines: Iterable[Mapping[str, float]], config: Mapping[str, Any]) -> Patience:
    """What the lines of metrics.jsonl say, for checkpoints that have counted nothing.

    Args:
        lines: all up to the checkpoint.
        config: of the run.
    """
    patience = Patience(config["objective"], config["direction"])
    for line in lines:
        if EVALUATED in line:
            patience.add(int(line["step"]), line)
    return patience


def has_stopped(run: Path) -> bool:
    """Whether patience ended a run, by its newest checkpoint."""
    try:
        state = checkpoint.read_newest(run / checkpoint.FOLDER).state
    except UserError:
        return False
    return is_spent(state, state["config"]) if state is not None else False


def is_spent(state: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether patience has stopped the run of a checkpoint, and stops it by this config, too."""
    if not {"patience", "objective", "direction"} <= config.keys():  # of an older version
        return False
    patience, limit = patience_in(state, config), config["patience"]
    return patience is not None and isinstance(limit, int) and patience.is_over(limit)
