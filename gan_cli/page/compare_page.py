"""The page that compares runs: settings side by side, curves overlaid, differences judged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gan_cli.page.charts import Chart, charts_of, domains
from gan_cli.page.curves import Curves, chart_json
from gan_cli.page.embed import BUDGET, embed
from gan_cli.page.reading import read_story
from gan_cli.page.render import render, write_page
from gan_cli.page.run_page import in_yaml
from gan_cli.page.settings_of import Estimate, Setting, band, differ, estimate, settings_of
from gan_cli.page.story import Story
from gan_cli.page.verdict import JUDGES, findings_of, judge
from gan_cli.runs.log import SAMPLES, number
from gan_cli.runs.meaning import better, meaning_of

MOST_PICTURED = 12  # runs whose pictures stand side by side


def write_comparison(directories: Sequence[Path], file: Path) -> list[Story]:
    """Write the page that compares runs.

    Args:
        directories: of the runs, at least two.
        file: to write.

    Raises:
        UserError: it cannot be written.
    """
    stories = [read_story(directory) for directory in directories]
    write_page(file, comparison_page(stories))
    return stories


def comparison_page(stories: Sequence[Story]) -> str:
    """The page that compares runs that were read."""
    settings = settings_of(stories)
    curves = Curves()
    charts = overlaid(settings, curves)
    rows = metric_rows(settings)
    pictures = pictures_of(settings)
    return render(
        "compare.html",
        scripts=("player.js",),
        title=" and ".join(story.name for story in stories)
        if len(stories) <= 3
        else f"{len(stories)} runs",
        reload=0,
        settings=settings,
        sentences=sentences(rows, settings),
        runs=run_rows(settings),
        keys=difference_table(settings),
        rows=rows,
        charts=charts,
        pictures=pictures,
        curves={**curves.as_json(), "charts": [drawn for _, drawn in charts]},
        damage=[f"{story.name}: {text}" for story in stories for text in story.damage],
    )


def run_rows(settings: Sequence[Setting]) -> list[dict[str, str]]:
    """The runs with their verdicts."""
    rows = []
    for setting in settings:
        for story in setting.runs:
            verdict = judge(story, findings_of(story))
            rows.append(
                {
                    "setting": setting.label,
                    "run": story.name,
                    "seed": str(story.config.get("seed", "")),
                    "word": verdict.word,
                    "level": verdict.level,
                    "said": " ".join(verdict.sentences[:2]),
                }
            )
    return rows


def difference_table(settings: Sequence[Setting]) -> list[tuple[str, list[str]]]:
    """The keys in which settings differ, each with the value of each setting."""
    keys = settings[0].values
    return [(key, [in_yaml(setting.values[key]) for setting in settings]) for key in keys]


def overlaid(settings: Sequence[Setting], curves: Curves) -> list[tuple[Chart, dict[str, Any]]]:
    """A chart for each key that at least one run has, with a curve or a band for each setting."""
    stories = [story for setting in settings for story in setting.runs]
    series = {key: values for story in stories for key, values in story.series.items()}
    charts: list[tuple[Chart, dict[str, Any]]] = []
    for parent in charts_of(series, settings[0].runs[0].config):
        for key in parent.keys:
            names = []
            for index, setting in enumerate(settings):
                values = band(setting.runs, key)
                if values is not None:
                    name = f"{index}:{key}"
                    curves.add_band(name, *values)
                    names.append((name, setting.label, index))
            if names:
                chart = Chart(key, parent.unit, (key,), parent.rules, parent.log)
                labels = [(name, label) for name, label, _ in names]
                drawn = chart_json(chart, labels, f"chart-{len(charts)}")
                for entry, (_, _, index) in zip(drawn["series"], names, strict=True):
                    entry["color"] = index
                known = meaning_of(key)
                charts.append((Chart(key, "", (), note=known.text if known else ""), drawn))
    return sorted(charts, key=lambda pair: rank_of(pair[0].title))


def rank_of(key: str) -> int:
    """Where a key stands on the page: what judges runs first."""
    groups = (*JUDGES, *domains("prob/real", "prob/fake", "value", "divergence/jsd_bound"))
    if key in groups:
        return groups.index(key)
    return len(groups) + (0 if key.startswith("eval/") else 1)


def metric_rows(settings: Sequence[Setting]) -> list[dict[str, Any]]:
    """Every measured key that can be better or worse, with each setting's value and a statement."""
    keys = dict.fromkeys(
        key
        for setting in settings
        for story in setting.runs
        for key in (*story.evaluation, *story.series)
        if better(key) is not None
    )
    rows = []
    for key in keys:
        estimates = [estimate(setting.runs, key) for setting in settings]
        there = [(e, s) for e, s in zip(estimates, settings, strict=True) if e is not None]
        known = meaning_of(key)
        rows.append(
            {
                "key": key,
                "better": better(key),
                "cells": [cell(e) for e in estimates],
                "statement": statement(there, direction=str(better(key))),
                "meaning": known.text if known else "",
            }
        )
    order = {key: index for index, key in enumerate(JUDGES)}
    return sorted(rows, key=lambda row: order.get(row["key"], len(order)))


def cell(value: Estimate | None) -> str:
    """An estimate as a table shows it."""
    if value is None:
        return ""
    error = "" if value.error is None else f" ± {number(value.error)}"
    seeds = f" ({value.runs} seeds)" if value.runs > 1 else ""
    return f"{number(value.value)}{error}{seeds}"


def statement(there: Sequence[tuple[Estimate, Setting]], *, direction: str) -> str:
    """Which differences are larger than the noise."""
    if len(there) < 2:
        return "measured of one setting only"
    ordered = sorted(there, key=lambda pair: pair[0].value, reverse=direction == "high")
    best, best_setting = ordered[0]
    letter = best_setting.label.partition(":")[0]
    worse: list[str] = []
    alike: list[str] = []
    unknown: list[str] = []
    for value, setting in ordered[1:]:
        other = setting.label.partition(":")[0]
        is_other = differ(best, value)
        (unknown if is_other is None else worse if is_other else alike).append(other)
    parts = []
    if worse:
        parts.append(f"{letter} is better than {', '.join(worse)} beyond the noise")
    if alike:
        parts.append(f"{letter} and {', '.join(alike)} cannot be told apart")
    if unknown:
        parts.append(f"{letter} looks better than {', '.join(unknown)}; the errors are not known")
    return "; ".join(parts)


def sentences(rows: Sequence[dict[str, Any]], settings: Sequence[Setting]) -> list[str]:
    """What the page says first."""
    seeds = [len(setting.runs) for setting in settings]
    told = [f"{len(settings)} settings, {sum(seeds)} runs."]
    if len(settings) == 1:
        return [f"One setting, {seeds[0]} runs: they differ in their seeds only."]
    judged = [row for row in rows if row["key"] in JUDGES and "only" not in row["statement"]]
    if judged:
        row = judged[0]
        told.append(f"By {row['key']} ({row['better']} is better): {row['statement']}.")
    else:
        told.append(
            "Nothing was measured of both, so nothing says which is better: "
            "run gan-evaluate on each."
        )
    if max(seeds) == 1:
        told.append(
            "One run of each setting: its error is that of the measurement. "
            "How much another seed would change is not known."
        )
    return told


def pictures_of(settings: Sequence[Setting]) -> dict[str, Any]:
    """The samples of each run, for one slider; runs beyond MOST_PICTURED are left out."""
    runs = [(setting, story) for setting in settings for story in setting.runs]
    shown = [(s, story) for s, story in runs if SAMPLES in story.pictures][:MOST_PICTURED]
    folders: dict[str, list[dict[str, Any]]] = {}
    entries: list[dict[str, str]] = []
    for index, (setting, story) in enumerate(shown):
        strip = embed(story.pictures[SAMPLES], budget=BUDGET // len(shown))
        if strip.frames:
            name = f"run-{index}"
            folders[name] = [{"step": step, "src": source} for step, source in strip.frames]
            entries.append(
                {"folder": name, "title": f"{setting.label.partition(':')[0]}: {story.name}"}
            )
    steps = sorted({int(frame["step"]) for frames in folders.values() for frame in frames})
    return {
        "folders": folders, "entries": entries, "steps": steps, "real": None,
        "left_out": len(runs) - len(entries),
    }  # fmt: skip
