"""What can be measured of a picture of one light stroke on dark, such as a digit.

Both numbers are of the shape alone: twice the brightness leaves them as they are.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

LEAST = 1e-6  # of what is divided by: an empty picture has no attributes, and gets 0


def slant(x: Tensor) -> Tensor:
    """How far strokes lean to the right: pixels sideways for each pixel upwards.

    The shear that makes the ink's second moments upright, -cov(row, column) / var(row): 0 is
    upright, 1 leans by 45 degrees.

    Args:
        x: images in [0, 1], (n, C, H, W).

    Returns:
        (n,).
    """
    ink = brightness(x)
    rows = torch.arange(ink.shape[1], dtype=ink.dtype)[:, None]
    columns = torch.arange(ink.shape[2], dtype=ink.dtype)[None, :]
    total = ink.sum(dim=(1, 2), keepdim=True).clamp_min(LEAST)
    share = ink / total
    down = rows - (share * rows).sum(dim=(1, 2), keepdim=True)
    right = columns - (share * columns).sum(dim=(1, 2), keepdim=True)
    variance = (share * down.square()).sum(dim=(1, 2))
    return -(share * down * right).sum(dim=(1, 2)) / variance.clamp_min(LEAST)


def stroke_width(x: Tensor) -> Tensor:
    """How wide strokes are, in pixels: twice the area over the length of the outline.

    The length of the outline is the image's total variation, sum |grad x|.

    Args:
        x: images in [0, 1], (n, C, H, W).

    Returns:
        (n,).
    """
    ink = pad(brightness(x), (1, 1, 1, 1))
    across = ink[:, 1:, 1:] - ink[:, 1:, :-1]
    along = ink[:, 1:, 1:] - ink[:, :-1, 1:]
    outline = torch.hypot(across, along).sum(dim=(1, 2))
    return 2 * ink.sum(dim=(1, 2)) / outline.clamp_min(LEAST)


def brightness(x: Tensor) -> Tensor:
    """Images in [0, 1], (n, C, H, W) -> mean over gray or colours, (n, H, W), on the CPU."""
    return x[:, :3].mean(dim=1).float().cpu()


#: By the name that `attribute=` takes: how it is measured, and in which unit.
ATTRIBUTES: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "slant": (slant, "pixels to the right for each pixel up"),
    "stroke": (stroke_width, "pixels wide"),
}
EXTREME = 0.1  # the share of samples that count as having an attribute, and as lacking it


def extremes(values: Tensor) -> tuple[Tensor, Tensor]:
    """Which samples have most of an attribute, and which least: the top and the bottom tenth.

    Args:
        values: of the attribute, (n,).

    Returns:
        Two sets of indices, at least one each, the most extreme ones first.
    """
    order = values.argsort(descending=True)
    count = max(1, round(EXTREME * len(values)))
    return order[:count], order.flip(0)[:count]
