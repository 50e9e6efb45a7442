"""From an image file of any kind to uint8 pixels of one shape.

A file that cannot be used raises UnusableImageError: `cache.py` leaves it out and the run names it;
without a cache, and in shards, the next one takes its place.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass, fields
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from PIL import Image, ImageCms, ImageOps, PngImagePlugin, UnidentifiedImageError

from gan_cli.data.files.colours import hide, is_transparent, over, to_srgb
from gan_cli.data.files.depth import (
    Levels,
    UnknownRangeError,
    deep_colour,
    deep_colour_to_8_bit,
    kind_of,
)
from gan_cli.data.files.depth import to_8_bit as deep_to_8_bit
from gan_cli.data.files.facts import Facts
from gan_cli.data.files.kinds import (
    DAMAGE,
    PAGED,
    describe,
    formats,
    head_of,
    is_heic,
    open_heic,
    without_texts,
)
from gan_cli.spec import RGBA

Resize = Literal["cover", "stretch", "none"]
MOST_MEGAPIXELS = 300.0
MODES = {1: "L", 3: "RGB", RGBA: "RGBA"}  # by channels
#: Pillow's own limit, far above ours, for headers inside of files.
Image.MAX_IMAGE_PIXELS = 2**31
#: Colour profiles may be so large, in bytes.
PngImagePlugin.MAX_TEXT_CHUNK = 2**24


class UnusableImageError(Exception):
    """A file that cannot be used as an image; says why."""


@dataclass(frozen=True)
class Reading:
    """How what is in a file becomes 8 bits for each channel.

    Attributes:
        levels: values that become 0 and 255, of images with more than 8 bits; None: the range of
            16 bits, and no images without a natural range.
        background: what shows through transparent pixels, or what those of RGBA hide.
        max_megapixels: above which an image is left out.
    """

    levels: Levels | None = None
    background: str = "white"
    max_megapixels: float = MOST_MEGAPIXELS


USUAL = Reading()


@dataclass(frozen=True, repr=False)
class Shape:
    """How files are decoded, and which part is kept.

    Its text, with its name and the order of its fields, is part of every cache's key: if one of
    them changes, all users decode their images again.

    Attributes:
        channels: 1 (gray), 3 (RGB) or 4 (RGBA).
        height: of the part that is kept, in pixels.
        width: of the part that is kept.
        load_height: of the decoded image, at least `height`; the middle is kept.
        load_width: likewise.
        resize: see `decode`.
        reading: how files become 8 bits; in the text only where it is not the default.
    """

    channels: int
    height: int
    width: int
    load_height: int
    load_width: int
    resize: Resize
    reading: Reading = USUAL

    def __repr__(self) -> str:
        shown = [field.name for field in fields(self) if field.name != "reading"]
        shown += ["reading"] * (self.reading != USUAL)
        return f"Shape({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    def read(self, path: Path | BinaryIO, page: int = 0, facts: Facts | None = None) -> np.ndarray:
        """Decode one file, or its bytes as a file in memory.

        Args:
            path: the file.
            page: which of its pages or frames.
            facts: is told what was seen.

        Returns:
            uint8 (C, H, W), values 0..255.

        Raises:
            UnusableImageError: it cannot be used.
        """
        pixels = decode(
            path,
            channels=self.channels,
            height=self.load_height,
            width=self.load_width,
            resize=self.resize,
            reading=self.reading,
            page=page,
            facts=facts,
        )
        top, left = (self.load_height - self.height) // 2, (self.load_width - self.width) // 2
        return pixels[:, top : top + self.height, left : left + self.width]

    @property
    def size(self) -> tuple[int, int, int]:
        """(C, H, W) of what `read` returns."""
        return self.channels, self.height, self.width


def decode(
    path: Path | BinaryIO,
    *,
    channels: int,
    height: int,
    width: int,
    resize: Resize,
    reading: Reading = USUAL,
    page: int = 0,
    facts: Facts | None = None,
) -> np.ndarray:
    """Read an image file of any kind.

    Gray, palette, RGBA, CMYK, 1-bit and 16-bit files become gray, RGB or RGBA, in sRGB. The
    background shows through transparent pixels; in RGBA, wholly transparent ones have its colour.
    The EXIF orientation is applied.

    Args:
        path: the file, or its bytes as a file in memory.
        channels: of the result, see `MODES`.
        height: of the result.
        width: of the result.
        resize: `cover`: scaled to fill height x width, the rest cut off evenly; `stretch`: scaled
            to height x width, whatever its own proportions; `none`: cut from the middle, unscaled.
        reading: how it becomes 8 bits.
        page: which of its pages or frames.
        facts: is told what was seen.

    Returns:
        uint8 (channels, height, width), values 0..255.

    Raises:
        UnusableImageError: not an image, damaged, of absurd size, or too small for `none`.
    """
    image = open_image(path, reading=reading, page=page, facts=facts)
    if channels != RGBA:
        image = over(image, reading.background)
    image = fit(image.convert(MODES[channels]), height, width, resize)
    # Colours were scaled by their opacity; asarray would be read-only.
    pixels = np.array(hide(image, reading.background) if channels == RGBA else image)
    return pixels[None] if channels == 1 else np.moveaxis(pixels, 2, 0)


def open_image(
    path: Path | BinaryIO,
    *,
    reading: Reading = USUAL,
    page: int = 0,
    facts: Facts | None = None,
) -> Image.Image:
    """Read an image file of any kind as 8 bits: mode L, LA, RGB or RGBA, the right way up.

    Its colours are sRGB; its `info` holds `icc_profile` if the file had a profile that can be used.

    Raises:
        UnusableImageError: not an image, damaged, or of absurd size.
    """
    facts = Facts() if facts is None else facts
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)  # broken metadata, good pixels
            with open_header(path) as opened:
                return read_pixels(opened, path, reading=reading, page=page, facts=facts)
    except UnknownRangeError as error:
        raise UnusableImageError(str(error)) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnusableImageError("its header claims an absurd size") from error
    except DAMAGE as error:
        raise UnusableImageError(f"damaged ({error})") from error


def open_header(path: Path | BinaryIO) -> Image.Image:
    """An image that is not read yet, in one of the formats that are decoded.

    Raises:
        UnusableImageError: it is of no such format; says of which.
        OSError, ValueError, SyntaxError, ...: it is damaged; see `DAMAGE`.
    """
    head = head_of(path)
    if is_heic(head):
        open_heic()
    try:
        return Image.open(path, formats=formats())
    except UnidentifiedImageError as error:
        raise UnusableImageError(describe(head)) from error
    except ValueError:  # a text or a profile that is absurdly large, in a PNG
        if not isinstance(path, Path):
            path.seek(0)
        data = path.read_bytes() if isinstance(path, Path) else path.read()
        return Image.open(io.BytesIO(without_texts(data)), formats=formats())


def read_pixels(
    opened: Image.Image, path: Path | BinaryIO, *, reading: Reading, page: int, facts: Facts
) -> Image.Image:
    """The pixels of an image whose header was read; arguments and result as for `open_image`.

    Raises:
        UnusableImageError: it is too large.
        UnknownRangeError: its pixels have no natural range.
    """
    opened.seek(page)
    megapixels = opened.width * opened.height / 1e6
    if megapixels > reading.max_megapixels:
        raise UnusableImageError(
            f"its header claims an absurd size, {opened.width}x{opened.height}: "
            f"more than max_megapixels={reading.max_megapixels:g}"
        )
    profile = opened.info.get("icc_profile")
    deep = kind_of(opened)
    colour = deep_colour(opened, path, page, formats()) if deep is None else None
    upright = ImageOps.exif_transpose(opened)
    if colour is not None:
        pixels = deep_colour_to_8_bit(colour, reading.levels, facts)
        image = Image.fromarray(pixels) if reading.levels else upright.convert(upright.mode)
    elif deep is not None:
        image = deep_to_8_bit(upright, deep, reading.levels, facts)
    elif profile and upright.mode == "CMYK":
        image = upright.copy()
    else:
        image = to_8_bit(upright)
    is_first = page == 0 and opened.format in PAGED
    with contextlib.suppress(*DAMAGE):
        facts.paged += int(is_first and getattr(opened, "is_animated", False))
    facts.transparent += int(is_transparent(image))
    image.info = {}
    if profile:
        try:
            image, profile = to_srgb(image, profile)
            image.info = {"icc_profile": profile}
        except (ImageCms.PyCMSError, OSError, ValueError):
            facts.profiles += 1
    return to_8_bit(image) if image.mode == "CMYK" else image


def to_8_bit(image: Image.Image) -> Image.Image:
    """Bring any mode of 8 bits or fewer to L, LA, RGB or RGBA."""
    gray = image.mode in ("1", "L", "LA", "La")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        whole = image.convert("RGBA")
        return whole.convert("LA") if gray else whole
    return image.convert("L" if gray else "RGB")


def fit(image: Image.Image, height: int, width: int, resize: Resize) -> Image.Image:
    """Bring an image to height x width pixels as `decode` says.

    Raises:
        UnusableImageError: it is too small for `resize="none"`.
    """
    if resize == "none":
        if image.width < width or image.height < height:
            raise UnusableImageError(
                f"{image.width}x{image.height} is smaller than {width}x{height}, and resize=none"
            )
        left, top = (image.width - width) // 2, (image.height - height) // 2
        return image.crop((left, top, left + width, top + height))
    box = (0.0, 0.0, float(image.width), float(image.height))
    if resize == "cover":
        scale = min(image.width / width, image.height / height)
        x, y = (image.width - scale * width) / 2, (image.height - scale * height) / 2
        box = (x, y, x + scale * width, y + scale * height)
    return image.resize((width, height), Image.Resampling.BICUBIC, box=box)
