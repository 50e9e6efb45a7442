"""Colour profiles become sRGB, and transparent pixels show a background."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms, ImageColor

VISIBLE = 32  # levels of gray that a drawing must differ from its background
#: What `auto` chooses from, the first of equals.
CANDIDATES = {"white": 255, "black": 0, "#808080": 128}
MODES = {"RGB": "RGB", "CMYK": "CMYK", "GRAY": "L"}  # by the colour space of a profile


def is_colour(text: str) -> bool:
    """Whether a background is one that `colour_of` knows."""
    return text in ("white", "black") or re.fullmatch("#[0-9a-fA-F]{6}", text) is not None


def is_transparent(image: Image.Image) -> bool:
    """Whether some pixels are transparent."""
    return image.mode in ("LA", "RGBA") and np.asarray(image.getchannel("A")).min() < 255


def over(image: Image.Image, background: str) -> Image.Image:
    """Lay an image over a background, if parts of it are transparent."""
    if image.mode not in ("RGBA", "LA"):
        return image
    canvas = Image.new("RGBA", image.size, (*ImageColor.getrgb(background)[:3], 255))
    return Image.alpha_composite(canvas, image.convert("RGBA"))


def hide(image: Image.Image, background: str) -> Image.Image:
    """An image as RGBA, with one colour in all pixels that are wholly transparent.

    What files hold there is left over from editing: nobody sees it, but a network would.
    """
    pixels = np.array(image.convert("RGBA"))
    pixels[pixels[:, :, 3] == 0, :3] = ImageColor.getrgb(background)[:3]
    return Image.fromarray(pixels)


def choose_background(images: Iterable[Image.Image]) -> tuple[str, int]:
    """The background on which most drawings are visible, and how many were looked at.

    Args:
        images: of any mode; those that are transparent nowhere do not count.
    """
    visible, count = dict.fromkeys(CANDIDATES, 0), 0
    for image in images:
        if image.mode not in ("RGBA", "LA"):
            continue
        gray, alpha = (np.asarray(band, float) for band in image.convert("LA").split())
        if alpha.min() == 255 or not alpha.any():
            continue
        count += 1
        for name, level in CANDIDATES.items():
            visible[name] += int(np.average(np.abs(gray - level), weights=alpha) >= VISIBLE)
    return max(visible, key=lambda name: visible[name]), count


def to_srgb(image: Image.Image, profile: bytes) -> tuple[Image.Image, bytes]:
    """Bring an image from its profile's colours to sRGB; the image, and the profile of the result.

    Args:
        image: L, LA, RGB, RGBA or CMYK.
        profile: of its colours. An sRGB one changes nothing.

    Raises:
        ImageCms.PyCMSError: the profile is broken, or of another kind of image.
    """
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    is_gray = image.mode in ("L", "LA")
    space = space_of(profile)
    mode = "RGB" if space == "RGB" and is_gray else image.mode.removesuffix("A")
    transform = transform_of(profile, mode)
    if transform is None:
        return image, profile
    plain = image if image.mode == mode else image.convert(mode)
    result = ImageCms.applyTransform(plain, transform)
    assert result is not None
    if is_gray:
        result = result.convert("L")
    if alpha is not None:
        result.putalpha(alpha)
    return result, srgb_profile()


@lru_cache(maxsize=32)
def opened(profile: bytes) -> ImageCms.ImageCmsProfile:
    """A profile as the library reads it.

    Raises:
        ImageCms.PyCMSError: it is broken.
    """
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (OSError, ValueError, TypeError) as error:
        raise ImageCms.PyCMSError(error) from error


def space_of(profile: bytes) -> str:
    """The colour space of a profile; errors as for `opened`."""
    return str(opened(profile).profile.xcolor_space).strip()


@lru_cache(maxsize=32)
def transform_of(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile to sRGB; None: it is sRGB.

    Raises:
        ImageCms.PyCMSError: it is broken, or of another kind of image than `mode`.
    """
    space = space_of(profile)
    if "sRGB" in (opened(profile).profile.profile_description or ""):
        return None
    if MODES.get(space) != mode:
        raise ImageCms.PyCMSError(f"a profile of {space} on {mode}")
    return ImageCms.buildTransform(opened(profile), ImageCms.createProfile("sRGB"), mode, "RGB")


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """A profile that says sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
