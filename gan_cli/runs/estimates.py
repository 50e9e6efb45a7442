"""Numbers with their errors: which of them differ beyond the noise, and which ranks they can have.

Two values differ if they are more than 2 standard errors of their difference apart; over few seeds,
whose spread is itself uncertain, by more than Welch's t test asks for at 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95  # of the statement that two settings differ
TOLD_APART = 2.0  # standard errors of a difference, at least
#: The rule in words.
IN_WORDS = "differences of up to 2 standard errors; over few seeds Welch's t test at 95 %"


@dataclass(frozen=True)
class Estimate:
    """A number with what is known of its error.

    Attributes:
        value: mean over runs.
        error: its standard error; None: not known.
        runs: how many it was taken over.
    """

    value: float
    error: float | None
    runs: int

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the error: an error from many samples has no end of them."""
        return self.runs - 1 if self.runs > 1 else math.inf

    @property
    def spread(self) -> float | None:
        """Standard deviation over runs; None: there is one run."""
        if self.runs < 2 or self.error is None:
            return None
        return self.error * math.sqrt(self.runs)


def mean_of(values: Sequence[tuple[float, float | None]]) -> Estimate:
    """The mean over runs with its standard error; of one run, its value with its own error.

    Args:
        values: of the runs, at least one, each with the error of its measurement.
    """
    numbers = np.array([value for value, _ in values])
    if len(numbers) > 1:
        error = float(numbers.std(ddof=1) / math.sqrt(len(numbers)))
        return Estimate(float(numbers.mean()), error, len(numbers))
    return Estimate(float(numbers[0]), values[0][1], 1)


def differ(a: Estimate, b: Estimate) -> bool | None:
    """Whether two estimates differ by more than their noise.

    Returns:
        None if an error is not known.
    """
    if a.error is None or b.error is None:
        return None
    margin = TOLD_APART * math.hypot(a.error, b.error)
    if not (math.isinf(a.freedom) and math.isinf(b.freedom)):
        margin = max(margin, margin_of(a, b) or 0.0)
    return abs(a.value - b.value) > margin


def margin_of(a: Estimate, b: Estimate) -> float | None:
    """Half the width of the 95 % interval of the difference of two estimates (Welch).

    Returns:
        None if an error is not known.
    """
    if a.error is None or b.error is None:
        return None
    width = math.hypot(a.error, b.error)
    if width == 0:
        return 0.0
    shares = ((e.error or 0.0) / width for e in (a, b))  # no power of them is too large
    parts = sum(share**4 / e.freedom for share, e in zip(shares, (a, b), strict=True))
    return float(stdtrit(1 / parts if parts else math.inf, (1 + CONFIDENCE) / 2)) * width


def ranks_of(estimates: Sequence[Estimate], *, maximize: bool) -> list[str]:
    """The ranks that each of some estimates can have: `2`, or `1-3` if others may be as good.

    Without errors the values alone rank, and equal ones share their ranks.

    Args:
        estimates: in any order.
        maximize: more is better.
    """
    ranks = []
    for one in estimates:
        better = worse = 0
        for other in estimates:
            gain = other.value - one.value if maximize else one.value - other.value
            if gain and differ(one, other) is not False:
                better += gain > 0
                worse += gain < 0
        first, last = 1 + better, len(estimates) - worse
        ranks.append(str(first) if first == last else f"{first}-{last}")
    return ranks


def against(best: Estimate, other: Estimate) -> str:
    """Whether an estimate is worse than the best one."""
    is_other = differ(best, other)
    if is_other is None:
        return "the errors are not known"
    return "worse beyond the noise" if is_other else "cannot be told apart from the best"


def statements(ordered: Sequence[Estimate]) -> list[str]:
    """What to say of each of some estimates, the best of which comes first."""
    if not ordered:
        return []
    best, *others = ordered
    told = [against(best, other) for other in others]
    is_alone = all(differ(best, other) is not False for other in others)
    return [
        "best" if is_alone else "the best value, but others cannot be told apart from it",
        *told,
    ]
