"""From pixels of more than 8 bits, or of floating point, to 8 bits."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps

from gan_cli.data.files.facts import Facts

FULL = 65535  # the largest value of 16 bits
SIXTEEN, THIRTY_TWO, FLOAT = "16-bit", "32-bit", "floating-point"

Levels = tuple[float, float]


class UnknownRangeError(Exception):
    """Pixels of a kind that has no natural range, and no levels are given; says which range."""


def kind_of(image: Image.Image) -> str | None:
    """What kind of deep pixels an image has; None: 8 bits."""
    if image.mode == "F":
        return FLOAT
    if image.mode == "I" and image.format not in ("PNG", "PPM"):
        return THIRTY_TWO
    return SIXTEEN if image.mode.startswith("I") else None


def to_8_bit(image: Image.Image, kind: str, levels: Levels | None, facts: Facts) -> Image.Image:
    """Bring deep gray pixels to mode L; to LA, if one value means transparent.

    Args:
        image: of mode I, I;16... or F.
        kind: see `kind_of`.
        levels: values that become 0 and 255; None: the range of 16 bits.
        facts: is told the range of the values.

    Raises:
        UnknownRangeError: the kind has no natural range, and there are no levels.
    """
    values = np.asarray(image)
    key = image.info.get("transparency")
    result = Image.fromarray(scaled(values, kind, levels, facts))
    if isinstance(key, int):
        result.putalpha(Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
    return result


def scaled(values: np.ndarray, kind: str, levels: Levels | None, facts: Facts) -> np.ndarray:
    """Deep values of any shape as uint8; arguments and errors as for `to_8_bit`."""
    values = values.astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    facts.saw_range(kind, low, high)
    if levels is None:
        if kind != SIXTEEN:
            text = f"{kind} pixels from {low:g} to {high:g}, whose range is unknown"
            raise UnknownRangeError(f"{text}: give data.levels=[low,high]")
        return np.clip(np.rint(values / (FULL / 255)), 0, 255).astype(np.uint8)
    bottom, top = levels
    values = np.nan_to_num(values, nan=bottom, posinf=top, neginf=bottom)
    return np.clip(np.rint((values - bottom) * (255 / (top - bottom))), 0, 255).astype(np.uint8)


def deep_colour_to_8_bit(values: np.ndarray, levels: Levels | None, facts: Facts) -> np.ndarray:
    """Bring what `deep_colour` gives to 8 bits; levels are of colours, not of their opacity."""
    colours = scaled(values[:, :, :3], SIXTEEN, levels, facts)
    opacity = scaled(values[:, :, 3:], SIXTEEN, None, Facts())
    return np.concatenate([colours, opacity], axis=2)


def deep_colour(
    opened: Image.Image, path: Path | BinaryIO, page: int, formats: list[str]
) -> np.ndarray | None:
    """All 16 bits of a colour image, of which Pillow gives the upper 8; None: it has but 8.

    The image is opened again with the bytes of each value exchanged, and so gives the lower ones.

    Args:
        opened: not loaded yet; the right page.
        path: what it was opened from.
        page: which page of it.
        formats: see `gan_cli.data.files.kinds.formats`.

    Returns:
        uint16 (H, W, channels), the right way up.
    """
    if opened.mode not in ("RGB", "RGBA") or not exchanged(opened):
        return None
    if not isinstance(path, Path):
        path.seek(0)
        path = io.BytesIO(path.read())
    with Image.open(path, formats=formats) as lower:
        lower.seek(page)
        lower.tile = exchanged(lower)
        low = np.asarray(ImageOps.exif_transpose(lower), dtype=np.uint16)
    return np.asarray(ImageOps.exif_transpose(opened), dtype=np.uint16) * 256 + low


def exchanged(image: Image.Image) -> list[Any]:
    """The tiles of an image with 16 bits a channel, bytes exchanged; empty: it has but 8 bits."""
    tiles = []
    for tile in getattr(image, "tile", ()):
        several = isinstance(tile.args, tuple)
        arguments = list(tile.args) if several else [tile.args]
        mode = arguments[0] if arguments and isinstance(arguments[0], str) else ""
        base, _, order = mode.partition(";16")
        if not order or base not in ("RGB", "RGBA"):
            return []
        is_little = order == "L" or (order == "N" and sys.byteorder == "little")
        arguments[0] = f"{base};16{'B' if is_little else 'L'}"
        tiles.append(tile._replace(args=tuple(arguments) if several else arguments[0]))
    return tiles
