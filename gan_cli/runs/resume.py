"""Where a run starts: at step 0, in a run directory that exists, or from a checkpoint file."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gan_cli.errors import Problem, UserError
from gan_cli.runs import checkpoint
from gan_cli.runs.directory import (
    CONFIG,
    find_run,
    is_unused,
    lock,
    read_config,
    read_file,
    read_newest,
)
from gan_cli.runs.index import INDEX, read_index
from gan_cli.runs.log import last_picture
from gan_cli.runs.patience import is_spent
from gan_cli.runs.places import FOLDER, find_data
from gan_cli.settings.schema import RESUMABLE
from gan_cli.settings.stored import comparable, typed
from gan_cli.settings.targets import foreign_targets
from gan_cli.settings.trust import resume_flags
from gan_cli.system.shell import command

Config = dict[str, Any]
#: Takes a lock that is held until the run ends.
Enter = Callable[[AbstractContextManager[None]], None]

#: Keys that say how to start and what to compare, not what to train.
STARTING = frozenset({"resume", "init_from", "dry_run", "objective", "direction"})
#: Those of them that the run keeps unless the command line names them.
RANKING = frozenset({"objective", "direction"})
#: Keys that say where a run lies.
PLACE = frozenset({"name", "output_dir"})
#: Keys that a resumed run may change, but that it does not take from a checkpoint unasked.
FETCHED = frozenset({"inception", "data.shards", "data.path"})


@dataclass(frozen=True, kw_only=True)
class Start:
    """What to train, where, and from what.

    Attributes:
        config: resolved, plain containers.
        directory: the run directory to continue in, locked; None: claim a new one.
        state: the checkpoint to continue from; None: step 0.
        from_user: the config's targets come from the user rather than from a file.
        messages: what to tell the user.
        may_download: data that are not there may be fetched into the folder that the config names.
        located: the config with the data's paths as they are found from the current folder; None:
            as they are.
    """

    config: Config
    directory: Path | None = None
    state: Mapping[str, Any] | None = None
    from_user: bool = True
    messages: tuple[str, ...] = ()
    may_download: bool = True
    located: Config | None = None

    @property
    def folder(self) -> str:
        """Where the data's relative paths begin: the first start's folder, if they lie there."""
        if self.state is not None and self.located not in (None, self.config):
            return str(self.state["environment"][FOLDER])
        return str(Path.cwd())

    def with_data_found(self, from_command_line: Sequence[str]) -> Start:
        """The same start, with `located` set and said."""
        environment = self.state["environment"] if self.state is not None else {}
        located, notes = find_data(self.config, environment.get(FOLDER), given=from_command_line)
        return replace(self, located=located, messages=(*self.messages, *notes))

    @property
    def is_finished(self) -> bool:
        """Whether a resumed run has nothing left to do."""
        if self.state is None:
            return False
        return self.state["step"] >= self.config["steps"] or is_spent(self.state, self.config)

    @property
    def lacks_its_last_picture(self) -> bool:
        """Whether a run was killed after its last checkpoint, while it drew its last pictures."""
        return self.directory is not None and not last_picture(self.directory).exists()


def find_start(config: Config, from_command_line: Sequence[str], enter: Enter) -> Start:
    """Decide where a run starts.

    Args:
        config: as composed from the command line.
        from_command_line: the keys that the command line names.
        enter: takes the lock of a run directory before anything in it is read.

    Raises:
        UserError: `resume` names nothing to continue from, or a key is given that must not change.
    """
    resume = config["resume"]
    if resume is None:
        return Start(config=config)
    if config["init_from"] is not None and resume != "auto":
        raise UserError(
            "init_from and resume are both given: resume continues a run, init_from starts a new "
            "one from its weights. Give one of them."
        )
    if resume == "auto":
        return _start_auto(config, from_command_line, enter)
    path = find_run(Path(resume), key="resume")
    new_run = path.is_file()
    allowed = RESUMABLE | (PLACE if new_run else frozenset())
    rejected = [key for key in from_command_line if key not in allowed | STARTING]
    if rejected:
        instead = command("gan-train", init_from=path)
        raise UserError(
            f"{', '.join(rejected)}: cannot change on resume, because it would be another run. "
            f"A resumed run may change {', '.join(sorted(allowed))}.\n"
            f"  to start a new run from these weights: {instead} ..."
        )
    start = _from_file(path) if new_run else from_directory(path, enter)
    start = with_overrides(start, config, from_command_line, allowed=allowed)
    if new_run and "output_dir" not in from_command_line and not config["trust_checkpoint"]:
        start = _beside_others(start, config["output_dir"])
    if new_run and start.state and start.is_finished:
        raise UserError(Problem("resume", path, nothing_left_in(path, start)))
    return start


def nothing_left_in(path: Path, start: Start) -> str:
    """That a checkpoint file is the end of its run, and how a new run goes on from it."""
    assert start.state is not None
    step, steps, limit = start.state["step"], start.config["steps"], start.config["patience"]
    more: dict[str, object] = {"steps": 2 * step} if step >= steps else {"patience": 2 * limit}
    why = "there is nothing left to do" if step >= steps else f"patience={limit} has stopped it"
    longer = command("gan-train", resume=path, **more, **resume_flags(start.config))
    return f"at step {step} of steps={steps} {why}.\n  to continue from it in a new run: {longer}"


def _beside_others(start: Start, output_dir: str) -> Start:
    """A new run's start whose folder is the user's, wherever a stranger's checkpoint points."""
    stored = start.config["output_dir"]
    if stored == output_dir:
        return start
    note = (
        f"the new run goes to output_dir={output_dir}, not to the checkpoint's ({stored}): "
        "output_dir=FOLDER chooses another."
    )
    config = {**start.config, "output_dir": output_dir}
    return replace(start, config=config, messages=(*start.messages, note))


def place_of(config: Config, directory: Path) -> Config:
    """Where a run lies by its own config, or in truth if that leads elsewhere."""
    stored = Path(config["output_dir"]) / str(config["name"])
    if stored.resolve() == directory.resolve():
        return {}
    return {"output_dir": str(directory.absolute().parent)}


def _start_auto(config: Config, from_command_line: Sequence[str], enter: Enter) -> Start:
    """Start, or continue the run of that name if it has an equal config."""
    if config["name"] is None:
        advice = "give a name, so that the run can be found again: name=..."
        raise UserError(Problem("resume", "auto", advice))
    directory = Path(config["output_dir"]) / config["name"]
    if not directory.exists():
        return Start(config=config)
    if is_unused(directory):  # a run that was killed as it began
        enter(lock(directory))
        return Start(config=config, directory=directory)
    start = from_directory(find_run(directory, key="name"), enter)
    asked_for = foreign_targets(start.config) == foreign_targets(config)
    but = FETCHED - set(from_command_line)
    different = _differences(start.config, config, but=but, trusted=asked_for)
    if different:
        listed = "\n  ".join(different)
        advice = f"{directory} was trained with another config:\n  {listed}"
        advice += "\n  Give another name, or the config it has."
        raise UserError(Problem("resume", "auto", advice))
    start = with_overrides(start, config, from_command_line, allowed=RESUMABLE)
    return replace(start, from_user=True)  # equal to what the user asked for, targets included


def from_directory(directory: Path, enter: Enter) -> Start:
    """Continue in `directory`, from its newest good checkpoint or, if it has none yet, from 0.

    Raises:
        UserError: another process trains in it, or what it holds cannot be used.
    """
    enter(lock(directory))
    newest = read_newest(directory, key="resume")
    messages = newest.messages
    check_belonging(directory, newest)
    if newest.state is None:
        messages.append(f"{directory} has no checkpoint yet: starting at step 0.")
        config = typed(read_config(directory), directory / CONFIG)
    else:
        config = typed(newest.state["config"], directory / checkpoint.FOLDER)
    config |= place_of(config, directory)
    newest.set_aside()
    return Start(
        config=config,
        directory=directory,
        state=newest.state,
        from_user=False,
        messages=tuple(messages),
    )


def check_belonging(directory: Path, newest: checkpoint.Newest) -> None:
    """Reject a checkpoint of another run, and an index of checkpoints that are gone.

    Raises:
        UserError: with what differs, or what is missing.
    """
    folder = directory / checkpoint.FOLDER
    if newest.state is None:
        gone = [str(entry["file"]) for entry in read_index(folder)]
        if gone:
            raise UserError(
                f"{folder}: {', '.join(gone)} are listed in {INDEX}, but not there. Put them back, "
                f"or remove {INDEX} to start at step 0."
            )
        return
    try:
        config = typed(read_config(directory), directory / CONFIG)
    except UserError:  # the checkpoint holds all that is needed
        return
    different = _differences(config, typed(newest.state["config"], folder))
    if different:
        raise UserError(
            f"{folder}: the newest checkpoint, step {newest.state['step']}, is of another run:\n  "
            + "\n  ".join(different[:5])
            + f"\n  Remove it, or start from it elsewhere: resume=FILE name=... ({CONFIG} "
            "says what this run is)."
        )


def _from_file(path: Path) -> Start:
    """Start a new run from a checkpoint file, which stays untouched."""
    state = read_file(path, key="resume")
    return Start(config=typed(state["config"], path) | {"name": None}, state=state, from_user=False)


def with_overrides(
    start: Start, composed: Config, from_command_line: Sequence[str], *, allowed: frozenset[str]
) -> Start:
    """A start with the values that the command line gives for allowed keys, and how to start."""
    config = copy.deepcopy(start.config)
    for key in from_command_line:
        if key not in allowed | RANKING:
            continue
        *parents, last = key.split(".")
        source, target = composed, config
        for part in parents:
            source, target = source[part], target[part]
        target[last] = source[last]
    for key in ("resume", "dry_run", "trust_checkpoint", "debug"):
        config[key] = composed[key]
    return replace(start, config=config)


def _differences(
    before: Config, now: Config, *, but: frozenset[str] = frozenset(), trusted: bool = False
) -> list[str]:
    """Settings that differ and that a resumed run may not change, nor those of `but`.

    Args:
        before: the older config, maybe of an older version.
        now: the other one.
        but: of what a resumed run may change, keys that count all the same.
        trusted: the classes in both are the user's choice.
    """
    old, new = (comparable(config, trusted=trusted) for config in (before, now))
    ignored = (RESUMABLE | STARTING | PLACE) - {"init_from"} - but
    return [
        f"{key}: was {old.get(key, 'not there')}, now {new.get(key, 'not there')}"
        for key in sorted(old.keys() | new.keys())
        if key not in ignored and old.get(key) != new.get(key)
    ]
