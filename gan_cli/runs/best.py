"""Which evaluation is the best so far; `Recorder.evaluate` then has best.pt written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gan_cli.errors import UserError
from gan_cli.runs import checkpoint
from gan_cli.runs.records import is_number


@dataclass
class Best:
    """The best value so far.

    Attributes:
        objective: the log key that says how good a model is; None: nothing is kept.
        direction: `minimize` or `maximize`.
        value: the best so far; None: there is none yet.
    """

    objective: str | None
    direction: str
    value: float | None = None
    _was_missing: bool = False

    def improves(self, scalars: Mapping[str, float]) -> bool:
        """Whether the objective is better than ever; remembers it."""
        if self.objective is None or self.objective not in scalars:
            return False
        value, sign = scalars[self.objective], 1 if self.direction == "minimize" else -1
        if self.value is not None and sign * value >= sign * self.value:
            return False
        self.value = value
        return True

    def missing_note(
        self, scalars: Mapping[str, float], *, patience: int | None = None
    ) -> str | None:
        """Says, once, that an evaluation does not measure the objective; None: nothing to say."""
        if self.objective is None or self.objective in scalars or self._was_missing:
            return None
        self._was_missing = True
        measured = ", ".join(key for key in scalars if not key.endswith("_error"))
        return (
            f"note: objective={self.objective} is not among what evaluations measure "
            f"({measured}), so no {checkpoint.BEST} is kept"
            f"{f', and patience={patience} stops nothing' if patience else ''}."
        )

    def as_stored(self) -> dict[str, object]:
        """What best.pt holds of it."""
        return {"value": self.value, "objective": self.objective, "direction": self.direction}


def best_before(folder: Path, objective: str, direction: str) -> tuple[float | None, str | None]:
    """The value in best.pt of earlier sessions, and what to say of it.

    Args:
        folder: of checkpoints.
        objective: what the run goes by now.
        direction: likewise.

    Returns:
        The value, None if there is none or it is of another objective; and a note, or None.
    """
    file = folder / checkpoint.BEST
    if not file.exists():
        return None, None
    try:
        best = checkpoint.read(file).get("best")
        value = best.get("value") if isinstance(best, dict) else None
        if not isinstance(best, dict) or not (value is None or is_number(value)):
            raise UserError(f"{file}: holds no value of an objective.")
    except UserError as error:
        return None, f"note: {error} Another best.pt is kept from here on."
    if (best.get("objective"), best.get("direction")) != (objective, direction):
        return None, (
            f"note: {checkpoint.BEST} was kept by {best.get('objective')} "
            f"({best.get('direction')}); from here on it is kept by {objective} ({direction}), "
            "of the evaluations that follow."
        )
    return None if value is None else float(value), None
