"""What all image sources share: sizes, ranges and resizing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from typing_extensions import override

from gan_cli.data.augment import Augment
from gan_cli.data.base import Dataset, DataSource
from gan_cli.errors import Rule, require
from gan_cli.spec import RGBA, DataSpec

RANGES = ((-1.0, 1.0), (0.0, 1.0))


def sides(name: str, size: int | Sequence[int]) -> tuple[int, int]:
    """(height, width) in pixels of a size given as N or [height, width].

    Args:
        name: the argument, for the message.
        size: its value.

    Raises:
        SettingsError: it is neither.
    """
    both = [size, size] if isinstance(size, int) else list(size)
    is_valid = len(both) == 2 and all(side >= 1 for side in both)
    require((is_valid, name, size, "give N or [height,width], each at least 1"))
    return both[0], both[1]


def channels_rule(name: str, channels: int) -> Rule:
    """That image files become gray, RGB or RGBA, for `gan_cli.errors.require`."""
    return channels in (1, 3, RGBA), name, channels, "1 (gray), 3 (RGB) or 4 (RGBA)"


def image_spec(
    channels: int,
    size: tuple[int, int],
    *,
    pixel_range: Sequence[float],
    classes: int,
    class_names: tuple[str, ...] = (),
) -> DataSpec:
    """The spec of images whose networks' values lie in `pixel_range`.

    Raises:
        SettingsError: `pixel_range` is none of `RANGES`.
    """
    require(
        (
            tuple(pixel_range) in RANGES,
            "pixel_range",
            pixel_range,
            "[-1,1] (tanh output) or [0,1] (sigmoid output)",
        )
    )
    low, high = (float(bound) for bound in pixel_range)
    return DataSpec((channels, *size), (low, high), classes, class_names)


class ImageSource(DataSource):
    """Images of a known number of channels and classes, in memory as uint8."""

    def __init__(
        self,
        *,
        channels: int,
        classes: int,
        image_size: int | Sequence[int],
        pixel_range: Sequence[float],
        class_names: tuple[str, ...] = (),
        flip: bool = False,
    ) -> None:
        size = sides("image_size", image_size)
        self._spec = image_spec(
            channels, size, pixel_range=pixel_range, classes=classes, class_names=class_names
        )
        self._augment = Augment(*size, flip=True) if flip else None

    @property
    @override
    def spec(self) -> DataSpec:
        """Shape, range and classes."""
        return self._spec

    def dataset(self, images: Tensor, labels: Tensor | None) -> Dataset:
        """Bring images to the configured size and hold them.

        Args:
            images: uint8 (N, C, H, W), values 0..255.
            labels: int64 (N,), or None.
        """
        height, width = self._spec.shape[1:]
        images = resize(images, height, width)
        return Dataset(images, labels, self._spec, augment=self._augment)


def resize(images: Tensor, height: int, width: int, *, chunk: int = 4096) -> Tensor:
    """Scale images, bilinearly and with antialiasing.

    Args:
        images: uint8 (N, C, H, W); returned as they are if they have the size already.
        height: of the result, in pixels.
        width: of the result.
        chunk: images scaled at once, which bounds the memory needed for floats.

    Returns:
        uint8 (N, C, height, width).
    """
    if images.shape[2:] == (height, width):
        return images
    parts = [
        interpolate(
            part.float(), (height, width), mode="bilinear", antialias=True, align_corners=False
        )
        .round_()
        .clamp_(0, 255)
        .to(torch.uint8)
        for part in images.split(chunk)
    ]
    return torch.cat(parts)
