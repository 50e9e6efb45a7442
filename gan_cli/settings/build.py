"""From config nodes to objects: the only place that instantiates.

A node's `_target_` names a class; its other keys are that class's keyword arguments. What a
class gets beside them, from the run itself, is written in PLACES.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from gan_cli.data.base import AnyDataset, Dataset, DataSource, PairDataset, Progress
from gan_cli.data.batches import make_batches
from gan_cli.errors import UserError, list_problems
from gan_cli.games.base import Game, Roles
from gan_cli.losses import Loss
from gan_cli.networks.speed import speed_up
from gan_cli.networks.sync import synchronise
from gan_cli.noise import Noise
from gan_cli.regularizers import Regularizer
from gan_cli.schedules import Schedule
from gan_cli.seeding import seed_global_streams
from gan_cli.spec import AnySpec
from gan_cli.system.ranks import ALONE, Ranks
from gan_cli.training.finite import Player
from gan_cli.training.optimizers import light
from gan_cli.training.state import TrainState

Node = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """A config node with a `_target_`.

    Attributes:
        base: the class that the target must be or inherit from.
        supplied: constructor arguments that come from the run, not from the node; a class gets
            those of them that it names.
        own: keys the node must have that are not constructor arguments.
        presets: keys it may have, for other values to refer to by `${...}`.
    """

    base: type
    supplied: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    presets: tuple[str, ...] = ()


PLACES: dict[str, Place] = {
    "data": Place(
        DataSource,
        own=("name", "validation", "batch_size"),
        presets=("kind", "load_sizes", "eval_every"),
    ),
    "noise": Place(Noise),
    "loss": Place(Loss),
    "optimizer": Place(torch.optim.Optimizer, supplied=("params",), own=("lr_d", "lr_g")),
    "schedule": Place(Schedule),
    "model": Place(
        Game,
        supplied=("generator", "discriminator", "noise", "loss", "spec", "regularizers"),
        own=("name", "generator", "discriminator"),
        presets=("steps", "presets", "backbone", "width", "norm", "spectral_norm"),
    ),
    "model.generator": Place(nn.Module, supplied=("noise_dim", "spec", "source", "target")),
    "model.discriminator": Place(nn.Module, supplied=("spec",)),
}

REGULARIZER = Place(Regularizer)

PREVIEW_ROWS = 6  # examples of translation
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
        place: where it shall stand.
        trusted: import from anywhere, as a user's own command line may ask; else only classes
            of gan_cli, torch.nn, torch.optim and torchvision, because importing runs code.

    Raises:
        ValueError: no such class, not one for this place, or not to be trusted.
    """
    path = str(target)
    safe = in_packages(path)
    if not safe and not trusted:
        raise ValueError(
            f"_target_={path}: not a class of gan_cli or torch, so it is not imported from a "
            "checkpoint. If you trust it, add trust_checkpoint=true"
        )
    module_name, _, name = path.rpartition(".")
    try:
        with contextlib.nullcontext() if safe else current_folder_importable():
            found = getattr(importlib.import_module(module_name), name)
    except Exception as error:  # importing runs a module, which may raise anything
        raise ValueError(
            f"_target_={path}: cannot be imported ({error}). Classes are looked for in the "
            "installed packages, on PYTHONPATH and in the current folder"
        ) from error
    if not (inspect.isclass(found) and issubclass(found, place.base)):
        kind = f"{place.base.__module__}.{place.base.__name__}"
        raise ValueError(f"_target_={path}: must be a class that inherits from {kind}")
    if inspect.isabstract(found):
        raise ValueError(f"_target_={path}: is abstract; name a class that inherits from it")
    if not trusted and not in_packages(found.__module__):
        raise ValueError(f"_target_={path}: is defined in {found.__module__}, outside gan_cli")
    return found


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
    others = ("_target_", *place.own, *place.presets)
    return {key: value for key, value in node.items() if key not in others}


def make(
    config: Node, key: str, *, adapt: Callable[[type], type] = lambda found: found, **supplied: Any
) -> Any:
    """Instantiate the node at `key` of a config whose targets were checked.

    Args:
        config: resolved.
        key: dotted path of the node.
        adapt: what to make of its class first.
        **supplied: what the class gets from the run.

    Raises:
        UserError: the class refuses its arguments.
    """
    place, node = places(config)[key], node_at(config, key)
    target = adapt(resolve(node["_target_"], place, trusted=True))
    try:
        return target(**wanted(target, supplied), **arguments(node, place))
    except (ValueError, TypeError) as error:
        raise UserError(prefix(key, error)) from error


def wanted(target: type, supplied: Mapping[str, Any]) -> dict[str, Any]:
    """Those supplied values that a constructor names."""
    parameters = inspect.signature(target).parameters
    return {name: value for name, value in supplied.items() if name in parameters}


def prefix(key: str, error: Exception) -> str:
    """Put a node's key before each line of its constructor's complaint."""

    def whole(line: str) -> str:
        if line.startswith("data"):  # names its key itself
            return line
        return f"{key}.{line}" if "=" in line.split(" ", maxsplit=1)[0] else f"{key}: {line}"

    lines = (str(error) or type(error).__name__).splitlines()
    if isinstance(error, TypeError):  # torch adds its own stack
        lines = lines[:1]
    return "\n".join(map(whole, lines))


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
            problems.append(f"{key}: has no _target_")
        except ValueError as error:
            problems.append(prefix(key, error))
    if problems:
        raise UserError(list_problems(problems, where="the checkpoint's configuration"))


def load_data(
    config: Node,
    *,
    part: Literal["train", "validation"] = "train",
    progress: Progress = lambda *_: None,
) -> AnyDataset:
    """Load the configured data, without or only with what `data.validation` holds out.

    Raises:
        UserError: they cannot be read, or nothing can be held out of them.
    """
    source = cast("DataSource", make(config, "data"))
    dataset = source.load(seed=config["seed"], progress=progress)
    held_out = config["data"]["validation"]
    if not isinstance(dataset, Dataset):
        return dataset  # nothing can be held out; `check` says so
    if part == "train" and not held_out:
        return dataset
    train, validation = dataset.split(held_out, mixed=source.ordered)
    return train if part == "train" else validation


def load_test_data(config: Node, *, progress: Progress = lambda *_: None) -> AnyDataset | None:
    """Data that training never sees: the test split, or else what `data.validation` holds out.

    Raises:
        UserError: files are there, but damaged.
    """
    source = cast("DataSource", make(config, "data"))
    found = source.load_test(seed=config["seed"], progress=progress)
    if found is not None or not config["data"]["validation"]:
        return found
    return load_data(config, part="validation", progress=progress)


def build_game(
    config: Node, spec: AnySpec, device: torch.device, *, dataset: AnyDataset | None = None
) -> Game[Any]:
    """Networks, noise and loss as one game on `device`, its weights drawn from the seed.

    Args:
        config: checked.
        spec: of the data.
        device: where the game is played.
        dataset: for generators that start from the data's mean, and for previews; None if weights
            are loaded anyway.
    """
    noise = make(config, "noise")
    target = resolve(node_at(config, "model")["_target_"], PLACES["model"], trusted=True)
    roles: Roles = cast("type[Game[Any]]", target).roles(spec, noise_dim=noise.dim)
    seed_global_streams(config["seed"])
    generator = make_networks(config, "model.generator", roles.generators)
    discriminator = make_networks(config, "model.discriminator", roles.discriminators)
    game: Game[Any] = make(
        config,
        "model",
        generator=generator,
        discriminator=discriminator,
        noise=noise,
        loss=make(config, "loss"),
        spec=spec,
        regularizers=make_regularizers(config),
    )
    if isinstance(dataset, Dataset):
        game.start_at(dataset.mean)
    game.fix_preview(seed=config["seed"], examples=examples(dataset))
    if config["ema"]["decay"]:
        game.keep_average(**config["ema"])
    game.to(device)
    if config["performance"] == "auto":
        speed_up(game, device, precision=config["precision"])
        game.join_passes()
    game.seed_noise(config["seed"], device=device)
    return game


def make_networks(config: Node, key: str, roles: Mapping[str, Mapping[str, Any]]) -> nn.Module:
    """The network for each role: itself if there is but one, else by name."""
    if list(roles) == [""]:
        network: nn.Module = make(config, key, **roles[""])
        return network
    return nn.ModuleDict({role: make(config, key, **told) for role, told in roles.items()})


def examples(dataset: AnyDataset | None) -> tuple[Tensor, Tensor] | None:
    """Images of both domains to look at, held-out ones if there are any."""
    if not isinstance(dataset, PairDataset):
        return None
    a, b = dataset.examples or (dataset.a, dataset.b)
    found_a, found_b = a.first(PREVIEW_ROWS), b.first(PREVIEW_ROWS)
    n = min(len(found_a), len(found_b))
    return found_a[:n], found_b[:n]


def make_regularizers(config: Node) -> list[Regularizer]:
    """All that `regularizer=` names.

    Raises:
        UserError: one refuses its arguments.
    """
    return [make(config, f"regularizer.{name}") for name in config["regularizer"]]


def build_optimizer(config: Node, player: Player, parameters: Any) -> torch.optim.Optimizer:
    """The configured optimizer for one player.

    Raises:
        UserError: it refuses its arguments.
    """
    node = dict(config["optimizer"])
    node["lr"] = learning_rate(config, player)
    # Adam takes no whole numbers among its betas.
    node = {
        key: tuple(map(float, value)) if isinstance(value, list | tuple) else value
        for key, value in node.items()
    }
    target = resolve(node["_target_"], PLACES["optimizer"], trusted=True)
    is_torch = target.__module__.startswith("torch.optim.")
    quick = config["performance"] == "auto" and is_torch and not node.get("differentiable")
    can_fuse = "fused" in inspect.signature(target).parameters
    if quick and can_fuse and not {"foreach", "fused"} & node.keys():
        # One kernel for all parameters; on CPUs the default is a loop over them.
        node["fused"] = True
    optimizer: torch.optim.Optimizer = make(
        {**config, "optimizer": node},
        "optimizer",
        adapt=light if quick else lambda found: found,
        params=parameters,
    )
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
        if "momentum" in group:
            group["initial_momentum"] = group["momentum"]
    return optimizer


def learning_rate(config: Node, player: Player) -> float:
    """lr_d or lr_g, or else lr."""
    own = config["optimizer"][f"lr_{player}"]
    return float(config["optimizer"]["lr"] if own is None else own)


def build_state(
    config: Node, dataset: AnyDataset, device: torch.device, *, ranks: Ranks = ALONE
) -> TrainState:
    """Everything that training changes, at step 0."""
    game = build_game(config, dataset.spec, device, dataset=dataset)
    if config["sync_batch_norm"] and not ranks.alone:
        synchronise(game, ranks)
    optimizers: dict[Player, torch.optim.Optimizer] = {
        "d": build_optimizer(config, "d", game.discriminators.parameters()),
        "g": build_optimizer(config, "g", game.generators.parameters()),
    }
    batches = make_batches(
        dataset, config["data"]["batch_size"], seed=config["seed"], device=device, ranks=ranks
    )
    state = TrainState(
        game=game,
        optimizers=optimizers,
        schedule=make(config, "schedule"),
        batches=batches,
        device=device,
        seed=config["seed"],
    )
    state.join(ranks)
    return state
