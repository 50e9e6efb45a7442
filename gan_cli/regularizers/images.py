"""Differentiable changes of images (Zhao et al. 2020, DiffAugment), for images in [-1, 1].

The random numbers come from the caller, so that one image may be changed again in the same way.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_cli.spec import RGBA


def change_color(x: Tensor, brightness: Tensor, saturation: Tensor, contrast: Tensor) -> Tensor:
    """Shift by -0.5..0.5, scale around each pixel's mean by 0..2, around the image's by 0.5..1.5.

    Args:
        x: images (m, C, H, W). Of RGBA, the colours change and the opacity stays.
        brightness: uniform in [0, 1), (m,).
        saturation: uniform in [0, 1), (m,); without effect on one channel.
        contrast: uniform in [0, 1), (m,).
    """
    brightness, saturation, contrast = (
        u.view(-1, 1, 1, 1) for u in (brightness, saturation, contrast)
    )
    x, opacity = (x[:, :3], x[:, 3:]) if x.shape[1] == RGBA else (x, x[:, :0])
    x = x + (brightness - 0.5)
    gray = x.mean(dim=1, keepdim=True)
    x = (x - gray) * (2.0 * saturation) + gray
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    x = (x - mean) * (contrast + 0.5) + mean
    return torch.cat([x, opacity], dim=1) if opacity.shape[1] else x


def translate(x: Tensor, vertical: Tensor, horizontal: Tensor, *, ratio: float = 0.125) -> Tensor:
    """Shift by up to `ratio` of each side; the pixels that come in are 0.

    Args:
        x: images (m, C, H, W).
        vertical: uniform in [0, 1), (m,).
        horizontal: uniform in [0, 1), (m,).
        ratio: largest shift as a part of the side.
    """
    m, _, height, width = x.shape
    most_down, most_right = (int(side * ratio + 0.5) for side in (height, width))
    down = (vertical * (2 * most_down + 1)).long() - most_down
    right = (horizontal * (2 * most_right + 1)).long() - most_right
    rows = torch.arange(height, device=x.device) + down[:, None] + 1
    columns = torch.arange(width, device=x.device) + right[:, None] + 1
    padded = nn.functional.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    rows, columns = rows.clamp(0, height + 1), columns.clamp(0, width + 1)
    numbers = torch.arange(m, device=x.device)[:, None, None]
    return padded[numbers, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cut_out(x: Tensor, vertical: Tensor, horizontal: Tensor, *, ratio: float = 0.5) -> Tensor:
    """Set a rectangle of `ratio` of each side to 0; parts of it may lie outside.

    Args:
        x: images (m, C, H, W).
        vertical: place of its middle, uniform in [0, 1), (m,).
        horizontal: likewise.
        ratio: size of the rectangle as a part of the side.
    """

    def outside(side: int, place: Tensor) -> Tensor:
        length = int(side * ratio + 0.5)
        start = (place * (side + 1 - length % 2)).long() - length // 2
        positions = torch.arange(side, device=x.device)
        return (positions < start[:, None]) | (positions >= start[:, None] + length)

    height, width = x.shape[2:]
    kept = outside(height, vertical)[:, :, None] | outside(width, horizontal)[:, None, :]
    return x * kept[:, None].to(x.dtype)
