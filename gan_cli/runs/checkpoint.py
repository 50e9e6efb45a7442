"""Checkpoints: one file holds everything a run needs to be resumed; never half-written.

A checkpoint is a zip archive that torch.load(weights_only=True) reads, with the SHA-256 of all
the rest in the archive's comment. It holds a dict of plain values and tensors, format 2:

    format       2
    step         finished steps
    config       the resolved configuration, nested plain dicts
    spec         shape, value_range and classes of the data
    environment  versions, machine, device and data fingerprint
    session      networks, optimizers, data position, random streams, seconds of training

Format 1 is the same without a checksum, and is read too.
"""

from __future__ import annotations

import contextlib
import errno
import pickle
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import torch

from gan_cli.errors import UserError
from gan_cli.runs.index import write_index
from gan_cli.runs.seal import check_seal, seal
from gan_cli.system.archives import require_honest, tensors_in
from gan_cli.system.files import free_bytes, leads_out, replacing, sync_file, sync_folder

FORMAT = 2
FORMATS = (1, 2)  # those that can be read
PARTS = ("config", "spec", "environment", "session")
#: What torch.load and the unpickler say of a file that is damaged or something else.
UNREADABLE = (
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    NotImplementedError,
    zipfile.BadZipFile,
    pickle.UnpicklingError,
)
FOLDER, BEST = "checkpoints", "best.pt"
SPARE_BYTES = 2**20  # free space asked for beyond the tensors themselves
MOST_TRIES = 20  # to read a folder in which another process writes
_NAME = re.compile(r"step_(\d{8,})\.pt")


class UnavailableError(UserError):
    """A file that cannot be read now, though it may be good."""


class ChangedError(UserError):
    """A file that was replaced or removed while it was read."""


def save(
    folder: Path,
    state: dict[str, Any],
    *,
    keep_last: int,
    keep_every: int,
    metrics: Mapping[str, float] | None = None,
    first: Callable[[], object] = lambda: None,
) -> Path:
    """Write `step_<step>.pt` to `folder`, then remove those no longer wanted.

    Args:
        folder: the run's checkpoint folder; made if not there.
        state: as in the module's docstring, without `format`.
        keep_last: how many of the newest to keep.
        keep_every: also keep those whose step is a multiple of this; 0: none.
        metrics: the run's newest numbers, for the index.
        first: called before; brings to the disk what the checkpoint relies on.

    Raises:
        OSError: it could not be written; the older checkpoints are untouched.
    """
    first()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step_{state['step']:08d}.pt"
    require_space(folder, sum(tensor.nbytes for tensor in tensors_in(state)) + SPARE_BYTES)
    write(path, state)
    # From here on the new one is safe, and what fails is not its failure.
    with contextlib.suppress(OSError, UserError):
        if leads_out(folder, folder.parent):  # by a link that was put there meanwhile
            return path
        older = [old for old in list_checkpoints(folder) if step_of(old) < state["step"]]
        for old in older[keep_last - 1 :]:
            if not (keep_every and step_of(old) % keep_every == 0):
                old.unlink(missing_ok=True)
        write_index(folder, path, list_checkpoints(folder), metrics or {})
    return path


def save_best(folder: Path, state: dict[str, Any]) -> Path:
    """Write `best.pt` to `folder`; it has no part in the cadence, and newer ones do not remove it.

    Raises:
        OSError: it could not be written; the one before stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    require_space(folder, sum(tensor.nbytes for tensor in tensors_in(state)) + SPARE_BYTES)
    write(folder / BEST, state)
    return folder / BEST


def write(path: Path, state: dict[str, Any]) -> None:
    """Write one sealed checkpoint file, whole or not at all.

    Raises:
        OSError: it could not be written; what was there before still is.
    """
    try:
        with replacing(path) as temporary, temporary.open("w+b") as file:
            torch.save({"format": FORMAT, **state}, file)
            seal(file)
            file.flush()
            sync_file(file)
    except RuntimeError as error:  # torch.save's own word for a failed write
        raise OSError(f"{path}: {error}") from error
    sync_folder(path.parent)


def require_space(folder: Path, needed: int) -> None:
    """Raise OSError if a disk has less than `needed` bytes free: a full one helps nobody."""
    free = free_bytes(folder)
    if free < needed:
        text = f"needs {needed / 2**20:,.1f} MiB, but {free / 2**20:,.1f} MiB are free"
        raise OSError(errno.ENOSPC, text, str(folder))


def read(path: Path) -> dict[str, Any]:
    """Load one checkpoint onto the CPU, weights only: no code in it is run.

    Raises:
        UserError: damaged, not a checkpoint of this tool, or of a format unknown here.
    """
    try:
        sealed = check_seal(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        require_honest(state, path.stat().st_size)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such checkpoint.") from error
    except OSError as error:  # not its content's fault, and perhaps gone tomorrow
        raise UnavailableError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except UNREADABLE as error:
        raise UserError(f"{path}: damaged, or not a checkpoint ({_first_line(error)}).") from error
    if not is_checkpoint(state):
        raise UserError(f"{path}: not a checkpoint of gan-train.")
    if state["format"] not in FORMATS:
        raise UserError(
            f"{path}: checkpoint format {state['format']}, but this version reads "
            f"{' and '.join(map(str, FORMATS))}."
        )
    if state["format"] != 1 and not sealed:
        raise UserError(f"{path}: damaged: its checksum is missing.")
    return state


def is_checkpoint(state: object) -> TypeGuard[dict[str, Any]]:
    """Whether what a file holds has all parts of a checkpoint, each of its type."""
    if not isinstance(state, dict):
        return False
    numbers, parts = map(state.get, ("format", "step")), map(state.get, PARTS)
    counted = all(type(number) is int and 0 <= number < 2**63 for number in numbers)
    return counted and all(isinstance(part, dict) for part in parts)


@dataclass(frozen=True)
class Newest:
    """The newest good checkpoint of a folder, and the newer ones that cannot be used.

    Attributes:
        state: None if the folder holds no checkpoint.
        damaged: (file, message) of each newer one that cannot be used.
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
    for _ in range(MOST_TRIES):
        try:
            newest = _read_newest(folder)
            if newest.state is not None or not list_checkpoints(folder):
                return newest
        except ChangedError:  # by the process that trains; what is there now is as good
            continue
    return _read_newest(folder, may_change=False)


def _read_newest(folder: Path, *, may_change: bool = True) -> Newest:
    files = list_checkpoints(folder)
    damaged: list[tuple[Path, str]] = []
    for path in files:
        before = identity(path)
        try:
            state = read(path)
            if state["step"] != step_of(path):
                raise UserError(f"{path}: holds step {state['step']}, unlike its name.")
            return Newest(state, damaged)
        except UserError as error:
            if may_change and (before is None or identity(path) != before):
                raise ChangedError(f"{path}: changed while it was read.") from error
            if isinstance(error, UnavailableError):
                raise
            damaged.append((path, str(error)))
    if files:
        messages = "\n  ".join(message for _, message in damaged)
        raise UserError(f"no checkpoint can be used:\n  {messages}")
    return Newest(None, [])


def identity(path: Path) -> tuple[int, ...] | None:
    """What tells a file from one that has taken its place; None: it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def list_checkpoints(folder: Path) -> list[Path]:
    """All checkpoints in `folder`, newest first; none if there is no such folder.

    Raises:
        UserError: it cannot be read.
    """
    try:
        files = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UnavailableError(f"{folder}: cannot be read ({error.strerror}).") from error
    return sorted((path for path in files if path.is_file()), key=step_of, reverse=True)


def step_of(path: Path) -> int:
    """The step in a checkpoint's file name."""
    match = _NAME.fullmatch(path.name)
    assert match, path
    return int(match[1])


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
