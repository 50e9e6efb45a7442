"""What is wrong with a config file of the user's own: the file, the line, what to write."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from gan_cli.cli.keys import field_names, type_names
from gan_cli.errors import Problem, choice_problems, did_you_mean

PACKAGE = "# @package _global_"
#: How an entry of a defaults list names a group.
ENTRY = re.compile(r"(override +)?(/?)([\w/]+)(@.*)?")


def recipe_problem(
    overrides: list[str],
    users_folder: str | None,
    *,
    config_name: str,
    options: dict[str, list[str]],
) -> Problem | None:
    """The first problem of a file that the command line chooses from the user's --config-dir."""
    for text in overrides:
        group, _, name = text.lstrip("+").partition("=")
        if users_folder is None or group not in options:
            continue
        folder = Path(users_folder) / group
        file = folder / f"{name}.yaml"
        if file.is_file():
            found = problems_of(file, group, config_name=config_name, options=options)
            if problem := next(found, None):
                return problem
    return None


def suffix_problem(text: str, users_folder: str | None) -> Problem | None:
    """An option whose file is there, but does not end in .yaml."""
    group, _, name = text.lstrip("+").partition("=")
    folder = Path(users_folder or "") / group
    for other in (folder / name, folder / f"{name}.yml"):
        if users_folder and group and name and other.is_file():
            advice = f"its file {other} must end in .yaml. Rename it to {name}.yaml"
            return Problem(group, name, advice)
    return None


def problems_of(
    file: Path, group: str, *, config_name: str, options: dict[str, list[str]]
) -> Iterator[Problem]:
    """What can be seen to be wrong with one file."""
    text = file.read_text(encoding="utf-8", errors="replace")
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        yield Problem.about(str(file), yaml_reason(error))
        return
    if twice := repeated_key(text):
        yield Problem.about(str(file), f"{twice} is there twice. Remove one of the lines")
    if not isinstance(content, Mapping):
        return
    if group == "experiment" and not re.search(r"^#\s*@package\s+_global_", text, re.MULTILINE):
        advice = f"lacks its first line, which lets it set keys of all groups. Add: {PACKAGE}"
        yield Problem.about(str(file), advice)
    if not re.search(r"^#\s*@package\s+_global_", text, re.MULTILINE):
        return
    for entry in content.get("defaults") or []:
        yield from entry_problems(file, entry, options=options)
    for key, value in content.items():
        yield from key_problems(file, str(key), value, config_name=config_name, options=options)


def entry_problems(file: Path, entry: Any, *, options: dict[str, list[str]]) -> Iterator[Problem]:
    """What is wrong with one entry of a defaults list."""
    if not isinstance(entry, Mapping):
        return
    for key, value in entry.items():
        match = ENTRY.fullmatch(str(key))
        if not match or match[3] not in options:
            continue
        if not match[1] or not match[2]:
            advice = f"in its defaults, write `- override /{match[3]}: {value}`, "
            advice += f"not `- {key}: {value}`"
            yield Problem.about(str(file), advice)
        if isinstance(value, str):
            for problem in choice_problems(match[3], value, options[match[3]]):
                yield Problem.about(str(file), str(problem))


def key_problems(
    file: Path, key: str, value: Any, *, config_name: str, options: dict[str, list[str]]
) -> Iterator[Problem]:
    """What is wrong with one key at the top of a file that sets keys of all groups."""
    known = field_names(config_name)
    if key == "defaults":
        return
    if key not in known:
        hint = did_you_mean(key, known)
        yield Problem.about(str(file), f"{key}: no such key. {hint}".strip())
    elif key in options and isinstance(value, str):
        advice = f"{key}: {value} is chosen under `defaults:`, as `- override /{key}: {value}`"
        yield Problem.about(str(file), advice)
    kinds = type_names(config_name, key)
    if "int" in kinds and isinstance(value, float | str) and "${" not in str(value):
        advice = f"{key}: {value} must be a whole number"
        try:
            exact = float(value)
            advice += f". Write {key}: {int(exact)}" if exact.is_integer() else ""
        except ValueError:
            pass
        yield Problem.about(str(file), advice)


def repeated_key(text: str) -> str | None:
    """A key that one mapping of a YAML text has twice, which PyYAML takes and Hydra does not."""
    nodes = [yaml.compose(text)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            for key, _ in node.value:
                if keys.count(key.value) > 1:
                    return f"{key.value} (line {key.start_mark.line + 1})"
            nodes += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value
    return None


def yaml_reason(error: yaml.YAMLError) -> str:
    """Where a YAML file cannot be read, and why."""
    mark = getattr(error, "problem_mark", None)
    reason = str(getattr(error, "problem", None) or error)
    where = f"line {mark.line + 1}: " if mark is not None else ""
    if "'\\t'" in reason:
        reason = "a tab. Indent with spaces"
    return f"{where}{reason}"
