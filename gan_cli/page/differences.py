"""The table that compares settings by what was measured, and says what is larger than the noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gan_cli.page.charts import CONSTANT
from gan_cli.page.measured import JUDGES
from gan_cli.page.settings_of import Setting, estimate
from gan_cli.runs.estimates import Estimate, differ, margin_of, ranks_of
from gan_cli.runs.log import number
from gan_cli.runs.meaning import better, meaning_of


def metric_rows(settings: Sequence[Setting]) -> list[dict[str, Any]]:
    """Every measured key, with each setting's value and a statement on their difference."""
    keys = dict.fromkeys(
        key
        for setting in settings
        for story in setting.runs
        for key in (*story.evaluation, *story.series)
        if is_compared(key)
    )
    rows = []
    for key in keys:
        estimates = [estimate(setting.runs, key) for setting in settings]
        there = [(e, s) for e, s in zip(estimates, settings, strict=True) if e is not None]
        if len(there) < 2 and better(key) is None:
            continue
        known = meaning_of(key)
        rows.append(
            {
                "key": key,
                "better": better(key) or "",
                "cells": ranked_cells(estimates, direction=better(key)),
                "statement": statement(there, direction=better(key)),
                "interval": interval(there),
                "meaning": known.text if known else "",
            }
        )
    order = {key: index for index, key in enumerate(JUDGES)}
    return sorted(rows, key=lambda row: order.get(row["key"], len(order)))


def is_compared(key: str) -> bool:
    """Whether a key says something of the samples; those of real data and of counts do not."""
    if key.endswith("_error"):
        return False
    is_constant = key.endswith(CONSTANT) or key in ("eval/nearest_test", "eval/samples")
    return better(key) is not None or (key.startswith("eval/") and not is_constant)


def interval(there: Sequence[tuple[Estimate, Setting]]) -> str:
    """The second of two settings less the first, with its 95 % interval; else empty."""
    if len(there) != 2:
        return ""
    (a, first), (b, second) = there
    margin = margin_of(a, b)
    told = f"{letter_of(second)} - {letter_of(first)} = {number(b.value - a.value)}"
    return told if margin is None else f"{told} ± {number(margin)}"


def letter_of(setting: Setting) -> str:
    """The letter of a setting."""
    return setting.label.partition(":")[0]


def ranked_cells(estimates: Sequence[Estimate | None], *, direction: str | None) -> list[str]:
    """The cells of a row; of more than two values, each with the ranks that it can have."""
    known = [e for e in estimates if e is not None]
    if direction is None or len(known) < 3:
        return [cell(e) for e in estimates]
    ranks = iter(ranks_of(known, maximize=direction == "high"))
    return [cell(e) + ("" if e is None else f", rank {next(ranks)}") for e in estimates]


def cell(value: Estimate | None) -> str:
    """An estimate as a table shows it."""
    if value is None:
        return ""
    error = "" if value.error is None else f" ± {number(value.error)}"
    seeds = f" ({value.runs} seeds)" if value.runs > 1 else ""
    spread = "" if value.spread is None else f", spread {number(value.spread)}"
    return f"{number(value.value)}{error}{seeds}{spread}"


def statement(there: Sequence[tuple[Estimate, Setting]], *, direction: str | None) -> str:
    """Which differences are larger than the noise; without a direction none is better."""
    if len(there) < 2:
        return "measured of one setting only"
    ordered = sorted(there, key=lambda pair: pair[0].value, reverse=direction == "high")
    best, best_setting = ordered[0]
    letter = letter_of(best_setting)
    worse: list[str] = []
    alike: list[str] = []
    unknown: list[str] = []
    for value, setting in ordered[1:]:
        other = letter_of(setting)
        is_other = differ(best, value)
        (unknown if is_other is None else worse if is_other else alike).append(other)
    parts = []
    if worse:
        verb = "is better than" if direction else "differs from"
        parts.append(f"{letter} {verb} {', '.join(worse)} beyond the noise")
    if alike:
        parts.append(f"{letter} and {', '.join(alike)} cannot be told apart")
    if unknown:
        verb = "looks better than" if direction else "differs from"
        parts.append(f"{letter} {verb} {', '.join(unknown)}; the errors are not known")
    return "; ".join(parts)
