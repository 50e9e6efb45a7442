"""Sweeps: every job of a multirun in a folder of its own, and one table of them all.

Jobs may run in other processes or on other machines (Hydra's launcher plugins), so what becomes
of each is told through small files in `<sweep>/.jobs/`. A job whose run exists goes on with it,
so that the same command again skips what is finished and resumes what was interrupted.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import math
import os
import re
import shlex
import signal
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, get_type_hints

import typeguard

from gan_cli.cli.explain import BACKBONE, BACKBONE_GROUP
from gan_cli.errors import DivergedError, GanTrainError, UserError
from gan_cli.settings.schema import DIRECTIONS, groups, split_arguments
from gan_cli.system.shell import command, hydra_value, program

if TYPE_CHECKING:
    from rich.table import Table

RECORDS, TABLE = ".jobs", "sweep.csv"
BASIC = "basic"
LOOK_SECONDS = 1.0  # between looks at jobs that run elsewhere
SAVING_SECONDS = 60.0  # that jobs get to save when the sweep is stopped
LONGEST_NAME = 120  # of a job; what is longer ends in a digest
#: Columns of the printed table, if they are logged, after the objective.
COLUMNS = ("divergence/jsd", "loss/d", "loss/g")
MOST_COLUMNS = 3
#: Keys that are the sweep's own, and why they are one for all jobs.
NOT_SWEPT = {
    "name": "it names the whole sweep, and its jobs are named after the swept keys",
    "output_dir": "all jobs of a sweep lie in one folder",
    "resume": "a sweep goes on by itself, by its name",
    "objective": "it ranks all jobs",
    "direction": "it ranks all jobs",
}
#: Keys that tell nothing of what is trained, and so are part of no job's name.
UNNAMED = frozenset({*NOT_SWEPT, "dry_run", "debug"})
#: What a hurt record raises.
UNREADABLE = (OSError, ValueError, TypeError, LookupError, RecursionError, typeguard.TypeCheckError)
#: What a job computes; `sweep` must not know how.
Task = Callable[[dict[str, Any], list[str]], int]


@dataclass(frozen=True)
class Plan:
    """What is to be swept, and how.

    Attributes:
        arguments: the command line, with what Hydra must know.
        folder: of the sweep.
        jobs: how many there will be; None: not known.
        launcher: Hydra's launcher.
        sweeper: Hydra's sweeper.
        here: the current folder, which jobs elsewhere go to.
        mark: tells the jobs of this command from those of earlier ones in the same folder.
    """

    arguments: list[str]
    folder: Path
    jobs: int | None
    launcher: str = BASIC
    sweeper: str = BASIC
    here: Path = field(default_factory=Path.cwd)
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def parallel(self) -> bool:
        """Whether jobs run elsewhere."""
        return self.launcher != BASIC


def plan(arguments: list[str], *, output_dir: str) -> Plan:
    """Read a sweep's command line, and add what Hydra must know.

    Args:
        arguments: the command line.
        output_dir: where runs lie, unless the command line says otherwise.

    Raises:
        UserError: the sweep's name cannot be used, or there is nothing to optimise.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from gan_cli.runs.directory import claim  # brings torch

    overrides = OverridesParser.create().parse_overrides(split_arguments(arguments)[0])
    fixed = {o.key_or_group: o.value() for o in overrides if not o.is_sweep_override()}
    swept = {o.key_or_group for o in overrides if o.is_sweep_override()}
    launcher = str(fixed.get("hydra/launcher", BASIC))
    sweeper = str(fixed.get("hydra/sweeper", BASIC))
    name = fixed.get("name")
    refuse_senseless(fixed, swept)
    output_dir = str(fixed.get("output_dir", output_dir))
    if name is None:
        directory = claim(Path(output_dir), name=None, label="sweep")
    else:
        directory = own_folder(Path(output_dir), str(name))
    # Without anything to sweep, the job is named after all that was given.
    apart = fixed if swept else [key for key in fixed if key in UNNAMED or "/" in key]
    unswept = ",".join(hydra_value(key) for key in apart)
    added = [
        f"hydra.sweep.dir={hydra_value(str(directory))}",
        "hydra.sweep.subdir=.",  # a job claims its own folder
        "hydra.job.config.override_dirname.kv_sep=-",
        "hydra.job.config.override_dirname.item_sep=_",
        f"hydra.job.config.override_dirname.exclude_keys=[{unswept}]",
    ]
    if sweeper == "optuna":
        added += [f"{key}={value}" for key, value in for_optuna(fixed).items() if key not in fixed]
    # A swept group is not chosen yet when Hydra first looks at keys inside it.
    inside = tuple(f"{group}." for group in groups() if group in swept)
    arguments = [f"++{text}" if inside and text.startswith(inside) else text for text in arguments]
    trials = fixed.get("hydra.sweeper.n_trials")
    jobs = trials if isinstance(trials, int) else None
    if sweeper == BASIC:
        jobs = count_jobs(overrides)
    return Plan([*arguments, *added], directory, jobs, launcher, sweeper)


def refuse_senseless(fixed: Mapping[str, Any], swept: Collection[str]) -> None:
    """Refuse what a sweep cannot mean.

    Raises:
        UserError: a key that is one for all jobs is swept, or nothing says what to optimise.
    """
    for key, reason in NOT_SWEPT.items():
        if key in swept:
            raise UserError(f"{key}: cannot be swept: {reason}")
    if fixed.get("resume") not in (None, "auto"):
        raise UserError(f"resume={fixed['resume']}: a sweep goes on by itself, by its name")
    direction = fixed.get("direction", DIRECTIONS[0])
    if direction not in DIRECTIONS:
        raise UserError(f"direction={direction}: use {' or '.join(DIRECTIONS)}")
    sweeper = fixed.get("hydra/sweeper", BASIC)
    if sweeper != BASIC and fixed.get("objective") is None:
        raise UserError(
            f"hydra/sweeper={sweeper}: needs objective=KEY, a key of metrics.jsonl to optimise"
        )


def own_folder(output_dir: Path, name: str) -> Path:
    """The folder of a named sweep, new or of an earlier command.

    Raises:
        UserError: the name cannot be used, or is that of something else.
    """
    from gan_cli.runs.directory import is_run
    from gan_cli.settings.values import name_problems

    directory = output_dir / name
    if problems := name_problems("name", name):
        raise UserError(problems)
    if is_run(directory):
        raise UserError(f"name={name}: {directory} is a run, not a sweep. Give another name")
    if directory.exists() and not directory.is_dir():
        raise UserError(f"name={name}: {directory} is a file. Give another name")
    return directory


def for_optuna(fixed: Mapping[str, Any]) -> dict[str, object]:
    """Settings of Optuna's sweeper: failed trials end no sweep, and it repeats itself."""
    own: dict[str, object] = {
        "hydra.sweeper.max_failure_rate": 1.0,
        "hydra.sweeper.direction": fixed.get("direction", DIRECTIONS[0]),
    }
    if fixed.get("hydra/sweeper/sampler") != "grid":  # the same seed proposes the same trials
        own["hydra.sweeper.sampler.seed"] = fixed.get("seed", 0)
    return own


def count_jobs(overrides: list[Any]) -> int | None:
    """How many combinations a grid has; None if only Hydra can tell."""
    try:
        return math.prod(
            len(list(override.sweep_string_iterator()))
            for override in overrides
            if override.is_sweep_override()
        )
    except Exception:  # noqa: BLE001  (ranges without end, globs: Hydra says what is wrong)
        return None


def discard_if_unused(directory: Path) -> None:
    """Remove the folder of a sweep that was refused before any job began."""
    if directory.is_dir() and {path.name for path in directory.iterdir()} <= {"multirun.yaml"}:
        (directory / "multirun.yaml").unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # other runs may lie beside it
            directory.rmdir()
            directory.parent.rmdir()


def job_name(hydra_config: Any) -> str:
    """The name of the job that runs now, in characters that need no quoting."""
    swept = hydra_config.job.override_dirname.replace(BACKBONE_GROUP, BACKBONE)
    swept = re.sub(r"[\[\]{}()'\"+ ]", "", swept)
    job = re.sub(r"[^A-Za-z0-9._-]", "-", swept) or "job"
    if len(job) > LONGEST_NAME:
        digest = hashlib.sha256(job.encode()).hexdigest()[:12]
        job = f"{job[: LONGEST_NAME - 13]}_{digest}"
    return job


@dataclass
class Record:
    """What became of a job.

    Attributes:
        job: its name.
        swept: the keys that tell it from the others.
        objective: the metrics key that jobs are ranked by; None: none.
        direction: `minimize` or `maximize`.
        state: running, done, unfinished (its minutes were over), failed, diverged or stopped;
            interrupted, if its process has died.
        code: its exit code.
        message: why it failed.
        process: the machine and process that it runs in.
        mark: of the plan that it ran under last.
    """

    job: str
    mark: str
    swept: dict[str, str]
    objective: str | None
    direction: str
    state: str = "running"
    code: int | None = None
    message: str = ""
    process: tuple[str, int] = field(default_factory=lambda: (os.uname().nodename, os.getpid()))

    def write(self, folder: Path) -> None:
        """Write it to its own file in the sweep's folder."""
        from gan_cli.system.files import replacing

        path = folder / RECORDS / f"{self.job}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @property
    def failed(self) -> bool:
        """Whether it neither ended well nor was stopped by a person."""
        return self.state not in ("done", "unfinished", "stopped")


def run_job(
    config: dict[str, Any],
    given: list[str],
    hydra_config: Any,
    *,
    sweep: Plan,
    task: Task,
    say: Callable[[str], None],
    report: Callable[[str, Exception], None],
) -> float | None:
    """Run one job and record what becomes of it.

    Args:
        config: resolved.
        given: the keys that the command line names.
        hydra_config: of this job.
        sweep: the plan.
        task: what to run.
        say: prints a line, where jobs run one after the other.
        report: prints an error.

    Returns:
        The objective, for sweepers that optimise it.

    Raises:
        GanTrainError: the job failed, and the sweeper wants to know.
        SweepStoppedError: a signal stopped the job, and so the sweep.
    """
    os.chdir(sweep.here)
    if config["dry_run"]:
        task(config, given)
        return None
    swept = swept_keys(hydra_config)
    job = job_name(hydra_config)
    if any(
        r.job == job and r.mark == sweep.mark and r.swept != swept for r in records(sweep.folder)
    ):  # two values that differ in quotes or spaces alone
        job += "_" + hashlib.sha256(str(swept).encode()).hexdigest()[:8]
    config["name"] = f"{sweep.folder.name}/{job}"
    config["output_dir"] = str(sweep.folder.parent)
    config["resume"] = config["resume"] or "auto"
    if config["threads"] is None:
        config["threads"] = threads_for(sweep, hydra_config)
    record = Record(job, sweep.mark, swept, config["objective"], config["direction"])
    record.write(sweep.folder)
    if not sweep.parallel:
        total = f" of {sweep.jobs}" if sweep.jobs else ""
        say(f"sweep {sweep.folder.name}, job {hydra_config.job.num + 1}{total}: {job}")
    failure: BaseException | None = None
    value: float | None = None
    try:
        with silenced() if sweep.parallel else contextlib.nullcontext():
            record.code = task(config, given)
        record.state = "stopped" if record.code else state_of(sweep.folder / job, config["steps"])
        if record.code == 0 and record.objective is not None:
            value = objective_of(sweep.folder / job, record)
    except KeyboardInterrupt as error:
        record.state, record.code = "stopped", getattr(error, "exit_code", 130)
        failure = error
    except Exception as error:  # noqa: BLE001  (a bug in one job must not end the night)
        failure = error
        record.state = "diverged" if isinstance(error, DivergedError) else "failed"
        record.code = error.exit_code if isinstance(error, GanTrainError) else 1
        record.message = str(error) or type(error).__name__
        report(job, error)
    record.write(sweep.folder)
    if record.state == "stopped" and not sweep.parallel:
        raise SweepStoppedError(record.code or 130, sweep)
    if sweep.sweeper != BASIC and record.code:
        raise failure if isinstance(failure, Exception) else GanTrainError(f"{job}: stopped")
    return value


def state_of(run: Path, steps: int) -> str:
    """Whether a run that ended well has made all its steps."""
    return "done" if last_step(run) >= steps else "unfinished"


def last_step(run: Path) -> int:
    """The step of a run's newest checkpoint, 0 if it has none."""
    from gan_cli.runs import checkpoint

    with contextlib.suppress(UserError):
        for path in checkpoint.found(run / checkpoint.FOLDER):
            return checkpoint.step_of(path)
    return 0


class SweepStoppedError(KeyboardInterrupt):
    """A job was stopped by a signal, and so is the sweep."""

    def __init__(self, exit_code: int, sweep: Plan) -> None:
        name = hydra_value(sweep.folder.name)
        super().__init__(f"sweep stopped; the same command with name={name} goes on with it.")
        self.exit_code = exit_code


def swept_keys(hydra_config: Any) -> dict[str, str]:
    """The keys that tell a job from the others, with their values."""
    unswept = set(hydra_config.job.config.override_dirname.exclude_keys)
    pairs = (text.lstrip("+").partition("=") for text in hydra_config.overrides.task)
    return {
        key.replace(BACKBONE_GROUP, BACKBONE): value
        for key, _, value in pairs
        if key not in unswept
    }


def threads_for(sweep: Plan, hydra_config: Any) -> int | None:
    """A job's share of the cores, when several run on one machine; None: all of them."""
    from gan_cli.system.environment import default_threads

    launcher = hydra_config.launcher
    if sweep.launcher == "joblib":
        at_once = launcher.n_jobs if launcher.n_jobs > 0 else default_threads()
        return max(1, default_threads() // min(at_once, sweep.jobs or at_once))
    if sweep.launcher == "submitit_local":
        return max(1, default_threads() // (sweep.jobs or 1))
    if sweep.launcher == "ray":
        return max(1, int(launcher.ray.remote.get("num_cpus") or 1))
    return None


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Keep a job that runs beside others off the terminal; its train.log tells all."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def objective_of(run: Path, record: Record) -> float:
    """The newest value of the objective.

    Raises:
        UserError: the run does not log it.
    """
    numbers = final_numbers(run)
    if record.objective not in numbers:
        raise UserError(
            f"objective={record.objective}: {record.job} does not log it. "
            f"There are: {', '.join(sorted(numbers))}"
        )
    return numbers[record.objective]


def final_numbers(run: Path) -> dict[str, float]:
    """The newest value of each key of a run's metrics.jsonl."""
    from gan_cli.runs.log import read_metrics

    found: dict[str, float] = {}
    for line in read_metrics(run):
        with contextlib.suppress(ValueError, TypeError):
            found |= {key: float(value) for key, value in line.items()}
    found["step"] = float(last_step(run)) or found.get("step", 0.0)
    return found


def records(folder: Path) -> list[Record]:
    """All jobs of a sweep, in the order of their names; those whose process is gone as such."""
    found = []
    for path in sorted((folder / RECORDS).glob("*.json")):
        with contextlib.suppress(*UNREADABLE):
            record = Record(**json.loads(path.read_text(encoding="utf-8")))
            record.process = (record.process[0], record.process[1])  # a list in JSON
            for name, hint in get_type_hints(Record).items():
                typeguard.check_type(getattr(record, name), hint)
            if record.job != path.stem:
                continue
            if record.state == "running" and not is_alive(record):
                record.state = "interrupted"
            found.append(record)
    return found


def is_alive(record: Record) -> bool:
    """Whether a job's process may still run; those of other machines may."""
    machine, number = record.process
    if machine != os.uname().nodename:
        return True
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


class Overview:
    """Tells how jobs that run elsewhere get on: a table on a terminal, a line for each change."""

    def __init__(self, sweep: Plan) -> None:
        from gan_cli.system.terminal import Terminal

        self.sweep = sweep
        self._console = Terminal()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._told: dict[str, str] = {}
        self._handlers: dict[int, object] = {}

    def __enter__(self) -> Overview:
        if self.sweep.parallel:
            self._thread.start()
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._stop)
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        if self.sweep.parallel:
            self._thread.join()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Let the jobs of this machine save and end, and then the sweep."""
        until = time.monotonic() + SAVING_SECONDS
        asked: set[int] = set()
        while time.monotonic() < until:
            running = [
                record.process[1]
                for record in records(self.sweep.folder)
                if record.mark == self.sweep.mark
                and record.state == "running"
                and record.process[0] == os.uname().nodename
            ]
            if not running:
                break
            for process in set(running) - asked:
                asked.add(process)
                with contextlib.suppress(OSError):
                    os.kill(process, signal.SIGTERM)
            time.sleep(0.1)
        raise SweepStoppedError(128 + number, self.sweep)

    def _watch(self) -> None:
        from rich.live import Live

        shown = Live(console=self._console, transient=True, refresh_per_second=2)
        with shown if self._console.is_terminal else contextlib.nullcontext():
            while True:
                last = self._ended.wait(LOOK_SECONDS)
                found = [r for r in records(self.sweep.folder) if r.mark == self.sweep.mark]
                self._tell(found)
                if self._console.is_terminal:
                    shown.update(table(self.sweep.folder, found))
                if last:
                    return

    def _tell(self, found: list[Record]) -> None:
        """Say of each job that its state has changed."""
        for record in found:
            if self._told.get(record.job) != record.state:
                self._told[record.job] = record.state
                states = list(self._told.values())
                total = f" of {self.sweep.jobs}" if self.sweep.jobs else ""
                failed = sum(state in ("failed", "diverged", "interrupted") for state in states)
                self._console.say(
                    f"sweep {self.sweep.folder.name}: {record.job} {record.state} "
                    f"({states.count('done')}{total} done, {failed} failed)"
                )


def ranked(folder: Path, found: list[Record]) -> list[tuple[Record, dict[str, float]]]:
    """Jobs with their final numbers, the best first if they have an objective."""
    rows = [(record, final_numbers(folder / record.job)) for record in found]

    def place(row: tuple[Record, Mapping[str, float]]) -> tuple[bool, float]:
        record, numbers = row
        value = numbers.get(record.objective or "", math.nan)
        if record.state != "done" or not math.isfinite(value):
            return True, 0.0
        return False, -value if record.direction == "maximize" else value

    return sorted(rows, key=place)


def table(folder: Path, found: list[Record]) -> Table:
    """The sweep as a table to look at."""
    from rich.table import Table

    from gan_cli.runs.log import number

    rows = ranked(folder, found)
    objective = found[-1].objective if found else None
    logged = {key for _, numbers in rows for key in numbers}
    keys = [key for key in dict.fromkeys((objective, *COLUMNS)) if key in logged][:MOST_COLUMNS]
    grid = Table(title=str(folder), title_justify="left")
    grid.add_column("job", overflow="fold")
    for heading in ("state", "step", "minutes", *keys):
        left = heading == "state"
        grid.add_column(str(heading), justify="left" if left else "right", no_wrap=True)
    for record, numbers in rows:
        minutes = f"{numbers['time'] / 60:.1f}" if "time" in numbers else ""
        values = (number(numbers[key]) if key in numbers else "" for key in keys if key)
        step = f"{numbers['step']:.0f}" if "step" in numbers else ""
        grid.add_row(record.job, record.state, step, minutes, *values)
    return grid


def write_csv(folder: Path, found: list[Record]) -> None:
    """Write sweep.csv: job, state, exit code, swept keys, then all numbers by their log keys."""
    from gan_cli.system.files import replacing

    rows = ranked(folder, found)
    swept = dict.fromkeys(key for record, _ in rows for key in record.swept)
    logged = dict.fromkeys(key for _, numbers in rows for key in numbers)
    with replacing(folder / TABLE) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["job", "state", "exit_code", *swept, *logged, "message"])
        for record, numbers in rows:
            writer.writerow(
                [
                    record.job,
                    record.state,
                    record.code,
                    *(record.swept.get(key, "") for key in swept),
                    *(numbers.get(key, "") for key in logged),
                    record.message.partition("\n")[0],
                ]
            )


def finish(sweep: Plan) -> list[Record]:
    """Write and show the table of all jobs, and name the best.

    Returns:
        The jobs of this command that failed.
    """
    from gan_cli.system.terminal import Terminal

    found = records(sweep.folder)
    if not found:
        return []
    mine = next((record for record in found if record.mark == sweep.mark), found[-1])
    for record in found:  # all are ranked as this command says
        record.objective, record.direction = mine.objective, mine.direction
    write_csv(sweep.folder, found)
    console = Terminal()
    console.print(table(sweep.folder, found))
    best, numbers = ranked(sweep.folder, found)[0]
    if best.objective is None:
        console.say("objective=KEY, a key of metrics.jsonl, ranks the jobs and names the best.")
    elif best.state == "done" and best.objective in numbers:
        run = sweep.folder / best.job
        console.say(f"best: {best.objective}={numbers[best.objective]:.6g} in {run}")
        steps = 2 * round(numbers["step"])
        console.say(f"  go on     {command('gan-train', resume=run, steps=steps)}")
    folder = shlex.quote(str(sweep.folder))
    console.say(f"  compare   {program('tensorboard')} --logdir {folder}")
    console.say(f"  table     {shlex.quote(str(sweep.folder / TABLE))}")
    begun = [record for record in found if record.mark == sweep.mark]
    if sweep.jobs and len(begun) < sweep.jobs:
        console.say(f"  not begun {sweep.jobs - len(begun)} of {sweep.jobs} jobs")
    return [record for record in found if record.failed and record.mark == sweep.mark]
