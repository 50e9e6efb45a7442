"""Whole numbers written with an exponent or a point, like `steps=1e4`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from gan_cli.cli.keys import default_of, type_names

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?")
NUMBERS = re.compile(r"[\d.eE+\-,\[\] ]*")


def with_whole_numbers(config_name: str, arguments: Sequence[str]) -> list[str]:
    """The same command line with 10000 for 1e4 where a key takes whole numbers."""
    return [convert(config_name, text, arguments) for text in arguments]


def convert(config_name: str, text: str, arguments: Sequence[str]) -> str:
    """One argument; as it is, if its key takes other values or its numbers are not whole."""
    key, equals, value = text.partition("=")
    if not equals or not re.search(r"[.eE]", value) or not NUMBERS.fullmatch(value):
        return text
    name = key.lstrip("+")
    if takes_whole(config_name, name, arguments):
        return key + equals + NUMBER.sub(lambda match: whole(match[0]), value)
    return text


def takes_whole(config_name: str, name: str, arguments: Sequence[str]) -> bool:
    """Whether a key holds a whole number, or a list of them."""
    kinds = type_names(config_name, name)
    if kinds:
        return {"int", "list[int]"} & set(kinds) != set() and "float" not in kinds
    if "." not in name:
        return False
    try:
        default = default_of(config_name, name, arguments)
    except Exception:  # noqa: BLE001  (Hydra will say what is wrong with the other arguments)
        return False
    values = default if isinstance(default, list) and default else [default]
    return all(type(item) is int for item in values)


def whole(number: str) -> str:
    """`1e4` as `10000`; as it is, if it is not whole."""
    exact = Decimal(number)
    return str(int(exact)) if exact == exact.to_integral_value() else number
