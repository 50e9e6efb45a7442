"""One job of a sweep: its name, its config, and a record of what becomes of it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gan_cli.cli.sweep.plan import BASIC, Plan, SweepStoppedError
from gan_cli.errors import DivergedError, GanTrainError, Problem, UserError
from gan_cli.runs.jobs import Record, final_numbers, last_step, read_records
from gan_cli.runs.patience import has_stopped
from gan_cli.settings.schema import BACKBONE, BACKBONE_GROUP
from gan_cli.system.environment import default_threads
from gan_cli.system.terminal import Terminal

LONGEST_NAME = 120  # characters of a job's name; a longer one ends in a digest
#: What a job runs: its config and the keys that its command line names -> exit code.
Task = Callable[[dict[str, Any], list[str]], int]
#: Prints why a job failed: its name and the error.
PrintError = Callable[[str, Exception], None]


def run_job(
    config: Mapping[str, Any],
    from_command_line: list[str],
    *,
    hydra_config: Any,
    plan: Plan,
    task: Task,
    print_error: PrintError,
) -> float | None:
    """Run one job and record what becomes of it.

    Args:
        config: resolved.
        from_command_line: the keys that the job's command line names.
        hydra_config: Hydra's own config of this job.
        plan: of the sweep.
        task: what to run.
        print_error: called if the job fails.

    Returns:
        The objective, for sweepers that optimise it.

    Raises:
        GanTrainError: the job failed, and the sweeper wants to know.
        SweepStoppedError: a signal stopped the job, and so the sweep.
    """
    os.chdir(plan.working_folder)
    if config["dry_run"]:
        task(dict(config), from_command_line)
        return None
    record = new_record(config, hydra_config, plan=plan)
    record.write(plan.folder)
    share = threads_for(plan, hydra_config)
    job_config = config_of_job(config, record.job, plan=plan, threads=share)

    def run() -> int:
        number = f"{hydra_config.job.num + 1}{plan.of_jobs}"
        with silenced(plan.is_parallel):
            Terminal().say(f"sweep {plan.folder.name}, job {number}: {record.job}")
            return task(job_config, from_command_line)

    objective, failure = attempt(
        run, record, folder=plan.folder, steps=config["steps"], print_error=print_error
    )
    record.write(plan.folder)
    if record.state == "stopped" and not plan.is_parallel:
        raise SweepStoppedError(record.code or 130, plan)
    if plan.sweeper != BASIC and record.code:
        raise failure or GanTrainError(f"{record.job}: stopped")
    return objective


def attempt(
    run: Callable[[], int],
    record: Record,
    *,
    folder: Path,
    steps: int,
    print_error: PrintError,
) -> tuple[float | None, Exception | None]:
    """Run a job, and enter into its record how it ended.

    Args:
        run: runs it; returns its exit code.
        record: of the job.
        folder: of the sweep.
        steps: that the job shall make.
        print_error: called if it fails.

    Returns:
        The objective, if the job logs one; and the error that ended the job, if one did.
    """
    try:
        record.code = run()
        if record.code:
            record.state = "stopped"
            return None, None
        run_folder = folder / record.job
        done = last_step(run_folder) >= steps or has_stopped(run_folder)
        record.state = "done" if done else "unfinished"
        return objective_of(folder / record.job, record), None
    except KeyboardInterrupt as error:
        record.state, record.code = "stopped", getattr(error, "exit_code", 130)
        return None, None
    except Exception as error:  # noqa: BLE001  (a bug in one job must not end the night)
        record.state = "diverged" if isinstance(error, DivergedError) else "failed"
        record.code = error.exit_code if isinstance(error, GanTrainError) else 1
        record.message = str(error) or type(error).__name__
        print_error(record.job, error)
        return None, error


def config_of_job(
    config: Mapping[str, Any], job: str, *, plan: Plan, threads: int | None
) -> dict[str, Any]:
    """The config of one job: a run of its own in the sweep's folder, resumed if it exists.

    Args:
        config: composed; it stays as it is.
        job: the job's name.
        plan: of the sweep.
        threads: the job's share of the cores, if the config leaves them open.
    """
    return {
        **config,
        "name": f"{plan.folder.name}/{job}",
        "output_dir": str(plan.folder.parent),
        "resume": config["resume"] or "auto",
        "threads": threads if config["threads"] is None else config["threads"],
    }


def new_record(config: Mapping[str, Any], hydra_config: Any, *, plan: Plan) -> Record:
    """The record of a job that begins, under a name that no other job of the plan has."""
    swept = swept_keys(hydra_config)
    job = job_name(hydra_config)
    others = read_records(plan.folder, mark=plan.mark)
    if any(other.job == job and other.swept != swept for other in others):
        # The values differ in quotes or spaces alone, which names leave out.
        job += "_" + hashlib.sha256(str(swept).encode()).hexdigest()[:8]
    return Record(
        job,
        plan.mark,
        swept=swept,
        objective=config["objective"],
        direction=config["direction"],
    )


def job_name(hydra_config: Any) -> str:
    """A job's name, made from the swept keys in characters that need no quoting."""
    swept = hydra_config.job.override_dirname.replace(BACKBONE_GROUP, BACKBONE)
    swept = re.sub(r"[\[\]{}()'\"+ ]", "", swept)
    job = re.sub(r"[^A-Za-z0-9._-]", "-", swept) or "job"
    if len(job) > LONGEST_NAME:
        digest = hashlib.sha256(job.encode()).hexdigest()[:12]
        job = f"{job[: LONGEST_NAME - 13]}_{digest}"
    return job


def swept_keys(hydra_config: Any) -> dict[str, str]:
    """The keys that tell a job from the others, with their values."""
    unswept = set(hydra_config.job.config.override_dirname.exclude_keys)
    pairs = (text.lstrip("+").partition("=") for text in hydra_config.overrides.task)
    return {
        key.replace(BACKBONE_GROUP, BACKBONE): value
        for key, _, value in pairs
        if key not in unswept
    }


def threads_for(plan: Plan, hydra_config: Any) -> int | None:
    """A job's share of the cores, when several run on one machine; None: all of them."""
    launcher = hydra_config.launcher
    if plan.launcher == "joblib":
        at_once = launcher.n_jobs if launcher.n_jobs > 0 else default_threads()
        return max(1, default_threads() // min(at_once, plan.jobs or at_once))
    if plan.launcher == "submitit_local":
        return max(1, default_threads() // (plan.jobs or 1))
    if plan.launcher == "ray":
        return max(1, int(launcher.ray.remote.get("num_cpus") or 1))
    return None


@contextlib.contextmanager
def silenced(is_parallel: bool) -> Iterator[None]:
    """Keep a job that runs beside others off the terminal; its train.log has everything."""
    if not is_parallel:
        yield
        return
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def objective_of(run: Path, record: Record) -> float | None:
    """The newest value of the objective; None if the sweep has none.

    Raises:
        UserError: the run does not log it.
    """
    if record.objective is None:
        return None
    numbers = final_numbers(run)
    if record.objective not in numbers:
        raise UserError(
            Problem(
                "objective",
                record.objective,
                f"{record.job} does not log it. There are: {', '.join(sorted(numbers))}",
            )
        )
    return numbers[record.objective]
