"""What people type that other programs take, and what they meant by it."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from gan_cli.cli.keys import composed_keys, field_names
from gan_cli.errors import Problem, did_you_mean, nearest
from gan_cli.system.shell import hydra_value

#: Hydra's own folders, which gan-train switches off, and the value that says the same.
HYDRA_FOLDERS = {
    "hydra.run.dir": ".",
    "hydra.sweep.dir": None,
    "hydra.sweep.subdir": None,
    "hydra.job.chdir": "false",
    "hydra.output_subdir": "null",
}
#: What says instead where a command writes.
PLACE_KEYS = {
    "gan-train": "output_dir=FOLDER",
    "gan-sample": "out=PATH",
    "gan-translate": "output=FOLDER",
    "gan-evaluate": "out=FILE",
}
#: Names of other programs and of papers for options; letters and digits alone.
OTHER_NAMES = {
    "loss": {
        "bce": "loss=non_saturating",
        "gan": "loss=non_saturating",
        "vanilla": "loss=non_saturating",
        "nsgan": "loss=non_saturating",
        "lsgan": "loss=least_squares",
        "mse": "loss=least_squares",
        "wgan": "loss=wasserstein regularizer=weight_clipping",
        "wgangp": "loss=wasserstein regularizer=gradient_penalty",
        "rgan": "loss=relativistic",
        "rsgan": "loss=relativistic",
        "rpgan": "loss=relativistic",
        "ragan": "loss=relativistic",
        "mmgan": "loss=minimax",
        "saturating": "loss=minimax",
    },
    "model": {"gan": "model=vanilla", "mlp": "model=vanilla", "conditional": "model=cgan"},
    "data": {
        "folder": "data=image_folder",
        "images": "data=image_folder",
        "cifar": "data=cifar10",
        "sklearn": "data=digits",
    },
    "noise": {"gaussian": "noise=normal", "gauss": "noise=normal", "sphere": "noise=spherical"},
    "schedule": {"linear": "schedule=linear_decay", "none": "schedule=constant"},
    "regularizer": {
        "gp": "regularizer=gradient_penalty",
        "wgangp": "regularizer=gradient_penalty",
        "clipping": "regularizer=weight_clipping",
        "ada": "regularizer=diffaugment",
    },
}
#: Keys of other programs; lower case, `-` as `_`.
OTHER_KEYS = {
    "learning_rate": "optimizer.lr",
    "batchsize": "data.batch_size",
    "nz": "noise.dim",
    "latent_dim": "noise.dim",
    "z_dim": "noise.dim",
    "imagesize": "data.image_size",
    "img_size": "data.image_size",
    "dataroot": "data.root",
    "data_dir": "data.root",
    "dataset": "data",
    "n_critic": "k",
    "iterations": "steps",
    "max_steps": "steps",
    "num_steps": "steps",
    "out_dir": "output_dir",
    "outdir": "output_dir",
    "checkpoint": "run",
}


def hydra_folder_problems(command: str, arguments: Sequence[str]) -> list[Problem]:
    """Settings of Hydra's own folders, which would have no effect.

    Args:
        command: the console script.
        arguments: its command line.
    """
    problems = []
    for text in arguments:
        key, equals, value = text.partition("=")
        key = key.lstrip("+~")
        if equals and key in HYDRA_FOLDERS and value.lower() != HYDRA_FOLDERS[key]:
            advice = "has no effect: Hydra's own folders are switched off, and no job changes the "
            advice += f"current folder. Drop it; {PLACE_KEYS[command]} says where files go"
            problems.append(Problem(key, value, advice))
    return problems


def flag_problem(config_name: str, arguments: Sequence[str]) -> Problem | None:
    """A flag that Hydra does not have, like `--steps 100`; None: all are its own."""
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()
    parser.exit_on_error = False
    try:
        _, unknown = parser.parse_known_args(list(arguments))
    except argparse.ArgumentError as error:
        return Problem.about(str(error.argument_name).partition("/")[0], error.message)
    flags = [text for text in unknown if text.startswith("-")]
    if not flags:
        late = next(iter(unknown), None)
        advice = "key=value after a flag is not read. Give all of them before the flags"
        return None if late is None else Problem.about(late, advice)
    name, equals, value = flags[0].partition("=")
    if not equals:
        value = follower(flags[0], arguments)
    meant = setting(config_name, name.lstrip("-").replace("-", "_"), value)
    advice = "no such flag; settings are key=value. "
    return Problem.about(flags[0], advice + (meant or f"gan-{config_name} --help lists them."))


def lone_word_problem(
    config_name: str, word: str, overrides: Sequence[str], *, options: dict[str, list[str]]
) -> Problem:
    """A word without `=`: a key, the name of an option, or a path."""
    advice = "not of the form key=value. "
    for group, names in options.items():
        if option := option_for(group, word, names):
            return Problem.about(word, f"{advice}Did you mean {option}?")
    run = "resume" if config_name == "train" else "run"
    if "/" in word or Path(word).exists():
        return Problem.about(word, f"{advice}Did you mean {assignment(run, word)}?")
    known = field_names(config_name)
    value = follower(word, overrides)
    if word in known and value:
        return Problem.about(word, f"{advice}Did you mean {assignment(word, value)}?")
    if word in known:
        return Problem.about(word, f"{advice}Give it a value: {word}=...")
    return Problem.about(word, (advice + did_you_mean(word, [*known, *options])).strip())


def follower(word: str, arguments: Sequence[str]) -> str:
    """The argument after `word`, if it may be its value."""
    place = list(arguments).index(word) + 1
    following = arguments[place] if place < len(arguments) else ""
    return "" if following.startswith("-") or "=" in following else following


def setting(config_name: str, name: str, value: str) -> str:
    """`Write key=value` for a key as another program may call it; empty: no such key."""
    name = OTHER_KEYS.get(name.lower(), name)
    roots = field_names(config_name)
    key: str | None = name
    if name not in roots:
        known = composed_keys(config_name, [])
        inside = [key for key in known if name in (key, key.rpartition(".")[2])]
        key = inside[0] if inside else nearest(name, roots)
    if "." in name and config_name == "train" and key is None:
        key = name
    return "" if key is None else f"Write {assignment(key, value) if value else f'{key}=...'}"


def assignment(key: str, value: str) -> str:
    """`key=value`, quoted for the shell, and for Hydra if it must be."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_override(f"{key}={value}")
        readable = not parsed.is_sweep_override()
    except HydraException:
        readable = False
    return shlex.quote(f"{key}={value if readable else hydra_value(value)}")


def option_for(group: str, word: str, options: Sequence[str]) -> str:
    """`group=option` for another spelling or name of an option; empty: there is none."""
    bare = letters(word)
    for option in options:
        if bare and letters(option) == bare:
            return f"{group}={option}"
    return OTHER_NAMES.get(group, {}).get(bare, "")


def letters(word: str) -> str:
    """A word's letters and digits, in lower case."""
    return re.sub(r"[^a-z0-9]", "", word.lower())


def list_problem(key: str, value: str, full: str, default: object) -> Problem | None:
    """A list as Python writes it, `key[0]=x` or `key=(x,y)`; None: it is another mistake.

    Args:
        key: as typed.
        value: as typed.
        full: the key that is meant.
        default: what it is otherwise.
    """
    if match := re.fullmatch(r"(.+)\[(\d+)\]", key):
        values = list(default) if isinstance(default, list | tuple) else []
        if int(match[2]) < len(values):
            values[int(match[2])] = value
            listed = ",".join(map(str, values))
            whole = shlex.quote(f"{full}=[{listed}]")
            return Problem(key, value, f"a list is set as a whole. Write {whole}")
        return None
    if match := re.fullmatch(r"\(([^()]*)\)", value):
        listed = match[1].strip().rstrip(",")
        whole = shlex.quote(f"{full}=[{listed}]")
        return Problem(key, value, f"a list has square brackets. Write {whole}")
    return None
