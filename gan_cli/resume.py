"""Where a run starts: afresh, in a run directory that exists, or from a checkpoint's weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gan_cli import checkpoint, rundir
from gan_cli.config import RESUMABLE
from gan_cli.errors import UserError
from gan_cli.shell import command

Config = dict[str, Any]

#: Keys that say how to start, not what to train.
STARTING = frozenset({"resume", "dry_run"})


@dataclass(kw_only=True)
class Start:
    """What to train, where, and from what.

    Attributes:
        config: resolved, plain containers.
        directory: the run directory to go on in; None: claim a new one.
        state: the checkpoint to go on from; None: step 0.
        from_user: the config's targets come from the user rather than from a file.
        messages: what to tell the user.
    """

    config: Config
    directory: Path | None = None
    state: Mapping[str, Any] | None = None
    from_user: bool = True
    messages: list[str] = field(default_factory=list)


def plan(config: Config, given: list[str]) -> Start:
    """Decide where a run starts.

    Args:
        config: as composed from the command line.
        given: the keys that the command line names.

    Raises:
        UserError: `resume` names nothing to go on from, or something else is overridden too.
    """
    resume = config["resume"]
    if resume is None:
        return Start(config=config)
    if resume == "auto":
        return _plan_auto(config, given)
    path = rundir.find(Path(resume), key="resume")
    new_run = path.is_file()
    allowed = RESUMABLE | STARTING | ({"name", "output_dir"} if new_run else set())
    if config["init_from"] is not None:
        raise UserError(
            "init_from and resume are both given: resume goes on with a run, init_from starts a "
            "new one from its weights. Give one of them."
        )
    refused = [key for key in given if key not in allowed]
    if refused:
        instead = command("gan-train", init_from=path)
        raise UserError(
            f"{', '.join(refused)}: cannot change on resume, because it would be another run. "
            f"A resumed run may change {', '.join(sorted(allowed - STARTING))}.\n"
            f"  to start a new run from these weights: {instead} ..."
        )
    start = _from_file(path) if new_run else _from_directory(path)
    _override(start.config, config, given)
    return start


def _plan_auto(config: Config, given: list[str]) -> Start:
    if config["name"] is None:
        raise UserError("resume=auto: give a name, so that the run can be found again: name=...")
    directory = Path(config["output_dir"]) / config["name"]
    if not directory.exists():
        return Start(config=config)
    start = _from_directory(rundir.find(directory, key="name"))
    different = _differences(start.config, config)
    if different:
        raise UserError(
            f"resume=auto: {directory} was trained with another config:\n  "
            + "\n  ".join(different)
            + "\n  Give another name, or the config it has."
        )
    _override(start.config, config, given)
    start.from_user = True  # equal to what the user asked for, targets included
    return start


def _from_directory(directory: Path) -> Start:
    """Go on in `directory`, from its newest good checkpoint or, if it has none yet, from 0."""
    state, damaged = checkpoint.read_newest(directory / checkpoint.FOLDER)
    messages = [f"passed over: {text}" for text in damaged]
    if state is None:
        messages.append(f"{directory} has no checkpoint yet: starting at step 0.")
        config = read_config(directory)
    else:
        config = state["config"]
    return Start(
        config=config, directory=directory, state=state, from_user=False, messages=messages
    )


def _from_file(path: Path) -> Start:
    """Start a new run from a checkpoint file, which stays untouched."""
    state = checkpoint.read(path)
    config = {**state["config"], "name": None}
    return Start(config=config, state=state, from_user=False)


def read_config(directory: Path) -> Config:
    """The config.yaml of a run.

    Raises:
        UserError: it cannot be read.
    """
    file = directory / rundir.CONFIG
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"{file}: cannot be read ({error}).") from error
    if not isinstance(config, dict):
        raise UserError(f"{file}: not a config of gan-train.")
    return config


def _override(config: Config, typed: Config, given: list[str]) -> None:
    """Take over the values of the keys that were given."""
    for key in given:
        *parents, last = key.split(".")
        source, target = typed, config
        for part in parents:
            source, target = source[part], target[part]
        target[last] = source[last]
    config.update({key: typed[key] for key in STARTING})
    config["trust_checkpoint"], config["debug"] = typed["trust_checkpoint"], typed["debug"]


def _differences(before: Config, now: Config) -> list[str]:
    """Settings that differ and that a resumed run may not change."""
    old, new = flatten(before), flatten(now)
    ignored = RESUMABLE | STARTING | {"name", "output_dir"}
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
