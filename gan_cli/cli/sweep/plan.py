"""What a sweep's command line asks for: its jobs, its folder, and what Hydra must know."""

from __future__ import annotations

import contextlib
import math
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

import filelock
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from gan_cli.errors import Problem, UserError, choice_problems
from gan_cli.runs.directory import LOCK, claim, is_run, require_contained
from gan_cli.settings.schema import DIRECTIONS, groups, split_arguments
from gan_cli.settings.values import name_problems
from gan_cli.system.shell import expand_home, hydra_value

BASIC = "basic"  # Hydra's own launcher and its own sweeper
#: Keys that have one value for the whole sweep, and why.
NOT_SWEPT = {
    "name": "it names the whole sweep, and its jobs are named after the swept keys",
    "output_dir": "all jobs of a sweep lie in one folder",
    "resume": "a sweep resumes its jobs by itself, when its command is repeated with its name",
    "objective": "it ranks all jobs",
    "direction": "it ranks all jobs",
}
#: Keys that do not change what is trained, and so are part of no job's name.
UNNAMED = frozenset({*NOT_SWEPT, "dry_run", "debug"})


@dataclass(frozen=True)
class Plan:
    """What is to be swept, and how.

    Attributes:
        arguments: the command line, with what Hydra must know.
        folder: of the sweep.
        jobs: how many there will be; None: not known.
        launcher: Hydra's launcher.
        sweeper: Hydra's sweeper.
        working_folder: the current folder, which jobs in other processes go to.
        mark: tells the jobs of this command from those of earlier ones in the same folder.
        notes: what to tell the user first.
    """

    arguments: list[str]
    folder: Path
    _: KW_ONLY
    jobs: int | None
    launcher: str = BASIC
    sweeper: str = BASIC
    working_folder: Path = field(default_factory=Path.cwd)
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    notes: tuple[str, ...] = ()

    @property
    def is_parallel(self) -> bool:
        """Whether jobs run in other processes."""
        return self.launcher != BASIC

    @property
    def of_jobs(self) -> str:
        """` of N` for messages, or nothing if the number is not known."""
        return f" of {self.jobs}" if self.jobs else ""


class SweepStoppedError(KeyboardInterrupt):
    """A job was stopped by a signal, and so is the sweep."""

    def __init__(self, exit_code: int, plan: Plan) -> None:
        name = hydra_value(plan.folder.name)
        super().__init__(f"sweep stopped; the same command with name={name} resumes it.")
        self.exit_code = exit_code


def plan_sweep(arguments: Sequence[str], *, output_dir: str) -> Plan:
    """Read a sweep's command line, claim its folder, and add what Hydra must know.

    Args:
        arguments: the command line.
        output_dir: where runs lie, unless the command line says otherwise.

    Raises:
        UserError: the sweep's name cannot be used, or the sweep makes no sense.
    """
    parse = OverridesParser.create().parse_overrides
    overrides = parse(split_arguments(list(arguments))[0])
    fixed = {o.key_or_group: o.value() for o in overrides if not o.is_sweep_override()}
    swept = {o.key_or_group for o in overrides if o.is_sweep_override()}
    if problems := sweep_problems(fixed, swept):
        raise UserError(problems, where="the command line")
    place = expand_home(fixed.get("output_dir", output_dir))
    folder = claim_folder(Path(str(place)), fixed.get("name"))
    arguments, notes = without_repeats(arguments, overrides)
    # A swept group is not chosen yet when Hydra first meets the keys inside it.
    inside = tuple(f"{group}." for group in groups() if group in swept)
    forced = [f"++{text}" if inside and text.startswith(inside) else text for text in arguments]
    sweeper = str(fixed.get("hydra/sweeper", BASIC))
    if sweeper == BASIC and not swept:
        notes.append("there is nothing to sweep: this is one job. Several values sweep: seed=1,2")
    jobs: object = fixed.get("hydra.sweeper.n_trials")
    if sweeper == BASIC:
        jobs = count_jobs(parse(split_arguments(arguments)[0]))
    added = hydra_settings(folder, fixed=fixed, swept=swept) + sweeper_settings(sweeper, fixed)
    return Plan(
        [*forced, *added],
        folder,
        jobs=jobs if isinstance(jobs, int) else None,
        launcher=str(fixed.get("hydra/launcher", BASIC)),
        sweeper=sweeper,
        notes=tuple(notes),
    )


def without_repeats(
    arguments: Sequence[str], overrides: Iterable[Override]
) -> tuple[list[str], list[str]]:
    """The command line with each value of a list but once, and a note for each that was removed."""
    shorter, notes = {}, []
    for override in overrides:
        if not override.is_choice_sweep():
            continue
        values = list(override.sweep_string_iterator())
        unique = list(dict.fromkeys(values))
        text = override.input_line or ""
        if len(unique) < len(values):
            key = text.partition("=")[0]
            shorter[text] = f"{key}={','.join(unique)}"
            again = dict.fromkeys(value for value in values if values.count(value) > 1)
            notes.append(f"{key}={text.partition('=')[2]}: {', '.join(again)} is run once.")
    return [shorter.get(text, text) for text in arguments], notes


def sweep_problems(fixed: Mapping[str, Any], swept: Collection[str]) -> list[Problem]:
    """What a sweep cannot mean.

    Args:
        fixed: the keys that have one value, with that value.
        swept: the keys that have several.
    """
    problems = [
        Problem.about(key, f"cannot be swept: {reason}")
        for key, reason in NOT_SWEPT.items()
        if key in swept
    ]
    if fixed.get("resume") not in (None, "auto"):
        problems.append(Problem("resume", fixed["resume"], NOT_SWEPT["resume"]))
    if "direction" in fixed:
        problems += choice_problems("direction", fixed["direction"], DIRECTIONS)
    sweeper = fixed.get("hydra/sweeper", BASIC)
    if sweeper != BASIC and fixed.get("objective") is None and "objective" not in swept:
        advice = "needs objective=KEY, a key of metrics.jsonl to optimise"
        problems.append(Problem("hydra/sweeper", sweeper, advice))
    return problems


def claim_folder(output_dir: Path, name: object) -> Path:
    """The folder of a sweep: a new one, or that of an earlier command with the same name.

    Args:
        output_dir: where runs and sweeps lie.
        name: the sweep's name; None: `sweep-<next free number>`.

    Raises:
        UserError: the name cannot be used, or is that of something else.
    """
    if name is None:
        return claim(output_dir, name=None, label="sweep")
    if problems := name_problems("name", str(name)):
        raise UserError(problems)
    folder = output_dir / str(name)
    if is_run(folder):
        advice = f"{folder} is a run, not a sweep. Give another name"
        raise UserError(Problem("name", name, advice))
    if folder.exists() and not folder.is_dir():
        raise UserError(Problem("name", name, f"{folder} is a file. Give another name"))
    return folder


def hydra_settings(folder: Path, *, fixed: Mapping[str, Any], swept: Collection[str]) -> list[str]:
    """Overrides that tell Hydra where jobs go, and which keys name them."""
    # Without anything to sweep, the job is named after all keys of the command line.
    unnamed: Iterable[str] = fixed
    if not swept:
        unnamed = [key for key in fixed if key in UNNAMED or "/" in key]
    return [
        f"hydra.sweep.dir={hydra_value(str(folder))}",
        "hydra.sweep.subdir=.",  # a job claims a folder by itself
        "hydra.job.config.override_dirname.kv_sep=-",
        "hydra.job.config.override_dirname.item_sep=_",
        f"hydra.job.config.override_dirname.exclude_keys=[{','.join(map(hydra_value, unnamed))}]",
    ]


def sweeper_settings(sweeper: str, fixed: Mapping[str, Any]) -> list[str]:
    """Overrides for Optuna: failed trials end no sweep, and the same seed gives the same trials."""
    if sweeper != "optuna":
        return []
    settings: dict[str, object] = {
        "hydra.sweeper.max_failure_rate": 1.0,
        "hydra.sweeper.direction": fixed.get("direction", DIRECTIONS[0]),
    }
    if fixed.get("hydra/sweeper/sampler") != "grid":  # which has no seed
        settings["hydra.sweeper.sampler.seed"] = fixed.get("seed", 0)
    return [f"{key}={value}" for key, value in settings.items() if key not in fixed]


def count_jobs(overrides: Iterable[Override]) -> int | None:
    """How many combinations a grid has; None if only Hydra can tell."""
    try:
        return math.prod(
            len(list(override.sweep_string_iterator()))
            for override in overrides
            if override.is_sweep_override()
        )
    except Exception:  # noqa: BLE001  (ranges without end, globs: Hydra says what is wrong)
        return None


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep a sweep to this command, while it runs.

    Raises:
        UserError: another command runs the same sweep now, or the folder cannot be written.
    """
    held = filelock.FileLock(folder / LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        require_contained(folder)  # somebody else may have made it
        with contextlib.suppress(NotImplementedError):  # a file system without locks
            held.acquire(timeout=0)
    except filelock.Timeout as error:
        advice = f"another command runs this sweep now, in {folder}. Wait for it, or give another "
        raise UserError(Problem("name", folder.name, advice + "name")) from error
    except OSError as error:
        advice = f"cannot be written ({error.strerror}). Give a folder you may write to."
        raise UserError(Problem("output_dir", folder.parent, advice)) from error
    try:
        yield
    finally:
        held.release()


def discard_if_unused(folder: Path) -> None:
    """Remove the folder of a sweep that was rejected before any job began."""
    leftovers = {"multirun.yaml", LOCK}
    if folder.is_dir() and {path.name for path in folder.iterdir()} <= leftovers:
        for name in leftovers:
            (folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # other runs may lie beside it
            folder.rmdir()
            folder.parent.rmdir()
