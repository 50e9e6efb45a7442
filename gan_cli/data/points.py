"""Points with a known density, to watch the theorems of Goodfellow et al. (2014, section 4)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import override

from gan_cli.data.base import Dataset, DataSource, Progress
from gan_cli.errors import Rule, as_typed, require
from gan_cli.seeding import generator_for
from gan_cli.spec import DataSpec
from gan_cli.theory.density import GaussianMixture

DTYPE = torch.float64  # of densities


def mixture(means: Tensor, std: float) -> GaussianMixture:
    """Equally likely Gaussians of one standard deviation about `means`, float64 (K, n)."""
    return GaussianMixture(means, torch.full((len(means),), std, dtype=DTYPE))


class Points(DataSource):
    """A fixed draw of `samples` points from a Gaussian mixture."""

    def __init__(self, density: GaussianMixture, *, samples: int) -> None:
        require(_at_least_one("samples", samples))
        self.density, self.samples = density, samples

    @property
    @override
    def spec(self) -> DataSpec:
        """Points are unbounded. A point's label is the component that it was drawn from."""
        modes, dim = self.density.means.shape
        return DataSpec((dim,), None, classes=modes)

    @override
    def load(self, *, seed: int, progress: Progress) -> Dataset:
        """Draw the points, float32 (samples, n); the same for the same seed."""
        return self._draw(seed, "data")

    @override
    def load_test(self, *, seed: int, progress: Progress) -> Dataset:
        """As many points again."""
        return self._draw(seed, "test data")

    def _draw(self, seed: int, purpose: str) -> Dataset:
        values, labels = self.density.sample(self.samples, generator=generator_for(seed, purpose))
        return Dataset(values, labels, self.spec, self.density)


class Gaussian(Points):
    """N(mean, std^2 I) in `dim` dimensions."""

    def __init__(self, *, dim: int, mean: float, std: float, samples: int) -> None:
        require(
            _at_least_one("dim", dim),
            (math.isfinite(mean), "mean", mean, "must be finite"),
            _positive("std", std),
        )
        super().__init__(mixture(torch.full((1, dim), mean, dtype=DTYPE), std), samples=samples)


class Mixture1d(Points):
    """A mixture of Gaussians on the line."""

    def __init__(
        self,
        *,
        means: Sequence[float],
        stds: Sequence[float],
        weights: Sequence[float],
        samples: int,
    ) -> None:
        require(
            (len(means) >= 1, "means", means, "give at least one"),
            (
                len(means) == len(stds) == len(weights),
                "means",
                means,
                f"stds={as_typed(stds)} and weights={as_typed(weights)} must be as many",
            ),
            (all(map(math.isfinite, means)), "means", means, "must all be finite"),
            _all_positive("stds", stds),
            _all_positive("weights", weights),
        )
        density = GaussianMixture(
            torch.tensor(means, dtype=DTYPE)[:, None],
            torch.tensor(stds, dtype=DTYPE),
            torch.tensor(weights, dtype=DTYPE),
        )
        super().__init__(density, samples=samples)


class Ring(Points):
    """Equal Gaussians on a circle: the usual test for mode collapse (Metz et al. 2017)."""

    def __init__(self, *, modes: int, radius: float, std: float, samples: int) -> None:
        require(
            _at_least_one("modes", modes),
            _positive("radius", radius),
            _positive("std", std),
        )
        angles = torch.arange(modes, dtype=DTYPE) * (2 * math.pi / modes)
        means = radius * torch.stack([angles.cos(), angles.sin()], dim=1)
        super().__init__(mixture(means, std), samples=samples)


class Grid(Points):
    """side x side equal Gaussians on a square grid about the origin."""

    def __init__(self, *, side: int, spacing: float, std: float, samples: int) -> None:
        require(
            _at_least_one("side", side),
            _positive("spacing", spacing),
            _positive("std", std),
        )
        axis = (torch.arange(side, dtype=DTYPE) - (side - 1) / 2) * spacing
        means = torch.cartesian_prod(axis, axis)
        super().__init__(mixture(means, std), samples=samples)


def _at_least_one(name: str, number: int) -> Rule:
    return number >= 1, name, number, "must be at least 1"


def _positive(name: str, number: float) -> Rule:
    return 0 < number < math.inf, name, number, "must be positive and finite"


def _all_positive(name: str, numbers: Sequence[float]) -> Rule:
    holds = all(0 < number < math.inf for number in numbers)
    return holds, name, numbers, "must all be positive and finite"
