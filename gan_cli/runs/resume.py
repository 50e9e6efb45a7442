"""Where a run starts: afresh, in a run directory that exists, or from a checkpoint file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gan_cli.errors import UserError
from gan_cli.runs import checkpoint
from gan_cli.runs import directory as rundir
from gan_cli.settings.schema import RESUMABLE, TrainConfig
from gan_cli.system.shell import command

Config = dict[str, Any]
#: Takes a lock that is held until the run ends.
Enter = Callable[[AbstractContextManager[None]], None]

#: Keys that say how to start and what to compare, not what to train.
STARTING = frozenset({"resume", "init_from", "dry_run", "objective", "direction"})
#: What was meant before a root key existed, for configs stored then.
BEFORE = {
    "checkpoint_minutes": 1.5,
    "objective": None,
    "direction": "minimize",
    "eval_every": 0,
    "eval_metrics": None,
    "eval_samples": 5000,
    "inception": None,
    "sync_batch_norm": False,
}
#: Keys that say where a run lies.
PLACE = frozenset({"name", "output_dir"})


@dataclass(kw_only=True)
class Start:
    """What to train, where, and from what.

    Attributes:
        config: resolved, plain containers.
        directory: the run directory to go on in, locked; None: claim a new one.
        state: the checkpoint to go on from; None: step 0.
        from_user: the config's targets come from the user rather than from a file.
        messages: what to tell the user.
    """

    config: Config
    directory: Path | None = None
    state: Mapping[str, Any] | None = None
    from_user: bool = True
    messages: list[str] = field(default_factory=list)


def plan(config: Config, given: list[str], enter: Enter) -> Start:
    """Decide where a run starts.

    Args:
        config: as composed from the command line.
        given: the keys that the command line names.
        enter: takes the lock of a run directory before anything in it is read.

    Raises:
        UserError: `resume` names nothing to go on from, or something else is overridden too.
    """
    resume = config["resume"]
    if resume is None:
        return Start(config=config)
    if config["init_from"] is not None and resume != "auto":
        raise UserError(
            "init_from and resume are both given: resume goes on with a run, init_from starts a "
            "new one from its weights. Give one of them."
        )
    if resume == "auto":
        return _plan_auto(config, given, enter)
    path = rundir.find(Path(resume), key="resume")
    new_run = path.is_file()
    allowed = RESUMABLE | (PLACE if new_run else frozenset())
    refused = [key for key in given if key not in allowed | STARTING]
    if refused:
        instead = command("gan-train", init_from=path)
        raise UserError(
            f"{', '.join(refused)}: cannot change on resume, because it would be another run. "
            f"A resumed run may change {', '.join(sorted(allowed))}.\n"
            f"  to start a new run from these weights: {instead} ..."
        )
    start = _from_file(path) if new_run else _from_directory(path, enter)
    _override(start.config, config, [key for key in given if key in allowed])
    if new_run and start.state and start.state["step"] >= start.config["steps"]:
        longer = command("gan-train", resume=path, steps=2 * start.state["step"])
        raise UserError(
            f"resume={path}: at step {start.state['step']} of steps={start.config['steps']} there "
            f"is nothing left to do.\n  to go on from it in a new run: {longer}"
        )
    return start


def plan_restart(config: Config, given: list[str], enter: Enter, begun: Path | None) -> Start:
    """Decide where a run starts that torchrun has started anew: where the first attempt began it.

    Args:
        config: as composed from the command line.
        given: the keys that the command line names.
        enter: takes the lock of a run directory before anything in it is read.
        begun: the run directory of the first attempt; None: it had none yet.

    Raises:
        UserError: as for `plan`.
    """
    if begun is None or not begun.is_dir():
        return plan(config, given, enter)
    if rundir.is_unused(begun):
        enter(rundir.lock(begun))
        return Start(config=config, directory=begun)
    start = _from_directory(begun, enter)
    _override(start.config, config, [key for key in given if key in RESUMABLE])
    start.from_user = True  # what the command line asked for when it began
    return start


def _plan_auto(config: Config, given: list[str], enter: Enter) -> Start:
    if config["name"] is None:
        raise UserError("resume=auto: give a name, so that the run can be found again: name=...")
    directory = Path(config["output_dir"]) / config["name"]
    if not directory.exists():
        return Start(config=config)
    if rundir.is_unused(directory):  # a run that was killed as it began
        enter(rundir.lock(directory))
        return Start(config=config, directory=directory)
    start = _from_directory(rundir.find(directory, key="name"), enter)
    different = _differences(start.config, config)
    if different:
        raise UserError(
            f"resume=auto: {directory} was trained with another config:\n  "
            + "\n  ".join(different)
            + "\n  Give another name, or the config it has."
        )
    _override(start.config, config, [key for key in given if key in RESUMABLE])
    start.from_user = True  # equal to what the user asked for, targets included
    return start


def _from_directory(directory: Path, enter: Enter) -> Start:
    """Go on in `directory`, from its newest good checkpoint or, if it has none yet, from 0."""
    enter(rundir.lock(directory))
    newest = checkpoint.read_newest(directory / checkpoint.FOLDER)
    messages = newest.messages
    require_own(directory, newest)
    if newest.state is None:
        messages.append(f"{directory} has no checkpoint yet: starting at step 0.")
        config = typed(rundir.read_config(directory), directory / rundir.CONFIG)
    else:
        config = typed(newest.state["config"], directory / checkpoint.FOLDER)
    newest.set_aside()
    return Start(
        config=config, directory=directory, state=newest.state, from_user=False, messages=messages
    )


def require_own(directory: Path, newest: checkpoint.Newest) -> None:
    """Refuse a checkpoint of another run, and records of checkpoints that are gone.

    Raises:
        UserError: with what differs, or what is missing.
    """
    folder = directory / checkpoint.FOLDER
    if newest.state is None:
        gone = [str(entry["file"]) for entry in checkpoint.read_index(folder)]
        if gone:
            raise UserError(
                f"{folder}: {', '.join(gone)} are listed in {checkpoint.INDEX}, but not there. Put "
                f"them back, or remove {checkpoint.INDEX} to start at step 0."
            )
        return
    try:
        own = typed(rundir.read_config(directory), directory / rundir.CONFIG)
    except UserError:  # the checkpoint holds all that is needed
        return
    different = _differences(own, typed(newest.state["config"], folder))
    if different:
        raise UserError(
            f"{folder}: the newest checkpoint, step {newest.state['step']}, is of another run:\n  "
            + "\n  ".join(different[:5])
            + f"\n  Remove it, or start from it elsewhere: resume=FILE name=... ({rundir.CONFIG} "
            "tells what this run is)."
        )


def _from_file(path: Path) -> Start:
    """Start a new run from a checkpoint file, which stays untouched."""
    state = checkpoint.read(path)
    return Start(config=typed(state["config"], path) | {"name": None}, state=state, from_user=False)


def typed(config: object, source: Path) -> Config:
    """A config read from a file, held against the schema as the command line's is.

    Raises:
        UserError: a key is missing, unknown or of another type.
    """
    if isinstance(config, Mapping):
        config = {**BEFORE, **config}
    try:
        whole = OmegaConf.to_container(OmegaConf.merge(OmegaConf.structured(TrainConfig), config))
    except (OmegaConfBaseException, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{source}: the config in it cannot be used ({reason}).") from error
    assert isinstance(whole, dict)
    if any(
        isinstance(value, str) and "${" in value
        for value in flatten({str(k): v for k, v in whole.items()}).values()
    ):
        raise UserError(f"{source}: the config in it refers to other values, and is not resolved.")
    missing = [f.name for f in fields(TrainConfig) if whole.get(f.name) == "???"]
    if missing:
        raise UserError(f"{source}: the config in it lacks {', '.join(missing)}.")
    return {str(key): value for key, value in whole.items()}


def _override(config: Config, composed: Config, keys: list[str]) -> None:
    """Take over the values of some keys, and how to start."""
    for key in keys:
        *parents, last = key.split(".")
        source, target = composed, config
        for part in parents:
            source, target = source[part], target[part]
        target[last] = source[last]
    for key in (*(STARTING - {"init_from"}), "trust_checkpoint", "debug"):
        config[key] = composed[key]


def _differences(before: Config, now: Config) -> list[str]:
    """Settings that differ and that a resumed run may not change."""
    old, new = flatten(before), flatten(now)
    ignored = (RESUMABLE | STARTING | PLACE) - {"init_from"}
    return [
        f"{key}: was {old.get(key, 'not there')}, now {new.get(key, 'not there')}"
        for key in sorted(old.keys() | new.keys())
        if key not in ignored and old.get(key) != new.get(key)
    ]


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested config -> dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
