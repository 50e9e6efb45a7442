"""Pictures of samples: sheets of images, and reading and writing of pictures."""

from __future__ import annotations

import io
import math
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gan_cli.plots import plot_points
from gan_cli.spec import RGBA, DataSpec
from gan_cli.system.files import replacing
from gan_cli.system.plain import open_plain

if TYPE_CHECKING:
    from PIL.Image import Image

Picture = np.ndarray  # uint8, (height, width, 3)

MOST_PIXELS = 25_000_000  # of a picture of a run
LONGEST_SIDE = 512  # ... but not beyond this
SHORT_SIDE = 48  # smaller images are enlarged, so that a person can see them
CAPTION_HEIGHT = 13  # of a line of text
GRAY, WHITE = 96, 255  # behind sheets, and behind plots
SQUARE, LIGHT = 8, 204  # of the checkerboard behind transparency: side in pixels, its gray


def draw(
    samples: Tensor,
    spec: DataSpec,
    *,
    real: Tensor,
    columns: int | None = None,
    captions: Sequence[str] = (),
    rows: Sequence[str] = (),
) -> Picture:
    """A sheet of images, or points beside real ones.

    Args:
        samples: generated data (n, *shape), as networks see them.
        spec: what the data is.
        real: real points to plot beside, (n, dim), likewise; not used for images.
        columns: of the sheet; None: as many as rows. Not used for points.
        captions: one below each image; empty: none. Not used for points.
        rows: a name for each row; empty: none. Not used for points.
    """
    if spec.is_image:
        return sheet(to_bytes(samples, spec), columns=columns, captions=captions, rows=rows)
    if spec.size > 2:
        return plot_points(samples.float().cpu(), real.float().cpu())
    return plot_points(*(spec.in_own_units(x.cpu()) for x in (samples, real)))


def to_bytes(samples: Tensor, spec: DataSpec) -> Tensor:
    """Images in the data's range -> uint8 (n, 3, height, width) on the CPU; RGBA has 4 channels."""
    pixels = spec.to_unit(samples.float()).mul(255).round_().clamp_(0, 255).to(torch.uint8).cpu()
    channels = pixels.shape[1]
    if channels in (3, RGBA):
        return pixels
    return pixels[:, :3] if channels > RGBA else pixels[:, :1].expand(-1, 3, -1, -1)


def on_checkerboard(images: Tensor) -> Tensor:
    """RGBA images, uint8 (n, 4, height, width), as RGB over gray and white squares."""
    rows, columns = (torch.arange(side) // SQUARE for side in images.shape[2:])
    ground = torch.where((rows[:, None] + columns) % 2 == 0, WHITE, LIGHT).float()
    opacity = images[:, 3:].float() / 255
    mixed = images[:, :3].float() * opacity + ground * (1 - opacity)
    return mixed.round_().to(torch.uint8)


def sheet(
    images: Tensor,
    *,
    columns: int | None = None,
    gap: int = 2,
    captions: Sequence[str] = (),
    rows: Sequence[str] = (),
) -> Picture:
    """Images (n, 3 or 4, height, width) on a near-square grid, row by row, on gray.

    Images with a side under 48 pixels are enlarged by a whole number, without smoothing. A
    checkerboard shows through transparent ones.

    Args:
        images: uint8, RGB or RGBA.
        columns: how many; None: as many as rows.
        gap: pixels between images.
        captions: one for each image, written below it; empty: none.
        rows: a name for each row, written right of it; empty: none.
    """
    zoom = enlargement(*images.shape[2:])
    images = images.repeat_interleave(zoom, dim=2).repeat_interleave(zoom, dim=3)
    images = on_checkerboard(images) if images.shape[1] == RGBA else images
    n, _, height, width = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    count = math.ceil(n / columns)
    line = height + (CAPTION_HEIGHT if captions else 0) + gap
    canvas = np.full((count * line + gap, columns * (width + gap) + gap, 3), GRAY, np.uint8)
    for index, image in enumerate(images.permute(0, 2, 3, 1).numpy()):
        top = gap + index // columns * line
        left = gap + index % columns * (width + gap)
        canvas[top : top + height, left : left + width] = image
        if captions:
            below = canvas[top + height : top + height + CAPTION_HEIGHT, left : left + width]
            below[:] = text_strip(captions[index], width)
    return beside_names(canvas, rows, line=line, height=height) if rows else canvas


def beside_names(canvas: Picture, rows: Sequence[str], *, line: int, height: int) -> Picture:
    """A sheet with a name right of each row, which leaves the images where they are.

    Args:
        canvas: the sheet.
        rows: the names.
        line: pixels from one row to the next.
        height: of an image.
    """
    width = max(map(text_width, rows))
    names = np.full((len(canvas), width, 3), GRAY, np.uint8)
    for index, name in enumerate(rows):
        top = index * line + max(0, (height - CAPTION_HEIGHT) // 2)
        strip = text_strip(name, width)[: len(canvas) - top]
        names[top : top + len(strip)] = strip
    return np.concatenate([canvas, names], axis=1)


def titled(picture: Picture, text: str) -> Picture:
    """A picture below one line of text; where the line is longer, the picture is widened."""
    is_plot = bool((picture[0, 0] == WHITE).all())
    ground = WHITE if is_plot else GRAY
    missing = max(0, text_width(text) - picture.shape[1])
    wider = np.pad(picture, ((0, 0), (0, missing), (0, 0)), constant_values=ground)
    strip = text_strip(text, wider.shape[1], dark=is_plot)
    return np.concatenate([strip, wider])


def enlargement(height: int, width: int) -> int:
    """The whole number by which images of this size are enlarged."""
    short, long = sorted((height, width))
    return max(1, min(math.ceil(SHORT_SIDE / short), LONGEST_SIDE // long))


def text_strip(text: str, width: int, *, dark: bool = False) -> np.ndarray:
    """One line of text, uint8 (CAPTION_HEIGHT, width, 3), cut off where it is too long.

    Args:
        text: to write.
        width: of the strip, in pixels.
        dark: black on white; else white on gray.
    """
    from PIL import Image, ImageDraw, ImageFont

    ground, ink = (WHITE, 0) if dark else (GRAY, WHITE)
    strip = Image.new("RGB", (width, CAPTION_HEIGHT), (ground,) * 3)
    font = ImageFont.load_default(size=CAPTION_HEIGHT - 3)
    ImageDraw.Draw(strip).text((1, 0), text, fill=(ink,) * 3, font=font)
    return np.array(strip)


def text_width(text: str) -> int:
    """Pixels that a line of text takes, with a margin."""
    from PIL import ImageFont

    return 4 + math.ceil(ImageFont.load_default(size=CAPTION_HEIGHT - 3).getlength(text))


def draw_filters(weights: Tensor, *, most: int = 64) -> Picture:
    """First-layer filters (n, C, height, width) as a sheet, which says how to read it.

    Each has its own scale, so that all of them show something; 0 is mid-gray. Of RGBA, colours are
    shown.
    """
    alpha = ", without opacity's" if weights.shape[1] == RGBA else ""
    weights = weights[:most, :3].float()
    largest = weights.abs().amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-12)
    shape = tuple(weights.shape[1:])
    picture = sheet(to_bytes(weights / largest, DataSpec(shape, (-1.0, 1.0))))
    title = f"{len(weights)} filters of D{alpha}; mid-gray is 0, each on its own scale"
    return titled(picture, title)


@contextmanager
def opened_png(path: Path) -> Iterator[Image]:
    """A picture of a run that somebody else may have made: no other format is opened.

    Raises:
        OSError: it is no file, or no PNG.
        ValueError: it is damaged or too large, which also its reading inside the block may show.
    """
    from PIL import Image

    damage = (SyntaxError, LookupError, EOFError, ArithmeticError, struct.error, zlib.error,
              Image.DecompressionBombError, Image.DecompressionBombWarning)  # fmt: skip
    try:
        with open_plain(path) as file, warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=["PNG"]) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise ValueError(f"{image.width}x{image.height} pixels are too many")
                yield image
    except damage as error:
        raise ValueError(str(error)) from error


def as_png(picture: Picture) -> bytes:
    """A picture as the bytes of a PNG."""
    from PIL import Image

    content = io.BytesIO()
    # Sheets of samples come out as small as with level 6, in half the time.
    Image.fromarray(picture).save(content, format="PNG", compress_level=4)
    return content.getvalue()


def write_png(path: Path, picture: Picture | bytes) -> None:
    """Write a picture as a PNG, or the bytes of one, whole or not at all.

    Raises:
        OSError: it could not be written.
    """
    content = picture if isinstance(picture, bytes) else as_png(picture)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
