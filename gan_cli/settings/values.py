"""What single values of a config must be."""

from __future__ import annotations

import re

_NAME = re.compile(r"[\w.-]+(/[\w.-]+)*")


def name_problem(name: str) -> str | None:
    """Why `name` cannot name a run below output_dir, or None."""
    if _NAME.fullmatch(name) and not {".", ".."} & set(name.split("/")) and len(name) <= 200:
        return None
    return f"name={name}: use letters, digits, '.', '_' and '-' (a '/' makes a sub-folder)"
