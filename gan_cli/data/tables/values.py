"""Arrays as training data: vectors in their own units, and images as 8 bits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gan_cli.data.images import resize
from gan_cli.errors import Problem, UserError
from gan_cli.spec import RGBA

CHUNK_BYTES = 2**26  # looked at at once
HASHED_WHOLE = 2**30  # bytes; of larger arrays, blocks all over them
BLOCKS, BLOCK_BYTES = 256, 2**16
MOST_ROWS = 10  # named in a message
CHANNELS = (1, 3, RGBA)
#: Ranges that images usually have, the narrowest first.
USUAL_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (0.0, 65535.0))
#: Ranges that a type says by itself.
OWN_RANGES = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0), "bool": (0.0, 1.0)}


@dataclass(frozen=True)
class Layout:
    """How the sizes of an array are meant.

    Attributes:
        shape: of one datum: (channels, height, width), or (d,).
        channels_first: an image's channels come before its sides.
    """

    shape: tuple[int, ...]
    channels_first: bool = False

    @property
    def is_image(self) -> bool:
        """Whether data are images."""
        return len(self.shape) == 3


def layout_of(shape: Sequence[int]) -> Layout | str:
    """What an array of such a shape holds; or why it is no data."""
    n, *sides = shape or (0,)
    if not n or not all(sides):
        return "is empty"
    if len(sides) < 2:
        return Layout(tuple(sides) or (1,))
    if len(sides) == 2:
        return Layout((1, *sides))
    last = len(sides) == 3 and sides[2] in CHANNELS
    if last or (len(sides) == 3 and sides[0] in CHANNELS):
        return Layout((sides[2], *sides[:2])) if last else Layout(tuple(sides), channels_first=True)
    return (
        f"has the shape {'x'.join(map(str, shape))}; data are vectors (n, d), or images (n, H, W) "
        "or (n, H, W, C) with 1, 3 or 4 channels"
    )


def chunks(array: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Rows of an array, some at a time, each with the number of its first row."""
    rows = max(1, CHUNK_BYTES // max(1, array.nbytes // len(array)))
    for start in range(0, len(array), rows):
        yield start, np.asarray(array[start : start + rows])


def as_vectors(array: np.ndarray, *, wrong: Callable[[str], UserError]) -> Tensor:
    """Vectors in their own units, float32 or float64 (n, d); float ones stay where they are.

    Raises:
        UserError: a value is not finite; says in which rows.
    """
    if array.dtype.newbyteorder("=") not in (np.float32, np.float64):
        small = array.dtype.kind in "bf" or array.dtype.itemsize <= 2
        array = array.astype(np.float32 if small and array.dtype.itemsize <= 2 else np.float64)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    array = array[:, None] if array.ndim == 1 else array
    require_finite(array, wrong=wrong)
    return torch.from_numpy(array)


def require_finite(array: np.ndarray, *, wrong: Callable[[str], UserError]) -> None:
    """Check that no value is NaN or infinite.

    Raises:
        UserError: some are; says in which rows.
    """
    if array.dtype.kind != "f":
        return
    bad, named = 0, list[int]()
    for start, part in chunks(array):
        rows = np.flatnonzero(~np.isfinite(part).reshape(len(part), -1).all(axis=1))
        bad += len(rows)
        named += (rows[: MOST_ROWS - len(named)] + start).tolist()
    if bad:
        more = ", ..." if bad > len(named) else ""
        raise wrong(
            f"{bad} of {len(array)} rows hold NaN, infinite or missing values: "
            f"{', '.join(map(str, named))}{more} (from 0). Leave them out, or fill them in"
        )


def scale_of(points: Tensor, rows: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each coordinate, float64 (d,); 1 where all are equal.

    Args:
        points: (N, d), float.
        rows: which of them count, int64; None: all.

    Raises:
        UserError: numbers so large that their squares are not finite.
    """
    rows = torch.arange(len(points)) if rows is None else rows
    parts = rows.split(max(1, CHUNK_BYTES // (8 * points.shape[1])))
    mean = sum((points[part].double() / len(rows)).sum(dim=0) for part in parts)
    assert isinstance(mean, Tensor)
    square = sum(((points[part].double() - mean).square() / len(rows)).sum(dim=0) for part in parts)
    assert isinstance(square, Tensor)
    if not bool(torch.isfinite(mean).all() and torch.isfinite(square).all()):
        advice = "values are too large to be standardised. Divide them first, or set it to false"
        raise UserError(Problem("data.standardise", True, advice))
    # Rounding leaves a little of a constant: 1e-12 of its size is not spread.
    std = torch.where(square.sqrt() > 1e-12 * mean.abs(), square.sqrt(), torch.zeros(()).double())
    return mean, torch.where(std > 0, std, torch.ones_like(std))


def constant_columns(points: Tensor) -> list[int]:
    """Coordinates in which all points are equal."""
    first = points[0]
    differs = torch.zeros(points.shape[1], dtype=torch.bool)
    for part in points.split(max(1, CHUNK_BYTES // (8 * points.shape[1]))):
        differs |= (part != first).any(dim=0)
    return torch.nonzero(~differs).flatten().tolist()


def range_of(
    array: np.ndarray, asked: tuple[float, float] | None, *, wrong: Callable[[str], UserError]
) -> tuple[float, float]:
    """The values of images that are black and white.

    Raises:
        UserError: it must be given; or values lie outside of it.
    """
    low, high = (float(end(array)) for end in (lowest, highest))
    usual = next((r for r in USUAL_RANGES if r[0] <= low and high <= r[1]), (low, high))
    look = f"values go from {low:g} to {high:g}"
    levels = asked or OWN_RANGES.get(array.dtype.name)
    if levels is None:
        raise UserError(
            Problem(
                "data.range",
                None,
                f"images of {array.dtype.name} need one, because nothing says which values are "
                f"black and white: {look}, so perhaps data.range=[{usual[0]:g},{usual[1]:g}]",
            )
        )
    if low < levels[0] or high > levels[1]:
        raise UserError(
            Problem(
                "data.range", levels, f"{look}, outside of it. Perhaps [{usual[0]:g},{usual[1]:g}]"
            )
        )
    if low == high and array.dtype.name != "uint8":
        raise wrong(f"all pixels are {low:g}")
    return levels


def lowest(array: np.ndarray) -> float:
    """The least value."""
    return float(min(part.min() for _, part in chunks(array)))


def highest(array: np.ndarray) -> float:
    """The largest value."""
    return float(max(part.max() for _, part in chunks(array)))


def as_images(
    array: np.ndarray, layout: Layout, levels: tuple[float, float], *, size: tuple[int, int]
) -> Tensor:
    """Images as uint8 (n, C, H, W); bytes of the right size stay where they are.

    Args:
        array: (n, H, W), (n, H, W, C) or (n, C, H, W).
        layout: how its sizes are meant.
        levels: values that become 0 and 255.
        size: (height, width) of the result, in pixels.
    """
    low, high = levels
    if array.dtype == np.uint8 and (low, high) == (0.0, 255.0):
        return resize(upright(torch.from_numpy(array), layout), *size)
    parts = []
    for _, part in chunks(array):
        scaled = (part.astype(np.float64) - low) * (255.0 / (high - low))
        pixels = torch.from_numpy(np.clip(np.rint(scaled), 0, 255).astype(np.uint8))
        parts.append(resize(upright(pixels, layout), *size))
    return torch.cat(parts)


def upright(images: Tensor, layout: Layout) -> Tensor:
    """Images with their channels in front of their sides."""
    if images.dim() == 3:
        return images[:, None]
    return images if layout.channels_first else images.permute(0, 3, 1, 2)


def fingerprint(array: np.ndarray) -> str:
    """A hash of an array's values; of a huge one, of blocks from its beginning to its end."""
    digest = hashlib.blake2b(repr((array.shape, str(array.dtype))).encode(), digest_size=8)
    if array.nbytes <= HASHED_WHOLE:
        for _, part in chunks(array):
            digest.update(np.ascontiguousarray(part).tobytes())
    else:
        rows = max(1, BLOCK_BYTES // max(1, array.nbytes // len(array)))
        for start in np.linspace(0, len(array) - rows, BLOCKS).astype(int).tolist():
            digest.update(np.ascontiguousarray(array[start : start + rows]).tobytes())
    return digest.hexdigest()
