"""Errors that end a command: one message for the person at the keyboard, one exit code."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace


class _NoValue:
    """Marks a problem that is not about a value."""


NO_VALUE = _NoValue()


@dataclass(frozen=True)
class Problem:
    """What is wrong with one setting; text only when it is printed.

    Attributes:
        key: the setting's; in a constructor the argument's name, which `under` completes.
        value: what the setting is; NO_VALUE: the problem is not about a value.
        advice: what is wrong, and what would work.
        is_full: `key` is the whole dotted key already.
    """

    key: str
    value: object
    advice: str
    is_full: bool = False

    @classmethod
    def about(cls, key: str, advice: str, *, is_full: bool = False) -> Problem:
        """A problem with a key, whatever its value."""
        return cls(key, NO_VALUE, advice, is_full)

    def under(self, place: str) -> Problem:
        """The same problem; its key starts with that of the config node that names the class."""
        if self.is_full:
            return self
        return replace(self, key=f"{place}.{self.key}" if self.key else place, is_full=True)

    def __str__(self) -> str:
        """`key=value: advice`, with the value as one types it."""
        setting = self.key if self.value is NO_VALUE else f"{self.key}={as_typed(self.value)}"
        return f"{setting}: {self.advice}" if setting else self.advice


#: Characters of one line that change what stands beside them: they turn the direction of writing.
TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
#: Unicode's categories of what is no text: controls, halves of characters, ends of lines.
NO_TEXT = frozenset({"Cc", "Cs", "Zl", "Zp"})


def printable(text: str, *, keep: str = "\n\t") -> str:
    r"""Text that a terminal shows as it is: `\x1b` for ESC, `\udcff` for a byte that is no UTF-8.

    Names of files, classes and runs may come from anybody, and hold what moves the cursor, sets the
    window's title or turns the direction of writing.

    Args:
        text: to print.
        keep: characters that stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("ascii", "backslashreplace").decode()
        if not character.isascii() and is_no_text(character)
        else f"\\x{ord(character):02x}"
        if character not in keep and is_no_text(character)
        else character
        for character in text
    )


def is_no_text(character: str) -> bool:
    """Whether a character controls a terminal rather than being shown by it."""
    return character in TURNING or unicodedata.category(character) in NO_TEXT


def as_typed(value: object) -> str:
    """A value as a person types it on the command line, without quotes."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(as_typed, value)) + "]"
    return printable(str(value), keep="") if value != "" else "''"


class SettingsError(ValueError):
    """A constructor rejects its arguments; `problems` says which, and why."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = list(problems)


class GanTrainError(Exception):
    """Any expected failure; `exit_code` is what the command ends with."""

    exit_code = 1
    #: Another process of the same run reports it.
    is_reported = False


class UserError(GanTrainError):
    """The configuration, data or checkpoint is at fault: says what, and what would work."""

    exit_code = 2

    def __init__(
        self, problems: Problem | Sequence[Problem] | str, *, where: str = "the configuration"
    ) -> None:
        """Keep what is wrong.

        Args:
            problems: of settings; or one sentence about something else.
            where: what they belong to, for the heading of several.
        """
        if isinstance(problems, str):
            super().__init__(problems)
            self.problems = [Problem.about("", problems)]
            return
        self.problems = [problems] if isinstance(problems, Problem) else list(problems)
        super().__init__(list_problems(self.problems, where=where))


class DivergedError(GanTrainError):
    """Training produced a value that is not finite."""

    exit_code = 3


#: Whether a rule holds; the argument, its value, and what would work; or the whole problem.
Rule = tuple[bool, str, object, str] | tuple[bool, Problem]


def require(*rules: Rule) -> None:
    """Check a constructor's arguments, all at once.

    Raises:
        SettingsError: with a problem for every rule that does not hold.
    """
    problems = [
        Problem(rule[1], rule[2], rule[3]) if len(rule) == 4 else rule[1]
        for rule in rules
        if not rule[0]
    ]
    if problems:
        raise SettingsError(problems)


def problems_in(error: Exception, *, key: str) -> list[Problem]:
    """What an error of a class says, as problems of the config node that names the class.

    Args:
        error: raised by the class. Of an exception that is not ours the first line counts.
        key: of the node.
    """
    if isinstance(error, UserError):
        return error.problems
    if isinstance(error, SettingsError):
        return [problem.under(key) for problem in error.problems]
    return [Problem.about(key, str(error).strip().partition("\n")[0] or type(error).__name__)]


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that is most like `word`; None if none comes close."""
    spellings: dict[str, str] = {}  # upper case and dashes make no other word
    for choice in choices:
        spellings.setdefault(choice.lower().replace("-", "_"), choice)
    plain = word.lower().replace("-", "_")
    matches = difflib.get_close_matches(plain, list(spellings), n=1, cutoff=0.5)
    return spellings[matches[0]] if matches else None


def did_you_mean(word: object, choices: Iterable[str]) -> str:
    """`Did you mean ...?` for a mistyped word, or nothing."""
    match = nearest(str(word), choices)
    return f"Did you mean {match}?" if match else ""


def choice_problems(key: str, value: object, choices: Sequence[str]) -> list[Problem]:
    """What is wrong with a value that must be one of `choices`; empty if nothing is."""
    if value in choices:
        return []
    hint = did_you_mean(value, choices)
    return [Problem(key, value, f"use {', '.join(choices)}" + (f". {hint}" if hint else ""))]


def list_problems(problems: Sequence[Problem], *, where: str = "the configuration") -> str:
    """One message for one or several problems."""
    lines = list(dict.fromkeys(map(str, problems)))
    if len(lines) == 1:
        return lines[0]
    listed = "\n".join(f"  {line}" for line in lines)
    return f"{len(lines)} problems in {where}:\n{listed}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the machine or the GPU ran out of memory."""
    text = str(error)
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and ("out of memory" in text or "can't allocate memory" in text)
    )
