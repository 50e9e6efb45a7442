"""What a claim is, and what showing it gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING

from gan_cli.claims.lab import Experiment, Lab

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HOLDS, LIMITS, FAILS = "holds", "holds within limits", "does not hold"


@dataclass(frozen=True)
class Check:
    """A number that a claim is judged by.

    Attributes:
        what: it is, in words.
        value: measured.
        error: its standard error; None: it is exact, or its spread over seeds says more.
        at_least: the value must reach; None: no lower limit.
        at_most: the value must not exceed; None: no upper limit.
    """

    what: str
    value: float
    _: KW_ONLY
    error: float | None = None
    at_least: float | None = None
    at_most: float | None = None

    @property
    def passes(self) -> bool:
        """Whether it keeps its limits; a value that is not finite keeps none."""
        if not math.isfinite(self.value):
            return False
        is_high = self.at_least is None or self.value >= self.at_least
        is_low = self.at_most is None or self.value <= self.at_most
        return is_high and is_low

    @property
    def limit(self) -> str:
        """Its limits in words."""
        if self.at_least is not None and self.at_most is not None:
            return f"from {self.at_least:.4g} to {self.at_most:.4g}"
        if self.at_least is not None:
            return f"at least {self.at_least:.4g}"
        return "" if self.at_most is None else f"at most {self.at_most:.4g}"


@dataclass(frozen=True)
class Outcome:
    """What an experiment gave.

    Attributes:
        checks: all must pass; the first is the claim's number.
        picture: what a person sees of it.
        limits: within which it holds, in words; empty: it holds as it is stated.
        data: what the picture shows, by name.
        games: to be tried on the page, by what is said of each.
    """

    checks: Sequence[Check]
    picture: Figure
    _: KW_ONLY
    limits: str = ""
    data: Mapping[str, Sequence[float]] = field(default_factory=dict)
    games: Mapping[str, Experiment] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """HOLDS, LIMITS or FAILS."""
        if not all(check.passes for check in self.checks):
            return FAILS
        return LIMITS if self.limits else HOLDS


@dataclass(frozen=True)
class Claim:
    """A statement of the papers, and how it is shown.

    Attributes:
        number: in the order of the notes.
        name: short, as `claims=` takes it.
        statement: in one sentence.
        formula: in the papers' letters.
        source: note and paper.
        method: what is done.
        show: does it.
        runs: what it looks at, names of `runs.RUNS`.
    """

    number: int
    name: str
    _: KW_ONLY
    statement: str
    formula: str
    source: str
    method: str
    show: Callable[[Lab], Outcome]
    runs: tuple[str, ...] = ()
