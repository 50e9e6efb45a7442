"""Checkpoints: one file holds everything a run needs to go on; never half-written.

Format 1 is a dict of plain values and tensors, readable with torch.load(weights_only=True):

    format       1
    step         finished steps
    config       the resolved configuration, nested plain dicts
    spec         shape, value_range and classes of the data
    environment  versions, machine, device and data fingerprint
    session      networks, optimizers, data position, random streams, seconds of training
"""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path
from typing import Any

import torch

from gan_cli.errors import UserError

FORMAT = 1
FOLDER = "checkpoints"
_NAME = re.compile(r"step_(\d{8,})\.pt")


def save(folder: Path, state: dict[str, Any], *, keep_last: int, keep_every: int) -> Path:
    """Write `step_<step>.pt` to `folder`, then remove those no longer wanted.

    Args:
        folder: the run's checkpoint folder; made if not there.
        state: as in the module's docstring, without `format`.
        keep_last: how many of the newest to keep.
        keep_every: also keep those whose step is a multiple of this; 0: none.

    Raises:
        OSError: it could not be written; the older checkpoints are untouched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step_{state['step']:08d}.pt"
    temporary = path.with_suffix(".tmp")
    try:
        with temporary.open("wb") as file:
            torch.save({"format": FORMAT, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except RuntimeError as error:  # torch.save's own word for a failed write
        raise OSError(f"{path}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(folder)
    for old in found(folder)[keep_last:]:
        if not (keep_every and step_of(old) % keep_every == 0):
            old.unlink(missing_ok=True)
    return path


def read(path: Path) -> dict[str, Any]:
    """Load one checkpoint onto the CPU, weights only: no code in it is run.

    Raises:
        UserError: damaged, not a checkpoint of this tool, or of a format unknown here.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such checkpoint.") from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise UserError(f"{path}: damaged, or not a checkpoint ({_first_line(error)}).") from error
    needed = {"format", "step", "config", "spec", "environment", "session"}
    if not isinstance(state, dict) or not needed <= state.keys():
        raise UserError(f"{path}: not a checkpoint of gan-train.")
    if state["format"] != FORMAT:
        raise UserError(
            f"{path}: checkpoint format {state['format']}, but this version reads format {FORMAT}."
        )
    return state


def read_newest(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The newest good checkpoint in `folder` (None: there are no files), and what was passed over.

    Raises:
        UserError: there are checkpoints, but none can be used.
    """
    files = found(folder)
    damaged: list[str] = []
    for path in files:
        try:
            return read(path), damaged
        except UserError as error:
            damaged.append(str(error))
    if files:
        raise UserError("no checkpoint can be used:\n  " + "\n  ".join(damaged))
    return None, []


def found(folder: Path) -> list[Path]:
    """All checkpoints in `folder`, newest first."""
    files = [path for path in folder.glob("step_*.pt") if _NAME.fullmatch(path.name)]
    return sorted(files, key=step_of, reverse=True)


def step_of(path: Path) -> int:
    """The step in a checkpoint's file name."""
    match = _NAME.fullmatch(path.name)
    assert match, path
    return int(match[1])


def sync_folder(folder: Path) -> None:
    """Make a rename durable: the folder's own entry must reach the disk too."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
