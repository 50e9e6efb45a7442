"""Any folder of images, with or without class sub-folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch

from gan_cli.data.base import Dataset, DataSource, FileImages, Progress
from gan_cli.data.files.cache import (
    TREE_EXPECTED,
    Listing,
    describe_bad,
    list_files,
    open_cache,
    tree_found,
    try_read,
)
from gan_cli.data.files.decode import Resize
from gan_cli.data.files.framing import Framing
from gan_cli.data.images import image_spec
from gan_cli.errors import UserError, require
from gan_cli.spec import DataSpec

WORKERS = 4  # at most, where data.workers does not say


class ImageFolder(DataSource):
    """Images decoded once into a memory-mapped cache, or streamed from their files."""

    ordered = True  # class by class

    def __init__(
        self,
        *,
        root: str,
        channels: int,
        image_size: int | Sequence[int],
        load_size: int | Sequence[int] | None,
        resize: Resize,
        crop: Literal["center", "random"],
        flip: bool,
        cache: bool,
        workers: int | None,
        pixel_range: Sequence[float],
    ) -> None:
        framing = Framing(channels, image_size, load_size, resize, crop, flip)
        require(
            (bool(root), "root='': give the folder of images"),
            (workers is None or workers >= 0, f"workers={workers}: must be 0 or more, or null"),
            *framing.rules(),
        )
        self._pixels = image_spec(channels, framing.size, pixel_range, classes=0)
        self.root, self.cache, self.workers = Path(root).expanduser(), cache, workers
        self.shape, self.augment = framing.shape, framing.augment

    @cached_property
    def listing(self) -> Listing:
        """The files, found once."""
        return list_files(self.root)

    @property
    def spec(self) -> DataSpec:
        """Shape and range as configured, classes as found in the folder."""
        shape, value_range = self._pixels.shape, self._pixels.value_range
        names = tuple(self.listing.classes)
        return DataSpec(shape, value_range, len(names), names)

    def load(self, *, seed: int, progress: Progress) -> Dataset:  # noqa: ARG002
        """Open the cache, building it first if need be; or prepare to stream.

        Raises:
            UserError: no such folder, or no usable image in it.
        """
        key = self.listing.key(self.shape)
        if not self.cache:
            return self._streamed(key, ())
        try:
            decoded = open_cache(self.listing, self.shape, key, progress)
        except OSError as error:
            note = f"no cache ({error.strerror or error}): images are decoded anew in every epoch."
            return self._streamed(key, (note,))
        notes = []
        if decoded.bad:
            notes.append(describe_bad(decoded.bad, total=len(self.listing.files)))
        if not decoded.good:
            raise UserError(
                f"data.root={self.root}: no usable image.\n  {notes[0]}\n"
                f"{tree_found(self.root)}\n{TREE_EXPECTED}"
            )
        if self.workers is not None:
            notes.append("data.workers has no effect: images come from the cache.")
        labels = torch.tensor(self.listing.labels)[decoded.good] if self.listing.classes else None
        return Dataset(
            decoded.images,
            labels,
            self.spec,
            augment=self.augment,
            identity=key,
            notes=tuple(notes),
        )

    def _streamed(self, key: str, notes: tuple[str, ...]) -> Dataset:
        listing = self.listing
        if all(
            isinstance(try_read(listing, self.shape, i), str) for i in range(len(listing.files))
        ):
            raise UserError(
                f"data.root={self.root}: no usable image.\n{tree_found(self.root)}\n{TREE_EXPECTED}"
            )
        workers = min(WORKERS, os.cpu_count() or 1) if self.workers is None else self.workers
        return Dataset(
            FileImages([listing.root / name for name in listing.files], self.shape.read, workers),
            torch.tensor(listing.labels) if listing.classes else None,
            self.spec,
            augment=self.augment,
            identity=key,
            notes=notes,
        )
