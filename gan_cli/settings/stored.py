"""Configs that were stored in files: held against the schema, as the command line's are."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gan_cli.errors import SettingsError, UserError
from gan_cli.settings.schema import TrainConfig
from gan_cli.settings.targets import node_at, places, resolve
from gan_cli.settings.values import flatten

#: What a root key means for configs that were stored before it existed.
BEFORE = {
    "checkpoint_minutes": 1.5,
    "objective": None,
    "direction": "minimize",
    "eval_every": 0,
    "eval_metrics": None,
    "eval_samples": 5000,
    "inception": None,
    "sync_batch_norm": False,
    "report": True,
    "g_moves": 1,
    "patience": None,
}


def typed(config: object, source: Path) -> dict[str, Any]:
    """A config read from a file, checked against the schema as the command line's is.

    Raises:
        UserError: a key is missing, unknown or of another type.
    """
    if isinstance(config, Mapping):
        config = {**BEFORE, **config}
    try:
        whole = OmegaConf.to_container(OmegaConf.merge(OmegaConf.structured(TrainConfig), config))
    except (OmegaConfBaseException, TypeError, ValueError, RecursionError) as error:
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


def comparable(config: Mapping[str, Any], *, trusted: bool) -> dict[str, Any]:
    """A config to hold against one of another version: dotted keys, whatever the version wrote.

    Arguments that a node does not name have their constructor's defaults: they came later, and it
    was trained like that. Presets are left out, because the values that refer to them are there.

    Args:
        config: whole, as stored or composed.
        trusted: its classes are the user's choice; see `resolve`.
    """
    flat = flatten(config)
    for key, place in places(config).items():
        presets = tuple(f"{key}.{preset}." for preset in place.presets)
        flat = {name: v for name, v in flat.items() if not f"{name}.".startswith(presets)}
        try:
            node = node_at(config, key)
            target = resolve(node["_target_"], place, trusted=trusted)
        except (SettingsError, KeyError, TypeError):  # `check` reports it
            continue
        for name, value in defaults_of(target).items():
            if name not in node and name not in place.supplied:
                flat[f"{key}.{name}"] = value
    return flat


def defaults_of(target: type) -> dict[str, Any]:
    """The arguments that a constructor can do without, as a config holds them."""
    parameters = inspect.signature(target).parameters.values()
    return {
        parameter.name: list(parameter.default)
        if isinstance(parameter.default, tuple)
        else parameter.default
        for parameter in parameters
        if parameter.default is not parameter.empty
    }
