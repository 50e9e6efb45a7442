"""What passes from data to networks: the description of one datum, and a batch of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

RGBA = 4  # channels of images with transparency, the last of which is opacity


@dataclass(frozen=True)
class DataSpec:
    """Shape and range of one datum x.

    Attributes:
        shape: (channels, height, width) of an image, or (n,) of a point. Channels are gray, RGB or
            RGBA.
        value_range: (-1, 1) or (0, 1) for images; None for points, which are unbounded.
        classes: number of labels; 0 for data without labels.
        class_names: their names; empty: they have none but their numbers.
        mean: of each coordinate of points, in the data's own units. Networks see points from which
            it was subtracted; empty: they see them as they are.
        std: of each coordinate likewise, by which they were divided.
        levels: the values that black and white have in the data's own units; None: 0 and 255.
    """

    shape: tuple[int, ...]
    value_range: tuple[float, float] | None
    classes: int = 0
    class_names: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    levels: tuple[float, float] | None = None

    def to_unit(self, x: Tensor) -> Tensor:
        """Images in the data's range -> [0, 1]."""
        assert self.value_range is not None
        low, high = self.value_range
        return (x - low) / (high - low)

    def from_unit(self, x: Tensor) -> Tensor:
        """Images in [0, 1] -> the data's range."""
        assert self.value_range is not None
        low, high = self.value_range
        return x * (high - low) + low

    def from_bytes(self, values: Tensor) -> Tensor:
        """uint8 0..255 -> float32 in the data's range; points standardised, if they are to be."""
        if self.value_range is None:
            return self.standardised(values)
        low, high = self.value_range
        return values.float().mul_((high - low) / 255.0).add_(low)

    def standardised(self, points: Tensor) -> Tensor:
        """Points (n, d) in the data's own units -> float32, as networks see them.

        Computed in float64, so that small differences between large numbers are kept.
        """
        if not self.mean:
            return points.float()
        mean, std = (points.new_tensor(each, dtype=exact(points)) for each in (self.mean, self.std))
        return ((points.to(mean.dtype) - mean) / std).float()

    def in_own_units(self, x: Tensor) -> Tensor:
        """Points (n, d) as networks see them -> the data's own units; float64 if they differ."""
        if not self.mean:
            return x
        mean, std = (x.new_tensor(each, dtype=exact(x)) for each in (self.mean, self.std))
        return x.to(mean.dtype) * std + mean

    def name_of(self, label: int) -> str:
        """The name of a label, or its number."""
        return self.class_names[label] if self.class_names else str(label)

    @property
    def is_image(self) -> bool:
        """Whether x is an image rather than a point."""
        return len(self.shape) == 3

    @property
    def text(self) -> str:
        """The shape as one reads it."""
        return "x".join(map(str, self.shape))

    @property
    def size(self) -> int:
        """Numbers in one datum."""
        return math.prod(self.shape)


def exact(x: Tensor) -> torch.dtype:
    """The finest type of numbers that a tensor's device has."""
    return torch.float32 if x.device.type == "mps" else torch.float64


@dataclass(frozen=True)
class PairSpec:
    """Two domains of images of one size, whose channels may differ.

    Attributes:
        a: of domain A.
        b: of domain B.
    """

    a: DataSpec
    b: DataSpec
    is_image = True

    @property
    def text(self) -> str:
        """Both shapes as one reads them."""
        return self.a.text if self.a.shape == self.b.shape else f"{self.a.text} and {self.b.text}"


AnySpec = DataSpec | PairSpec


def spec_from(stored: Mapping[str, Any]) -> AnySpec:
    """A spec from what `dataclasses.asdict` made of it, held in a file that may be hostile.

    Raises:
        ValueError: it describes no data; class names that are paths count as none.
    """
    if "a" in stored:
        return PairSpec(*(checked(DataSpec(**stored[domain])) for domain in ("a", "b")))
    return checked(DataSpec(**stored))


def checked(spec: DataSpec) -> DataSpec:
    """A spec whose values are what they must be.

    Raises:
        ValueError: they are not.
    """
    names = spec.class_names
    plain = all(
        isinstance(name, str) and name not in ("", ".", "..") and not set(name) & set("/\\\0")
        for name in names
    )
    counted = len(names) in (0, spec.classes) and len(set(names)) == len(names)
    sizes = all(isinstance(side, int) and side > 0 for side in spec.shape)
    ranges = ((-1.0, 1.0), (0.0, 1.0)) if spec.is_image else (None,)
    scaled = len(spec.mean) == len(spec.std) and len(spec.mean) in (0, spec.size)
    scaled = scaled and not (spec.is_image and spec.mean) and all(map(math.isfinite, spec.mean))
    scaled = scaled and all(0 < each < math.inf for each in spec.std)
    if spec.levels is not None:
        low, high = spec.levels
        scaled = scaled and spec.is_image and -math.inf < low < high < math.inf
    if not (plain and counted and sizes and spec.value_range in ranges and scaled):
        raise ValueError("the description of its data makes no sense")
    return spec


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


@dataclass(frozen=True, slots=True)
class PairBatch:
    """m images of each of two domains, which do not belong together.

    Attributes:
        a: float32, (m, *shape of A), in its range.
        b: likewise of B.
    """

    a: Tensor
    b: Tensor

    def split(self, parts: int) -> list[PairBatch]:
        """Parts of equal size, in order; m must divide by their number."""
        if parts == 1:
            return [self]
        return [
            PairBatch(a, b) for a, b in zip(self.a.chunk(parts), self.b.chunk(parts), strict=True)
        ]
