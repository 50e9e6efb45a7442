"""What of a run's G a page holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPTS: tuple[str, ...] = ()


@dataclass(frozen=True)
class Explorer:
    """G as a page holds it."""

    payload: dict[str, Any] | None
    reason: str | None


def explorer(run: Path, *, bits: int = 16) -> Explorer:  # noqa: ARG001
    """G of a run."""
    return Explorer(None, "not yet")
