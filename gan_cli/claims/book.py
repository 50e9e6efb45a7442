"""All claims, in the order of the notes."""

from __future__ import annotations

import importlib
import pkgutil
import re
from functools import cache
from types import ModuleType

import gan_cli.claims
from gan_cli.claims.base import Claim

MODULE = re.compile(r"c(\d\d)_(\w+)")


@cache
def claims() -> tuple[Claim, ...]:
    """The claims, by number."""
    names = [
        module.name
        for module in pkgutil.iter_modules(gan_cli.claims.__path__)
        if MODULE.fullmatch(module.name)
    ]
    return tuple(module_of(name).CLAIM for name in sorted(names))


def explanation(claim: Claim) -> str:
    """What the claim's module says of it: its first sentence, and the text below it."""
    text = module_of(f"c{claim.number:02d}_{claim.name}").__doc__
    assert text, claim.name
    return text.strip()


def module_of(name: str) -> ModuleType:
    """A claim's module."""
    return importlib.import_module(f"gan_cli.claims.{name}")
