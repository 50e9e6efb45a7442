"""Writes docs/keys.md from the comments in configs/ and from gan_cli/runs/log_keys.yaml.

Run it with `make keys`, or `python docs/make_keys.py`. A key and its comment share a line.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import yaml

DOCS = Path(__file__).resolve().parent
CONFIGS = DOCS.parent / "configs"
PAGE = DOCS / "keys.md"
COMMANDS = {
    "train": "gan-train",
    "sample": "gan-sample",
    "translate": "gan-translate",
    "evaluate": "gan-evaluate",
    "report": "gan-report",
    "export": "gan-export",
    "claims": "gan-claims",
}
#: Groups in the order of the page, with the words that introduce them.
GROUPS = {
    "model": "The game and its networks. The part after `model.` depends on the option.",
    "model/backbone": "The networks of the conditional GAN: `model.backbone=conv` or `mlp`.",
    "data": "What G shall imitate.",
    "noise": "The prior p_z, from which G's input z is drawn.",
    "loss": "What D and G minimise.",
    "regularizer": "What keeps D in bounds. Take none, one, or several (`regularizer=[r1,r2]`).",
    "optimizer": "How both players move.",
    "schedule": "How learning rates change over the steps.",
}
#: Mappings that other keys look values up in; each is one row of the page.
TABLES = {"steps", "presets", "load_sizes"}
#: Types of keys that no constructor has: the run itself reads them.
RUN_KEYS = {
    "name": "string",
    "kind": "images, points or pairs",
    "backbone": "conv or mlp",
    "validation": "integer",
    "batch_size": "integer",
    "eval_every": "integer",
    "lr_d": "number or null",
    "lr_g": "number or null",
    "width": "integer",
    "norm": "name",
    "spectral_norm": "true or false",
    "eval_metrics": "name, list or null",
    "metrics": "name, list or null",
    "labels": "integer, name, list or null",
}
WORDS = {
    int: "integer",
    float: "number",
    bool: "true or false",
    str: "string",
    types.NoneType: "null",
}


@dataclass(frozen=True)
class Key:
    """A key of a YAML file.

    Attributes:
        path: of names from the file's root.
        node: its value.
        comment: on its line; empty if there is none.
    """

    path: tuple[str, ...]
    node: yaml.Node
    comment: str

    @property
    def name(self) -> str:
        """The last name of the path."""
        return self.path[-1]


def keys_of(file: Path) -> Iterator[Key]:
    """All keys of a YAML file that need a comment, in order.

    Without `defaults`, `hydra` and `_target_`, and without the rows inside a table.
    """
    lines = file.read_text(encoding="utf-8").splitlines()
    root = yaml.compose(file.read_text(encoding="utf-8"))

    def walk(node: yaml.Node, path: tuple[str, ...]) -> Iterator[Key]:
        if not isinstance(node, yaml.MappingNode):
            return
        for name_node, value in node.value:
            name = name_node.value
            if name in ("_target_", "defaults", "hydra"):
                continue
            comment = re.search(r"\s# (.*)$", lines[name_node.start_mark.line])
            yield Key((*path, name), value, comment[1].strip() if comment else "")
            if name not in TABLES:
                yield from walk(value, (*path, name))

    if root is not None:
        yield from walk(root, ())


def heading_of(file: Path) -> str:
    """The comment at the top of a YAML file, as one line."""
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        if "@package" not in line:
            lines.append(line.removeprefix("#").strip())
    return " ".join(lines)


def target_of(node: yaml.Node) -> str | None:
    """The class that a mapping names."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == "_target_":
                return str(value.value)
    return None


def plain(node: yaml.Node) -> str:
    """A value as it is typed on a command line."""
    if isinstance(node, yaml.SequenceNode):
        return "[" + ",".join(plain(item) for item in node.value) + "]"
    if isinstance(node, yaml.MappingNode):
        return "{" + ", ".join(f"{k.value}: {plain(v)}" for k, v in node.value) + "}"
    return str(node.value)


def default_of(node: yaml.Node) -> str:
    """A default value, with references in words."""
    text = plain(node)
    if text == "???":
        return "must be given"
    if "${" not in text or isinstance(node, yaml.MappingNode):
        return f"`{text}`"
    text = re.sub(r"\$\{oc\.env:(\w+),(\w+)\}", r"`$\1`, else `\2`", text)
    text = re.sub(r"\$\{data\.(\w+)\}", r"<data.\1>", text)
    select = re.fullmatch(r"\$\{oc\.select:([^,]+),(.+)\}", text)
    if select:
        otherwise = re.sub(r"^\$\{(.+)\}$", r"\1", select[2])
        return f"`{select[1]}`, else `{otherwise}`"
    return re.sub(r"\$\{(.+)\}", r"`\1`", text)


def words_of(hint: object) -> str:
    """A type annotation in words."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in WORDS:
        return WORDS[typing.cast(type, hint)]
    if origin is typing.Literal:
        *others, last = map(str, arguments)
        return f"{', '.join(others)} or {last}" if others else last
    if origin in (typing.Union, types.UnionType):
        words = dict.fromkeys(words_of(argument) for argument in arguments)
        return " or ".join(word for word in words if word != "any")
    if origin in (list, tuple) or (isinstance(origin, type) and issubclass(origin, Sequence)):
        simple = arguments and arguments[0] in WORDS
        return f"list of {words_of(arguments[0])}s" if simple else "list"
    return "any"


def hints_of(target: str | None) -> dict[str, str]:
    """The types of a constructor's arguments, in words."""
    if target is None:
        return {}
    module, _, name = target.rpartition(".")
    init = inspect.getattr_static(getattr(importlib.import_module(module), name), "__init__")
    try:
        hints = typing.get_type_hints(init)
    except NameError:
        hints = {}
    return {key: words_of(hint) for key, hint in hints.items() if key != "return"}


def guess(node: yaml.Node) -> str:
    """The type of a value, where no annotation says more."""
    if isinstance(node, yaml.SequenceNode):
        return "list"
    if isinstance(node, yaml.MappingNode):
        return "table"
    return (
        WORDS.get(type(yaml.safe_load(node.value)), "string") if "${" not in node.value else "any"
    )


def schema_of(command: str) -> dict[str, str]:
    """The types of a command's root keys, in words."""
    schema = importlib.import_module("gan_cli.settings.schema")

    def of(cls: type, prefix: str = "") -> Iterator[tuple[str, str]]:
        hints = typing.get_type_hints(cls)
        for field in fields(cls):
            hint = hints[field.name]
            if isinstance(hint, type) and hasattr(hint, "__dataclass_fields__"):
                yield from of(hint, f"{prefix}{field.name}.")
            elif words_of(hint) != "any":
                yield prefix + field.name, words_of(hint)

    return dict(of(schema.SCHEMAS[command]))


def row(*cells: str) -> str:
    """A line of a table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def prose(text: str) -> str:
    """A comment as Markdown, where `<` would begin a tag."""
    return text.replace("<", "&lt;")


HEADER = [row("key", "type", "default", "meaning"), "|---|---|---|---|"]


def rows_of(file: Path, prefix: str, hints: dict[str, str]) -> list[str]:
    """A row for each key of a file that holds a value."""
    root = yaml.compose(file.read_text(encoding="utf-8"))
    targets = {(): target_of(root)}
    rows = []
    for key in keys_of(file):
        full = prefix + ".".join(key.path)
        if isinstance(key.node, yaml.MappingNode) and key.name not in TABLES and key.node.value:
            target = targets[key.path] = target_of(key.node)
            if target and key.path != ("model",):
                rows.append(row(f"`{full}`", "class", f"`{target}`", prose(key.comment)))
            continue
        if key.name in TABLES and isinstance(key.node, yaml.MappingNode):
            rows.append(row(f"`{full}`", "table", default_of(key.node), prose(key.comment)))
            continue
        of_class = hints_of(targets.get(key.path[:-1]))
        known = hints.get(full) or of_class.get(key.name)
        known = known or RUN_KEYS.get(key.name) or guess(key.node)
        rows.append(row(f"`{full}`", known, default_of(key.node), prose(key.comment)))
    return rows


def parent_of(file: Path) -> str | None:
    """The option of the same group that a file starts from, if it is a variant of one."""
    options = yaml.safe_load(file.read_text(encoding="utf-8")).get("defaults", [])
    names = [option for option in options if isinstance(option, str) and option != "_self_"]
    return names[0] if names else None


def options_of(group: str) -> tuple[list[Path], dict[str, list[str]]]:
    """The files of a group, the default first, and the names of each one's variants."""
    root = yaml.safe_load((CONFIGS / "train.yaml").read_text(encoding="utf-8"))
    defaults = [option.get(group) for option in root["defaults"] if isinstance(option, dict)]
    files = sorted((CONFIGS / group).glob("*.yaml"), key=lambda f: (f.stem not in defaults, f.stem))
    variants: dict[str, list[str]] = {}
    for file in files:
        if parent := parent_of(file):
            variants.setdefault(parent, []).append(file.stem)
    return [file for file in files if not parent_of(file)], variants


def root_section(command: str) -> list[str]:
    """The root keys of a command."""
    rows = rows_of(CONFIGS / f"{command}.yaml", "", schema_of(command))
    return [f"### {COMMANDS[command]}", "", *HEADER, *rows, ""]


def group_section(group: str) -> list[str]:
    """All options of a group, each with its keys."""
    lines = [f"### {group}", "", GROUPS[group], ""]
    files, variants = options_of(group)
    for file in files:
        text = file.read_text(encoding="utf-8")
        name = "model.backbone" if group == "model/backbone" else group
        in_all_groups = "@package _global_" in text
        prefix = "" if in_all_groups else f"{group.split('/', maxsplit=1)[0]}."
        lines += [f"#### {name}={file.stem}", "", prose(heading_of(file)), ""]
        if file.stem in variants:
            names = ", ".join(f"`{variant}`" for variant in variants[file.stem])
            lines += [f"Published pairs with the same keys: {names}.", ""]
        root = yaml.compose(text)
        nodes = {key.value: value for key, value in root.value}
        if target := target_of(nodes[group] if in_all_groups else root):
            lines += [f"Class: `{target}`.", ""]
        rows = rows_of(file, prefix, {})
        lines += [*HEADER, *rows, ""] if rows else ["No keys.", ""]
    return lines


def experiments() -> list[str]:
    """The recipes."""
    lines = [
        "### experiment",
        "",
        "Recipes. Each sets keys of the groups above; the command line still wins.",
        "",
    ]
    lines += [row("recipe", "what it is"), "|---|---|"]
    files = sorted((CONFIGS / "experiment").glob("*.yaml"))
    return [*lines, *(row(f"`experiment={file.stem}`", heading_of(file)) for file in files), ""]


def log_lines() -> list[str]:
    """The tables of log keys."""
    meaning = importlib.import_module("gan_cli.runs.meaning")
    lines = []
    for section in meaning.sections():
        lines += [f"### {section['title']}", ""]
        if "text" in section:
            lines += [section["text"].strip(), ""]
        lines += [row("key", "meaning"), "|---|---|"]
        for entry in section["keys"]:
            marks = (" ±" if entry.get("errors") else "") + (
                " AB" if entry.get("by_domain") else ""
            )
            lines.append(row(f"`{entry['key']}`{marks}", entry["meaning"]))
        lines.append("")
    return lines


def page() -> str:
    """The whole of docs/keys.md."""
    from gan_cli.settings.schema import RESUMABLE

    lines = [
        "# All keys",
        "",
        "<!-- Made by `make keys` from configs/ and gan_cli/runs/log_keys.yaml. -->",
        "",
        "Look keys up here; [train.md](train.md) explains the ones that matter.",
        "`gan-train --cfg job --resolve` prints all keys of one run with their values.",
        "",
        "- [Config keys of the commands](#config-keys-of-the-commands)",
        "- [Config keys of the groups](#config-keys-of-the-groups)",
        "- [Keys that a resumed run may change](#keys-that-a-resumed-run-may-change)",
        "- [Log keys](#log-keys)",
        "",
        "## Config keys of the commands",
        "",
        "Some defaults depend on other keys. `model.presets.noise_dim`, else `64` means: the",
        "value of `model.presets.noise_dim` if the chosen model has that key, and 64 if not.",
        "",
    ]
    for command in COMMANDS:
        lines += root_section(command)
    lines += ["## Config keys of the groups", "", "`gan-train GROUP=OPTION` chooses an option.", ""]
    for group in GROUPS:
        lines += group_section(group)
    lines += experiments()
    lines += ["## Keys that a resumed run may change", ""]
    lines += [
        "`gan-train resume=RUN_DIR` takes all keys from the checkpoint. You may change these:",
        "",
    ]
    lines += [", ".join(f"`{key}`" for key in sorted(RESUMABLE)) + ".", ""]
    lines += ["## Log keys", ""]
    lines += [
        "`metrics.jsonl` and TensorBoard hold these keys, `evaluation.json` those of evaluations.",
        "`DOMAIN` is `a` or `b`, `DIRECTION` is `a2b` or `b2a`, `NAME` is any name.",
        "",
        "- ±: the key has its standard error beside it, as `..._error`.",
        "- AB: CycleGAN logs the key for each domain too, as `..._a` and `..._b`.",
        "",
    ]
    return "\n".join(lines + log_lines()).rstrip() + "\n"


if __name__ == "__main__":
    sys.path.insert(0, str(DOCS.parent))
    PAGE.write_text(page(), encoding="utf-8")
