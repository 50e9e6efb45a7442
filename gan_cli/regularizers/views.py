"""What changes the data that D sees: instance noise, and random changes of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor
from typing_extensions import override

from gan_cli.errors import require
from gan_cli.regularizers.base import ValueRange, View
from gan_cli.regularizers.images import change_color, cut_out, translate


class InstanceNoise(View):
    """Gaussian noise on all data that D sees, fading to none (Sonderby et al. 2017, section 4)."""

    def __init__(self, *, std: float, decay_steps: int | None) -> None:
        require(
            (0 < std < math.inf, "std", std, "must be positive and finite"),
            (
                decay_steps is None or decay_steps >= 1,
                "decay_steps",
                decay_steps,
                "must be at least 1, or null to keep the noise",
            ),
        )
        self.std, self.decay_steps = std, decay_steps

    @override
    def __call__(
        self,
        x: Tensor,
        *,
        step: int,
        generator: torch.Generator,
        value_range: ValueRange,
    ) -> Tensor:
        """X + std (1 - step / decay_steps) N(0, 1)."""
        left = 1.0 if self.decay_steps is None else max(0.0, 1.0 - step / self.decay_steps)
        if not left:
            return x
        noise = self.ranks.draw(
            len(x),
            lambda n: torch.randn(n, *x.shape[1:], generator=generator, device=generator.device),
        )
        return x + noise * (self.std * left)


Change = Literal["color", "translation", "cutout"]


class DiffAugment(View):
    """Random colour, translation and cutout of images (Zhao et al. 2020, DiffAugment).

    The strengths are the paper's: brightness +-0.5, saturation 0 to 2, contrast 0.5 to 1.5,
    translation by up to 1/8 of each side, and one square of half of each side cut out.
    """

    images_only = True

    def __init__(self, *, policy: Sequence[Change]) -> None:
        require(
            (
                len(policy) > 0 and set(policy) <= set(get_args(Change)),
                "policy",
                list(policy),
                f"choose among {', '.join(get_args(Change))}",
            )
        )
        self.policy = tuple(policy)

    @override
    def __call__(
        self,
        x: Tensor,
        *,
        step: int,
        generator: torch.Generator,
        value_range: ValueRange,
    ) -> Tensor:
        """Images (m, C, H, W), each changed in its own way."""
        assert value_range is not None
        middle, half = sum(value_range) / 2, (value_range[1] - value_range[0]) / 2
        x = (x - middle) / half  # the strengths are meant for [-1, 1], where 0 is gray
        if "color" in self.policy:
            x = change_color(x, *self._draws(3, x, generator))
        if "translation" in self.policy:
            x = translate(x, *self._draws(2, x, generator))
        if "cutout" in self.policy:
            x = cut_out(x, *self._draws(2, x, generator))
        return x * half + middle

    def _draws(self, count: int, x: Tensor, generator: torch.Generator) -> Tensor:
        """Uniform numbers in [0, 1), (count, m)."""

        def draw(n: int) -> Tensor:
            return torch.rand(count, n, generator=generator, device=generator.device).T

        return self.ranks.draw(len(x), draw).T
