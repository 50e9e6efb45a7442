"""Pictures inside a page: as they are if all fit, else evenly spaced ones, smaller."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gan_cli.pictures import opened_png

#: Bytes of all pictures of a page before base64 makes them a third longer.
BUDGET = 1_200_000
MOST_FRAMES = 150  # of one slider
FEWEST_FRAMES = 2  # first and last, however large
QUALITY, METHOD = 82, 0  # of WebP, where PNG does not fit; slower methods save a tenth


@dataclass
class Strip:
    """The pictures of one folder as a page holds them.

    Attributes:
        frames: (step, data URI), by step.
        total: how many the folder has.
        damaged: names of those that cannot be read.
        bytes: that the frames take, before base64.
        note: what was left out or made smaller; empty: nothing.
    """

    frames: list[tuple[int, str]] = field(default_factory=list)
    total: int = 0
    damaged: list[str] = field(default_factory=list)
    bytes: int = 0
    note: str = ""


def embed(files: Sequence[tuple[int, Path]], *, budget: int) -> Strip:
    """Take pictures into a page: all, or evenly spaced as many as fit.

    Args:
        files: PNGs with their steps, by step.
        budget: bytes that they may take; the first and the last are always taken.
    """
    strip = Strip(total=len(files))
    sizes = [size_of(path) for _, path in files]
    as_they_are = sum(sizes) <= budget and len(files) <= MOST_FRAMES
    chosen = list(files)
    if not as_they_are:
        share = budget // max(1, webp_size(files, strip))
        chosen = evenly(files, max(FEWEST_FRAMES, min(MOST_FRAMES, share)))
    for step, path in chosen:
        picture = read_picture(path, as_it_is=as_they_are)
        if picture is None:
            strip.damaged.append(path.name)
            continue
        content, kind = picture
        strip.bytes += len(content)
        strip.frames.append((step, uri(content, kind)))
    if len(chosen) < len(files):
        strip.note = f"{len(chosen)} of {len(files)} pictures, evenly spaced"
    return strip


def evenly(files: Sequence[tuple[int, Path]], count: int) -> list[tuple[int, Path]]:
    """So many of the files, the first and the last among them."""
    if len(files) <= count:
        return list(files)
    last = len(files) - 1
    return [files[round(index * last / (count - 1))] for index in range(count)]


def webp_size(files: Sequence[tuple[int, Path]], strip: Strip) -> int:
    """Bytes of a late picture as WebP: late ones show the most."""
    for _, path in reversed(files):
        if picture := read_picture(path, as_it_is=False):
            return len(picture[0])
    return strip.total or 1


def size_of(path: Path) -> int:
    """Bytes of a file; 0 if it is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def read_picture(path: Path, *, as_it_is: bool) -> tuple[bytes, str] | None:
    """A PNG file's bytes, or the same picture as WebP, and its kind; None if it is damaged."""
    try:
        with opened_png(path) as image:
            image.load()
            if as_it_is:
                return path.read_bytes(), "png"
            encoded = io.BytesIO()
            image.convert("RGBA" if "A" in image.getbands() else "RGB").save(
                encoded, format="WEBP", quality=QUALITY, method=METHOD
            )
            return encoded.getvalue(), "webp"
    except (OSError, ValueError):
        return None


def uri(content: bytes, kind: str) -> str:
    """A picture as an address that holds it."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def thumbnail(path: Path, *, side: int, quality: int = QUALITY) -> str | None:
    """A picture made smaller, as an address that holds it; None if it is damaged."""
    try:
        with opened_png(path) as image:
            image.thumbnail((side, side))
            encoded = io.BytesIO()
            image.convert("RGB").save(encoded, format="WEBP", quality=quality, method=METHOD)
    except (OSError, ValueError):
        return None
    return uri(encoded.getvalue(), "webp")
