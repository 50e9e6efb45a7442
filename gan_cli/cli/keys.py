"""Which keys and options the configs have, and what a root key's value must be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from gan_cli.settings.schema import (
    BACKBONE_GROUP,
    SCHEMAS,
    config_dir,
    groups,
    models_with_backbones,
)

#: Types of the schemas, in words.
TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "list[int]": "a list of whole numbers, like [0,1]",
}


def all_options(users_folder: str | None) -> dict[str, list[str]]:
    """Options of all groups, those in the user's --config-dir included."""
    options = groups()
    if users_folder and Path(users_folder).is_dir():
        for group, added in groups(Path(users_folder)).items():
            options[group] = sorted({*options.get(group, []), *added})
    return options


def options_with(key: str) -> list[str]:
    """The options of a key's group that have it, like those of data.root."""
    group, _, inner = key.partition(".")
    return [option for option in groups().get(group, []) if inner in _keys_of(group, option)]


def _keys_of(group: str, option: str) -> set[str]:
    """The keys in an option's file, and in those that it builds on."""
    import yaml

    content = yaml.safe_load((config_dir() / group / f"{option}.yaml").read_text("utf-8")) or {}
    bases = [name for name in content.get("defaults", []) if isinstance(name, str)]
    inherited = [_keys_of(group, base) for base in bases if base != "_self_"]
    return set(content).union(*inherited) - {"defaults"}


def default_of(config_name: str, key: str, overrides: Sequence[str] = ()) -> object:
    """What a dotted key is without being set; None if it is not there, or null."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    config = _composed(config_name, overrides)
    try:
        value = OmegaConf.select(config, key)
    except OmegaConfBaseException:  # it refers to what is not there
        return None
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


def composed_keys(config_name: str, overrides: list[str]) -> list[str]:
    """All dotted keys of the config with the groups chosen as in `overrides`, as far as valid."""
    return sorted(_dotted(_composed(config_name, overrides)))


def _composed(config_name: str, overrides: Sequence[str]) -> Any:
    """The config with the groups chosen as in `overrides`, as far as valid; not to be changed."""
    options = groups()
    pairs = [text.partition("=") for text in overrides]
    chosen = [f"{key}={value}" for key, _, value in pairs if value in options.get(key, [])]
    if any(f"model={model}" in chosen for model in models_with_backbones()):
        backbones = [text for text in overrides if text.startswith(BACKBONE_GROUP + "=")]
        chosen += [text for text in backbones if "," not in text]
    return _with_groups(str(config_dir()), config_name, tuple(chosen))


@cache
def _with_groups(folder: str, config_name: str, chosen: tuple[str, ...]) -> Any:
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(folder, version_base="1.3"):
        return compose(config_name, list(chosen))


def _dotted(node: Any, prefix: str = "") -> Iterable[str]:
    for key in node:
        full = f"{prefix}{key}"
        yield full
        child = node._get_node(key)
        if hasattr(child, "keys"):
            yield from _dotted(child, f"{full}.")


def field_names(config_name: str) -> list[str]:
    """Keys at the root of a command's config."""
    return [field.name for field in fields(SCHEMAS[config_name])]


def type_names(config_name: str, name: str) -> list[str]:
    """The types that a root key's value may have, as its schema names them; none: no such key."""
    kinds = [str(field.type) for field in fields(SCHEMAS[config_name]) if field.name == name]
    return [part.strip() for kind in kinds for part in kind.split("|")]


def field_type(config_name: str, name: str) -> str:
    """What a root key's value must be, in words; empty: no such key."""
    names = type_names(config_name, name)
    words = [TYPES.get(part, part) for part in names if part != "None"]
    return " or ".join(words) + (", or null" if "None" in names else "")


def is_value(config_name: str, name: str) -> bool:
    """Whether a root key holds a single value, without keys of its own."""
    names = type_names(config_name, name)
    return bool(names) and all(part in {*TYPES, "None"} for part in names)
