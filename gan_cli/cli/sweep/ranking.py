"""Which jobs and settings of a sweep are best, as far as their errors let one say; sweep.csv."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from gan_cli.errors import printable
from gan_cli.page.sweep_jobs import Job, place_of, ranks_of_jobs
from gan_cli.page.sweep_settings import (
    SweptSetting,
    setting_rows,
    swept_settings,
    with_values,
)
from gan_cli.runs.estimates import IN_WORDS, differ
from gan_cli.runs.jobs import Record, final_numbers
from gan_cli.runs.log import number
from gan_cli.system.files import replacing

CSV = "sweep.csv"
#: Columns of sweep.csv after all others, where there is an objective: of each job, and of the
#: setting that it belongs to, if seeds were swept.
RANKED = (
    "rank",
    "objective_error",
    "against_best",
    "setting",
    "setting_seeds",
    "setting_mean",
    "setting_spread",
    "setting_error",
    "setting_rank",
    "setting_against_best",
)
MOST_NAMED = 6
#: A job and the final numbers of its run.
Row = tuple[Record, dict[str, float]]


@dataclass(frozen=True)
class Ranking:
    """The jobs of a sweep, the best first, and what their errors say of that order.

    Attributes:
        jobs: all of them.
        ranks: of each finished job its rank, like `1-3`, and what tells it from the best.
        settings: jobs that differ only in their seed, the best first; none without swept seeds.
        objective: that ranks them; None: they are in the order of their names.
    """

    jobs: Sequence[Job]
    ranks: Mapping[str, tuple[str, str]]
    settings: Sequence[SweptSetting]
    objective: str | None

    @property
    def has_means(self) -> bool:
        """Whether a setting has several seeds, whose spread says more than one run's error."""
        return any(setting.estimate.runs > 1 for setting in self.settings)


def rank(folder: Path, records: Sequence[Record]) -> list[Row]:
    """Jobs with their final numbers, the best first if they have an objective."""
    return [(job.record, job.numbers) for job in sorted(jobs_in(folder, records), key=place)]


def jobs_in(folder: Path, records: Sequence[Record]) -> list[Job]:
    """The jobs of records, with the final numbers of their runs."""
    return [
        Job(record, folder / record.job, final_numbers(folder / record.job)) for record in records
    ]


def place(job: Job) -> tuple[bool, float]:
    """Finished jobs by their objective; the others stay in their order."""
    group, value = place_of(job)
    return group > 0, value


def ranking_of(folder: Path, records: Sequence[Record]) -> Ranking:
    """The ranking of all jobs of a sweep."""
    jobs = sorted(jobs_in(folder, records), key=place)
    finished = [job for job in with_values(jobs) if not place(job)[0]]
    objective = jobs[0].record.objective if jobs else None
    return Ranking(jobs, ranks_of_jobs(jobs), swept_settings(finished), objective)


def write_csv(folder: Path, ranking: Ranking) -> None:
    """Write sweep.csv: job, state, exit code, swept keys, all numbers by their log keys, ranks."""
    jobs = ranking.jobs
    swept = dict.fromkeys(key for job in jobs for key in job.record.swept)
    logged = dict.fromkeys(key for job in jobs for key in job.numbers)
    ranked = RANKED if ranking.objective is not None else ()
    of_setting = setting_cells(ranking.settings)
    with (
        replacing(folder / CSV) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["job", "state", "exit_code", *swept, *logged, "message", *ranked])
        for job in jobs:
            place, statement = ranking.ranks.get(job.record.job, ("", ""))
            error = job.error if place and job.error is not None else ""
            cells = [place, error, statement, *of_setting.get(job.record.job, [""] * 7)]
            writer.writerow(
                [
                    job.record.job,
                    job.record.state,
                    job.record.code,
                    *(job.record.swept.get(key, "") for key in swept),
                    *(job.numbers.get(key, "") for key in logged),
                    job.record.message.partition("\n")[0],
                    *(cells if ranked else ()),
                ]
            )


def setting_cells(settings: Sequence[SweptSetting]) -> dict[str, list[object]]:
    """What sweep.csv says of the setting of each job."""
    cells: dict[str, list[object]] = {}
    for setting, row in zip(settings, setting_rows(settings), strict=True):
        one = setting.estimate
        spread, error = ("" if x is None else x for x in (one.spread, one.error))
        said = [setting.name, one.runs, one.value, spread, error, row["rank"], row["statement"]]
        cells |= {job.record.job: said for job in setting.jobs}
    return cells


def setting_table(ranking: Ranking) -> Table | None:
    """The settings over their seeds; None: no setting has several."""
    if not ranking.has_means:
        return None
    title = f"{escape(printable(str(ranking.objective)))} over seeds; spread: standard deviation"
    table = Table(title=title, title_justify="left")
    table.add_column("rank", no_wrap=True)
    table.add_column("setting", overflow="fold")
    for heading in ("mean", "spread", "seeds"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("against the best", overflow="fold")
    for setting, row in zip(ranking.settings, setting_rows(ranking.settings), strict=True):
        mean = f"{row['value']} {row['error']}".strip()
        name = escape(printable(setting.name))  # [a,b] is a value here, no markup
        cells = (row["rank"], name, mean, row["spread"], str(row["seeds"]))
        table.add_row(*cells, row["statement"])
    return table


def with_error(value: float, error: float | None) -> str:
    """A number with its standard error, if that is known."""
    return number(value) if error is None else f"{number(value)} ± {number(error)}"


def doubts(ranking: Ranking) -> list[str]:
    """What the errors say of the best job, or of the best setting, in sentences."""
    if ranking.has_means:
        best, *others = ranking.settings
        one = best.estimate
        seeds = f"{one.runs} seeds" if one.runs > 1 else "one seed"
        told = f"best mean over seeds: {best.name}, {with_error(one.value, one.error)} of {seeds}"
        alike = [s.name for s in others if differ(best.estimate, s.estimate) is False]
    else:
        first, *jobs = [job for job in ranking.jobs if job.record.job in ranking.ranks]
        told = ""
        if first.error is None:
            return [
                f"{ranking.objective} has no standard error: the order of jobs may be chance. "
                "Several seeds of each setting would show it."
            ]
        alike = [job.record.job for job in jobs if differ(first.estimate, job.estimate) is False]
    sentences = [told] if told else []
    if alike:
        more = f" and {len(alike) - MOST_NAMED} more" if len(alike) > MOST_NAMED else ""
        named = "; ".join(alike[:MOST_NAMED])
        sentences.append(f"cannot be told apart from it: {named}{more} ({IN_WORDS})")
    if not ranking.has_means:
        sentences.append("the errors are those of measuring one run; another seed may change more")
    return sentences
