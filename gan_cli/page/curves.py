"""The curves of a page: their points, few enough to be drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gan_cli.page.charts import NO_CURVE, SHARES, Chart
from gan_cli.page.story import Series
from gan_cli.runs.meaning import meaning_of

MOST_POINTS = 600  # of a curve; more lines are joined to their mean and range


@dataclass
class Curves:
    """All curves of a page as JSON takes them; equal lists of steps stand there once."""

    steps: list[list[int]] = field(default_factory=list)
    curves: dict[str, dict[str, Any]] = field(default_factory=dict)
    _known: dict[tuple[int, ...], int] = field(default_factory=dict)

    def add(self, name: str, series: Series, errors: Series | None = None) -> None:
        """Add one curve.

        Args:
            name: on this page.
            series: its values.
            errors: standard errors at the same steps; None: not known.
        """
        finite = list(zip(series.steps, series.values, strict=True))
        if not all(map(math.isfinite, series.values)):
            finite = [(step, value) for step, value in finite if math.isfinite(value)]
        steps, mean, low, high = thin(finite)
        curve: dict[str, Any] = {"x": self._number(steps), "y": rounded(mean)}
        if len(finite) > len(steps):
            curve |= {"low": rounded(low), "high": rounded(high), "lines": len(finite)}
        elif errors is not None:
            by_step = dict(zip(errors.steps, errors.values, strict=True))
            widths = [by_step.get(step, 0.0) for step in steps]
            if all(map(math.isfinite, widths)):
                curve["low"] = rounded([y - e for y, e in zip(mean, widths, strict=True)])
                curve["high"] = rounded([y + e for y, e in zip(mean, widths, strict=True)])
        if lost := len(series.values) - len(finite):
            curve["lost"] = lost
        self.curves[name] = curve

    def add_band(self, name: str, mean: Series, low: Series, high: Series) -> None:
        """Add the mean of several runs with their range."""
        rows = zip(mean.steps, mean.values, low.values, high.values, strict=True)
        finite = [row for row in rows if all(map(math.isfinite, row))]
        means, lows, highs = (
            thin([(row[0], row[column]) for row in finite]) for column in (1, 2, 3)
        )
        self.curves[name] = {"x": self._number(means[0]), "y": rounded(means[1])}
        if lows[1] != highs[1]:
            self.curves[name] |= {"low": rounded(lows[2]), "high": rounded(highs[3])}

    def add_all(self, series: Mapping[str, Series], prefix: str = "") -> None:
        """Add every key that some chart may draw."""
        for key, values in series.items():
            if not key.startswith(NO_CURVE) and not key.endswith("_error"):
                self.add(prefix + key, values, series.get(f"{key}_error"))

    def as_json(self) -> dict[str, Any]:
        """What the page's script reads."""
        return {"steps": self.steps, "curves": self.curves}

    def _number(self, steps: Sequence[int]) -> int:
        key = tuple(steps)
        if key not in self._known:
            self._known[key] = len(self.steps)
            self.steps.append(list(steps))
        return self._known[key]


def thin(
    points: Sequence[tuple[int, float]], most: int = MOST_POINTS
) -> tuple[list[int], list[float], list[float], list[float]]:
    """At most so many points: where there are more, neighbours are joined.

    Returns:
        Steps (the last of each group), means, smallest and largest values.
    """
    if len(points) <= most:
        steps = [step for step, _ in points]
        values = [value for _, value in points]
        return steps, values, values, values
    numbers = np.array([value for _, value in points])
    edges = np.linspace(0, len(points), most + 1).astype(int)
    starts, ends = edges[:-1], edges[1:]
    return (
        [points[end - 1][0] for end in ends],
        (np.add.reduceat(numbers, starts) / (ends - starts)).tolist(),
        np.minimum.reduceat(numbers, starts).tolist(),
        np.maximum.reduceat(numbers, starts).tolist(),
    )


def rounded(values: Iterable[float]) -> list[float]:
    """Values with five digits, which a picture shows at most."""
    return [float(f"{value:.5g}") for value in values]


def chart_json(chart: Chart, names: Sequence[tuple[str, str]], identity: str) -> dict[str, Any]:
    """A chart as the page's script reads it.

    Args:
        chart: what to draw.
        names: of the curves in `Curves`, each with its label.
        identity: of the element that it is drawn into.
    """
    return {
        "id": identity,
        "title": chart.title,
        "unit": chart.unit,
        "rules": [{"y": value, "label": label} for value, label in chart.rules],
        "log": chart.log,
        "limits": [0, 1] if is_share(chart) else None,
        "series": [{"curve": curve, "label": label} for curve, label in names],
    }


def is_share(chart: Chart) -> bool:
    """Whether all that a chart draws lies between 0 and 1."""
    known = [meaning_of(key) for key in chart.keys]
    return chart.unit in SHARES or (
        bool(known) and all(entry is not None and entry.perfect == 1 for entry in known)
    )
