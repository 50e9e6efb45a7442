"""A sweep as a person sees it: its progress while it runs; at the end its table and its best job.

At the end sweep.csv is written, and the table printed, of all jobs in the sweep's folder.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

from rich.live import Live
from rich.table import Table

from gan_cli.cli.sweep.plan import Plan, SweepStoppedError
from gan_cli.cli.sweep.ranking import (
    CSV,
    Ranking,
    doubts,
    rank,
    ranking_of,
    setting_table,
    with_error,
    write_csv,
)
from gan_cli.errors import UserError
from gan_cli.page.leave import leave_sweep_page
from gan_cli.runs.directory import CONFIG, read_config
from gan_cli.runs.jobs import Record, read_records
from gan_cli.runs.log import number
from gan_cli.runs.patience import error_in, has_stopped
from gan_cli.settings.notes import objective_notes
from gan_cli.system.shell import command, program
from gan_cli.system.terminal import Terminal

REFRESH_SECONDS = 1.0  # between two readings of the records
SAVING_SECONDS = 60.0  # that jobs get to save when the sweep is stopped
#: Columns of the printed table after the objective, if they are logged.
COLUMNS = ("divergence/jsd", "loss/d", "loss/g")
MOST_COLUMNS = 3
FEWEST_COLUMNS = 2  # job and state, on a terminal however narrow


class Overview:
    """Shows the progress of jobs in other processes: a table on a terminal, a line for each change.

    A signal stops these jobs, which save first, and then the sweep.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._console = Terminal()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._announced: dict[str, str] = {}  # the state of each job
        self._handlers: dict[int, signal._HANDLER] = {}  # those before ours

    def __enter__(self) -> Overview:
        for note in objective_notes(value_in(self.plan.arguments, "objective")):
            self._console.say(f"note: {note}")
        if self.plan.is_parallel:
            self._thread.start()
            for signal_number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[signal_number] = signal.signal(signal_number, self._stop)
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        if self.plan.is_parallel:
            self._thread.join()
        for signal_number, handler in self._handlers.items():
            signal.signal(signal_number, handler)

    def _stop(self, signal_number: int, _frame: FrameType | None) -> None:
        """Let the jobs of this machine save and end, and then the sweep."""
        until = time.monotonic() + SAVING_SECONDS
        asked: set[int] = set()
        while time.monotonic() < until:
            running = {
                record.process[1]
                for record in self._records()
                if record.state == "running" and record.process[0] == os.uname().nodename
            }
            if not running:
                break
            for process in running - asked:
                asked.add(process)
                with contextlib.suppress(OSError):
                    os.kill(process, signal.SIGTERM)
            time.sleep(0.1)
        raise SweepStoppedError(128 + signal_number, self.plan)

    def _watch(self) -> None:
        live = Live(console=self._console, transient=True, refresh_per_second=2)
        with live if self._console.is_terminal else contextlib.nullcontext():
            while True:
                is_last = self._ended.wait(REFRESH_SECONDS)
                records = self._records()
                self._announce(records)
                if self._console.is_terminal:
                    width = self._console.width
                    live.update(make_table(self.plan.folder, records, width=width))
                if is_last:
                    return

    def _records(self) -> list[Record]:
        return read_records(self.plan.folder, mark=self.plan.mark)

    def _announce(self, records: Sequence[Record]) -> None:
        """Print a line for each job whose state has changed."""
        for record in records:
            if self._announced.get(record.job) != record.state:
                self._announced[record.job] = record.state
                states = list(self._announced.values())
                failed = sum(state in ("failed", "diverged", "interrupted") for state in states)
                self._console.say(
                    f"sweep {self.plan.folder.name}: {record.job} {record.state} "
                    f"({states.count('done')}{self.plan.of_jobs} done, {failed} failed)"
                )


def value_in(arguments: Sequence[str], wanted: str) -> str | None:
    """The value that a command line gives a key last; None: it does not name it."""
    pairs = (argument.lstrip("+").partition("=") for argument in arguments)
    values = [value.strip("'\"") for key, _, value in pairs if key == wanted]
    return values[-1] if values else None


def make_table(
    folder: Path,
    records: Sequence[Record],
    *,
    width: int,
    ranks: Mapping[str, tuple[str, str]] | None = None,
) -> Table:
    """The sweep as a table for a terminal of so many characters.

    Where it is narrow, columns are left out from the right, so that names of jobs stay whole.

    Args:
        folder: of the sweep.
        records: of its jobs.
        width: of the terminal.
        ranks: of the jobs; None: jobs still run.
    """
    rows = rank(folder, records)
    objective = records[-1].objective if records else None
    logged = {key for _, numbers in rows for key in numbers}
    keys = [key for key in dict.fromkeys((objective, *COLUMNS)) if key in logged][:MOST_COLUMNS]
    columns = {
        "job": [record.job for record, _ in rows],
        "state": [record.state for record, _ in rows],
        **({"rank": [ranks.get(record.job, ("",))[0] for record, _ in rows]} if ranks else {}),
        "step": [f"{numbers['step']:.0f}" if "step" in numbers else "" for _, numbers in rows],
        "minutes": [
            f"{numbers['time'] / 60:.1f}" if "time" in numbers else "" for _, numbers in rows
        ],
        **{
            str(key): [cell(numbers, key, with_its_error=key == objective) for _, numbers in rows]
            for key in keys
        },
    }
    while len(columns) > FEWEST_COLUMNS and printed_width(columns) > width:
        columns.popitem()
    table = Table(title=str(folder), title_justify="left")
    for heading in columns:
        left = heading in ("job", "state")
        table.add_column(
            heading,
            justify="left" if left else "right",
            overflow="fold",
            no_wrap=heading != "job",
        )
    for row in zip(*columns.values(), strict=True):
        table.add_row(*row)
    return table


def cell(numbers: Mapping[str, float], key: str, *, with_its_error: bool) -> str:
    """A number of a job as the table shows it; empty: it has none."""
    if key not in numbers:
        return ""
    error = error_in(numbers, key) if with_its_error else None
    return with_error(numbers[key], error)


def printed_width(columns: Mapping[str, Sequence[str]]) -> int:
    """Characters that a table with these columns takes, with its lines."""
    return 1 + sum(3 + max(map(len, (key, *cells))) for key, cells in columns.items())


def finish(plan: Plan) -> list[Record]:
    """Write and print the table of all jobs in the sweep's folder, and name the best.

    Returns:
        The jobs of this command that failed.
    """
    records = read_records(plan.folder)
    if not records:
        return []
    begun = [record for record in records if record.mark == plan.mark]
    newest = (begun or records[-1:])[0]
    records = [  # all are ranked as this command says
        replace(record, objective=newest.objective, direction=newest.direction)
        for record in records
    ]
    terminal, ranking = Terminal(), ranking_of(plan.folder, records)
    try:
        write_csv(plan.folder, ranking)
    except OSError as error:
        terminal.say(f"note: {plan.folder / CSV} cannot be written ({error.strerror or error})")
    width = terminal.width
    terminal.print(make_table(plan.folder, records, width=width, ranks=ranking.ranks))
    if (over_seeds := setting_table(ranking)) is not None:
        terminal.print(over_seeds)
    say_best(ranking, terminal)
    if (value_in(plan.arguments, "report") or "true").lower() != "false":
        leave_sweep_page(plan.folder)
    terminal.say(f"  compare   {program('tensorboard')} --logdir {shlex.quote(str(plan.folder))}")
    terminal.say(f"  table     {shlex.quote(str(plan.folder / CSV))}")
    if plan.jobs and len(begun) < plan.jobs:
        terminal.say(f"  not begun {plan.jobs - len(begun)} of {plan.jobs} jobs")
    return [record for record in begun if record.failed]


def say_best(ranking: Ranking, terminal: Terminal) -> None:
    """Name the best job and the command that trains it further, or say what would rank them."""
    best, objective = ranking.jobs[0], ranking.objective
    if objective is None:
        terminal.say("objective=KEY, a key of metrics.jsonl, ranks the jobs and names the best.")
    elif best.record.job in ranking.ranks:
        error = "" if best.error is None else f" ± {number(best.error)}"
        terminal.say(f"best: {objective}={best.value:.6g}{error} in {best.folder}")
        for note in (*doubts(ranking), *objective_notes(objective)):
            terminal.say(f"  note      {note}")
        more = longer(best.folder, round(best.numbers["step"]))
        flags = flags_to_resume(best.folder)
        terminal.say(f"  go on     {command('gan-train', resume=best.folder, **more, **flags)}")


def longer(run: Path, step: int) -> dict[str, object]:
    """What trains a finished run further: more steps, or more patience if that has stopped it."""
    if has_stopped(run):
        with contextlib.suppress(UserError, KeyError, TypeError):  # damaged since then
            return {"patience": 2 * read_config(run)["patience"]}
    return {"steps": 2 * step}


def flags_to_resume(run: Path) -> dict[str, object]:
    """What the command that resumes a job must add, as its own run says at its end."""
    from gan_cli.settings.stored import typed
    from gan_cli.settings.trust import resume_flags

    try:
        return resume_flags(typed(read_config(run), run / CONFIG))
    except UserError:  # damaged since then; resuming reports it
        return {}
