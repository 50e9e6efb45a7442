"""What a config must mean to be trained: every problem is found before anything is built."""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
import typeguard
from typeguard import CollectionCheckStrategy

from gan_cli.data.base import DataSource
from gan_cli.errors import UserError, list_problems, nearest
from gan_cli.games.base import Roles
from gan_cli.noise import Noise, Spherical
from gan_cli.regularizers import (
    Penalty,
    Regularizer,
    chosen_names,
    conflicts,
    has_batch_norm,
    is_unbounded,
)
from gan_cli.schedules import Schedule
from gan_cli.settings.build import (
    PLACES,
    Node,
    Place,
    arguments,
    build_optimizer,
    in_packages,
    make_networks,
    node_at,
    places,
    prefix,
    resolve,
    wanted,
)
from gan_cli.settings.schema import DIRECTIONS
from gan_cli.settings.values import name_problem
from gan_cli.spec import PairSpec
from gan_cli.system.device import resolve_device

MOST_STEPS, MOST_THREADS = 10**12, 1024
ALL_ITEMS = CollectionCheckStrategy.ALL_ITEMS
PRECISIONS = ("fp32", "tf32", "bf16")
PERFORMANCES = ("auto", "plain")


def check(config: Node, *, trusted: bool, given: Collection[str] = (), world: int = 1) -> list[str]:
    """Find every problem of a training config.

    Args:
        config: resolved, plain containers, with all keys of the schema.
        trusted: it comes from the user, not from a checkpoint, or the user trusts that.
        given: keys named on the command line, to tell what was asked for from what is default.
        world: processes that share each batch.

    Returns:
        Notes: settings that work but have no effect here, or another than one may think.

    Raises:
        UserError: one message with all problems, each with key, value and what would work.
    """
    problems = check_nodes(config)
    if problems:  # nothing below can be said of a node that is not there
        raise UserError(list_problems(problems))
    problems = check_numbers(config)
    m, pieces = config["data"]["batch_size"], world * config["accumulate"]
    if world > 1 and is_integer(m) and pieces > 0 and m % pieces:
        problems.append(
            f"data.batch_size={m}: does not divide by {world} processes"
            + (f" of {config['accumulate']} parts each" if config["accumulate"] > 1 else "")
        )
    notes = check_device(config, problems)
    made: dict[str, Any] = {}
    for key, place in places(config).items():
        check_place(config, key, place, trusted, made, problems)
    networks: dict[str, Any] = {}
    if {"data", "noise", "model"} <= made.keys():
        networks = check_networks(config, made, problems)
    if {"loss", "data"} <= made.keys():
        check_game(config, made, networks, problems)
    if "data" in made:
        check_data(config, made["data"], world, problems)
    if "optimizer" in made:
        check_optimizer(config, problems, on_cpu=is_on_cpu(config["device"]))
    if problems:
        raise UserError(list_problems(list(dict.fromkeys(problems))))
    return notes + meaning_notes(config, made, networks, given)


def check_nodes(config: Node) -> list[str]:
    """Places where no class is named, or where keys are missing that the run itself reads."""
    chosen = config["regularizer"]
    if not isinstance(chosen, Mapping):
        return [f"regularizer={chosen}: use regularizer=NAME or regularizer=[NAME,NAME]"]
    problems = []
    for key, place in places(config).items():
        try:
            node = node_at(config, key)
            lacking = [own for own in ("_target_", *place.own) if own not in node]
        except (KeyError, TypeError):
            problems.append(f"{key}: is missing; choose an option, or name a class in its _target_")
            continue
        problems += [f"{key}.{own}: is missing, and must be given" for own in lacking]
    return problems


def check_numbers(config: Node) -> list[str]:
    """Problems of single values at the root, and of the keys that no constructor sees."""
    rules: list[tuple[str, Any, bool, str]] = [
        *(
            (key, config[key], config[key] >= least, f"must be at least {least}")
            for key, least in (
                ("k", 1),
                ("steps", 1),
                ("seed", 0),
                ("log_every", 1),
                ("sample_every", 0),
                ("eval_every", 0),
                ("eval_samples", 2),
                ("checkpoint_every", 0),
                ("accumulate", 1),
                ("keep_last", 1),
                ("keep_every", 0),
            )
        ),
        *(
            (key, config[key], config[key] is None or config[key] > 0, "must be positive, or null")
            for key in ("threads", "max_minutes", "max_grad_norm", "checkpoint_minutes")
        ),
    ]
    problems = [f"{key}={value}: {message}" for key, value, holds, message in rules if not holds]
    for key, choices in (
        ("precision", PRECISIONS),
        ("performance", PERFORMANCES),
        ("direction", DIRECTIONS),
    ):
        if config[key] not in choices:
            problems.append(
                f"{key}={config[key]}: use {', '.join(choices)}{did_you_mean(config[key], choices)}"
            )
    if config["steps"] > MOST_STEPS:
        problems.append(f"steps={config['steps']}: must be at most {MOST_STEPS}")
    if config["threads"] is not None and config["threads"] > MOST_THREADS:
        problems.append(f"threads={config['threads']}: must be at most {MOST_THREADS}, or null")
    problems += metrics_problems("eval_metrics", config["eval_metrics"])
    if config["name"] is not None and (problem := name_problem(config["name"])):
        problems.append(problem)
    return problems + check_group_values(config)


def check_group_values(config: Node) -> list[str]:
    """Problems of the keys inside groups that the run itself reads."""
    problems = []
    for group in ("model", "data"):
        label = config[group]["name"]
        if not isinstance(label, str) or "/" in label or name_problem(label):
            problems.append(f"{group}.name={label}: use letters, digits, '.', '_' and '-'")
    batch_size = config["data"]["batch_size"]
    if not is_integer(batch_size) or batch_size < 1:
        problems.append(f"data.batch_size={batch_size}: must be a whole number, at least 1")
    elif config["accumulate"] > 0 and batch_size % config["accumulate"]:
        problems.append(
            f"accumulate={config['accumulate']}: data.batch_size={batch_size} does not divide by it"
        )
    if not 0 <= config["ema"]["decay"] < 1:
        problems.append(f"ema.decay={config['ema']['decay']}: must lie in [0, 1); 0 keeps none")
    validation = config["data"]["validation"]
    if not is_integer(validation) or validation < 0:
        problems.append(f"data.validation={validation}: must be a whole number, at least 0")
    for key in ("lr", "lr_d", "lr_g"):
        rate = config["optimizer"][key]
        if not (rate is None and key != "lr") and not is_positive(rate):
            problems.append(f"optimizer.{key}={rate}: must be a positive number")
    return problems


def check_device(config: Node, problems: list[str]) -> list[str]:
    """Check the device and what depends on it; notes on settings without effect there."""
    try:
        device = resolve_device(config["device"])
    except ValueError as error:
        problems.append(str(error))
        return []
    notes = []
    if config["precision"] == "tf32" and device.type != "cuda":
        problems.append(
            f"precision=tf32: only CUDA devices have it, not {device}. Use fp32 or bf16"
        )
    if (
        config["precision"] == "bf16"
        and device.type == "cuda"
        and not torch.cuda.is_bf16_supported()
    ):
        problems.append("precision=bf16: this GPU does not have it. Use fp32")
    if config["performance"] == "plain" and config["compile"]:
        problems.append("compile=true: performance=plain switches it off. Give one of them")
    if config["deterministic"] and device.type == "mps":
        notes.append("deterministic=true has no effect on mps, which promises nothing.")
    if config["deterministic"] and device.type == "cpu":
        notes.append(
            "deterministic=true has no effect on the CPU, where runs always repeat exactly."
        )
    return notes


def check_place(
    config: Node, key: str, place: Place, trusted: bool, made: dict[str, Any], problems: list[str]
) -> None:
    """Check a node against its class's constructor; keep what could be made of it alone."""
    node = node_at(config, key)
    try:
        target = resolve(node["_target_"], place, trusted=trusted)
    except ValueError as error:
        problems.append(prefix(key, error))
        return
    found = signature_problems(key, target, arguments(node, place), place.supplied)
    problems.extend(found)
    if found:
        return
    made[key] = target
    if not place.supplied:
        try:
            made[key] = target(**arguments(node, place))
        except Exception as error:  # noqa: BLE001  (a user's own class may raise anything)
            del made[key]
            problems.extend(prefix(key, error).splitlines())


def signature_problems(
    key: str, target: type, given: dict[str, Any], supplied: tuple[str, ...]
) -> list[str]:
    """Arguments that a constructor lacks, does not know, or wants of another type."""
    parameters = inspect.signature(target).parameters
    try:
        hints = typing.get_type_hints(inspect.getattr_static(target, "__init__"))
    except NameError:  # names imported for type checkers alone
        hints = {}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    problems = []
    for name, value in given.items():
        full = f"{key}.{name}"
        if name in supplied:
            problems.append(f"{full}: comes from the run itself and cannot be set")
        elif name not in parameters and not takes_any:
            known = [p for p in parameters if p not in supplied]
            problems.append(
                f"{full}={value}: {target.__name__} has no such argument; "
                f"it has {', '.join(known) or 'none'}{did_you_mean(name, known)}"
            )
        elif name in hints and not fits(value, hints[name]):
            problems.append(f"{full}={value}: must be {describe(hints[name])}")
    problems += [
        f"{key}.{name}: is missing, and {target.__name__} needs it"
        for name, p in parameters.items()
        if p.default is p.empty
        and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        and name not in given
        and name not in supplied
    ]
    return problems


def check_networks(config: Node, made: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """Let the networks' constructors check their arguments, without memory or random numbers.

    Returns:
        The networks that could be made, by their role, without values.
    """
    networks: dict[str, Any] = {}
    try:
        spec = made["data"].spec
        roles: Roles = made["model"].roles(spec, noise_dim=made["noise"].dim)
    except (UserError, ValueError) as error:  # no folder that tells the classes, or no such game
        problems.append(str(error))
        return networks
    kind = config["data"].get("kind")
    actual = "pairs" if isinstance(spec, PairSpec) else "images" if spec.is_image else "points"
    if kind is not None and kind != actual:
        problems.append(f"data.kind={kind}: is not what {made['data'].__class__.__name__} holds")
    for role, told in (("generator", roles.generators), ("discriminator", roles.discriminators)):
        key = f"model.{role}"
        if key not in made or not in_packages(made[key].__module__):
            continue  # a user's network may not know the meta device
        try:
            with torch.device("meta"):
                networks[role] = make_networks(config, key, told)
        except UserError as error:
            problems.extend(str(error).splitlines())
        except (RuntimeError, OverflowError) as error:
            problems.append(f"{key}: too large to be built ({str(error).splitlines()[0]})")
    return networks


def check_game(
    config: Node, made: dict[str, Any], networks: dict[str, Any], problems: list[str]
) -> None:
    """Let the game check its arguments, and what was chosen together."""
    try:
        loss, spec = made["loss"], made["data"].spec
    except UserError:  # said already
        return
    chosen = [value for value in made.values() if isinstance(value, Regularizer)]
    problems += conflicts(
        chosen, loss=loss, discriminator=networks.get("discriminator"), images=spec.is_image
    )
    penalties = [value for value in chosen if isinstance(value, Penalty)]
    if config["compile"] and penalties:
        problems.append(
            f"compile=true: torch.compile has no second derivatives, which regularizer="
            f"{', '.join(chosen_names(penalties))} needs. Use one of them"
        )
    held_out = config["data"]["validation"]
    if isinstance(spec, PairSpec) and held_out:
        problems.append(
            f"data.validation={held_out}: two domains have test folders instead. Set it to 0"
        )
    m, parts = config["data"]["batch_size"], config["accumulate"]
    if is_integer(m) and m == parts and any(map(has_batch_norm, networks.values())):
        problems.append(
            f"data.batch_size={m}, accumulate={parts}: batch norm sees one datum at a time, which "
            "leaves it nothing to compare. Use larger parts, or model.norm=instance or layer"
        )
    if len(networks) == 2 and in_packages(made["model"].__module__):
        supplied = {**networks, "noise": made["noise"], "loss": loss, "spec": spec}
        target, node = made["model"], arguments(config["model"], PLACES["model"])
        try:
            with torch.device("meta"):
                target(**wanted(target, supplied), **node)
        except (ValueError, TypeError) as error:
            problems.extend(prefix("model", error).splitlines())
        except (RuntimeError, OverflowError) as error:
            problems.append(f"model: too large to be built ({str(error).splitlines()[0]})")


def check_data(config: Node, source: DataSource, world: int, problems: list[str]) -> None:
    """What cannot be had of data that are read one after the other, or by so many processes."""
    if problem := source.sharing_problem(world):
        problems.append(problem)
    if not source.streams:
        return
    name, held_out = config["data"]["name"], config["data"]["validation"]
    if held_out:
        problems.append(
            f"data.validation={held_out}: data={name} reads its shards one after the other, and "
            "holds no image out. Set it to 0, and leave whole shards out of data.shards instead"
        )
    if config["model"]["generator"].get("output_bias") == "marginals":
        problems.append(
            f"model.generator.output_bias=marginals: needs the mean of all images, and data={name} "
            "reads them one after the other. Use default"
        )


def is_on_cpu(device: str) -> bool:
    """Whether a run on this device, if there is such a one, is on the CPU."""
    try:
        return resolve_device(device).type == "cpu"
    except ValueError:
        return False


def check_optimizer(config: Node, problems: list[str], *, on_cpu: bool) -> None:
    """Let the optimizer check its arguments, and on the CPU step once, on a weight nobody needs."""
    if not is_positive(config["optimizer"]["lr"]):
        return  # said already
    parameter = torch.nn.Parameter(torch.zeros(2, 2))
    parameter.grad = torch.zeros_like(parameter)
    try:
        optimizer = build_optimizer(config, "d", [parameter])
        if on_cpu:  # what one device cannot another may
            optimizer.step()
    except UserError as error:
        problems.append(str(error))
    except (RuntimeError, TypeError, ValueError, ArithmeticError, AssertionError) as error:
        said = str(error).strip().partition("\n")[0]
        problems.append(f"optimizer: cannot step with these settings ({said})")


def meaning_notes(
    config: Node, made: dict[str, Any], networks: dict[str, Any], given: Collection[str]
) -> list[str]:
    """Notes on settings that are allowed but may surprise."""
    notes = schedule_notes(config, made["schedule"])
    chosen = [value for value in made.values() if isinstance(value, Regularizer)]
    if "discriminator" in networks and is_unbounded(
        chosen, loss=made["loss"], discriminator=networks["discriminator"]
    ):
        notes.append(
            "loss=wasserstein: nothing bounds D's slope, so its scores will run away. Add "
            "regularizer=gradient_penalty (with model.discriminator.norm=layer for dcgan and cgan) "
            "or weight_clipping."
        )
    if config["sync_batch_norm"] and not any(map(has_batch_norm, networks.values())):
        notes.append("sync_batch_norm has no effect: these networks have no batch norm.")
    if "model.backbone" in given:
        notes.append(
            "++model.backbone names the networks without exchanging them: write model.backbone=..."
        )
    if "noise" not in inspect.signature(made["model"]).parameters:
        unused = [key for key in given if key.split(".")[0] == "noise"]
        if unused:
            notes.append(f"{', '.join(unused)} has no effect: this model draws no noise.")
    data = config["data"]
    if data.get("a") is not None:
        notes += [
            f"{key} has no effect: data.a and data.b are given."
            for key in ("data.root", "data.download")
            if key in given
        ]
    if not config["ema"]["decay"] and "ema.ramp_up" in given:
        notes.append("ema.ramp_up has no effect: ema.decay=0 keeps no average.")
    if config["keep_every"] and not (config["checkpoint_every"] or config["checkpoint_minutes"]):
        notes.append(
            "keep_every has no effect: checkpoint_every=0 checkpoint_minutes=null write only the "
            "last one."
        )
    noise: Noise = made["noise"]
    if isinstance(noise, Spherical) and noise.dim == 1:
        notes.append(
            "noise=spherical with noise.dim=1 draws only -1 and +1: G can make two points."
        )
    return notes + unused_notes(config, given)


def unused_notes(config: Node, given: Collection[str]) -> list[str]:
    """Notes on settings that others leave without effect."""
    notes = []
    optimizer = config["optimizer"]
    if "optimizer.lr" in given and None not in (optimizer["lr_d"], optimizer["lr_g"]):
        notes.append("optimizer.lr has no effect: lr_d and lr_g are both given.")
    if config["objective"] is None and "direction" in given:
        notes.append("direction has no effect: there is no objective.")
    unused = [key for key in ("eval_metrics", "eval_samples", "inception") if key in given]
    if config["eval_every"] > config["steps"]:
        notes.append(
            f"eval_every={config['eval_every']} is beyond steps={config['steps']}: "
            "nothing is evaluated."
        )
    if unused and not config["eval_every"]:
        notes.append(f"{', '.join(unused)} without effect: eval_every=0 evaluates nothing.")
    for role in ("generator", "discriminator"):
        network = config["model"][role]
        if f"model.{role}.fourier_scale" in given and not network.get("fourier_features"):
            notes.append(f"model.{role}.fourier_scale has no effect: fourier_features=0.")
    return notes


def schedule_notes(config: Node, schedule: Schedule) -> list[str]:
    """Notes on a schedule that has no effect, or ends before or after the run."""
    notes = []
    moves_momentum = getattr(schedule, "final_momentum", None) is not None
    if moves_momentum and "momentum" not in config["optimizer"]:
        notes.append("schedule.final_momentum has no effect: this optimizer has no momentum.")
    last = schedule.last_step
    if last is not None and last > config["steps"]:
        notes.append(
            f"the learning rate reaches 0 at step {last}, after steps={config['steps']}; "
            "schedule.constant_steps and schedule.decay_steps set its length."
        )
    if last is not None and last < config["steps"]:
        notes.append(
            f"the learning rate is 0 from step {last} on, but steps={config['steps']}: "
            "nothing is learned after that."
        )
    return notes


def fits(value: object, hint: Any) -> bool:
    """Whether a config value has a type; lists pass for tuples, true and false not for numbers."""
    if isinstance(value, bool) and bool not in (hint, *typing.get_args(hint)) and hint is not Any:
        return False
    if isinstance(value, list) and any(isinstance(item, bool) for item in value):
        return "bool" in str(hint)
    for candidate in (value, tuple(value) if isinstance(value, list) else value):
        try:
            typeguard.check_type(candidate, hint, collection_check_strategy=ALL_ITEMS)
        except typeguard.TypeCheckError:
            continue
        return True
    return False


#: Types as a person calls them, and lists of them with an example.
PLAIN = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
LISTED = {int: ("whole numbers", "[1,2]"), float: ("numbers", "[0.5,0.9]"), str: ("names", "[a,b]")}


def describe(hint: Any) -> str:
    """A type as a person may read it; tensors, which no config can hold, are left out."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return "one of " + ", ".join("null" if word is None else str(word) for word in inner)
    if origin in (typing.Union, types.UnionType):
        words = [describe(part) for part in inner if part not in (types.NoneType, torch.Tensor)]
        return ", or ".join([*words, *(["null"] if types.NoneType in inner else [])])
    if hint in PLAIN:
        return PLAIN[hint]
    if origin in (list, tuple, Sequence):
        for kind, (plural, example) in LISTED.items():
            if kind in (inner[0], *typing.get_args(inner[0])):
                is_fixed = origin is tuple and Ellipsis not in inner
                return f"{len(inner) if is_fixed else 'a list of'} {plural}, like {example}"
    return hint.__name__ if isinstance(hint, type) else str(hint)


def metrics_problems(key: str, names: object) -> list[str]:
    """What is wrong with a value that shall be null, a metric's name or a list of them."""
    listed = names if isinstance(names, list) else [names]
    if names is None or (listed and all(isinstance(name, str) for name in listed)):
        return []
    return [f"{key}={names}: give a name, a list like [parzen,diversity], or null for all"]


def did_you_mean(word: object, choices: typing.Iterable[str]) -> str:
    """`. Did you mean ...?`, or nothing."""
    match = nearest(str(word), choices)
    return f". Did you mean {match}?" if match else ""


def is_integer(value: object) -> bool:
    """An int that is not a bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_positive(value: object) -> bool:
    """A positive, finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
