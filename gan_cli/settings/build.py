"""From config nodes to objects: the only place that instantiates."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, cast

import torch
from torch import nn

from gan_cli.data.base import AnyDataset, Dataset, DataSource, PairDataset, Progress
from gan_cli.data.batches import make_batches
from gan_cli.data.tables.values import scale_of
from gan_cli.errors import UserError, problems_in
from gan_cli.games.base import Game, Roles
from gan_cli.networks.speed import speed_up
from gan_cli.networks.sync import synchronise
from gan_cli.regularizers import Regularizer
from gan_cli.seeding import seed_global_streams
from gan_cli.settings.targets import PLACES, Node, arguments, node_at, places, resolve, wanted
from gan_cli.spec import AnySpec
from gan_cli.system.ranks import ALONE, Ranks
from gan_cli.training.finite import Player
from gan_cli.training.optimizers import light
from gan_cli.training.state import TrainState

PREVIEW_ROWS = 6  # examples of translation


def as_it_is(target: type) -> type:
    """The same class."""
    return target


def make(
    config: Node,
    key: str,
    *,
    supplied: Mapping[str, Any] | None = None,
    adapt: Callable[[type], type] = as_it_is,
) -> Any:
    """Instantiate the node at `key` of a config whose targets were checked.

    Args:
        config: resolved.
        key: dotted path of the node.
        supplied: what the run has for its class, by argument; a class gets what it names.
        adapt: makes of the class that the node names the one to instantiate.

    Raises:
        UserError: the class rejects its arguments.
    """
    place, node = places(config)[key], node_at(config, key)
    target = adapt(resolve(node["_target_"], place, trusted=True))
    try:
        return target(**wanted(target, supplied or {}), **arguments(node, place))
    except (ValueError, TypeError) as error:
        raise UserError(problems_in(error, key=key)) from error


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
        return standardised(dataset, dataset)
    train, validation = dataset.split(held_out, mixed=source.ordered)
    chosen = replace(train, held_out=validation) if part == "train" else validation
    return standardised(chosen, train)


def standardised(dataset: Dataset, train: Dataset) -> Dataset:
    """Data which networks see with the mean and the spread of the training part, if they shall.

    Raises:
        UserError: values are too large for that.
    """
    if not dataset.standardise:
        return dataset
    assert isinstance(train.values, torch.Tensor)
    mean, std = scale_of(train.values, train.rows)
    spec = replace(train.spec, mean=tuple(mean.tolist()), std=tuple(std.tolist()))
    return dataset.scaled_like(spec)


def load_test_data(config: Node, *, progress: Progress = lambda *_: None) -> AnyDataset | None:
    """Data that training never sees: the test split, or else what `data.validation` holds out.

    Raises:
        UserError: files are there, but damaged.
    """
    source = cast("DataSource", make(config, "data"))
    test = source.load_test(seed=config["seed"], progress=progress)
    if test is not None or not config["data"]["validation"]:
        return test
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
    supplied = {
        "generator": generator,
        "discriminator": discriminator,
        "noise": noise,
        "loss": make(config, "loss"),
        "spec": spec,
        "regularizers": make_regularizers(config),
    }
    game: Game[Any] = make(config, "model", supplied=supplied)
    game.g_moves = config["g_moves"]
    if isinstance(dataset, Dataset):
        game.start_at(dataset.mean)
    images = dataset.preview_images(PREVIEW_ROWS) if isinstance(dataset, PairDataset) else None
    game.fix_preview(seed=config["seed"], examples=images)
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
        network: nn.Module = make(config, key, supplied=roles[""])
        return network
    return nn.ModuleDict(
        {role: make(config, key, supplied=supplied) for role, supplied in roles.items()}
    )


def make_regularizers(config: Node) -> list[Regularizer]:
    """All that `regularizer=` names.

    Raises:
        UserError: one rejects its arguments.
    """
    return [make(config, f"regularizer.{name}") for name in config["regularizer"]]


def build_optimizer(config: Node, player: Player, parameters: Any) -> torch.optim.Optimizer:
    """The configured optimizer for one player.

    Raises:
        UserError: it rejects its arguments.
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
        supplied={"params": parameters},
        adapt=light if quick else as_it_is,
    )
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
        if "momentum" in group:
            group["initial_momentum"] = group["momentum"]
    return optimizer


def learning_rate(config: Node, player: Player) -> float:
    """A player's own rate, lr_d or lr_g; lr where that is null."""
    rate = config["optimizer"][f"lr_{player}"]
    return float(config["optimizer"]["lr"] if rate is None else rate)


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
