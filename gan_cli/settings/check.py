"""What a config must mean to be trained: all problems are reported before anything is built."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch

from gan_cli.data.base import DataSource
from gan_cli.errors import Problem, UserError, as_typed, choice_problems
from gan_cli.regularizers import Penalty, chosen_names, conflicts, has_batch_norm
from gan_cli.settings.notes import all_notes
from gan_cli.settings.objectives import patience_problems
from gan_cli.settings.schema import DIRECTIONS
from gan_cli.settings.targets import Node, node_at, places
from gan_cli.settings.trial import Parts, make_parts, optimizer_problems
from gan_cli.settings.trust import path_notes, place_problems
from gan_cli.settings.values import (
    group_value_problems,
    is_integer,
    metrics_problems,
    name_problems,
    number_problems,
)
from gan_cli.spec import PairSpec
from gan_cli.system.device import device_problems, resolve_device
from gan_cli.system.precision import PRECISIONS

PERFORMANCES = ("auto", "plain")


def check(
    config: Node,
    *,
    trusted: bool,
    from_command_line: Collection[str] = (),
    world: int = 1,
    more: Sequence[Problem] = (),
) -> list[str]:
    """Find every problem of a training config, and what in it has no effect.

    Args:
        config: resolved, plain containers, with all keys of the schema.
        trusted: it comes from the user, not from a checkpoint, or the user trusts that.
        from_command_line: keys that the user named; notes on defaults would only disturb.
        world: processes that share each batch.
        more: problems that were found elsewhere, to be reported with the others.

    Returns:
        Notes: settings that work but have no effect here, or another than one may think.

    Raises:
        UserError: one message with all problems, each with key, value and what would work.
    """
    problems = node_problems(config)
    if problems:  # nothing below can be checked in a node that is not there
        raise UserError(problems)
    problems = [*more, *root_problems(config), *group_value_problems(config)]
    problems += batch_problems(config, world)
    without_device = device_problems(config["device"])
    device = None if without_device else resolve_device(config["device"])
    problems += without_device + speed_problems(config, device)
    parts = make_parts(config, trusted=trusted, named=from_command_line)
    problems += parts.problems + spec_problems(config, parts) + combination_problems(config, parts)
    if "data" in parts.objects:
        problems += data_problems(config, parts.objects["data"], world)
        if not trusted:
            problems += place_problems(config, parts.objects["data"], from_command_line)
    if "optimizer" in parts.classes:
        on_cpu = device is not None and device.type == "cpu"
        problems += optimizer_problems(config, on_cpu=on_cpu)
    if problems:
        raise UserError(problems)
    assert device is not None
    places_said = [] if trusted else path_notes(config, from_command_line)
    return [*places_said, *all_notes(config, parts, device, from_command_line)]


def node_problems(config: Node) -> list[Problem]:
    """Places where no class is named, or where keys are missing that the run itself reads."""
    chosen = config["regularizer"]
    if not isinstance(chosen, Mapping):
        return [Problem("regularizer", chosen, "use regularizer=NAME or regularizer=[NAME,NAME]")]
    problems = []
    for key, place in places(config).items():
        try:
            node = node_at(config, key)
            missing = [name for name in ("_target_", *place.run_keys) if name not in node]
        except (KeyError, TypeError):
            advice = "is missing; choose an option, or name a class in its _target_"
            problems.append(Problem.about(key, advice))
            continue
        problems += [
            Problem.about(f"{key}.{name}", "is missing, and must be set") for name in missing
        ]
    return problems


def root_problems(config: Node) -> list[Problem]:
    """What is wrong with single values at the root."""
    problems = number_problems(config)
    problems += choice_problems("precision", config["precision"], PRECISIONS)
    problems += choice_problems("performance", config["performance"], PERFORMANCES)
    problems += choice_problems("direction", config["direction"], DIRECTIONS)
    problems += patience_problems(config)
    problems += metrics_problems("eval_metrics", config["eval_metrics"])
    if config["name"] is not None:
        problems += name_problems("name", config["name"])
    return problems


def batch_problems(config: Node, world: int) -> list[Problem]:
    """Batches that cannot be shared out evenly, over processes and micro-batches."""
    m, accumulate = config["data"]["batch_size"], config["accumulate"]
    if not is_integer(m) or m < 1 or accumulate < 1:
        return []  # reported already
    if m % accumulate:
        return [Problem("accumulate", accumulate, f"data.batch_size={m} does not divide by it")]
    if m % (world * accumulate):
        advice = f"does not divide by {world} processes"
        if accumulate > 1:
            advice += f" of {accumulate} micro-batches each"
        return [Problem("data.batch_size", m, advice)]
    return []


def speed_problems(config: Node, device: torch.device | None) -> list[Problem]:
    """Ways to compute that the device, or each other, rule out; None: no such device."""
    problems = []
    precision = config["precision"]
    if precision == "tf32" and device is not None and device.type != "cuda":
        advice = f"only CUDA devices have it, not {device}. Use fp32 or bf16"
        problems.append(Problem("precision", precision, advice))
    on_cuda = device is not None and device.type == "cuda"
    if precision == "bf16" and on_cuda and not torch.cuda.is_bf16_supported():
        problems.append(Problem("precision", precision, "this GPU does not have it. Use fp32"))
    if config["performance"] == "plain" and config["compile"]:
        advice = "performance=plain switches it off. Give one of them"
        problems.append(Problem("compile", True, advice))
    return problems


def combination_problems(config: Node, parts: Parts) -> list[Problem]:
    """Settings of several groups that make no sense together."""
    if parts.spec is None or "loss" not in parts.objects:
        return []
    problems = conflicts(
        parts.regularizers,
        loss=parts.objects["loss"],
        discriminator=parts.networks.get("discriminator"),
        images=parts.spec.is_image,
    )
    penalties = [value for value in parts.regularizers if isinstance(value, Penalty)]
    if config["compile"] and penalties:
        advice = (
            "torch.compile has no second derivatives, which "
            f"regularizer={as_typed(chosen_names(penalties))} needs. Use one of them"
        )
        problems.append(Problem("compile", True, advice))
    m, accumulate = config["data"]["batch_size"], config["accumulate"]
    if is_integer(m) and m == accumulate and any(map(has_batch_norm, parts.networks.values())):
        advice = (
            f"with accumulate={accumulate}, batch norm gets one datum at a time, which leaves it "
            "nothing to compare. Use a smaller accumulate, or model.norm=instance or layer"
        )
        problems.append(Problem("data.batch_size", m, advice))
    return problems


def data_problems(config: Node, source: DataSource, world: int) -> list[Problem]:
    """What cannot be had of such data, or by so many processes."""
    problems = []
    if problem := source.sharing_problem(world):
        problems.append(problem)
    name, held_out = config["data"]["name"], config["data"]["validation"]
    if source.streams and held_out:
        advice = (
            f"data={name} reads its shards one after the other, and holds no image out. "
            "Set it to 0, and leave whole shards out of data.shards instead"
        )
        problems.append(Problem("data.validation", held_out, advice))
    output_bias = config["model"]["generator"].get("output_bias")
    if source.streams and output_bias == "marginals":
        advice = (
            f"needs the mean of all images, and data={name} reads them one after the other. "
            "Use default"
        )
        problems.append(Problem("model.generator.output_bias", output_bias, advice))
    return problems


def spec_problems(config: Node, parts: Parts) -> list[Problem]:
    """What contradicts the kind of data: points, images or pairs."""
    spec = parts.spec
    if spec is None:
        return []
    problems = []
    kind = config["data"].get("kind")
    actual = "pairs" if isinstance(spec, PairSpec) else "images" if spec.is_image else "points"
    if kind is not None and kind != actual:
        advice = f"is not what {type(parts.objects['data']).__name__} holds"
        problems.append(Problem("data.kind", kind, advice))
    held_out = config["data"]["validation"]
    if actual == "pairs" and held_out:
        advice = "two domains have test folders instead. Set it to 0"
        problems.append(Problem("data.validation", held_out, advice))
    return problems
