"""Errors that end a command: one message for the person at the keyboard, one exit code."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GanTrainError(Exception):
    """Any expected failure; `exit_code` is what the command ends with."""

    exit_code = 1
    #: Another process of the same run tells the user.
    is_told = False


class UserError(GanTrainError):
    """The configuration, data or checkpoint is at fault: says what, and what would work."""

    exit_code = 2


class DivergedError(GanTrainError):
    """Training produced a value that is not finite."""

    exit_code = 3


def require(*rules: tuple[bool, str]) -> None:
    """Raise ValueError with one line for every broken rule.

    Args:
        rules: pairs (holds, message); a message reads `parameter=value: what would work`.
    """
    broken = [message for holds, message in rules if not holds]
    if broken:
        raise ValueError("\n".join(broken))


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice most like `word`, or None if nothing comes close."""
    matches = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return matches[0] if matches else None


def list_problems(problems: list[str], *, where: str = "the configuration") -> str:
    """One message for one or several problems."""
    if len(problems) == 1:
        return problems[0]
    lines = "\n".join(f"  {problem}" for problem in problems)
    return f"{len(problems)} problems in {where}:\n{lines}"


def is_out_of_memory(error: Exception) -> bool:
    """Whether the machine or the GPU ran out of memory."""
    text = str(error)
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and ("out of memory" in text or "can't allocate memory" in text)
    )
