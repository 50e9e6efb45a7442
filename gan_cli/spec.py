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
        class_names: their names; empty: they have none but their numbers.
    """

    shape: tuple[int, ...]
    value_range: tuple[float, float] | None
    classes: int = 0
    class_names: tuple[str, ...] = ()

    def name_of(self, label: int) -> str:
        """The name of a label, or its number."""
        return self.class_names[label] if self.class_names else str(label)

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

    def split(self, parts: int) -> list[Batch]:
        """Parts of equal size, in order; m must divide by their number."""
        if parts == 1:
            return [self]
        labels = [None] * parts if self.labels is None else self.labels.chunk(parts)
        return [Batch(x, y) for x, y in zip(self.x.chunk(parts), labels, strict=True)]
