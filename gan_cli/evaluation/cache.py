"""Results that take long and are the same for many runs, in the user's cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import zipfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_cli.data.base import Dataset
from gan_cli.data.files.cache_place import cache_of
from gan_cli.system.archives import archive_comment, require_honest
from gan_cli.system.files import locked, replacing
from gan_cli.system.plain import open_plain
from gan_cli.system.terminal import Terminal

#: The key of a stored result's checksum.
CHECKSUM = "sha256"

#: What reading a file, and looking at its content, raise where it is damaged.
UNREADABLE = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
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
    name: str,
    make: Callable[[], dict[str, Any]],
    *,
    keys: Collection[str],
    check: Callable[[dict[str, Any]], object] = lambda _: None,
) -> dict[str, Any]:
    """What `make` gave when it was first asked, on this machine, for `name`.

    Two processes make one thing once; a file that is damaged is named and made again, and what
    cannot be written is made each time.

    Args:
        name: of the result.
        make: makes it: plain values and tensors by name.
        keys: names that it must have.
        check: raises an error (one of UNREADABLE) if a stored result cannot be used.
    """
    file = cache_of("metrics") / f"{name}.pt"
    if (stored := read(file, keys, check)) is not None:
        return stored
    made: dict[str, Any] | None = None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with locked(file.with_suffix(".lock")):
            if (stored := read(file, keys, check)) is not None:  # another process was faster
                return stored
            made = make()
            # torch says "disk full" as a RuntimeError.
            with contextlib.suppress(OSError, RuntimeError), replacing(file) as temporary:
                torch.save({CHECKSUM: checksum(made), **made}, temporary)
            return made
    except OSError:
        return make() if made is None else made


def read(
    file: Path, keys: Collection[str], check: Callable[[dict[str, Any]], object]
) -> dict[str, Any] | None:
    """A stored result; None if there is none, or if it is not as it was written, which is said."""
    try:
        with open_plain(file) as content:
            archive_comment(content)
            content.seek(0)
            stored = torch.load(content, map_location="cpu", weights_only=True)
        require_honest(stored, file.stat().st_size)
        if not isinstance(stored, dict) or stored.pop(CHECKSUM, None) != checksum(stored):
            raise ValueError("its checksum is wrong")
        if missing := set(keys) - stored.keys():
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        check(stored)
    except FileNotFoundError:
        return None
    except UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        Terminal().say(f"note: {file} cannot be used ({reason}), and is made again.")
        with contextlib.suppress(OSError):
            file.unlink()
        return None
    return stored


def checksum(content: object) -> str:
    """The SHA-256 of nested dicts, lists, tensors and plain values."""
    digest = hashlib.sha256()

    def add(value: object) -> None:
        if isinstance(value, Tensor):
            plain = value.detach().cpu().contiguous()
            digest.update(f"{plain.dtype} {tuple(plain.shape)}\0".encode())
            digest.update(plain.flatten().view(torch.uint8).numpy().tobytes())
        elif isinstance(value, Mapping):
            for key in sorted(value, key=str):
                add(key)
                add(value[key])
        elif isinstance(value, list | tuple):
            for item in value:
                add(item)
        else:
            digest.update(f"{value!r}\0".encode("utf-8", "backslashreplace"))

    add(content)
    return digest.hexdigest()
