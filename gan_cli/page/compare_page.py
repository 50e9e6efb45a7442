"""The page that compares runs: settings side by side, curves overlaid, differences judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gan_cli.page.charts import MACHINE, Chart, charts_of, domains
from gan_cli.page.commands import repeating
from gan_cli.page.curves import Curves, chart_json
from gan_cli.page.differences import letter_of, metric_rows
from gan_cli.page.embed import BUDGET, embed
from gan_cli.page.measured import JUDGES
from gan_cli.page.reading import read_story
from gan_cli.page.render import render, write_page
from gan_cli.page.run_page import in_yaml
from gan_cli.page.settings_of import (
    Setting,
    band,
    estimate,
    settings_of,
)
from gan_cli.page.story import Story
from gan_cli.page.verdict import findings_of, judge
from gan_cli.runs.estimates import differ
from gan_cli.runs.log import SAMPLES
from gan_cli.runs.meaning import meaning_of

MOST_PICTURED = 12  # runs whose pictures stand side by side


@dataclass(frozen=True)
class Overlaid:
    """A chart with a curve of each setting.

    Attributes:
        key: that it draws.
        drawn: as the page's script reads it.
        note: how to read it.
        is_folded: it says nothing of the settings: all are the same, or it is of the machine.
    """

    key: str
    drawn: dict[str, Any]
    note: str
    is_folded: bool


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
        best=best_commands(rows, settings),
        has_noise=any("beyond the noise" in row["statement"] for row in rows),
        charts=charts,
        pictures=pictures,
        curves={**curves.as_json(), "charts": [chart.drawn for chart in charts]},
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
                    "said": " ".join([verdict.sentences[0], verdict.reason]),
                    "path": str(story.directory),
                }
            )
    return rows


def difference_table(settings: Sequence[Setting]) -> list[tuple[str, list[str]]]:
    """The keys in which settings differ, each with the value of each setting."""
    keys = settings[0].values
    return [(key, [in_yaml(setting.values[key]) for setting in settings]) for key in keys]


def overlaid(settings: Sequence[Setting], curves: Curves) -> list[Overlaid]:
    """A chart for each key that at least one run has, with a curve or a band for each setting."""
    stories = [story for setting in settings for story in setting.runs]
    series = {key: values for story in stories for key, values in story.series.items()}
    charts: list[Overlaid] = []
    for parent in charts_of(series, settings[0].runs[0].config):
        for key in parent.keys:
            names, values = [], []
            for index, setting in enumerate(settings):
                rows = band(setting.runs, key)
                if rows is not None:
                    name = f"{index}:{key}"
                    curves.add_band(name, *rows)
                    names.append((name, setting.label, index))
                    values.append({value for row in rows[1:] for value in row.values})
            if names:
                drawn = chart_json(
                    replace(parent, title=title_of(parent, key)),
                    [(name, label) for name, label, _ in names],
                    f"chart-{len(charts)}",
                )
                for entry, (_, _, index) in zip(drawn["series"], names, strict=True):
                    entry["color"] = index
                known = meaning_of(key)
                is_same = len(set.union(*values)) == 1
                note = known.text if known else ""
                charts.append(Overlaid(key, drawn, note, is_same or parent in MACHINE))
    return sorted(charts, key=lambda chart: rank_of(chart.key))


def title_of(parent: Chart, key: str) -> str:
    """The title of a key's chart: as on the page of a run, with the key if that draws several."""
    return parent.title if parent.keys == (key,) else f"{parent.title}: {key}"


def rank_of(key: str) -> int:
    """Where a key stands on the page: what judges runs first."""
    groups = (*JUDGES, *domains("prob/real", "prob/fake", "value", "divergence/jsd_bound"))
    if key in groups:
        return groups.index(key)
    return len(groups) + (0 if key.startswith("eval/") else 1)


def sentences(rows: Sequence[dict[str, Any]], settings: Sequence[Setting]) -> list[str]:
    """What the page says first."""
    seeds = [len(setting.runs) for setting in settings]
    told = [f"{len(settings)} settings, {sum(seeds)} runs."]
    if len(settings) == 1:
        return [f"One setting, {seeds[0]} runs: they differ in their seeds only."]
    judged = judged_rows(rows)
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


def judged_rows(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows by which settings are judged, if they were measured of more than one."""
    return [row for row in rows if row["key"] in JUDGES and "only" not in row["statement"]]


def best_commands(
    rows: Sequence[dict[str, Any]], settings: Sequence[Setting]
) -> tuple[str, list[tuple[str, str, str]], str]:
    """The setting with the best value of what judges them, how to repeat its first run, and others.

    The others are those that cannot be told from it, in words.
    """
    for row in judged_rows(rows):
        values = [estimate(setting.runs, row["key"]) for setting in settings]
        there = [(e, s) for e, s in zip(values, settings, strict=True) if e is not None]
        pick = min if row["better"] == "low" else max
        value, best = pick(there, key=lambda pair: pair[0].value)
        alike = [letter_of(s) for e, s in there if s is not best and differ(value, e) is False]
        told = f", but {', '.join(alike)} cannot be told apart from it" if alike else ""
        return best.label, repeating(best.runs[0]), told
    return "", [], ""


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
            entries.append({"folder": name, "title": story.name, "setting": setting.label})
    steps = sorted({int(frame["step"]) for frames in folders.values() for frame in frames})
    return {
        "folders": folders, "entries": entries, "steps": steps, "real": None,
        "left_out": len(runs) - len(entries),
    }  # fmt: skip
