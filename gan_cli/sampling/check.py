"""Whether a sampling config makes sense: every problem at once, before the run is opened."""

from __future__ import annotations

from typing import Any

from gan_cli.errors import Problem, choice_problems
from gan_cli.evaluation.attributes import ATTRIBUTES
from gan_cli.sampling.arithmetic import ARITHMETIC
from gan_cli.sampling.filters import NETWORKS
from gan_cli.sampling.modes import INTERPOLATIONS, MODES
from gan_cli.settings.values import seed_problems
from gan_cli.system.device import device_problems

MOST_INDEX = 1_000_000
MOST_STARTS, MOST_STEPS = 1000, 100_000
#: Keys that say where the run's data lie now.
PLACES = ("data.root", "data.file", "data.path")
READING = ("invert", "reconstruct")
#: Keys that only some modes use.
USERS: dict[str, tuple[str, ...]] = {
    "interpolation": ("interpolate",),
    **dict.fromkeys((*ARITHMETIC, "attribute"), ("arithmetic",)),
    **dict.fromkeys(("input", "starts", "steps"), READING),
    **dict.fromkeys(("network", "layer"), ("filters",)),
    **dict.fromkeys(PLACES, ("reconstruct", "filters", "grid")),
}


def config_problems(config: dict[str, Any]) -> list[Problem]:
    """Every problem of a sampling config."""
    mode, labels = config["mode"], config["labels"]
    problems = choice_problems("mode", mode, list(MODES))
    if mode in MODES:
        problems += [problem for key in USERS for problem in stray_problems(key, config)]
        problems += input_problems(config)
    problems += n_problems(config)
    for key, choices in (
        ("interpolation", INTERPOLATIONS),
        ("attribute", list(ATTRIBUTES)),
        ("network", NETWORKS),
    ):
        if config[key] is not None:
            problems += choice_problems(key, config[key], choices)
    for key, most in (("starts", MOST_STARTS), ("steps", MOST_STEPS), ("layer", None)):
        value = config[key]
        if value is not None and not 1 <= value <= (most or value):
            advice = f"must lie between 1 and {most}" if most else "layers count from 1"
            problems.append(Problem(key, value, advice))
    if not (
        labels is None
        or is_label(labels)
        or (isinstance(labels, list) and labels and all(map(is_listed, labels)))
    ):
        problems.append(Problem("labels", labels, "give one label, or a list like [0,1]"))
    for key in ARITHMETIC:
        problems += index_problems(key, config[key])
    problems += seed_problems(config["seed"], may_be_list=mode not in MODES or mode == "images")
    return problems + device_problems(config["device"])


def stray_problems(key: str, config: dict[str, Any]) -> list[Problem]:
    """Whether a key is given to a mode that does not use it."""
    modes = USERS[key]
    value = config["data"][key.removeprefix("data.")] if key in PLACES else config[key]
    if value is None or config["mode"] in modes:
        return []
    users = " and ".join(f"mode={mode}" for mode in modes)
    uses = "uses" if len(modes) == 1 else "use"
    return [Problem(key, value, f"only {users} {uses} it")]


def n_problems(config: dict[str, Any]) -> list[Problem]:
    """What is wrong with the number of samples."""
    mode, n = config["mode"], config["n"]
    if n is None:
        return []
    if mode == "arithmetic":
        return [Problem("n", n, "mode=arithmetic takes a, b and c instead")]
    if config["input"] is not None and mode in READING:
        return [Problem("n", n, "all pictures of input are taken; leave n out")]
    if not 1 <= n <= MOST_INDEX:
        return [Problem("n", n, f"must lie between 1 and {MOST_INDEX}")]
    return []


def input_problems(config: dict[str, Any]) -> list[Problem]:
    """What is wrong with `input`, as far as one can tell without looking."""
    mode, source = config["mode"], config["input"]
    if mode == "invert" and source is None:
        advice = (
            "mode=invert needs a picture, or a folder of pictures: input=PATH. "
            "mode=reconstruct takes held-out data of the run"
        )
        return [Problem("input", source, advice)]
    if source == "":
        return [Problem("input", source, "name a picture, or a folder of pictures")]
    if mode == "reconstruct" and source is not None:
        given = {key: config["data"][key.removeprefix("data.")] for key in PLACES}
        advice = "the pictures of input are taken, not the run's data"
        return [Problem(key, value, advice) for key, value in given.items() if value is not None]
    return []


def is_label(value: object) -> bool:
    """A number or a name, which YAML may read as another type: a folder can be called 0.5."""
    return isinstance(value, int | float | str)


def is_listed(value: object) -> bool:
    """A label in a list, where null is the name of a folder."""
    return value is None or is_label(value)


def index_problems(key: str, indices: Any) -> list[Problem]:
    """What is wrong with one of mode=arithmetic's lists."""
    if indices is None or (indices and all(0 <= index <= MOST_INDEX for index in indices)):
        return []
    return [
        Problem(key, indices, "give numbers of samples, as mode=sheet shows them, like [0,1,2]")
    ]
