"""Several runs as settings: what differs between them, and which differ only in the seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from gan_cli.page.story import Series, Story
from gan_cli.runs.resume import PLACE, STARTING
from gan_cli.settings.values import flatten

CONFIDENCE = 0.95  # of the statement that two settings differ
#: Keys that say how a run is watched and where it runs, and change nothing that is trained.
WATCHING = (
    "log_every", "sample_every", "eval_every", "checkpoint_every", "checkpoint_minutes",
    "keep_last", "keep_every", "report", "max_minutes", "device",
)  # fmt: skip
SEED = "seed"


@dataclass(frozen=True)
class Setting:
    """Runs that differ in nothing but their seed.

    Attributes:
        label: a letter, and what tells the setting from the others.
        runs: with this setting, by name.
        values: of the keys in which settings differ.
    """

    label: str
    runs: tuple[Story, ...]
    values: Mapping[str, object]


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


def settings_of(stories: Sequence[Story]) -> list[Setting]:
    """Group runs by what they train, in the order in which they were given."""
    flat = [trained_keys(story.config) for story in stories]
    keys = [key for key in dict.fromkeys(key for keys in flat for key in keys) if key != SEED]
    differing = [key for key in keys if len({repr(config.get(key)) for config in flat}) > 1]
    groups: dict[str, list[int]] = {}
    for index, config in enumerate(flat):
        identity = repr([config.get(key) for key in differing])
        groups.setdefault(identity, []).append(index)
    settings = []
    for number, members in enumerate(groups.values()):
        values = {key: flat[members[0]].get(key) for key in differing}
        runs = tuple(stories[index] for index in members)
        settings.append(Setting(label_of(number, values, runs), runs, values))
    return settings


def trained_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """The flat config without what says where and how a run is kept."""
    return {
        key: value
        for key, value in flatten(config).items()
        if key not in PLACE | STARTING and key not in WATCHING
    }


def label_of(number: int, values: Mapping[str, object], runs: Sequence[Story]) -> str:
    """What a setting is called: a letter, then its values if they are few, else its run."""
    letter = chr(ord("A") + number) if number < 26 else f"#{number + 1}"
    short = [f"{key.removesuffix('._target_')}={last_part(value)}" for key, value in values.items()]
    told = ", ".join(short)
    if 0 < len(told) <= 48:
        return f"{letter}: {told}"
    name = runs[0].name
    return f"{letter}: {name}" + (f" and {len(runs) - 1} more seeds" if len(runs) > 1 else "")


def last_part(value: object) -> str:
    """A value in short: of a class its name alone."""
    text = str(value)
    return text.rpartition(".")[2] if text.startswith("gan_cli.") else text


def band(runs: Sequence[Story], key: str) -> tuple[Series, Series, Series] | None:
    """Mean, smallest and largest value of a key over runs, where all of them have been.

    Returns:
        Three series over the steps of the first run that has the key; None: no run has it.
    """
    known = [story.series[key] for story in runs if key in story.series]
    if not known:
        return None
    end = min(series.steps[-1] for series in known)
    start = max(series.steps[0] for series in known)
    steps = [step for step in known[0].steps if start <= step <= end]
    if not steps:
        return None
    values = np.array([np.interp(steps, series.steps, series.values) for series in known])
    rows = (values.mean(axis=0), values.min(axis=0), values.max(axis=0))
    mean, low, high = (Series(list(steps), [float(v) for v in row]) for row in rows)
    return mean, low, high


def estimate(runs: Sequence[Story], key: str) -> Estimate | None:
    """The newest value of a measured key over the runs of a setting; None: no run has it."""
    pairs = [measured(story, key) for story in runs]
    there = [pair for pair in pairs if pair is not None]
    if not there:
        return None
    return mean_of(there)


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


def measured(story: Story, key: str) -> tuple[float, float | None] | None:
    """A run's newest value of a key and its error: of gan-evaluate if it measured it."""
    for record in (story.evaluation, story.newest()):
        value, error = record.get(key), record.get(f"{key}_error")
        if isinstance(value, int | float) and math.isfinite(value):
            if not isinstance(error, int | float) or not math.isfinite(error):
                return float(value), None
            return float(value), float(error)
    return None


def differ(a: Estimate, b: Estimate) -> bool | None:
    """Whether two estimates differ by more than their noise (Welch's t test, 95 %).

    Returns:
        None if an error is not known.
    """
    margin = margin_of(a, b)
    return None if margin is None else abs(a.value - b.value) > margin


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
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, 1 / parts if parts else math.inf)) * width
