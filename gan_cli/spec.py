"""What passes from data to networks: the description of one datum, and a batch of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class DataSpec:
    """Shape and range of one datum x.

    Attributes:
        shape: (channels, height, width) of an image, or (n,) of a point.
        value_range: (-1, 1) or (0, 1) for images; None for points, which are unbounded.
        classes: number of labels; 0 for data without labels.
    """

    shape: tuple[int, ...]
    value_range: tuple[float, float] | None
    classes: int = 0

    @property
    def is_image(self) -> bool:
        """Whether x is an image rather than a point."""
        return len(self.shape) == 3

    @property
    def size(self) -> int:
        """Numbers in one datum."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Batch:
    """m data and their labels.

    Attributes:
        x: float32, (m, *shape), in the data's range.
        labels: int64, (m,), or None for data without labels.
    """

    x: Tensor
    labels: Tensor | None
