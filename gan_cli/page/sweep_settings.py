"""The settings of a sweep: jobs that differ only in their seed, with the mean of what they got."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gan_cli.errors import UserError
from gan_cli.page.settings_of import SEED, trained_keys
from gan_cli.page.sweep_jobs import Job
from gan_cli.runs.directory import read_config
from gan_cli.runs.estimates import Estimate, differ, mean_of, ranks_of, statements
from gan_cli.runs.log import number
from gan_cli.settings.defaults import options_of
from gan_cli.settings.values import flatten
from gan_cli.system.shell import hydra_value

MOST_NAMED = 6


@dataclass(frozen=True)
class SweptSetting:
    """Jobs that differ only in their seed.

    Attributes:
        values: of the swept keys, without the seed.
        jobs: finished, one for each seed.
        estimate: of the objective over them.
    """

    values: Mapping[str, str]
    jobs: tuple[Job, ...]
    estimate: Estimate

    @property
    def name(self) -> str:
        """Its values in words."""
        return ", ".join(f"{key}={value}" for key, value in self.values.items()) or "all defaults"


def with_values(jobs: Sequence[Job]) -> list[Job]:
    """The jobs with the values of all swept keys.

    A job of another command of the same sweep lacks those that only others swept: its config says
    them.
    """
    swept = list(dict.fromkeys(key for job in jobs for key in job.record.swept))
    filled = []
    for job in jobs:
        missing = [key for key in swept if key not in job.record.swept]
        config = config_of(job.folder) if missing else {}
        values = {**job.record.swept, **{key: value_in(config, key) for key in missing}}
        record = replace(job.record, swept={key: values[key] for key in swept})
        filled.append(replace(job, record=record))
    return filled


def config_of(folder: Path) -> dict[str, Any]:
    """The config of a job; empty if it cannot be read."""
    with contextlib.suppress(UserError):
        return read_config(folder)
    return {}


def value_in(config: Mapping[str, Any], key: str) -> str:
    """A key's value, or a group's option, as a command line names it; empty: it has none."""
    flat = flatten(config)
    if key in flat:
        return hydra_value(flat[key])
    try:
        return options_of(config).get(key, "")
    except Exception:  # noqa: BLE001  (a damaged config may hold anything)
        return ""


def swept_settings(jobs: Sequence[Job]) -> list[SweptSetting]:
    """The settings of finished jobs, the best first; none if no seeds were swept.

    Args:
        jobs: with a value of the objective.
    """
    if not any(SEED in job.record.swept for job in jobs):
        return []
    groups: dict[str, dict[str, Job]] = {}
    for job in jobs:
        keys = trained_keys(config_of(job.folder)) or dict(job.record.swept)
        identity = repr(sorted((key, repr(keys[key])) for key in keys if key != SEED))
        groups.setdefault(identity, {}).setdefault(job.record.swept.get(SEED, ""), job)
    settings = []
    for members in groups.values():
        first = next(iter(members.values()))
        values = {key: value for key, value in first.record.swept.items() if key != SEED}
        estimate = mean_of([(job.value, job.error) for job in members.values()])
        settings.append(SweptSetting(values, tuple(members.values()), estimate))
    is_high = bool(jobs) and jobs[0].record.direction == "maximize"
    return sorted(settings, key=lambda setting: setting.estimate.value, reverse=is_high)


def setting_rows(settings: Sequence[SweptSetting]) -> list[dict[str, Any]]:
    """The settings, the best first, as a table shows them."""
    estimates = [setting.estimate for setting in settings]
    is_high = bool(settings) and settings[0].jobs[0].record.direction == "maximize"
    ranks = ranks_of(estimates, maximize=is_high)
    return [
        {
            "values": setting.values,
            "value": number(setting.estimate.value),
            "sort": setting.estimate.value,
            "error": ""
            if setting.estimate.error is None
            else f"± {number(setting.estimate.error)}",
            "spread": "" if setting.estimate.spread is None else number(setting.estimate.spread),
            "seeds": setting.estimate.runs,
            "rank": rank,
            "statement": statement,
        }
        for setting, rank, statement in zip(settings, ranks, statements(estimates), strict=True)
    ]


def setting_sentences(settings: Sequence[SweptSetting], objective: str) -> list[str]:
    """Which setting is the best, over its seeds."""
    best = settings[0]
    seeds = best.estimate.runs
    error = "" if best.estimate.error is None else f" ± {number(best.estimate.error)}"
    over = f"the mean of {seeds} seeds" if seeds > 1 else "one seed, with the error of measuring it"
    direction = "high" if best.jobs[0].record.direction == "maximize" else "low"
    told = [
        f"Best setting by {objective} ({direction} is better): {best.name} with "
        f"{number(best.estimate.value)}{error}, {over}."
    ]
    near = [s.name for s in settings[1:] if differ(best.estimate, s.estimate) is False]
    if near:
        more = f"; and {len(near) - MOST_NAMED} more" if len(near) > MOST_NAMED else ""
        told.append(f"Cannot be told apart from it: {'; '.join(near[:MOST_NAMED])}{more}.")
    elif len(settings) > 1 and best.estimate.error is not None:
        told.append("All others are worse beyond the noise.")
    if any(setting.estimate.runs == 1 for setting in settings):
        told.append(
            "Settings with one seed have the error of their measurement alone: another seed may "
            "change more."
        )
    return told
