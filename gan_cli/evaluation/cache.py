"""Results that take long and are the same for many runs, in the user's cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import zipfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import filelock
import torch

from gan_cli.data.base import Dataset
from gan_cli.data.files.cache import cache_folder
from gan_cli.system.files import replacing

UNREADABLE = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)


def identity(*parts: object) -> str:
    """A name for what depends on `parts` alone: data sets go by their content, files by theirs."""
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        digest.update(repr(describe(part)).encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def describe(part: object) -> object:
    """What tells one from another."""
    if isinstance(part, Dataset):
        rows = (
            None if part.rows is None else hashlib.sha256(part.rows.numpy().tobytes()).hexdigest()
        )
        return part.fingerprint(), part.spec, rows
    if isinstance(part, str) and Path(part).is_file():
        status = Path(part).stat()
        return str(Path(part).resolve()), status.st_size, status.st_mtime_ns
    return part


def cached(
    name: str, make: Callable[[], dict[str, Any]], *, keys: Collection[str]
) -> dict[str, Any]:
    """What `make` gave when it was first asked, on this machine, for `name`.

    Two processes make one thing once; a file that cannot be read is made again, and what cannot be
    written is made each time.
    """
    file = cache_folder() / "metrics" / f"{name}.pt"
    if (stored := read(file, keys)) is not None:
        return stored
    made: dict[str, Any] | None = None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(file.with_suffix(".lock")):
            if (stored := read(file, keys)) is not None:  # another process was faster
                return stored
            made = make()
            # torch says "disk full" as a RuntimeError.
            with contextlib.suppress(OSError, RuntimeError), replacing(file) as temporary:
                torch.save(made, temporary)
            return made
    except OSError:
        return make() if made is None else made


def read(file: Path, keys: Collection[str]) -> dict[str, Any] | None:
    """A stored result with all its keys; None if there is none that can be used."""
    try:
        stored = torch.load(file, map_location="cpu", weights_only=True)
    except UNREADABLE:
        return None
    return stored if isinstance(stored, dict) and set(keys) <= stored.keys() else None
