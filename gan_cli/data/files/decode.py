"""From an image file of any kind to uint8 pixels of one shape."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

Resize = Literal["cover", "stretch", "none"]
BACKGROUND = (255, 255, 255)  # what shows through transparent pixels


class UnusableImageError(Exception):
    """A file that cannot be used as an image; says why."""


@dataclass(frozen=True)
class Shape:
    """How files are decoded, and which part is kept.

    Its text, with its name and the order of its fields, is part of every cache's key: if one of
    them changes, all users decode their images again.

    Attributes:
        channels: 1 (gray) or 3 (RGB).
        height: of the part that is kept, in pixels.
        width: of the part that is kept.
        load_height: of the decoded image, at least `height`; the middle is kept.
        load_width: likewise.
        resize: see `decode`.
    """

    channels: int
    height: int
    width: int
    load_height: int
    load_width: int
    resize: Resize

    def read(self, path: Path | BinaryIO) -> np.ndarray:
        """Decode one file, or its bytes as a file in memory.

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
        )
        top, left = (self.load_height - self.height) // 2, (self.load_width - self.width) // 2
        return pixels[:, top : top + self.height, left : left + self.width]

    @property
    def size(self) -> tuple[int, int, int]:
        """(C, H, W) of what `read` returns."""
        return self.channels, self.height, self.width


def decode(
    path: Path | BinaryIO, *, channels: int, height: int, width: int, resize: Resize
) -> np.ndarray:
    """Read an image file of any kind.

    Gray, palette, RGBA, CMYK, 1-bit and 16-bit files become gray (1 channel) or RGB (3). White
    shows through transparent pixels. An animation gives its first frame. The EXIF orientation is
    applied.

    Args:
        path: the file, or its bytes as a file in memory.
        channels: 1 or 3.
        height: of the result.
        width: of the result.
        resize: `cover`: scaled to fill height x width, the rest cut off evenly; `stretch`: scaled
            to height x width, whatever its own proportions; `none`: cut from the middle, unscaled.

    Returns:
        uint8 (channels, height, width), values 0..255.

    Raises:
        UnusableImageError: not an image, damaged, of absurd size, or too small for `none`.
    """
    image = over_background(open_image(path)).convert("L" if channels == 1 else "RGB")
    pixels = np.array(fit(image, height, width, resize))  # asarray would be read-only
    return pixels[None] if channels == 1 else np.moveaxis(pixels, 2, 0)


def open_image(path: Path | BinaryIO) -> Image.Image:
    """Read an image file of any kind as 8 bits: mode L, LA, RGB or RGBA, the right way up.

    Raises:
        UnusableImageError: not an image, damaged, or of absurd size.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)  # broken metadata, good pixels
            with Image.open(path) as opened:
                return to_8_bit(ImageOps.exif_transpose(opened))
    except UnidentifiedImageError as error:
        raise UnusableImageError("not an image") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnusableImageError("its header claims an absurd size") from error
    except (OSError, ValueError, SyntaxError, EOFError, KeyError, IndexError) as error:
        raise UnusableImageError(f"damaged ({error})") from error


def to_8_bit(image: Image.Image) -> Image.Image:
    """Bring any mode to L, LA, RGB or RGBA.

    Raises:
        UnusableImageError: its pixels are floating-point numbers, whose range is unknown.
    """
    if image.mode == "F":
        raise UnusableImageError("floating-point pixels, whose range is unknown")
    if image.mode.startswith("I"):  # 16 bits, which some formats deliver as 32
        values = np.asarray(image).astype(np.float64)
        return Image.fromarray(np.clip(np.rint(values / 257.0), 0, 255).astype(np.uint8))
    gray = image.mode in ("1", "L", "LA", "La")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        whole = image.convert("RGBA")
        return whole.convert("LA") if gray else whole
    return image.convert("L" if gray else "RGB")


def over_background(image: Image.Image) -> Image.Image:
    """Lay an image over white, if parts of it are transparent."""
    if image.mode not in ("RGBA", "LA"):
        return image
    canvas = Image.new("RGBA", image.size, (*BACKGROUND, 255))
    return Image.alpha_composite(canvas, image.convert("RGBA"))


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
