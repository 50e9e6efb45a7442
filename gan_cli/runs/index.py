"""index.json beside the checkpoints lists them for people and scripts."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gan_cli.system.files import replacing
from gan_cli.system.plain import read_json

INDEX = "index.json"


def write_index(
    folder: Path, newest: Path, kept: Sequence[Path], metrics: Mapping[str, float]
) -> None:
    """List the checkpoints that are kept: file, step, time, size in bytes, newest metrics.

    Args:
        folder: of checkpoints.
        newest: just written.
        kept: all that are there, newest first.
        metrics: the run's newest numbers.
    """
    before = {entry["file"]: entry for entry in read_index(folder)}
    before[newest.name] = {
        "file": newest.name,
        "step": int(newest.stem.rpartition("_")[2]),
        "saved": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "bytes": newest.stat().st_size,
        "metrics": dict(metrics),
    }
    entries = [before[path.name] for path in reversed(kept) if path.name in before]
    with replacing(folder / INDEX) as temporary:
        temporary.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")


def read_index(folder: Path) -> list[dict[str, Any]]:
    """The entries of index.json; none if there is no such file, or it cannot be read."""
    try:
        entries = read_json(folder / INDEX)
    except (OSError, ValueError):
        return []
    is_index = isinstance(entries, list) and all(
        isinstance(entry, dict) and isinstance(entry.get("file"), str) for entry in entries
    )
    return entries if is_index else []
