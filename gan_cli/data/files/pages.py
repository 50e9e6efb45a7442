"""Pages and frames of image files as entries of their own, and samples of many files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from PIL import Image

from gan_cli.data.files.archives import Source, readable
from gan_cli.data.files.decode import Reading, UnusableImageError, open_header, open_image
from gan_cli.data.files.kinds import DAMAGE, PAGED
from gan_cli.data.files.listing import Listing

Item = TypeVar("Item")


def with_pages(listing: Listing) -> Listing:
    """A listing in which each page or frame of a file is an entry of its own."""
    entries = [
        (number, page)
        for number, name in enumerate(listing.files)
        for page in range(count_pages(listing.root / name))
    ]
    return replace(
        listing,
        files=[listing.files[number] for number, _ in entries],
        labels=[listing.labels[number] for number, _ in entries] if listing.labels else [],
        pages=tuple(page for _, page in entries),
    )


def count_pages(path: Source) -> int:
    """How many pages or frames a file has; 1 for one that is no image or damaged."""
    try:
        with open_header(readable(path)) as opened:
            return int(getattr(opened, "n_frames", 1)) if opened.format in PAGED else 1
    except (UnusableImageError, Image.DecompressionBombError, *DAMAGE):
        return 1


def open_usable(paths: Iterable[Source], reading: Reading) -> Iterator[Image.Image]:
    """Those of some files that can be used, as `open_image` gives them."""
    for path in paths:
        try:
            yield open_image(readable(path), reading=reading)
        except UnusableImageError:
            continue


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many of some items, evenly spaced."""
    n = len(items)
    return [items[index * n // most] for index in range(most)] if n > most else list(items)
