"""What each logged key means, as `log_keys.yaml` says it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).with_name("log_keys.yaml")
#: Words in a key that stand for others.
CHOICES = {"DOMAIN": "[ab]", "DIRECTION": "(a2b|b2a)", "NAME": "[a-z0-9_]+"}


@dataclass(frozen=True)
class Meaning:
    """What a key means.

    Attributes:
        pattern: that keys of this meaning match as a whole.
        text: in words.
        better: `low` or `high` if values can be called better, else None.
        perfect: the value that nothing can beat; None: there is none.
    """

    pattern: re.Pattern[str]
    text: str
    better: str | None
    perfect: float | None = None


@cache
def sections() -> tuple[dict[str, Any], ...]:
    """The sections of the file, in order."""
    return tuple(yaml.safe_load(FILE.read_text(encoding="utf-8")))


@cache
def meanings() -> tuple[Meaning, ...]:
    """The meanings of all keys, in the file's order."""
    return tuple(
        Meaning(pattern_of(entry), entry["meaning"], entry.get("better"), entry.get("perfect"))
        for section in sections()
        for entry in section["keys"]
    )


def pattern_of(entry: dict[str, Any]) -> re.Pattern[str]:
    """What the keys that an entry describes look like."""
    pattern = re.escape(entry["key"])
    for word, choice in CHOICES.items():
        pattern = pattern.replace(word, choice)
    pattern += "(_[ab])?" if entry.get("by_domain") else ""
    pattern += "(_error)?" if entry.get("errors") else ""
    return re.compile(pattern)


def meaning_of(key: str) -> Meaning | None:
    """What a logged key means; None: it is not in the file."""
    return next((entry for entry in meanings() if entry.pattern.fullmatch(key)), None)


def better(key: str) -> str | None:
    """Whether `low` or `high` values of a key are better; None: neither, or not known."""
    known = meaning_of(key)
    return known.better if known and not key.endswith("_error") else None
