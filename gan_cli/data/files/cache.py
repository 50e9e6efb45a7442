"""Decoded pixels of a folder of images, in a memory-mapped cache.

The cache holds uint8 (N, C, H, W) in one file. Its key is a fingerprint of all file names, sizes
and times, and of the settings. A run builds it under a lock, in a folder that gets its final name
only when it is complete: a second run waits for the first, and a killed one leaves nothing that
counts.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
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
    """Where caches lie: $GAN_TRAIN_CACHE, or the user's cache folder."""
    return Path(os.environ.get("GAN_TRAIN_CACHE") or platformdirs.user_cache_path("gan-train"))


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
        with filelock.FileLock(folder.with_suffix(".lock")):
            if not folder.is_dir():  # another run may have built it meanwhile
                build_cache(folder, listing, shape=shape, progress=progress)
    index: dict[str, Any] = json.loads((folder / "index.json").read_text("utf-8"))
    good, count = index["good"], len(index["good"])
    if not count:
        return Decoded(torch.empty(0, *shape.size, dtype=torch.uint8), good, index["bad"])
    size = count * math.prod(shape.size)
    flat = torch.from_file(str(folder / "images.u8"), shared=False, size=size, dtype=torch.uint8)
    return Decoded(flat.view(count, *shape.size), good, [tuple(pair) for pair in index["bad"]])


def usable_in_cache(key: str, total: int) -> set[int] | None:
    """The files that a cache was made of, by their numbers; None: there is no sound cache.

    Args:
        key: see `open_cache`.
        total: files in the listing.
    """
    try:
        index = json.loads((cache_folder() / "images" / key / "index.json").read_text("utf-8"))
        good = set(index["good"])
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return good if good <= set(range(total)) else None


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
        os.fsync(output.fileno())
    (partial / "index.json").write_text(json.dumps({"good": good, "bad": bad}), "utf-8")
    partial.replace(folder)


def require_room(folder: Path, needed: int) -> None:
    """Check the free disk space for a cache of `needed` bytes.

    Raises:
        OSError: there is too little.
    """
    free = shutil.disk_usage(folder).free
    if needed > MOST_OF_DISK * free:
        raise OSError(f"{needed / 2**30:.1f} GiB needed, {free / 2**30:.1f} GiB free in {folder}")


def try_read(listing: Listing, shape: Shape, *, number: int) -> np.ndarray | str:
    """The pixels of file `number`, uint8 (C, H, W); or the reason why it cannot be used."""
    try:
        return shape.read(listing.root / listing.files[number])
    except UnusableImageError as error:
        return str(error)
