"""Commands that the tool prints: quoted so that they can be pasted."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

# What Hydra's grammar reads as plain text, so long as it starts like a word or a path.
_PLAIN = re.compile(r"[A-Za-z_/.][A-Za-z0-9_/.\-+%@]*")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_WORDS = {"null", "true", "false", "inf", "nan"}


def hydra_value(value: object) -> str:
    """A value in Hydra's override grammar, quoted only where it must be."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return "[" + ",".join(hydra_value(item) for item in value) + "]"
    text = str(value)
    if _PLAIN.fullmatch(text) and not _NUMBER.fullmatch(text) and text.lower() not in _WORDS:
        return text
    # In a quoted string only a quote, and the backslashes before one, need escaping.
    escaped = re.sub(r"(\\*)'", lambda found: found[1] * 2 + r"\'", text)
    escaped = re.sub(r"(\\+)$", lambda found: found[1] * 2, escaped)
    return f"'{escaped}'"


def command(name: str, **keys: object) -> str:
    """`name key=value ...`, quoted for Hydra and for a POSIX shell."""
    return " ".join([program(name), *quoted_words(keys)])


def settings(**keys: object) -> str:
    """`key=value ...`, quoted likewise."""
    return " ".join(quoted_words(keys))


def quoted_words(keys: Mapping[str, object]) -> list[str]:
    """A word for each key, quoted for Hydra and for a POSIX shell."""
    return [shlex.quote(f"{key}={hydra_value(value)}") for key, value in keys.items()]


def program(name: str) -> str:
    """How to call a program of this installation from the current folder.

    Its bare name if the shell would find it, else the path to it beside this Python.
    """
    beside = Path(sys.executable).parent / name
    found = shutil.which(name)
    if not beside.exists() or (found and Path(found).resolve() == beside.resolve()):
        return name
    relative = os.path.relpath(beside)
    return shlex.quote(relative if not relative.startswith("..") else str(beside))
