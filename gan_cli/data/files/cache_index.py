"""Whether a cache of decoded images is sound: what its index says, held against its pixels."""

from __future__ import annotations

import math
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

from gan_cli.data.files.decode import Shape
from gan_cli.system.plain import open_plain, read_json

FORMAT = 2  # of the index; 1 had neither checksum nor notes, and pixels without colour profiles
BLOCK = 2**20  # bytes
LARGEST, MOST_OF_ENTRY = 2**20, 2**14  # bytes of an index, and of each file that it names
MOST_BLOCKS = 1024  # read for a checksum, evenly spaced, so that a start takes no minutes


def read_index(
    folder: Path, *, total: int, shape: Shape, whole: bool = True
) -> dict[str, Any] | str:
    """The index of a cache; or why the cache cannot be used.

    Args:
        folder: of the cache.
        total: files in the listing that it was made of.
        shape: how they were decoded.
        whole: compare the pixels with their checksum too.
    """
    if folder.is_symlink():
        return "it is a link"
    try:
        index = read_json(folder / "index.json", most=LARGEST + MOST_OF_ENTRY * total)
    except (OSError, ValueError):
        return "its index is missing or damaged"
    if isinstance(index, dict) and index.get("format", 1) != FORMAT:
        return "it is of another version"
    if not is_sound(index, total) or index["shape"] != list(shape.size):
        return "its index is damaged"
    why = pixels_problem(folder / "images.u8", index, shape, whole=whole)
    return why or dict(index)


def pixels_problem(file: Path, index: dict[str, Any], shape: Shape, *, whole: bool) -> str | None:
    """What is wrong with the pixels of a cache; None: nothing."""
    try:
        if file.stat().st_size != len(index["good"]) * math.prod(shape.size):
            return "its pixels are cut short or too many"
        changed = whole and checksum(file) != index["checksum"]
    except OSError:
        return "its pixels are missing"
    return "its pixels have changed" if changed else None


def is_sound(index: Any, total: int) -> bool:
    """Whether an index names each of `total` files once, as good or as bad."""
    if not isinstance(index, dict) or not {"shape", "checksum"} <= index.keys():
        return False
    good, bad, notes = (index.get(key) for key in ("good", "bad", "notes"))
    if not (isinstance(good, list) and isinstance(bad, list) and isinstance(notes, list)):
        return False
    numbers = all(type(number) is int and 0 <= number < total for number in good)
    pairs = all(isinstance(pair, list) and len(pair) == 2 for pair in bad)
    texts = all(isinstance(note, str) for note in notes)
    ascending = numbers and all(a < b for a, b in pairwise(good))
    return pairs and texts and ascending and len(good) + len(bad) == total


def checksum(file: Path) -> int:
    """CRC-32 of a file, or of evenly spaced blocks of a large one.

    Raises:
        OSError: it cannot be read.
    """
    blocks = -(-file.stat().st_size // BLOCK)
    step = -(-blocks // MOST_BLOCKS) or 1
    value = 0
    with open_plain(file) as content:
        for number in range(0, blocks, step):
            content.seek(number * BLOCK)
            value = zlib.crc32(content.read(BLOCK), value)
    return value
