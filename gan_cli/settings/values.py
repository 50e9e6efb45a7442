"""What single values of a config must be, and their types in words."""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import typeguard
from torch import Tensor
from typeguard import CollectionCheckStrategy

from gan_cli.errors import Problem

MOST_STEPS, MOST_THREADS = 10**12, 1024
#: Whole numbers at the root, and the least that they may be.
LEAST = {
    "k": 1,
    "g_moves": 1,
    "steps": 1,
    "seed": 0,
    "log_every": 1,
    "sample_every": 0,
    "eval_every": 0,
    "eval_samples": 2,
    "checkpoint_every": 0,
    "accumulate": 1,
    "keep_last": 1,
    "keep_every": 0,
}
POSITIVE_OR_NULL = ("threads", "max_minutes", "max_grad_norm", "checkpoint_minutes")
NAME = re.compile(r"[\w.-]+(/[\w.-]+)*")
ALL_ITEMS = CollectionCheckStrategy.ALL_ITEMS
LONGEST_NAME = 200  # characters; a file system allows 255 bytes for a folder
#: Types as a person calls them, and lists of them with an example.
PLAIN = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
LISTED = {int: ("whole numbers", "[1,2]"), float: ("numbers", "[0.5,0.9]"), str: ("names", "[a,b]")}


def number_problems(config: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with the numbers at the root of a training config."""
    problems = [
        Problem(key, config[key], f"must be at least {least}")
        for key, least in LEAST.items()
        if config[key] < least
    ]
    problems += [
        Problem(key, config[key], "must be positive, or null")
        for key in POSITIVE_OR_NULL
        if config[key] is not None and not config[key] > 0
    ]
    if config["patience"] is not None and config["patience"] < 0:
        problems.append(Problem("patience", config["patience"], "must be at least 1; null: never"))
    problems += [
        Problem(key, config[key], f"must be at most {most}")
        for key, most in (("steps", MOST_STEPS), ("threads", MOST_THREADS))
        if config[key] is not None and config[key] > most
    ]
    return problems


def group_value_problems(config: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with the keys inside groups that the run reads, and no constructor."""
    problems = []
    for group in ("model", "data"):
        label = config[group]["name"]
        if not isinstance(label, str) or "/" in label or not is_name(label):
            advice = "use letters, digits, '.', '_' and '-'"
            problems.append(Problem(f"{group}.name", label, advice))
    batch_size = config["data"]["batch_size"]
    if not is_integer(batch_size) or batch_size < 1:
        problems.append(
            Problem("data.batch_size", batch_size, "must be a whole number, at least 1")
        )
    decay = config["ema"]["decay"]
    if not 0 <= decay < 1:
        problems.append(Problem("ema.decay", decay, "must lie in [0, 1); 0 keeps none"))
    held_out = config["data"]["validation"]
    if not is_integer(held_out) or held_out < 0:
        problems.append(Problem("data.validation", held_out, "must be a whole number, at least 0"))
    for key in ("lr", "lr_d", "lr_g"):
        rate = config["optimizer"][key]
        may_be_null = key != "lr"
        if not (rate is None and may_be_null) and not is_positive(rate):
            problems.append(Problem(f"optimizer.{key}", rate, "must be a positive number"))
    return problems


def name_problems(key: str, name: str) -> list[Problem]:
    """Why `name` cannot name a run below output_dir; empty if it can."""
    if is_name(name):
        return []
    advice = "use letters, digits, '.', '_' and '-' (a '/' makes a sub-folder)"
    return [Problem(key, name, advice)]


def is_name(name: str) -> bool:
    """Whether `name` can be a run's path below output_dir."""
    is_inside = not {".", ".."} & set(name.split("/"))
    return bool(NAME.fullmatch(name)) and is_inside and len(name) <= LONGEST_NAME


def metrics_problems(key: str, names: object) -> list[Problem]:
    """What is wrong with a value that must be null, a metric's name or a list of them."""
    listed = names if isinstance(names, list) else [names]
    if names is None or (listed and all(isinstance(name, str) for name in listed)):
        return []
    return [Problem(key, names, "give a name, a list like [parzen,diversity], or null for all")]


def seed_problems(seed: object, *, may_be_list: bool) -> list[Problem]:
    """What is wrong with the seed of samples, or with several, which only mode=images takes."""
    seeds = seed if isinstance(seed, list) else [seed]
    if not seeds or not all(map(is_integer, seeds)):
        return [Problem("seed", seed, "must be a whole number; mode=images takes a list, too")]
    if min(seeds) < 0:
        return [Problem("seed", seed, "must be at least 0")]
    if isinstance(seed, list) and not may_be_list:
        advice = f"only mode=images takes several. Give one, like seed={seeds[0]}"
        return [Problem("seed", seed, advice)]
    if len(set(seeds)) < len(seeds):
        return [Problem("seed", seed, "names one seed twice")]
    return []


def is_integer(value: object) -> bool:
    """An int that is not a bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_positive(value: object) -> bool:
    """A positive, finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


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


def describe(hint: Any) -> str:
    """A type in words; tensors, which no config can hold, are left out."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return "one of " + ", ".join("null" if word is None else str(word) for word in inner)
    if origin in (typing.Union, types.UnionType):
        words = [describe(part) for part in inner if part not in (types.NoneType, Tensor)]
        return ", or ".join([*words, *(["null"] if types.NoneType in inner else [])])
    if hint in PLAIN:
        return PLAIN[hint]
    if origin in (list, tuple, Sequence):
        for kind, (plural, example) in LISTED.items():
            if kind in (inner[0], *typing.get_args(inner[0])):
                is_fixed = origin is tuple and Ellipsis not in inner
                return f"{len(inner) if is_fixed else 'a list of'} {plural}, like {example}"
    return hint.__name__ if isinstance(hint, type) else str(hint)


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested config -> dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
