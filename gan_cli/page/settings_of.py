"""Several runs as settings: what differs between them, and which differ only in the seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gan_cli.page.story import Series, Story
from gan_cli.runs.estimates import Estimate, mean_of
from gan_cli.runs.resume import PLACE, STARTING
from gan_cli.settings.values import flatten

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


def measured(story: Story, key: str) -> tuple[float, float | None] | None:
    """A run's newest value of a key and its error: of gan-evaluate if it measured it."""
    for record in (story.evaluation, story.newest()):
        value, error = record.get(key), record.get(f"{key}_error")
        if isinstance(value, int | float) and math.isfinite(value):
            if not isinstance(error, int | float) or not math.isfinite(error):
                return float(value), None
            return float(value), float(error)
    return None
