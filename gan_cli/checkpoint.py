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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gan_cli.errors import UserError
from gan_cli.files import replacing, sync_folder

FORMAT = 1
#: What torch.load and the unpickler say of a file that is damaged or something else.
UNREADABLE = (
    OSError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    pickle.UnpicklingError,
)
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
    for leftover in folder.glob(".step_*.tmp"):  # of a process that was killed while saving
        leftover.unlink(missing_ok=True)
    path = folder / f"step_{state['step']:08d}.pt"
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            torch.save({"format": FORMAT, **state}, file)
            file.flush()
            os.fsync(file.fileno())
    except RuntimeError as error:  # torch.save's own word for a failed write
        raise OSError(f"{path}: {error}") from error
    sync_folder(folder)
    older = [old for old in found(folder) if step_of(old) < state["step"]]
    for old in older[keep_last - 1 :]:
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
    except UNREADABLE as error:
        raise UserError(f"{path}: damaged, or not a checkpoint ({_first_line(error)}).") from error
    needed = {"format", "step", "config", "spec", "environment", "session"}
    step = state.get("step") if isinstance(state, dict) else None
    counted = isinstance(step, int) and not isinstance(step, bool) and 0 <= step < 2**63
    if not isinstance(state, dict) or not needed <= state.keys() or not counted:
        raise UserError(f"{path}: not a checkpoint of gan-train.")
    if state["format"] != FORMAT:
        raise UserError(
            f"{path}: checkpoint format {state['format']}, but this version reads format {FORMAT}."
        )
    return state


@dataclass(frozen=True)
class Newest:
    """The newest good checkpoint of a folder, and the newer ones that cannot be used.

    Attributes:
        state: None if the folder holds no checkpoint.
        damaged: (file, message) of each that was passed over.
    """

    state: dict[str, Any] | None
    damaged: list[tuple[Path, str]]

    @property
    def messages(self) -> list[str]:
        """What to tell the user."""
        return [f"passed over: {message}" for _, message in self.damaged]

    def set_aside(self) -> None:
        """Rename what cannot be used, so that it is neither counted nor tried again."""
        for path, _ in self.damaged:
            path.replace(path.with_suffix(".pt.damaged"))


def read_newest(folder: Path) -> Newest:
    """Load the newest good checkpoint in `folder`.

    Raises:
        UserError: there are checkpoints, but none can be used.
    """
    files = found(folder)
    damaged: list[tuple[Path, str]] = []
    for path in files:
        try:
            return Newest(read(path), damaged)
        except UserError as error:
            damaged.append((path, str(error)))
    if files:
        messages = "\n  ".join(message for _, message in damaged)
        raise UserError(f"no checkpoint can be used:\n  {messages}")
    return Newest(None, [])


def found(folder: Path) -> list[Path]:
    """All checkpoints in `folder`, newest first."""
    files = [path for path in folder.glob("step_*.pt") if _NAME.fullmatch(path.name)]
    return sorted(files, key=step_of, reverse=True)


def step_of(path: Path) -> int:
    """The step in a checkpoint's file name."""
    match = _NAME.fullmatch(path.name)
    assert match, path
    return int(match[1])


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
