"""Digits in colour: the second domain of pairs whose translation is known exactly."""

from __future__ import annotations

import torch
from torch import Tensor

#: Colours as shares of full red, green and blue: dark blue strokes on pale yellow paper.
STROKE, PAPER = (0.10, 0.20, 0.70), (1.00, 0.90, 0.50)


def disguise(gray: Tensor) -> Tensor:
    """Give gray digits the look of domain B; nothing of them is lost.

    White strokes on black become dark blue ones on pale yellow: colour = paper + s (stroke - paper)
    for a stroke of strength s in [0, 1].

    Args:
        gray: uint8 (n, 1, h, w), values 0..255.

    Returns:
        uint8 (n, 3, h, w).
    """
    strength = gray.float() / 255.0
    stroke, paper = (torch.tensor(color).view(1, 3, 1, 1) for color in (STROKE, PAPER))
    return ((paper + strength * (stroke - paper)) * 255.0).round_().to(torch.uint8)
