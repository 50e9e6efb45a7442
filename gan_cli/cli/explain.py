"""What is wrong with a command line that Hydra rejects: the key, the value, what would work."""

from __future__ import annotations

import re
import shlex
from typing import Any

from gan_cli.cli.help import DEFAULTS
from gan_cli.cli.keys import (
    all_options,
    composed_keys,
    default_of,
    field_names,
    field_type,
    is_value,
    options_with,
    type_names,
)
from gan_cli.cli.mistakes import list_problem, lone_word_problem, option_for
from gan_cli.cli.recipes import recipe_problem, suffix_problem
from gan_cli.errors import NO_VALUE, Problem, did_you_mean
from gan_cli.settings.schema import (
    BACKBONE,
    BACKBONE_GROUP,
    MISSING,
    config_dir,
    groups,
    models_with_backbones,
    split_arguments,
)
from gan_cli.system.shell import hydra_value

#: Keys that a sweep cannot have several of.
ONE_VALUE = frozenset({"name", "output_dir", "resume", "objective", "direction"})
MOST_LISTED = 40  # names after `There are:`; more would hide the rest of the message


def explain(config_name: str, error: Exception, *, arguments: list[str]) -> Problem:
    """Hydra's first problem in our words.

    Args:
        config_name: the command's root config.
        error: what Hydra raised.
        arguments: the command line.
    """
    overrides, users_folder = split_arguments(arguments)
    options = all_options(users_folder) if config_name == "train" else {}  # others have none
    roots = [*field_names(config_name), *(group for group in options if group == "experiment")]
    message = str(error)
    for text in overrides:
        if text.lstrip("+~").startswith("hydra"):
            continue
        problem = (
            backbone_problem(text, message)
            or lone_word(text, overrides, config_name=config_name, options=options)
            or syntax_problem(text, message, config_name=config_name, options=options)
            or suffix_problem(text, users_folder)
            or option_problem(text, message, options=options)
            or root_problem(text, message, config_name=config_name, roots=roots)
        )
        if problem:
            return problem
    return (
        inner_key_problem(config_name, error, overrides=overrides)
        or recipe_problem(overrides, users_folder, config_name=config_name, options=options)
        or interpolation_problem(message)
        or in_hydras_words(error)
    )


def group_problems(arguments: list[str]) -> list[Problem]:
    """Groups that are chosen twice, or left without an option as in `model=null`.

    Hydra fails at these without naming the group.
    """
    problems: list[Problem] = []
    chosen: dict[str, str] = {}
    for text in arguments:
        key, equals, value = text.partition("=")
        options = groups().get(key, [])
        if not equals or not options:
            continue
        if key in chosen:
            both = f" Write regularizer=[{chosen[key]},{value}]" if key == "regularizer" else ""
            advice = f"is given twice, as {chosen[key]} and as {value}.{both}"
            problems.append(Problem.about(key, advice))
        chosen[key] = value
        if value in ("", "null") and key == "regularizer":
            problems.append(Problem(key, value, "write regularizer=[] for none"))
        elif value in ("", "null") and key != "experiment":
            advice = f"is needed. Choose one of: {', '.join(options)}"
            problems.append(Problem(key, value, advice))
    return problems


def key_problems(command: str, config: dict[str, Any], *, config_name: str) -> list[Problem]:
    """Keys at the root of a composed config that are not known, or have no value.

    Args:
        command: the console script.
        config: composed and resolved.
        config_name: the name of its root config.
    """
    known = field_names(config_name)
    unknown = [key for key in config if key not in known]
    if unknown:
        return [Problem.about(key, f"no such key. {suggest(key, known)}") for key in unknown]
    return [
        Problem.about(key, f"is missing. Give {key}=... (see {command} --help)")
        for key in known
        if key not in config or config[key] == MISSING
    ]


def lone_word(
    text: str, overrides: list[str], *, config_name: str, options: dict[str, list[str]]
) -> Problem | None:
    """A word without `=`, which only `~key` may be."""
    if "=" in text or text.startswith("~"):
        return None
    return lone_word_problem(config_name, text, overrides, options=options)


def syntax_problem(
    text: str, error: str, *, config_name: str, options: dict[str, list[str]]
) -> Problem | None:
    """An override that Hydra's grammar cannot read, or reads as a sweep."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    key, _, value = text.partition("=")
    quoted = shlex.quote(f"{key}={hydra_value(value)}")
    try:
        parsed = OverridesParser.create().parse_override(text)
    except HydraException:
        full = full_key(config_name, key.partition("[")[0])
        listed = list_problem(key, value, full, default_of(config_name, full))
        return listed or Problem(
            key,
            value,
            "cannot be read, because Hydra gives some characters in it a meaning. "
            f"Quote it twice, for the shell and for Hydra:\n  {quoted}",
        )
    if parsed.is_sweep_override() and "Ambiguous value" in error:
        return Problem(key, value, comma_advice(config_name, key, value, options=options))
    return None


def comma_advice(config_name: str, key: str, value: str, *, options: dict[str, list[str]]) -> str:
    """What works instead of `key=value` with several values and without -m."""
    kinds, default = type_names(config_name, key), default_of(config_name, key)
    is_group = key in options
    takes_text = "str" in kinds or isinstance(default, str)
    takes_list = (
        key == "regularizer"
        or isinstance(default, list)
        or (not is_group and any(kind == "Any" or kind.startswith("list") for kind in kinds))
    )
    ways = []
    if config_name == "train" and key not in ONE_VALUE:
        ways.append("add -m to sweep")
    if takes_list:
        ways.append(f"write {shlex.quote(f'{key}=[{value}]')} for a list")
    if takes_text and not is_group and not takes_list:
        quoted = shlex.quote(f"{key}={hydra_value(value)}")
        ways.append(f"quote it as text: {quoted}")
    if not ways:
        ways.append(f"give one value, and call gan-{config_name} once for each")
    advice = ", or ".join(ways)
    return f"a comma makes a sweep. {advice[0].upper()}{advice[1:]}"


def option_problem(text: str, error: str, *, options: dict[str, list[str]]) -> Problem | None:
    """An option that its group does not have, or a group added twice."""
    key, _, value = text.partition("=")
    group = key.lstrip("+~").split("@")[0]
    if group not in options:
        return None
    if key.startswith("+"):
        return Problem(key, value, f"the group is there already. Drop the +: {group}={value}")
    for option in value.strip("[]").split(","):
        if option not in options[group] and f"{group}/{option}" in error:
            if meant := option_for(group, option, options[group]):
                return Problem(group, option, f"no such option. Did you mean {meant}?")
            return Problem(group, option, f"no such option. {suggest(option, options[group])}")
    return None


def backbone_problem(text: str, error: str) -> Problem | None:
    """A backbone that is not there, or for a model that has only one."""
    key, _, value = text.partition("=")
    if key != BACKBONE_GROUP or "model/backbone" not in error:
        return None
    options = sorted(file.stem for file in (config_dir() / "model" / "backbone").glob("*.yaml"))
    models = models_with_backbones()
    advice = f"only model={', '.join(models)} has a choice of backbones. Add model={models[0]}"
    if any(option not in options for option in value.split(",")):
        advice = f"no such backbone. {suggest(value, options)}"
    return Problem(BACKBONE, value, advice)


def root_problem(text: str, error: str, *, config_name: str, roots: list[str]) -> Problem | None:
    """A key that is not there, or a value of another type than its key's."""
    key, _, value = text.partition("=")
    name = key.lstrip("+~").split("@")[0]
    if "." not in name and name not in roots and key != BACKBONE_GROUP:
        hint = suggest_key(config_name, name, roots=roots)
        return Problem.about(key or text, f"no such key. {hint}")
    root, _, inner = name.partition(".")
    if inner and is_value(config_name, root):
        hint = did_you_mean(inner.rpartition(".")[2], roots)
        return Problem.about(key, join(f"no such key: {root} is one value.", hint))
    kind = field_type(config_name, name)
    if kind and "rror merging override" in error and text in error:
        return Problem(key, value, f"must be {kind}")
    return None


def inner_key_problem(
    config_name: str, error: Exception, *, overrides: list[str]
) -> Problem | None:
    """A key inside a group that is not there, or is there and was to be added."""
    for text in overrides:
        key = text.partition("=")[0].lstrip("+~")
        if "." in key and f"'{key}'" in str(error):
            known = composed_keys(config_name, overrides)
            if key in known and text.startswith("+"):
                return Problem.about(key, f"is there already. Drop the +: {text.lstrip('+')}")
            if key in known:
                continue
            parent = key.rpartition(".")[0]
            beside = [name for name in known if name.rpartition(".")[0] == parent]
            if owners := options_with(key):
                return Problem.about(key, f"no such key. {owners_advice(key, owners, overrides)}")
            return Problem.about(key, f"no such key. {suggest(key, beside or known)}")
    return None


def owners_advice(key: str, owners: list[str], overrides: list[str]) -> str:
    """Which options of its group have a key that the chosen one lacks."""
    group = key.partition(".")[0]
    chosen = [text.partition("=")[2] for text in overrides if text.startswith(f"{group}=")]
    which = f"{group}={chosen[-1] if chosen else DEFAULTS.get(group, 'null')}"
    if group == "data" and "image_folder" in owners:
        others = ", ".join(name for name in owners if name != "image_folder")
        return (
            f"{which} has none. For images of your own add data=image_folder; others that have "
            f"it: {others}"
        )
    return f"{which} has none. These have it: {', '.join(f'{group}={name}' for name in owners)}"


def interpolation_problem(message: str) -> Problem | None:
    """A value that refers to another one, or to a variable, that is not there."""
    key = re.search(r"full_key: (\S+)", message)
    where = key[1] if key else ""
    if match := re.search(r"Environment variable '(.+?)' not found", message):
        advice = f"needs the environment variable {match[1]}, which is not set"
        return Problem.about(where, advice)
    if match := re.search(r"Interpolation key '(.+?)' not found", message):
        return Problem.about(where, f"refers to {match[1]}, which is not there")
    return None


def in_hydras_words(error: Exception) -> Problem:
    """Hydra's message and its cause, on one line."""
    lines = [str(error), str(error.__cause__ or "")]
    return Problem("", NO_VALUE, " ".join(" ".join(lines).split()))


def suggest(word: str, known: list[str]) -> str:
    """`Did you mean ...?` and, where it is short, the whole list."""
    hint = did_you_mean(word, known)
    if len(known) <= MOST_LISTED:
        return join(hint, f"There are: {', '.join(known)}")
    return hint or "--cfg job prints all there are."


def suggest_key(config_name: str, name: str, *, roots: list[str]) -> str:
    """The key that a lone word may have meant: one at the root, or one inside a group."""
    inside = [key for key in composed_keys(config_name, []) if key.rpartition(".")[2] == name]
    if inside:
        either = " or ".join(inside[:3])
        return did_you_mean(either, [either])
    return suggest(name, roots)


def full_key(config_name: str, name: str) -> str:
    """The dotted key that a name without its group means; itself if there is none."""
    if "." in name or name in field_names(config_name):
        return name
    inside = [key for key in composed_keys(config_name, []) if key.rpartition(".")[2] == name]
    return inside[0] if inside else name


def join(*sentences: str) -> str:
    """Sentences as one text; empty ones are left out."""
    return " ".join(filter(None, sentences))
