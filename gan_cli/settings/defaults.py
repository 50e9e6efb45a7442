"""What a config leaves as its options' files say, and what it changes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Any

from gan_cli.settings.schema import (
    BACKBONE,
    BACKBONE_GROUP,
    config_dir,
    groups,
    models_with_backbones,
    register_schemas,
)
from gan_cli.settings.values import flatten

#: Groups whose options are told by a name in the config; those of the others by their class.
NAMED = ("model", "data")


def changed(config: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys whose values differ from the defaults of the config's own options.

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
        default = defaults.get(key)
        if key in following:
            try:
                default = OmegaConf.select(expected, key)
            except OmegaConfBaseException:  # it follows a key that this config has not
                default = None
            if OmegaConf.is_config(default):
                default = OmegaConf.to_container(default)
        if value != default:
            differing[key] = value
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


def composed(options: Mapping[str, str]) -> dict[str, Any]:
    """What gan-train composes for options by their groups, with references unresolved.

    Composing takes a tenth of a second, so options that a model and its data have anyway cost
    nothing more.
    """
    main = {group: options[group] for group in NAMED if group in options}
    usual = compose_cached(tuple(main.items()))
    if options in (main, options_of(usual)):
        return usual
    return compose_cached(tuple(options.items()))


@cache
def compose_cached(options: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """See `composed`; not to be changed."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    register_schemas()
    overrides = [f"{group}={option}" for group, option in options]
    running = GlobalHydra.instance()  # of the command, if it is one that asks
    its_hydra, running.hydra = running.hydra, None
    try:
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            container = OmegaConf.to_container(compose("train", overrides))
    finally:
        GlobalHydra.instance().hydra = its_hydra
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


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
