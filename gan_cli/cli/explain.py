"""What is wrong with a command line that Hydra refuses: the key, the value, what would work."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from gan_cli.errors import UserError, nearest
from gan_cli.settings.schema import SCHEMAS, config_dir, groups, split_arguments
from gan_cli.system.shell import hydra_value

TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "list[int]": "a list of whole numbers, like [0,1]",
}


def explain(config_name: str, error: Exception, arguments: list[str]) -> str:
    """Hydra's first problem in our words.

    Args:
        config_name: the command's root config.
        error: what Hydra raised.
        arguments: the command line.
    """
    overrides, own_folder = split_arguments(arguments)
    options = all_options(own_folder)
    roots = [*field_names(config_name), *(group for group in options if group == "experiment")]
    for text in overrides:
        if not text.lstrip("+~").startswith("hydra"):
            message = explain_backbone(text, str(error)) or explain_syntax(text, str(error), roots)
            message = message or explain_group(text, str(error), options)
            message = message or explain_root(config_name, text, str(error), roots)
            if message:
                return message
    return explain_nested(config_name, error, overrides)


def refuse_empty_groups(arguments: list[str]) -> None:
    """Refuse `group=null` and the like, at which Hydra fails without naming it.

    Raises:
        UserError: a group that every run needs is left without an option.
    """
    seen: dict[str, str] = {}
    for text in arguments:
        key, equals, value = text.partition("=")
        options = groups().get(key, [])
        if not equals or not options:
            continue
        if key in seen:
            both = f" Write regularizer=[{seen[key]},{value}]" if key == "regularizer" else ""
            raise UserError(f"{key}={seen[key]} {text}: is given twice.{both}")
        seen[key] = value
        if key == "regularizer" and value in ("", "null"):
            raise UserError(f"{text}: write regularizer=[] for none")
        if key != "experiment" and value in ("", "null"):
            raise UserError(f"{text}: is needed. Choose one of: {', '.join(options)}")


def explain_syntax(text: str, error: str, roots: list[str]) -> str | None:
    """An override that Hydra's grammar cannot read, or reads as a sweep."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    key, equals, value = text.partition("=")
    quoted = shlex.quote(f"{key}={hydra_value(value)}")
    try:
        parsed = OverridesParser.create().parse_override(text)
    except HydraException:
        if equals:
            return (
                f"{text}: cannot be read, because Hydra gives some characters in it a meaning. "
                f"Quote it twice, for the shell and for Hydra:\n  {quoted}"
            )
        match = nearest(key, roots)
        return f"{key}: not of the form key=value." + (
            f" Did you mean {match}=...?" if match else ""
        )
    if parsed.is_sweep_override() and "Ambiguous value" in error:
        return (
            f"{text}: a comma makes a sweep. Add -m to sweep, write [{value}] for a list, "
            f"or quote it as text: {quoted}"
        )
    return None


def explain_group(text: str, error: str, options: dict[str, list[str]]) -> str | None:
    """An option that its group does not have, or a group added twice."""
    key, _, value = text.partition("=")
    group = key.lstrip("+~").split("@")[0]
    if group not in options:
        return None
    if key.startswith("+"):
        return f"{text}: the group is there already. Drop the +: {group}={value}"
    for option in value.strip("[]").split(","):
        if option not in options[group] and f"{group}/{option}" in error:
            return f"{group}={option}: no such option. {choices(option, options[group])}"
    return None


def explain_root(config_name: str, text: str, error: str, roots: list[str]) -> str | None:
    """A key that is not there, or a value of another type than its key's."""
    key, _, _ = text.partition("=")
    name = key.lstrip("+~").split("@")[0]
    if "." not in name and name not in roots and key != BACKBONE_GROUP:
        return f"{key}: no such key. {suggest_root(config_name, name, roots)}"
    root, _, inner = name.partition(".")
    if inner and is_value(config_name, root):
        lone = inner.rpartition(".")[2]
        match = lone if lone in roots else nearest(lone, roots)
        hint = f" Did you mean {match}?" if match else ""
        return f"{key}: no such key: {root} is one value.{hint}"
    kind = field_type(config_name, name)
    if kind and "rror merging override" in error and text in error:
        return f"{text}: must be {kind}"
    return None


def explain_nested(config_name: str, error: Exception, overrides: list[str]) -> str:
    """A key inside a group that is not there, or Hydra's own words for all else."""
    for text in overrides:
        key = text.partition("=")[0].lstrip("+~")
        if "." in key and f"'{key}'" in str(error):
            known = composed_keys(config_name, overrides)
            if key in known and text.startswith("+"):
                return f"{key}: is there already. Drop the +: {text.lstrip('+')}"
            if key in known:
                continue
            parent = key.rpartition(".")[0]
            beside = [name for name in known if name.rpartition(".")[0] == parent]
            return f"{key}: no such key. {choices(key, beside or known)}"
    lines = [str(error), str(error.__cause__ or "")]
    return " ".join(" ".join(lines).split())


def suggest_root(config_name: str, name: str, roots: list[str]) -> str:
    """The key that a lone word may have meant: one at the root, or one inside a group."""
    match = nearest(name, roots)
    inside = [key for key in composed_keys(config_name, []) if key.rpartition(".")[2] == name]
    if inside and match != name:
        return f"Did you mean {' or '.join(inside[:3])}?"
    return choices(name, roots)


def all_options(own_folder: str | None) -> dict[str, list[str]]:
    """Options of all groups, those in the user's --config-dir included."""
    options = groups()
    if own_folder and Path(own_folder).is_dir():
        for group, found in groups(Path(own_folder)).items():
            options[group] = sorted({*options.get(group, []), *found})
    return options


def composed_keys(config_name: str, overrides: list[str]) -> list[str]:
    """All dotted keys of the config with the groups chosen as in `overrides`, as far as valid."""
    from hydra import compose, initialize_config_dir

    options = groups()
    pairs = [text.partition("=") for text in overrides]
    chosen = [f"{key}={value}" for key, _, value in pairs if value in options.get(key, [])]
    if "model=cgan" in chosen:
        backbones = [text for text in overrides if text.startswith(BACKBONE_GROUP + "=")]
        chosen += [text for text in backbones if "," not in text]
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return sorted(_dotted(compose(config_name, chosen)))


def _dotted(node: Any, prefix: str = "") -> Iterable[str]:
    for key in node:
        full = f"{prefix}{key}"
        yield full
        child = node._get_node(key)
        if hasattr(child, "keys"):
            yield from _dotted(child, f"{full}.")


def choices(word: str, known: list[str]) -> str:
    """`Did you mean ...?` and, where it is short, the whole list."""
    match = nearest(word, known)
    hint = f"Did you mean {match}? " if match else ""
    return f"{hint}There are: {', '.join(known)}" if len(known) <= 40 else hint.strip()


def field_names(config_name: str) -> list[str]:
    """Keys at the root of a command's config."""
    return [field.name for field in fields(SCHEMAS[config_name])]


def field_type(config_name: str, name: str) -> str | None:
    """What a root key's value must be, in words."""
    for field in fields(SCHEMAS[config_name]):
        if field.name == name:
            parts = [part.strip() for part in str(field.type).split("|")]
            words = [TYPES.get(part, part) for part in parts if part != "None"]
            return " or ".join(words) + (", or null" if "None" in parts else "")
    return None


def is_value(config_name: str, name: str) -> bool:
    """Whether a root key holds a single value, without keys of its own."""
    kinds = [str(field.type) for field in fields(SCHEMAS[config_name]) if field.name == name]
    parts = [part.strip() for kind in kinds for part in kind.split("|")]
    return bool(parts) and all(part in {*TYPES, "None"} for part in parts)


def flags_first(arguments: list[str]) -> list[str]:
    """Move -m before the overrides: the parser reads no override after a flag among them."""
    flags = [text for text in arguments if text in ("-m", "--multirun")]
    return flags + [text for text in arguments if text not in flags]


#: A choice of networks inside a model's own config, written as a key or as Hydra's group.
BACKBONE, BACKBONE_GROUP = "model.backbone", "model/backbone@model"


def choose_backbone(arguments: list[str]) -> list[str]:
    """Let `model.backbone=mlp` exchange the networks, as the group of files behind it does."""
    if resumed(arguments):
        return arguments
    return [
        f"{BACKBONE_GROUP}={text.removeprefix(BACKBONE + '=')}"
        if text.startswith(BACKBONE + "=")
        else text
        for text in arguments
    ]


def explain_backbone(text: str, error: str) -> str | None:
    """A backbone that is not there, or for a model that has only one."""
    key, _, value = text.partition("=")
    if key != BACKBONE_GROUP or "model/backbone" not in error:
        return None
    options = sorted(file.stem for file in (config_dir() / "model" / "backbone").glob("*.yaml"))
    if all(option in options for option in value.split(",")):
        return f"{BACKBONE}={value}: only model=cgan has a choice of backbones. Add model=cgan"
    return f"{BACKBONE}={value}: no such backbone. {choices(value, options)}"


def resumed(arguments: list[str]) -> bool:
    """Whether a run is gone on with, whose config then comes from its checkpoint."""
    return any(text.startswith("resume=") and text != "resume=auto" for text in arguments)


def for_resume(arguments: list[str]) -> list[str]:
    """Let keys inside groups be given on resume, when the groups come from the checkpoint.

    `data.root=x` would be refused, because the default data set has no root; `++` sets it anyway.
    Whether a key may be given at all on resume is judged later, with the run at hand.
    """
    if not resumed(arguments):
        return arguments
    inside_group = re.compile(r"(?!hydra\.)[a-z_]+\.[\w.]+=")
    return [f"++{text}" if inside_group.match(text) else text for text in arguments]
