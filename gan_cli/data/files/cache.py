"""Decoded pixels of a folder of images, in a memory-mapped cache.

The cache holds uint8 (N, C, H, W) in one file. Its key is a fingerprint of all file names, sizes
and times, and of the settings. A run builds it under a lock, in a folder that gets its final name
only when it is complete: a second run waits for the first, and a killed one leaves nothing that
counts.
"""

from __future__ import annotations

import functools
import json
import math
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import torch
from torch import Tensor

from gan_cli.data.datasets import Progress
from gan_cli.data.files.decode import Shape, UnusableImageError
from gan_cli.data.files.listing import (
    TREE_EXPECTED,
    VERSION,
    Listing,
    describe_bad,
    list_files,
    tree_found,
)
from gan_cli.system.files import free_bytes, locked, sync_file
from gan_cli.system.terminal import Terminal

#: Also what scripts import from `gan_cli.data.image_files`, this module's name in version 0.1.0.
__all__ = [
    "TREE_EXPECTED",
    "VERSION",
    "Decoded",
    "Listing",
    "Progress",
    "Shape",
    "build_cache",
    "cache_folder",
    "describe_bad",
    "list_files",
    "open_cache",
    "tree_found",
    "try_read",
]

CHUNK = 256  # files decoded between two moves of the progress bar
MOST_OF_DISK = 0.9  # share of the free space that a cache may take


@dataclass(frozen=True)
class Decoded:
    """Decoded images, mapped into memory.

    Attributes:
        images: uint8 (N, C, H, W), values 0..255; the system reads a page when it is used.
        good: indices of the listing's files that they come from, N of them, ascending.
        bad: (file, reason) for each that cannot be used.
    """

    images: Tensor
    good: list[int]
    bad: list[tuple[str, str]]


def cache_folder() -> Path:
    """Where caches lie: $GAN_TRAIN_CACHE, or the user's cache folder.

    A user without a home (in a container, say) gets a temporary folder.
    """
    if named := os.environ.get("GAN_TRAIN_CACHE"):
        return Path(named)
    try:
        folder = Path(platformdirs.user_cache_path("gan-train"))
        if folder.is_absolute():  # else it begins with a ~ that stands for nothing
            folder.mkdir(parents=True, exist_ok=True)
            return folder
        reason = "there is no home directory"
    except (OSError, RuntimeError) as error:
        reason = str(error)
    return temporary_cache(reason)


@functools.cache
def temporary_cache(reason: str) -> Path:
    """A folder for caches that only this user can write, said once."""
    folder = Path(tempfile.gettempdir()) / f"gan-train-{getattr(os, 'getuid', int)()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        is_ours = status.st_uid == getattr(os, "getuid", int)() and not status.st_mode & 0o077
    except OSError:
        is_ours = False
    if not is_ours or folder.is_symlink():
        folder = Path(tempfile.mkdtemp(prefix="gan-train-"))
    Terminal().say(f"note: caches lie in {folder} ({reason}). GAN_TRAIN_CACHE=FOLDER moves them.")
    return folder


def open_cache(listing: Listing, shape: Shape, *, key: str, progress: Progress) -> Decoded:
    """The decoded images of a listing, from the cache or decoded now.

    Args:
        listing: the files.
        shape: how they are decoded.
        key: `listing.key(shape)`.
        progress: called while files are decoded.

    Raises:
        OSError: the cache folder cannot be written, or the disk has no room for it.
    """
    folder = cache_folder() / "images" / key
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_suffix(".lock")):
            if not folder.is_dir():  # another run may have built it meanwhile
                build_cache(folder, listing, shape=shape, progress=progress)
    index: dict[str, Any] = json.loads((folder / "index.json").read_text("utf-8"))
    good, count = index["good"], len(index["good"])
    if not count:
        return Decoded(torch.empty(0, *shape.size, dtype=torch.uint8), good, index["bad"])
    size = count * math.prod(shape.size)
    flat = torch.from_file(str(folder / "images.u8"), shared=False, size=size, dtype=torch.uint8)
    return Decoded(flat.view(count, *shape.size), good, [tuple(pair) for pair in index["bad"]])


def build_cache(folder: Path, listing: Listing, *, shape: Shape, progress: Progress) -> None:
    """Decode all files into `folder`, which appears only when it is complete.

    Raises:
        OSError: the folder cannot be written, or the disk has no room for it.
    """
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    require_room(folder.parent, len(listing.files) * math.prod(shape.size))
    partial.mkdir()
    good: list[int] = []
    bad: list[tuple[str, str]] = []
    total = len(listing.files)
    with ThreadPoolExecutor(os.cpu_count()) as pool, (partial / "images.u8").open("wb") as output:
        for start in range(0, total, CHUNK):
            numbers = range(start, min(start + CHUNK, total))
            decoded = pool.map(lambda i: try_read(listing, shape, number=i), numbers)
            for number, pixels in zip(numbers, decoded, strict=True):
                if isinstance(pixels, str):
                    bad.append((listing.files[number], pixels))
                else:
                    good.append(number)
                    output.write(pixels.tobytes())
            progress("decoding images", numbers[-1] + 1, total)
        output.flush()
        sync_file(output)
    (partial / "index.json").write_text(json.dumps({"good": good, "bad": bad}), "utf-8")
    partial.replace(folder)


def require_room(folder: Path, needed: int) -> None:
    """Check the free disk space for a cache of `needed` bytes.

    Raises:
        OSError: there is too little.
    """
    free = free_bytes(folder)
    if needed > MOST_OF_DISK * free:
        raise OSError(f"{needed / 2**30:.1f} GiB needed, {free / 2**30:.1f} GiB free in {folder}")


def try_read(listing: Listing, shape: Shape, *, number: int) -> np.ndarray | str:
    """The pixels of file `number`, uint8 (C, H, W); or the reason why it cannot be used."""
    try:
        return shape.read(listing.root / listing.files[number])
    except UnusableImageError as error:
        return str(error)
