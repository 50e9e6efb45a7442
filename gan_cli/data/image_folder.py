"""Any folder of images, or an archive of one, with or without class sub-folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from typing_extensions import override

from gan_cli.data.base import Dataset, DataSource, FileImages, Progress
from gan_cli.data.files.archives import Source, open_root
from gan_cli.data.files.cache import (
    look_at_some,
    notes_of,
    open_cache,
    try_read,
    usable_in_cache,
)
from gan_cli.data.files.classes import Folders, IsUsable, find_folders, held_out_listing
from gan_cli.data.files.colours import choose_background
from gan_cli.data.files.decode import MOST_MEGAPIXELS, Resize, Shape
from gan_cli.data.files.framing import AUTO, Crop, Framing, reading_of, workers_rule
from gan_cli.data.files.listing import Listing, describe_bad, folder_problem, list_files
from gan_cli.data.files.pages import open_usable, spread, with_pages
from gan_cli.data.images import image_spec
from gan_cli.errors import UserError, require
from gan_cli.spec import DataSpec

Pages = Literal["first", "all"]
MOST_SAMPLED = 64  # files looked at where not all are decoded
UNEVEN = 10  # times as many images in one class as in another
WORKERS = 4  # at most, where data.workers is null


class ImageFolder(DataSource):
    """Images decoded once into a memory-mapped cache, or streamed from their files.

    Attributes:
        has_classes: sub-folders are classes.
        root_key: the config key that names the folder, for messages; None: no key names it. A
            source that makes an `ImageFolder` for a folder of its own sets it.
    """

    ordered = True  # class by class
    has_classes = True
    root_key: str | None = "data.root"

    def __init__(  # noqa: PLR0913  (each is a key of the YAML)
        self,
        *,
        root: str,
        channels: int,
        image_size: int | Sequence[int],
        load_size: int | Sequence[int] | None,
        resize: Resize,
        crop: Crop,
        flip: bool,
        cache: bool,
        workers: int | None,
        pixel_range: Sequence[float],
        levels: Sequence[float] | None = None,
        background: str = "white",
        pages: Pages = "first",
        max_megapixels: float = MOST_MEGAPIXELS,
        balance: bool = False,
    ) -> None:
        framing = Framing(
            channels=channels,
            image_size=image_size,
            load_size=load_size,
            resize=resize,
            crop=crop,
            flip=flip,
            reading=reading_of(levels, background, max_megapixels),
        )
        require(
            (bool(root), "root", root, "give the folder of images, or a .zip or .tar of it"),
            workers_rule(workers),
            *framing.rules(),
        )
        self._pixels = image_spec(channels, framing.size, pixel_range=pixel_range, classes=0)
        self.root, self.cache, self.workers = Path(root).expanduser(), cache, workers
        self.framing, self.augment, self.pages = framing, framing.augment, pages
        self.balance = balance

    @cached_property
    def place(self) -> Source:
        """The folder; or the archive, with its index.

        Raises:
            UserError: the archive is damaged.
        """
        return open_root(self.root, key=self.root_key)

    @cached_property
    def shape(self) -> Shape:
        """How files are decoded; a background is chosen if it is `auto`."""
        shape = self.framing.shape
        if shape.reading.background != AUTO:
            return shape
        background = self.chosen_background[0]
        return replace(shape, reading=replace(shape.reading, background=background))

    @cached_property
    def chosen_background(self) -> tuple[str, int]:
        """For background=auto: what was chosen, and by how many transparent images."""
        files = list_files(self.place, key=self.root_key).files
        paths = [self.place / name for name in spread(files, MOST_SAMPLED)]
        return choose_background(open_usable(paths, self.framing.reading))

    @property
    def listing(self) -> Listing:
        """The files of training, listed once.

        Raises:
            UserError: no such folder, or no file in it.
        """
        return self.folders.train

    @cached_property
    def folders(self) -> Folders:
        """The files of training, and where test images are.

        Raises:
            UserError: no such folder, or no file in it.
        """
        if not self.has_classes:
            listing = list_files(self.place, key=self.root_key)
            return Folders(self._paged(replace(listing, labels=[], classes=[])))
        folders = find_folders(self.place, key=self.root_key, usable_in=self._usable_in)
        return replace(folders, train=self._paged(folders.train))

    def _paged(self, listing: Listing) -> Listing:
        return listing if self.pages == "first" else with_pages(listing)

    def _usable_in(self, listing: Listing) -> IsUsable:
        """Tells usable files: by the cache if there is one, else by decoding."""
        if self.cache:
            key = listing.key(self.shape)
            if good := usable_in_cache(listing, self.shape, key=key):
                return good.__contains__
        return lambda number: not isinstance(try_read(listing, self.shape, number=number), str)

    @property
    @override
    def spec(self) -> DataSpec:
        """Shape and range as configured, classes by the names of the sub-folders."""
        shape, value_range = self._pixels.shape, self._pixels.value_range
        names = tuple(self.listing.classes)
        return DataSpec(shape, value_range, len(names), names)

    @override
    def load(self, *, seed: int, progress: Progress) -> Dataset:
        """Open the cache, building it first if need be; or prepare to stream.

        Raises:
            UserError: no such folder, or no usable image in it.
        """
        data = self._load(self.listing, progress=progress)
        notes = (*data.notes, *balance_notes(data, balance=self.balance))
        return replace(data, balance=self.balance, notes=notes)

    @override
    def load_test(self, *, seed: int, progress: Progress) -> Dataset | None:
        """The images in the folder test (or val) beside the folder train; None: there is none.

        Raises:
            UserError: no image of a known class in it can be used.
        """
        folder = self.folders.test
        if folder is None:
            return None
        listing = self._paged(held_out_listing(folder, self.listing, self._usable_in))
        if not listing.files:
            return None
        return replace(self._load(listing, progress=progress), augment=None)

    def _load(self, listing: Listing, *, progress: Progress) -> Dataset:
        """The images of a listing, from the cache, or streamed."""
        key = listing.key(self.shape)
        if not self.cache:
            return self._streamed(listing, key, notes=tuple(self._notes(listing)))
        try:
            decoded = open_cache(listing, self.shape, key=key, progress=progress)
        except OSError as error:
            note = f"no cache ({error.strerror or error}): images are decoded anew in every epoch."
            return self._streamed(listing, key, notes=(*self._notes(listing), note))
        notes = [*self._notes(listing), *decoded.notes]
        unusable = describe_bad(decoded.bad, total=len(listing.files)) if decoded.bad else None
        if not decoded.good:
            reasons = "".join(f"  {note}\n" for note in decoded.notes)
            sentence = f"no usable image.\n{reasons}  {unusable}"
            raise UserError(folder_problem(listing.root, sentence, key=self.root_key))
        if unusable:
            notes.append(unusable)
        if self.workers is not None:
            notes.append("data.workers has no effect: images come from the cache.")
        labels = labels_of(listing)
        return Dataset(
            decoded.images,
            None if labels is None else labels[decoded.good],
            self.spec,
            augment=self.augment,
            identity=key,
            notes=tuple(notes),
        )

    def _notes(self, listing: Listing) -> list[str]:
        """What to say before files are decoded."""
        if self.framing.reading.background != AUTO:
            return list(listing.notes)
        color, count = self.chosen_background
        why = f"of {count} transparent images, it shows most" if count else "none is transparent"
        return [*listing.notes, f"data.background=auto: {color} is used; {why}."]

    def _streamed(self, listing: Listing, key: str, *, notes: tuple[str, ...]) -> Dataset:
        """The images in their files, of which at least one can be used."""
        facts = look_at_some(listing, self.shape)
        seen = notes_of(facts, self.shape)
        if not facts.images:
            numbers = range(len(listing.files))
            if all(isinstance(try_read(listing, self.shape, number=i), str) for i in numbers):
                sentence = "\n  ".join(["no usable image.", *seen])
                raise UserError(folder_problem(listing.root, sentence, key=self.root_key))
        workers = min(WORKERS, os.cpu_count() or 1) if self.workers is None else self.workers
        return Dataset(
            FileImages(
                [listing.root / name for name in listing.files],
                self.shape.read,
                workers,
                listing.pages,
            ),
            labels_of(listing),
            self.spec,
            augment=self.augment,
            identity=key,
            notes=(*notes, *seen),
        )


def balance_notes(data: Dataset, *, balance: bool) -> list[str]:
    """A note on classes of very different sizes, or on a balance without classes."""
    counts = data.class_counts()
    if counts is None:
        without = "data.balance=true has no effect: there are no classes."
        return [without] if balance else []
    there = {n: label for label, n in enumerate(counts) if n}
    most, fewest = max(there), min(there)
    if balance or most <= UNEVEN * fewest:
        return []
    large, small = (data.spec.name_of(there[n]) for n in (most, fewest))
    return [
        f"classes are uneven: {large} has {most:,} images, {small} {fewest:,}. data.balance=true "
        "draws all classes equally often."
    ]


def labels_of(listing: Listing) -> Tensor | None:
    """The label of each file, int64 (N,); None without classes."""
    return torch.tensor(listing.labels) if listing.classes else None
