"""Configs as YAML text: written plainly, and read from files that may be traps."""

from __future__ import annotations

import math
from typing import Any

import yaml
from typing_extensions import override

DEEPEST = 30  # levels of a config
LONGEST_VALUE = 2**16  # characters of one value: numbers in base 60 take long
MOST_VALUES = 100_000  # of all lists and nodes together
#: What YAML's constructors say of values that are not what their tags promise.
UNREADABLE = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RecursionError,
    yaml.YAMLError,
)
#: YAML's parser in C takes a twentieth of the time; not every installation has it.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def config_text(config: dict[str, Any]) -> str:
    """A config as YAML."""
    text: str = yaml.dump(config, Dumper=PlainDumper, sort_keys=False, allow_unicode=True)
    return text


class PlainDumper(yaml.SafeDumper):
    """Writes a list that stands in two places twice, as `require_plain` asks for."""

    @override
    def ignore_aliases(self, data: object) -> bool:
        return True


def parse_yaml(text: str) -> Any:
    """What a YAML text holds: nodes with text keys, lists, and values such as a config can hold.

    Raises:
        Exception: one of UNREADABLE.
    """
    require_plain(text)
    content = yaml.load(text, Loader=LOADER)  # noqa: S506  (a safe one)
    require_values(content)
    return content


def require_plain(text: str) -> None:
    """Check, before anything is built, that a YAML text is no deeper than a config can be.

    References are rejected: a few lines of them can stand for millions of values.

    Raises:
        ValueError: it is deeper, refers to itself, or holds too much.
        yaml.YAMLError: it is no YAML.
    """
    depth = values = 0
    for event in yaml.parse(text, Loader=LOADER):
        values += isinstance(event, yaml.NodeEvent)
        if values > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES:,} values")
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"*{event.anchor} refers to another place in it")
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > LONGEST_VALUE:
            raise ValueError(f"a value in it is longer than {LONGEST_VALUE:,} characters")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"deeper than {DEEPEST} levels")


def require_values(value: object, *, key: str = "") -> None:
    """Check that a value is made of texts, numbers, flags, lists and nodes with text keys.

    Raises:
        ValueError: it is not; names the key.
        OverflowError: a number is beyond a float's range.
    """
    if isinstance(value, dict):
        for name, inner in value.items():
            if not isinstance(name, str):
                raise ValueError(f"{key or 'it'} holds a key that is no text")
            require_values(inner, key=f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for inner in value:
            require_values(inner, key=key)
    elif isinstance(value, int) and not isinstance(value, bool):
        math.frexp(value)  # an OverflowError says what is wrong
    elif not isinstance(value, str | float | bool | None):
        raise ValueError(f"{key} is a {type(value).__name__}, which no config holds")
