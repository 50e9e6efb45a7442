"""What a network may offer beside `forward`: who needs it asks for the ability, not the class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class StartsAtMean(Protocol):
    """A generator whose samples can start at the data's mean."""

    def start_at(self, mean: Callable[[], Tensor]) -> None:
        """Start there, if so configured; `mean()` is of one datum's shape, in the data's range."""


@runtime_checkable
class HasFeatureLayers(Protocol):
    """A discriminator with convolutional layers to take features from."""

    def feature_layers(self) -> Sequence[nn.Module]:
        """The layers, each with its activation: outputs (n, C, H, W)."""


@runtime_checkable
class TakesSides(Protocol):
    """A generator from image to image, which takes sides of some lengths alone."""

    #: Sides must be multiples of this ...
    side_multiple: int
    #: ... and at least so long, in pixels.
    smallest_side: int


@runtime_checkable
class HasUnits(Protocol):
    """A network whose hidden units can be looked at one by one."""

    def unit_layers(self) -> Sequence[nn.Module]:
        """The hidden layers from input to output, each with its activation.

        Outputs are (n, units), or (n, C, H, W) with a unit for each channel and place.
        """
