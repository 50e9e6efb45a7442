"""Commands that the tool prints: quoted so that they can be pasted."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
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
    escaped = re.sub(r"(\\*)'", lambda match: match[1] * 2 + r"\'", text)
    escaped = re.sub(r"(\\+)$", lambda match: match[1] * 2, escaped)
    return f"'{escaped}'"


def expand_home(value: object) -> object:
    """A path that starts with `~` or `~user` with that home in its place; others as they are."""
    if not isinstance(value, str) or not value.startswith("~"):
        return value
    try:
        return str(Path(value).expanduser())
    except RuntimeError:  # no such user
        return value


def command(name: str, **settings: object) -> str:
    """`name key=value ...`, a program of this installation, quoted for Hydra and a POSIX shell."""
    return f"{program(name)} {arguments(**settings)}".rstrip()


def arguments(**settings: object) -> str:
    """`key=value ...`, quoted for Hydra and for a POSIX shell."""
    words = (f"{key}={hydra_value(value)}" for key, value in settings.items())
    return " ".join(map(shlex.quote, words))


def program(name: str) -> str:
    """How to call a program of this installation from the current folder.

    Its name if the shell finds it by that, else its path beside this Python.
    """
    beside = Path(sys.executable).parent / name
    on_path = shutil.which(name)
    if not beside.exists() or (on_path and Path(on_path).resolve() == beside.resolve()):
        return name
    relative = os.path.relpath(beside)
    return shlex.quote(relative if not relative.startswith("..") else str(beside))
