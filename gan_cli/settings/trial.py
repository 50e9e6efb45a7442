"""Tries to make what a config names, without memory, random numbers or files: `check` reports."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from gan_cli.errors import (
    Problem,
    SettingsError,
    UserError,
    did_you_mean,
    problems_in,
)
from gan_cli.games.base import Game, Roles
from gan_cli.regularizers import Regularizer
from gan_cli.settings.build import build_optimizer, make_networks
from gan_cli.settings.targets import (
    PLACES,
    Node,
    arguments,
    foreign_targets,
    in_packages,
    node_at,
    places,
    resolve,
    wanted,
)
from gan_cli.settings.trust import address_problems
from gan_cli.settings.values import describe, fits, is_positive
from gan_cli.spec import AnySpec


@dataclass
class Parts:
    """What could be made of a config.

    Attributes:
        objects: data, noise, loss, schedule and regularizers, by the key of their node.
        classes: of the model, its networks and the optimizer, whose constructors need more than
            the node, by the key of their node.
        spec: of the data; None: unknown.
        networks: by role, on PyTorch's meta device, which has no memory; those of the user's own
            classes are left out.
        problems: why the others could not be made.
    """

    objects: dict[str, Any] = field(default_factory=dict)
    classes: dict[str, type] = field(default_factory=dict)
    spec: AnySpec | None = None
    networks: dict[str, nn.Module] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def regularizers(self) -> list[Regularizer]:
        """All that `regularizer=` names."""
        return [value for value in self.objects.values() if isinstance(value, Regularizer)]


def make_parts(config: Node, *, trusted: bool, named: Collection[str] = ()) -> Parts:
    """Make what can be made of a config.

    Args:
        config: resolved, with a class named in each place.
        trusted: classes may come from anywhere, and addresses are the user's.
        named: keys that the command line names.
    """
    parts = Parts()
    for key, place in places(config).items():
        node = node_at(config, key)
        try:
            target = resolve(node["_target_"], place, trusted=trusted)
            require_signature(target, arguments(node, place), supplied=place.supplied)
            if place.supplied:
                parts.classes[key] = target
            else:
                parts.objects[key] = target(**arguments(node, place))
        except Exception as error:  # noqa: BLE001  (a class of the user may raise anything)
            parts.problems += problems_in(error, key=key)
    # To tell the shape, a source may fetch data, which a checkpoint alone must not ask for.
    if "data" in parts.objects and (trusted or not address_problems(parts.objects["data"], named)):
        try:
            parts.spec = parts.objects["data"].spec
        except (UserError, ValueError) as error:  # there is no folder to count classes in, say
            parts.problems += problems_in(error, key="data")
    if parts.spec is not None and "noise" in parts.objects and "model" in parts.classes:
        networks = try_networks(config, parts.spec, parts)
        parts.networks = networks.made
        parts.problems += networks.problems
        if "loss" in parts.objects:
            parts.problems += game_problems(config, parts)
    return parts


def require_signature(
    target: type, settings: Mapping[str, Any], *, supplied: Collection[str]
) -> None:
    """Compare a node's settings with the arguments of its class's constructor.

    Args:
        target: the class.
        settings: the node's, by argument.
        supplied: arguments that come from the run.

    Raises:
        SettingsError: the constructor lacks some, does not know them, or wants another type.
    """
    parameters = inspect.signature(target).parameters
    try:
        hints = typing.get_type_hints(inspect.getattr_static(target, "__init__"))
    except NameError:  # names imported for type checkers alone
        hints = {}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    problems = []
    for name, value in settings.items():
        if name in supplied:
            problems.append(Problem.about(name, "comes from the run itself and cannot be set"))
        elif name not in parameters and not takes_any:
            known = [p for p in parameters if p not in supplied]
            hint = did_you_mean(name, known)
            advice = (
                f"{target.__name__} has no such argument; it has {', '.join(known) or 'none'}"
                + (f". {hint}" if hint else "")
            )
            problems.append(Problem(name, value, advice))
        elif name in hints and not fits(value, hints[name]):
            problems.append(Problem(name, value, f"must be {describe(hints[name])}"))
    problems += [
        Problem.about(name, f"is missing, and {target.__name__} needs it")
        for name, p in parameters.items()
        if p.default is p.empty
        and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        and name not in settings
        and name not in supplied
    ]
    if problems:
        raise SettingsError(problems)


@dataclass
class Networks:
    """The networks that could be made, by role, and why the others could not."""

    made: dict[str, nn.Module] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def try_networks(config: Node, spec: AnySpec, parts: Parts) -> Networks:
    """Let the networks' constructors check their arguments, on the meta device."""
    networks = Networks()
    model: Any = parts.classes["model"]
    try:
        roles: Roles = model.roles(spec, noise_dim=parts.objects["noise"].dim)
    except ValueError as error:
        return Networks(problems=problems_in(error, key="model"))
    for role, supplied in (
        ("generator", roles.generators),
        ("discriminator", roles.discriminators),
    ):
        key = f"model.{role}"
        if key not in parts.classes or not in_packages(parts.classes[key].__module__):
            continue  # a user's network may not know the meta device
        try:
            with torch.device("meta"):
                networks.made[role] = make_networks(config, key, supplied)
        except UserError as error:
            networks.problems += error.problems
        except (RuntimeError, OverflowError) as error:
            networks.problems.append(too_large(key, error))
    return networks


def game_problems(config: Node, parts: Parts) -> list[Problem]:
    """Let the game's constructor check its arguments."""
    target = parts.classes["model"]
    if len(parts.networks) < 2 or not in_packages(target.__module__):
        return []
    supplied = {
        **parts.networks,
        "noise": parts.objects["noise"],
        "loss": parts.objects["loss"],
        "spec": parts.spec,
    }
    try:
        with torch.device("meta"):
            target(**wanted(target, supplied), **arguments(config["model"], PLACES["model"]))
    except (ValueError, TypeError) as error:
        return problems_in(error, key="model")
    except (RuntimeError, OverflowError) as error:
        return [too_large("model", error)]
    return []


def too_large(key: str, error: Exception) -> Problem:
    """PyTorch cannot make tensors of such a size."""
    return Problem.about(key, f"too large to be built ({str(error).splitlines()[0]})")


#: How PyTorch's messages call a setting of an optimizer, which it is, and what would work.
IN_TORCHS_WORDS = (
    ("learning rate", "lr", "must be a positive number"),
    ("beta parameter", "betas", "both must lie in [0, 1), like [0.5,0.999]"),
    ("beta1", "betas", "both must lie in [0, 1), like [0.5,0.999]"),
    ("epsilon", "eps", "must be at least 0"),
    ("Nesterov", "nesterov", "needs optimizer.momentum above 0, and no dampening"),
    ("momentum", "momentum", "must be at least 0"),
    ("weight_decay", "weight_decay", "must be at least 0"),
    ("alpha", "alpha", "must be at least 0"),
    ("rho", "rho", "must lie in [0, 1]"),
)


def named(problem: Problem, node: Mapping[str, Any]) -> Problem:
    """A problem that PyTorch words in its own way, with the key that it is about.

    Args:
        problem: of the optimizer.
        node: its settings.
    """
    if problem.key != "optimizer":
        return problem
    for words, key, advice in IN_TORCHS_WORDS:
        if words.lower() in problem.advice.lower() and key in node:
            return Problem(f"optimizer.{key}", node[key], advice, is_full=True)
    for key in sorted(node, key=len, reverse=True):  # PyTorch mostly names the argument
        if key in problem.advice:
            return Problem(f"optimizer.{key}", node[key], problem.advice, is_full=True)
    return problem


def optimizer_problems(config: Node, *, on_cpu: bool) -> list[Problem]:
    """Let the optimizer check its arguments.

    Args:
        config: resolved.
        on_cpu: step once too, on a weight made for this; what the CPU cannot, other devices may.
    """
    if not is_positive(config["optimizer"]["lr"]):
        return []  # reported already
    parameter = nn.Parameter(torch.zeros(2, 2))
    parameter.grad = torch.zeros_like(parameter)
    try:
        optimizer = build_optimizer(config, "d", [parameter])
        if on_cpu:
            optimizer.step()
    except UserError as error:
        return [named(problem, config["optimizer"]) for problem in error.problems]
    except (RuntimeError, TypeError, ValueError, ArithmeticError, AssertionError) as error:
        reason = str(error).strip().partition("\n")[0]
        return [Problem.about("optimizer", f"cannot step with these settings ({reason})")]
    return []


def try_users_networks(config: Node, game: Game[Any]) -> None:
    """Let a user's own networks see two samples before anything is written.

    Raises:
        UserError: they fail on them.
    """
    if not foreign_targets(config):
        return
    try:
        game.check_shapes()
    except Exception as error:  # what a user's own class raises is not ours to foresee
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"model: the networks do not fit the data or each other ({reason})."
        ) from error
