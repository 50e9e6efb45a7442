"""Decoded pixels of a folder of images, in a memory-mapped cache.

The cache holds uint8 (N, C, H, W) in one file. Its key is a fingerprint of all file names, sizes
and times, and of the settings. A run builds it under a lock, in a folder that gets its final name
only when it is complete: a second run waits for the first, and a killed one leaves nothing that
counts.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan_cli.data.datasets import Progress
from gan_cli.data.files.archives import readable
from gan_cli.data.files.cache_index import FORMAT, checksum, read_index
from gan_cli.data.files.cache_place import cache_folder, cache_of, limit_bytes, prune, remove
from gan_cli.data.files.decode import Shape, UnusableImageError
from gan_cli.data.files.facts import Facts
from gan_cli.data.files.listing import (
    TREE_EXPECTED,
    VERSION,
    Listing,
    describe_bad,
    list_files,
    tree_found,
)
from gan_cli.data.files.pages import spread
from gan_cli.spec import RGBA
from gan_cli.system.files import free_bytes, locked, sync_file

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
MOST_SAMPLED = 64  # files looked at where not all are decoded
MOST_OF_DISK = 0.9  # share of the free space that a cache may take


@dataclass(frozen=True)
class Decoded:
    """Decoded images, mapped into memory.

    Attributes:
        images: uint8 (N, C, H, W), values 0..255; the system reads a page when it is used.
        good: indices of the listing's files that they come from, N of them, ascending.
        bad: (file, reason) for each that cannot be used.
        notes: what was seen while they were decoded, as sentences.
    """

    images: Tensor
    good: list[int]
    bad: list[tuple[str, str]]
    notes: tuple[str, ...] = ()


def open_cache(listing: Listing, shape: Shape, *, key: str, progress: Progress) -> Decoded:
    """The decoded images of a listing, from the cache or decoded now.

    Args:
        listing: the files.
        shape: how they are decoded.
        key: `listing.key(shape)`.
        progress: called while files are decoded.

    Raises:
        OSError: the cache folder cannot be written, or the disk has no room for it.
        UserError: GAN_TRAIN_CACHE_GB is no number.
    """
    limit = limit_bytes()
    folder, notes = cache_of("images") / key, []
    index = read_index(folder, total=len(listing.files), shape=shape)
    if isinstance(index, str):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_suffix(".lock")):
            # Another run may have built it meanwhile.
            index = read_index(folder, total=len(listing.files), shape=shape)
            if isinstance(index, str):
                if folder.exists() or folder.is_symlink():
                    notes.append(f"the cache {folder} is built anew: {index}.")
                    remove(folder)
                build_cache(folder, listing, shape=shape, progress=progress)
                index = read_index(folder, total=len(listing.files), shape=shape)
                if isinstance(index, str):
                    raise OSError(f"{folder}: {index}")
    with contextlib.suppress(OSError):
        os.utime(folder)  # it was used now
    prune(folder.parent, keep=folder, limit=limit)
    good, count = index["good"], len(index["good"])
    size = count * math.prod(shape.size)
    flat = torch.empty(0, dtype=torch.uint8)
    if count:
        file = str(folder / "images.u8")
        flat = torch.from_file(file, shared=False, size=size, dtype=torch.uint8)
    bad = [(str(name), str(reason)) for name, reason in index["bad"]]
    return Decoded(flat.view(count, *shape.size), good, bad, (*index["notes"], *notes))


def usable_in_cache(listing: Listing, shape: Shape, *, key: str) -> set[int] | None:
    """The files that a cache was made of, by their numbers; None: there is no sound cache.

    Args:
        listing: the files.
        shape: how they are decoded.
        key: `listing.key(shape)`.
    """
    folder = cache_of("images") / key
    index = read_index(folder, total=len(listing.files), shape=shape, whole=False)
    return None if isinstance(index, str) else set(index["good"])


def build_cache(folder: Path, listing: Listing, *, shape: Shape, progress: Progress) -> None:
    """Decode all files into `folder`, which appears only when it is complete.

    Raises:
        OSError: the folder cannot be written, or the disk has no room for it.
    """
    partial = folder.with_suffix(".partial")
    remove(partial)  # of a run that was killed
    require_room(folder.parent, len(listing.files) * math.prod(shape.size))
    partial.mkdir()
    good: list[int] = []
    bad: list[tuple[str, str]] = []
    facts, total = Facts(), len(listing.files)
    with ThreadPoolExecutor(os.cpu_count()) as pool, (partial / "images.u8").open("wb") as output:
        for start in range(0, total, CHUNK):
            numbers = range(start, min(start + CHUNK, total))
            seen = [Facts() for _ in numbers]
            decoded = pool.map(
                lambda i, facts: try_read(listing, shape, number=i, facts=facts), numbers, seen
            )
            for number, pixels, one in zip(numbers, decoded, seen, strict=True):
                if isinstance(pixels, str):
                    bad.append((listing.name(number), pixels))
                else:
                    one.saw_pixels(pixels)
                    good.append(number)
                    output.write(pixels.tobytes())
                facts.merge(one)
            progress("decoding images", numbers[-1] + 1, total)
        output.flush()
        sync_file(output)
    index = {
        "format": FORMAT,
        "good": good,
        "bad": bad,
        "notes": notes_of(facts, shape),
        "shape": shape.size,
        "checksum": checksum(partial / "images.u8"),
    }
    (partial / "index.json").write_text(json.dumps(index), "utf-8")
    partial.replace(folder)


def notes_of(facts: Facts, shape: Shape) -> list[str]:
    """What the user should know of files that were decoded."""
    reading, keeps_alpha = shape.reading, shape.channels == RGBA
    return facts.notes(
        levels=reading.levels, background=reading.background, keeps_alpha=keeps_alpha
    )


def look_at_some(listing: Listing, shape: Shape) -> Facts:
    """What a sample of the files shows, for data that are not decoded at once."""
    facts = Facts()
    for number in spread(range(len(listing.files)), MOST_SAMPLED):
        one = Facts()
        pixels = try_read(listing, shape, number=number, facts=one)
        if not isinstance(pixels, str):
            one.saw_pixels(pixels)
        facts.merge(one)
    return facts


def require_room(folder: Path, needed: int) -> None:
    """Check the free disk space for a cache of `needed` bytes.

    Raises:
        OSError: there is too little.
    """
    free = free_bytes(folder)
    if needed > MOST_OF_DISK * free:
        raise OSError(f"{needed / 2**30:.1f} GiB needed, {free / 2**30:.1f} GiB free in {folder}")


def try_read(
    listing: Listing, shape: Shape, *, number: int, facts: Facts | None = None
) -> np.ndarray | str:
    """The pixels of file `number`, uint8 (C, H, W); or the reason why it cannot be used."""
    try:
        source = readable(listing.root / listing.files[number])
        pixels = shape.read(source, listing.page(number), facts)
        if facts is not None and listing.pages:
            facts.paged = 0  # all are used
        return pixels
    except UnusableImageError as error:
        return str(error)
