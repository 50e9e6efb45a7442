"""Configs that were stored in files: held against the schema, as the command line's are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gan_cli.errors import UserError
from gan_cli.settings.schema import TrainConfig
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
