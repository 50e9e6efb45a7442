"""What all regularizers share: penalties are added to D's loss, views change what D sees."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from gan_cli.errors import require
from gan_cli.system.ranks import ALONE, Ranks

#: D as a function of data alone, (m, *shape) -> (m, ...).
Critic = Callable[[Tensor], Tensor]
ValueRange = tuple[float, float] | None


class Regularizer:
    """Anything that `regularizer=` may name."""

    #: The processes that draw random numbers together.
    ranks: Ranks = ALONE


class Penalty(Regularizer, ABC):
    """A term of D's loss, times `weight`, on every `interval`-th move of D.

    A lazy penalty (interval > 1) is multiplied by its interval, so that its weight means the same
    (Karras et al. 2020, StyleGAN2, section 3.1).
    """

    name: str

    def __init__(self, *, weight: float, interval: int) -> None:
        require(
            (0 < weight < math.inf, "weight", weight, "must be positive and finite"),
            (interval >= 1, "interval", interval, "must be at least 1"),
        )
        self.weight, self.interval = weight, interval

    @abstractmethod
    def __call__(
        self, critic: Critic, real: Tensor, fake: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        """The penalty without its weight, a scalar.

        Args:
            critic: D.
            real: real data, (m, *shape).
            fake: generated data, (m, *shape).
            generator: for random draws.
        """


class View(Regularizer, ABC):
    """A differentiable, random change of the data that D sees, real and generated alike."""

    images_only = False

    @abstractmethod
    def __call__(
        self, x: Tensor, *, step: int, generator: torch.Generator, value_range: ValueRange
    ) -> Tensor:
        """Data (m, *shape) as D sees them after `step` finished steps.

        Args:
            x: data.
            step: finished steps.
            generator: for random draws.
            value_range: of images; None for points.
        """
