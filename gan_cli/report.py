"""gan-report: what a run, a comparison or a sweep looks like, as one HTML file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from gan_cli.errors import Problem, UserError
from gan_cli.page.compare_page import write_comparison
from gan_cli.page.reading import is_readable_run
from gan_cli.page.run_page import write_run_page
from gan_cli.page.story import REPORT
from gan_cli.page.sweep_page import write_sweep_page
from gan_cli.runs.directory import is_locked, require_contained, runs_beside
from gan_cli.runs.jobs import FOLDER as JOBS
from gan_cli.system.shell import arguments
from gan_cli.system.terminal import Terminal

COMPARISON = "comparison.html"
WATCH_SECONDS = 1.0  # between two looks at a run under way


def run(config: dict[str, Any], from_command_line: list[str]) -> int:  # noqa: ARG001
    """gan-report: write the page.

    Args:
        config: resolved, plain containers.
        from_command_line: the keys that the command line names; unused here.

    Raises:
        UserError: there is no such run, or the page cannot be written.
    """
    if problems := config_problems(config):
        raise UserError(problems)
    out, began = config["out"], time.monotonic()
    if config["runs"] is not None:
        file = Path(out or COMPARISON)
        if file.is_dir():
            file /= COMPARISON
        write_comparison([Path(name) for name in config["runs"]], file)
        say_written(file, began)
        return 0
    directory = Path(config["run"])
    file = place_of(out, directory)
    if is_sweep(directory):
        write_sweep_page(directory, file)
    elif config["watch"]:
        return watch(directory, file)
    else:
        write_run_page(directory, file)
    say_written(file, began)
    return 0


def watch(directory: Path, file: Path) -> int:
    """Write the page anew at each new picture, until the run has ended.

    Returns:
        The exit code.
    """
    terminal, seen = Terminal(), None
    while True:
        now = newest_files(directory)
        is_running = is_locked(directory)
        if now != seen or not is_running:
            began = time.monotonic()
            write_run_page(directory, file, running=is_running, reload=True)
            if seen is None:
                say_written(file, began)
                if is_running:
                    terminal.say("It is written anew at each new picture. Ctrl-C ends this.")
            seen = now
        if not is_running:
            terminal.say(f"the run has ended; {file} is complete.")
            return 0
        time.sleep(WATCH_SECONDS)


def newest_files(directory: Path) -> list[str]:
    """The names of all pictures of a run."""
    return sorted(str(path) for path in directory.glob("*/step_*.png"))


def is_sweep(directory: Path) -> bool:
    """Whether a folder is a sweep's."""
    return (directory / JOBS).is_dir() and not is_readable_run(directory)


def say_written(file: Path, began: float) -> None:
    """Say where the page is, how large, and what it took."""
    size, seconds = file.stat().st_size / 1e6, time.monotonic() - began
    Terminal().say(f"written: {file} ({size:.1f} MB in {seconds:.1f} s). Open it in a browser.")


def config_problems(config: dict[str, Any]) -> list[Problem]:
    """Every problem of the values."""
    run, runs = config["run"], config["runs"]
    if (run is None) == (runs is None):
        advice = "give one of run=DIR and runs=[DIR,DIR]"
        return [Problem("run", run, advice)]
    if runs is not None and len(runs) < 2:
        return [Problem("runs", runs, "give at least two runs; one is run=DIR")]
    key = "run" if runs is None else "runs"
    problems = [
        problem
        for name in ([run] if runs is None else runs)
        if (problem := folder_problem(key, Path(name), may_be_sweep=runs is None))
    ]
    names = [str(Path(name).resolve()) for name in runs or []]
    problems += [
        Problem("runs", name, "stands there twice") for name in names if names.count(name) > 1
    ][:1]
    if config["watch"] and (runs is not None or (not problems and is_sweep(Path(run)))):
        problems.append(Problem("watch", True, "only one run can be watched: give run=RUN_DIR"))
    return problems


def folder_problem(key: str, directory: Path, *, may_be_sweep: bool) -> Problem | None:
    """What is wrong with a folder that must hold a run; None: nothing."""
    if is_readable_run(directory) or (may_be_sweep and is_sweep(directory)):
        return None
    if not directory.exists():
        return Problem(key, directory, f"no such folder.{runs_beside(directory)}")
    if not directory.is_dir():
        return Problem(key, directory, f"is a file; give the run directory, {directory.parent}")
    if is_sweep(directory):
        return Problem(
            key, directory, f"is a sweep; its page is gan-report {arguments(run=directory)}"
        )
    inside = sorted(path.name for path in directory.iterdir())[:8]
    runs = [name for name in inside if is_readable_run(directory / name)]
    hint = (
        f"Runs in it: {', '.join(runs)}" if runs else f"It holds: {', '.join(inside) or 'nothing'}"
    )
    return Problem(key, directory, f"neither a run directory nor a sweep. {hint}")


def place_of(out: str | None, directory: Path) -> Path:
    """The file to write.

    Raises:
        UserError: links in the run lead elsewhere.
    """
    if out is not None:
        return Path(out) / REPORT if Path(out).is_dir() else Path(out)
    require_contained(directory)
    return directory / REPORT
