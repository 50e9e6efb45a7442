"""The page of a sweep: all jobs, what was swept, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gan_cli.page.charts import Chart
from gan_cli.page.commands import repeating
from gan_cli.page.curves import Curves, chart_json
from gan_cli.page.embed import BUDGET, thumbnail
from gan_cli.page.reading import read_metrics, read_story
from gan_cli.page.render import render, write_page
from gan_cli.page.story import REPORT, Series, Story
from gan_cli.page.sweep_jobs import Job, place_of, ranks_of_jobs
from gan_cli.page.sweep_settings import (
    SweptSetting,
    setting_rows,
    setting_sentences,
    swept_settings,
    with_values,
)
from gan_cli.page.verdict import duration
from gan_cli.runs.estimates import differ
from gan_cli.runs.jobs import final_numbers, read_records
from gan_cli.runs.log import SAMPLES, last_picture, number
from gan_cli.runs.meaning import better

THUMBNAIL = 320  # pixels of a side; smaller ones where jobs are many
#: How ranks read.
RULE = (
    "A rank like 1-3 says that others may be as good: values differ if they are more than 2 "
    "standard errors of their difference apart; over few seeds, Welch's t test asks for more."
)
MOST_CURVES = 8  # jobs, the best, whose objective is drawn over steps
MOST_COLUMNS = 5  # of numbers beside the objective
#: Numbers that tables show beside the objective, if they are logged.
COLUMNS = (
    "divergence/jsd",
    "eval/frechet_classifier",
    "eval/fid",
    "modes/covered",
    "loss/d",
    "loss/g",
)


def write_sweep_page(folder: Path, file: Path) -> int:
    """Write the page of a sweep.

    Args:
        folder: of the sweep.
        file: to write.

    Returns:
        How many jobs it shows.

    Raises:
        UserError: it cannot be written.
    """
    jobs = [
        Job(record, folder / record.job, final_numbers(folder / record.job))
        for record in read_records(folder)
    ]
    write_page(file, sweep_page(folder, jobs, beside=file.parent))
    return len(jobs)


def sweep_page(folder: Path, jobs: Sequence[Job], *, beside: Path) -> str:
    """The page of a sweep whose jobs were read.

    Args:
        folder: of the sweep.
        jobs: all of them.
        beside: the folder that the page will lie in, for links.
    """
    ranked = with_values(sorted(jobs, key=place_of))
    objective = jobs[-1].record.objective if jobs else None
    settings = swept_settings([job for job in ranked if objective and not place_of(job)[0]])
    swept = list(dict.fromkeys(key for job in jobs for key in job.record.swept))
    logged = {key for job in jobs for key in job.numbers}
    columns = [key for key in COLUMNS if key in logged and key != objective][:MOST_COLUMNS]
    curves, charts = Curves(), []
    if objective and (drawn := objective_over_steps(ranked, objective, curves)):
        charts.append(drawn)
    ranks = ranks_of_jobs(ranked)
    is_here = beside.resolve() == folder.resolve()
    return render(
        "sweep.html",
        scripts=("sweep.js",),
        title=folder.resolve().name,
        reload=0,
        sentences=sentences(ranked, settings, objective),
        settings=setting_rows(settings),
        folder=str(folder),
        commands=best_commands(settings[0].jobs if settings else ranked),
        objective=objective,
        rule=RULE,
        direction=jobs[-1].record.direction if jobs else "",
        swept=swept,
        columns=columns,
        rows=[row_of(job, columns, ranks, is_here=is_here) for job in ranked],
        thumbs=thumbnails(ranked),
        charts=charts,
        curves={**curves.as_json(), "charts": charts},
        sweep=sweep_json(ranked, swept, objective),
    )


def sentences(
    ranked: Sequence[Job], settings: Sequence[SweptSetting], objective: str | None
) -> list[str]:
    """What the page says first: how the jobs ended, and which are best."""
    if not ranked:
        return ["No job of this sweep has left a record."]
    states: dict[str, int] = {}
    for job in ranked:
        states[job.record.state] = states.get(job.record.state, 0) + 1
    counted = ", ".join(f"{count} {state}" for state, count in states.items())
    told = [f"{len(ranked)} jobs: {counted}."]
    best = ranked[0]
    if objective is None:
        return [*told, "The sweep had no objective, so nothing ranks its jobs: objective=KEY does."]
    if place_of(best)[0]:
        return [*told, f"No finished job has logged objective={objective}."]
    if settings:
        return [*told, *setting_sentences(settings, objective)]
    return [*told, *job_sentences(ranked, objective)]


def job_sentences(ranked: Sequence[Job], objective: str) -> list[str]:
    """Which job is the best, where no seeds were swept."""
    best = ranked[0]
    error = f" ± {number(best.error)}" if best.error is not None else ""
    told = [
        f"Best by {objective} ({best.record.direction}): {best.record.job} with "
        f"{number(best.value)}{error}."
    ]
    if best.error is None:
        return [*told, "Its error is not known. Several seeds would show how much is chance."]
    if near := [job.record.job for job in ranked[1:] if is_near(best, job)]:
        told.append(
            f"Cannot be told apart from it: {', '.join(near[:6])}"
            f"{' and more' if len(near) > 6 else ''}."
        )
    told.append("The errors are those of measuring one run: another seed may change more.")
    return told


def is_near(best: Job, job: Job) -> bool:
    """Whether a job's objective cannot be told from the best one's."""
    if place_of(job)[0]:
        return False
    return differ(best.estimate, job.estimate) is False


def best_commands(ranked: Sequence[Job]) -> list[tuple[str, str, str]]:
    """How to repeat the best job; nothing if none has an objective."""
    if not ranked or place_of(ranked[0])[0]:
        return []
    return repeating(read_story(ranked[0].folder, running=False))


def row_of(
    job: Job, columns: Sequence[str], ranks: Mapping[str, tuple[str, str]], *, is_here: bool
) -> dict[str, Any]:
    """A job as the table shows it."""
    record, numbers = job.record, job.numbers
    rank, statement = ranks.get(record.job, ("", ""))
    has_report = is_here and (job.folder / REPORT).is_file()
    return {
        "job": record.job,
        "link": f"{quote(record.job)}/{REPORT}" if has_report else "",
        "state": record.state,
        "failed": record.failed,
        "swept": record.swept,
        "step": f"{numbers['step']:.0f}" if "step" in numbers else "",
        "time": duration(numbers["time"]) if "time" in numbers else "",
        "seconds": numbers.get("time", ""),
        "objective": "" if math.isnan(job.value) else number(job.value),
        "sort": "" if math.isnan(job.value) else job.value,
        "error": "" if job.error is None else f"± {number(job.error)}",
        "rank": rank,
        "statement": statement,
        "numbers": [number(numbers[key]) if key in numbers else "" for key in columns],
        "message": record.message.partition("\n")[0],
        "more": record.message.partition("\n")[2],
    }


def thumbnails(jobs: Sequence[Job]) -> list[dict[str, str]]:
    """Each job's last picture; smaller ones where jobs are many."""
    side = max(96, min(THUMBNAIL, int(THUMBNAIL * math.sqrt(24 / max(1, len(jobs))))))
    shown, left = [], BUDGET
    for job in jobs:
        file = last_picture(job.folder)
        if not file.is_file():
            file = max((job.folder / SAMPLES).glob("step_*.png"), default=file)
        if any(path.is_symlink() for path in (job.folder, file.parent, file)):
            continue
        source = thumbnail(file, side=side)
        if source is not None and len(source) < left:
            left -= len(source)
            told = "" if math.isnan(job.value) else f"{job.record.objective} {number(job.value)}"
            shown.append({"job": job.record.job, "src": source, "told": told})
    return shown


def objective_over_steps(
    jobs: Sequence[Job], objective: str, curves: Curves
) -> dict[str, Any] | None:
    """The chart of the objective over steps, of the best jobs."""
    names = []
    for index, job in enumerate(jobs[:MOST_CURVES]):
        story = Story(job.folder)
        read_metrics(story)
        series = story.series.get(objective, Series())
        if len(series.steps) > 1:
            curves.add(f"{index}", series, story.series.get(f"{objective}_error"))
            names.append((f"{index}", job.record.job))
    if not names:
        return None
    direction = better(objective)
    best = f", the {len(names)} best" if len(jobs) > MOST_CURVES else ""
    title = f"{objective} over steps{best}" + (f" ({direction} is better)" if direction else "")
    return chart_json(Chart(title, objective, ()), names, "chart-objective")


def sweep_json(jobs: Sequence[Job], swept: Sequence[str], objective: str | None) -> dict[str, Any]:
    """What the page's script draws: the value of each job on each axis."""
    return {
        "objective": objective,
        "direction": jobs[-1].record.direction if jobs else "minimize",
        "swept": list(swept),
        "jobs": [
            {
                "job": job.record.job,
                "state": job.record.state,
                "values": [job.record.swept.get(key, "") for key in swept],
                "objective": None if not math.isfinite(job.value) else job.value,
                "error": job.error,
            }
            for job in jobs
        ],
    }
