"""Folders of image files: what is in them, and their decoded pixels in a memory-mapped cache.

The cache holds uint8 (N, C, H, W) in one file, keyed by a fingerprint of all file names, sizes and
times and of the settings. It is built once, under a lock, in a folder that gets its final name
only when complete: a second run waits for the first, and a killed one leaves nothing that counts.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import filelock
import numpy as np
import platformdirs
import torch
from torch import Tensor

from gan_cli.data.files.decode import Resize, UnusableImageError, decode
from gan_cli.errors import UserError
from gan_cli.system.files import find_files

VERSION = 1  # of the cache's layout and of how files are decoded
CHUNK = 256  # files decoded between two moves of the progress bar
SHOWN = 20  # unusable files named in a message

#: Called with (what, done, total).
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Shape:
    """How files are decoded, and the part that is kept.

    Attributes:
        channels: 1 or 3.
        height: of what is kept.
        width: of what is kept.
        load_height: decoded to this first, and cut to `height` from the middle.
        load_width: likewise.
        resize: see `gan_cli.data.files.decode.decode`.
    """

    channels: int
    height: int
    width: int
    load_height: int
    load_width: int
    resize: Resize

    def read(self, path: Path | BinaryIO) -> np.ndarray:
        """Decode one file, or its bytes as a file in memory, uint8 (C, H, W).

        Raises:
            UnusableImageError: it cannot be used.
        """
        pixels = decode(
            path,
            channels=self.channels,
            height=self.load_height,
            width=self.load_width,
            resize=self.resize,
        )
        top, left = (self.load_height - self.height) // 2, (self.load_width - self.width) // 2
        return pixels[:, top : top + self.height, left : left + self.width]

    @property
    def size(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.channels, self.height, self.width


@dataclass(frozen=True)
class Listing:
    """The files of a folder, sorted, and the class of each.

    Attributes:
        root: the folder.
        files: paths relative to it.
        labels: index into `classes` for each file; empty without classes.
        classes: names of the sub-folders; empty if files lie at the top.
    """

    root: Path
    files: list[str]
    labels: list[int]
    classes: list[str]

    def key(self, shape: Shape) -> str:
        """Fingerprint of the files (names, sizes, times) and of how they are decoded."""
        digest = hashlib.blake2b(digest_size=12)
        digest.update(repr((VERSION, str(self.root.resolve()), shape)).encode())
        for name in self.files:
            try:
                status = (self.root / name).stat()
                version = f"{status.st_size}\0{status.st_mtime_ns}"
            except OSError:
                version = "a link that leads nowhere"
            digest.update(f"{name}\0{version}\0".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


def list_files(root: Path) -> Listing:
    """All files below a folder but hidden ones, in an order that does not depend on the disk.

    Raises:
        UserError: no such folder, or no file in it.
    """
    if not root.is_dir():
        raise UserError(f"data.root={root}: no such folder.\n{tree_found(root)}\n{TREE_EXPECTED}")
    files = [str(path.relative_to(root)) for path in find_files(root)]
    if not files:
        raise UserError(f"data.root={root}: no files.\n{tree_found(root)}\n{TREE_EXPECTED}")
    tops = [Path(name).parts[0] for name in files]
    at_top = any(top == name for top, name in zip(tops, files, strict=True))
    classes = [] if at_top else sorted(set(tops))
    number = {name: index for index, name in enumerate(classes)}
    return Listing(root, files, [number[top] for top in tops] if classes else [], classes)


TREE_EXPECTED = """\
  expected: images, or one folder of images for each class (any names, nested as you like)
    ROOT/cat.jpg             ROOT/cats/1.jpg
    ROOT/dog.png      or     ROOT/dogs/2.png"""


def tree_found(root: Path, *, most: int = 12) -> str:
    """What lies in a folder, or in the nearest one that exists, with counts."""
    while not root.is_dir():
        root = root.parent
    entries = sorted(root.iterdir())
    lines = [
        f"    {entry.name}/ ({sum(1 for _ in islice(entry.iterdir(), 10_000))} entries)"
        if entry.is_dir()
        else f"    {entry.name}"
        for entry in entries[:most]
    ]
    more = f"\n    ... and {len(entries) - most} more" if len(entries) > most else ""
    return f"  found in {root}/:\n" + ("\n".join(lines) or "    nothing") + more


@dataclass(frozen=True)
class Decoded:
    """Decoded images, mapped into memory.

    Attributes:
        images: uint8 (N, C, H, W); pages are read when they are used.
        good: which of the listing's files they are, int64 (N,).
        bad: (file, reason) for each that could not be used.
    """

    images: Tensor
    good: list[int]
    bad: list[tuple[str, str]]


def cache_folder() -> Path:
    """Where caches lie: $GAN_TRAIN_CACHE, or the user's cache folder."""
    return Path(os.environ.get("GAN_TRAIN_CACHE") or platformdirs.user_cache_path("gan-train"))


def open_cache(listing: Listing, shape: Shape, key: str, progress: Progress) -> Decoded:
    """The decoded images of a listing, from the cache or decoded now; `key` is `listing.key`.

    Raises:
        OSError: the cache folder cannot be written, or the disk has no room for it.
    """
    folder = cache_folder() / "images" / key
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder.with_suffix(".lock")):
            if not folder.is_dir():  # another run may have built it meanwhile
                build_cache(folder, listing, shape, progress)
    index: dict[str, Any] = json.loads((folder / "index.json").read_text("utf-8"))
    good, count = index["good"], len(index["good"])
    if not count:
        return Decoded(torch.empty(0, *shape.size, dtype=torch.uint8), good, index["bad"])
    size = count * math.prod(shape.size)
    flat = torch.from_file(str(folder / "images.u8"), shared=False, size=size, dtype=torch.uint8)
    return Decoded(flat.view(count, *shape.size), good, [tuple(pair) for pair in index["bad"]])


def build_cache(folder: Path, listing: Listing, shape: Shape, progress: Progress) -> None:
    """Decode all files into `folder`, which appears only when complete."""
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    needed = len(listing.files) * math.prod(shape.size)
    free = shutil.disk_usage(folder.parent).free
    if needed > 0.9 * free:
        raise OSError(
            f"{needed / 2**30:.1f} GiB needed, {free / 2**30:.1f} GiB free in {folder.parent}"
        )
    partial.mkdir()
    good: list[int] = []
    bad: list[tuple[str, str]] = []
    total = len(listing.files)
    with ThreadPoolExecutor(os.cpu_count()) as pool, (partial / "images.u8").open("wb") as output:
        for start in range(0, total, CHUNK):
            numbers = range(start, min(start + CHUNK, total))
            for number, pixels in zip(
                numbers, pool.map(lambda i: try_read(listing, shape, i), numbers), strict=True
            ):
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


def try_read(listing: Listing, shape: Shape, number: int) -> np.ndarray | str:
    """The pixels of a file, or why it cannot be used."""
    try:
        return shape.read(listing.root / listing.files[number])
    except UnusableImageError as error:
        return str(error)


def describe_bad(bad: list[tuple[str, str]], *, total: int) -> str:
    """One message that names the files passed over and counts them."""
    lines = [f"    {name}: {reason}" for name, reason in bad[:SHOWN]]
    more = f"\n    ... and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
    return f"{len(bad)} of {total} files are not used:\n" + "\n".join(lines) + more
