"""What a config leaves as its options' files say, and what it changes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache, partial
from typing import Any

from gan_cli.settings.compose import compose_config
from gan_cli.settings.schema import (
    BACKBONE,
    BACKBONE_GROUP,
    config_dir,
    groups,
    models_with_backbones,
)
from gan_cli.settings.values import flatten

#: Stands for the default of a key that the options do not have.
ABSENT = "(none)"
#: Keys that say where a run lies and what it started from.
TAKEN = ("name", "output_dir", "resume", "dry_run")
#: Groups whose options are told by a name in the config; those of the others by their class.
NAMED = ("model", "data")


def changed(config: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys whose values differ from their options' defaults; see `changes`."""
    return {key: value for key, (value, _) in changes(config).items()}


def changes(config: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The value and the default of each key that differs from its options' defaults.

    A value that follows another one (`model.generator.width: ${model.width}`) has changed only if
    it differs from that.

    Args:
        config: resolved, plain containers; classes and options that are not ours count as changed.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    unresolved = composed(options_of(config))
    defaults = flatten(unresolved)
    values = flatten(config)
    following = {key for key, value in defaults.items() if "${" in str(value)}
    expected = OmegaConf.create(with_values(unresolved, config))
    differing = {}
    for key, value in values.items():
        default = defaults.get(key, ABSENT)
        if key in following:
            try:
                default = OmegaConf.select(expected, key)
            except OmegaConfBaseException:  # it follows a key that this config has not
                default = None
            if OmegaConf.is_config(default):
                default = OmegaConf.to_container(default)
        if value != default:
            differing[key] = value, default
    return differing


def with_values(unresolved: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults with the values of a config, but for those that refer to others."""
    filled = dict(values)
    for key, default in unresolved.items():
        if isinstance(default, Mapping):
            filled[key] = with_values(default, values.get(key) or {})
        elif "${" in str(default):
            filled[key] = default
    return filled


def changed_options(config: Mapping[str, Any]) -> dict[str, str]:
    """Options by their groups: the model, the data, and what others do not have by default."""
    options = options_of(config)
    main = {group: options[group] for group in NAMED if group in options}
    usual = options_of(composed(main))
    return {
        BACKBONE if group == BACKBONE_GROUP else group: option
        for group, option in options.items()
        if group in NAMED or usual.get(group) != option
    }


def overrides(config: Mapping[str, Any]) -> dict[str, Any]:
    """The options and keys that a command line must name to compose this config.

    Args:
        config: resolved, plain containers.

    Returns:
        Groups and keys, a key that the options do not have with a `+`. Without the keys of TAKEN.
    """
    named: dict[str, Any] = {}
    for group, option in changed_options(config).items():
        named[group] = option.strip("[]").split(",") if option.startswith("[") else option
    for key, (value, default) in changes(config).items():
        if key not in TAKEN and not key.endswith(".name"):
            named[f"+{key}" if default == ABSENT else key] = value
    return named


def composed(options: Mapping[str, str]) -> dict[str, Any]:
    """What gan-train composes for options by their groups, with references unresolved."""
    return copy.deepcopy(composed_once(tuple(options.items())))


@cache
def composed_once(options: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """As `composed`, which takes a tenth of a second."""
    return compose_config([f"{group}={option}" for group, option in options], resolve=False)


def options_of(config: Mapping[str, Any]) -> dict[str, str]:
    """The config's options by their groups, as far as they are ours."""
    chosen = {}
    for group, options in groups().items():
        node = config.get(group)
        if not isinstance(node, Mapping):
            continue
        if group == "regularizer":
            chosen[group] = f"[{','.join(name for name in node if name in options)}]"
            continue
        key, own = ("name", str) if group in NAMED else ("_target_", partial(target_of, group))
        chosen.update((group, option) for option in options if own(option) == node.get(key))
    if chosen.get("model") in models_with_backbones():
        backbones = [file.stem for file in (config_dir() / "model" / "backbone").glob("*.yaml")]
        if (backbone := config["model"].get("backbone")) in backbones:
            chosen[BACKBONE_GROUP] = backbone
    return chosen


@cache
def target_of(group: str, option: str) -> object:
    """The class that an option's file names."""
    import yaml

    text = (config_dir() / group / f"{option}.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text).get("_target_")
