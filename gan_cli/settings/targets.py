"""Which class a config node names by its `_target_`, and whether it may be imported.

The other keys of a node are that class's constructor arguments. What a class gets beside them,
from the run itself, is written in PLACES.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gan_cli.data.base import DataSource
from gan_cli.errors import Problem, SettingsError, UserError, problems_in
from gan_cli.games.base import Game
from gan_cli.losses import Loss
from gan_cli.noise import Noise
from gan_cli.regularizers import Regularizer
from gan_cli.schedules import Schedule

Node = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """A config node with a `_target_`.

    Attributes:
        base: the class that the target must be or inherit from.
        supplied: constructor arguments that come from the run, not from the node; a class gets
            those of them that it names.
        run_keys: keys that the node must have and that the run reads, not the constructor.
        presets: keys that the node may have, for other values to refer to by `${...}`.
    """

    base: type
    supplied: tuple[str, ...] = ()
    run_keys: tuple[str, ...] = ()
    presets: tuple[str, ...] = ()


PLACES: dict[str, Place] = {
    "data": Place(
        DataSource,
        run_keys=("name", "validation", "batch_size"),
        presets=("kind", "load_sizes", "eval_every"),
    ),
    "noise": Place(Noise),
    "loss": Place(Loss),
    "optimizer": Place(torch.optim.Optimizer, supplied=("params",), run_keys=("lr_d", "lr_g")),
    "schedule": Place(Schedule),
    "model": Place(
        Game,
        supplied=("generator", "discriminator", "noise", "loss", "spec", "regularizers"),
        run_keys=("name", "generator", "discriminator"),
        presets=("steps", "presets", "backbone", "width", "norm", "spectral_norm"),
    ),
    "model.generator": Place(nn.Module, supplied=("noise_dim", "spec", "source", "target")),
    "model.discriminator": Place(nn.Module, supplied=("spec",)),
}

REGULARIZER = Place(Regularizer)

#: Where classes live that a config may name without the user's trust.
SAFE_PACKAGES = ("gan_cli", "torch.nn", "torch.optim", "torchvision")


def places(config: Node) -> dict[str, Place]:
    """All places of a config: the fixed ones, and one for each regularizer in it."""
    chosen = config.get("regularizer") or {}
    return PLACES | {f"regularizer.{name}": REGULARIZER for name in chosen}


def node_at(config: Node, key: str) -> Any:
    """The node at a dotted key."""
    node: Any = config
    for part in key.split("."):
        node = node[part]
    return node


def resolve(target: object, place: Place, *, trusted: bool) -> type:
    """The class that a `_target_` names.

    Args:
        target: dotted path, as in the config.
        place: the node's.
        trusted: import from anywhere, as a user's own command line may ask; else only classes
            of gan_cli, torch.nn, torch.optim and torchvision, because importing runs code.

    Raises:
        SettingsError: no such class, not one for this place, or not to be trusted.
    """

    def rejected(advice: str) -> SettingsError:
        return SettingsError([Problem("_target_", path, advice)])

    path = str(target)
    safe = in_packages(path)
    if not safe and not trusted:
        raise rejected(
            "not a class of gan_cli or torch, so it is not imported from a checkpoint. "
            "If you trust it, add trust_checkpoint=true"
        )
    module_name, _, name = path.rpartition(".")
    try:
        with contextlib.nullcontext() if safe else current_folder_importable():
            named = getattr(importlib.import_module(module_name), name)
    except Exception as error:  # importing runs a module, which may raise anything
        raise rejected(
            f"cannot be imported ({error}). Classes are searched for in the installed packages, "
            "on PYTHONPATH and in the current folder"
        ) from error
    if not (inspect.isclass(named) and issubclass(named, place.base)):
        base = f"{place.base.__module__}.{place.base.__name__}"
        raise rejected(f"must be a class that inherits from {base}")
    if inspect.isabstract(named):
        raise rejected("is abstract; name a class that inherits from it")
    if not trusted and not in_packages(named.__module__):
        raise rejected(f"is defined in {named.__module__}, outside gan_cli")
    return named


def in_packages(path: str) -> bool:
    """Whether a dotted path lies in one of SAFE_PACKAGES."""
    return any(path == package or path.startswith(package + ".") for package in SAFE_PACKAGES)


@contextlib.contextmanager
def current_folder_importable() -> Iterator[None]:
    """Look for modules in the current folder too, after all other places."""
    folder = str(Path.cwd())
    sys.path.append(folder)
    try:
        yield
    finally:
        del sys.path[len(sys.path) - 1 - sys.path[::-1].index(folder)]  # the one from above


def arguments(node: Node, place: Place) -> dict[str, Any]:
    """The node's constructor arguments."""
    not_arguments = ("_target_", *place.run_keys, *place.presets)
    return {key: value for key, value in node.items() if key not in not_arguments}


def wanted(target: type, supplied: Mapping[str, Any]) -> dict[str, Any]:
    """Those supplied values that a constructor names."""
    parameters = inspect.signature(target).parameters
    return {name: value for name, value in supplied.items() if name in parameters}


def foreign_targets(config: Node) -> list[str]:
    """Classes the config names that lie outside gan_cli and torch."""
    targets = (str(node_at(config, key)["_target_"]) for key in places(config))
    return [target for target in targets if not in_packages(target)]


def vet_targets(config: Node, *, trusted: bool) -> None:
    """Resolve every class that a checkpoint's config names, before any is made.

    Raises:
        UserError: one does not exist, does not fit its place, or is not to be trusted.
    """
    problems = []
    for key, place in places(config).items():
        try:
            resolve(node_at(config, key)["_target_"], place, trusted=trusted)
        except (KeyError, TypeError):
            problems.append(Problem.about(key, "has no _target_"))
        except SettingsError as error:
            problems += problems_in(error, key=key)
    if problems:
        raise UserError(problems, where="the checkpoint's configuration")
