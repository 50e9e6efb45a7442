"""Points with a known density: where the theorems of Goodfellow et al. 2014 can be watched."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gan_cli.data.base import Dataset, DataSource, Progress
from gan_cli.errors import require
from gan_cli.seeding import generator_for
from gan_cli.spec import DataSpec
from gan_cli.theory.density import GaussianMixture

DTYPE = torch.float64  # of densities


def mixture(means: Tensor, std: float) -> GaussianMixture:
    """Equal Gaussians of one standard deviation about `means`, (K, n)."""
    return GaussianMixture(means, torch.full((len(means),), std, dtype=DTYPE))


class Points(DataSource):
    """A fixed draw of `samples` points from a Gaussian mixture."""

    def __init__(self, density: GaussianMixture, *, samples: int) -> None:
        require((samples >= 1, f"samples={samples}: must be at least 1"))
        self.density, self.samples = density, samples

    @property
    def spec(self) -> DataSpec:
        """Points are unbounded; the component each was drawn from is its label."""
        modes, dim = self.density.means.shape
        return DataSpec((dim,), None, classes=modes)

    def load(self, *, seed: int, progress: Progress) -> Dataset:  # noqa: ARG002
        """Draw the points; the same for the same seed."""
        return self._draw(seed, "data")

    def load_test(self, *, seed: int, progress: Progress) -> Dataset:  # noqa: ARG002
        """As many points again."""
        return self._draw(seed, "test data")

    def _draw(self, seed: int, purpose: str) -> Dataset:
        values, labels = self.density.sample(self.samples, generator=generator_for(seed, purpose))
        return Dataset(values, labels, self.spec, self.density)


class Gaussian(Points):
    """N(mean, std^2 I) in `dim` dimensions."""

    def __init__(self, *, dim: int, mean: float, std: float, samples: int) -> None:
        require(
            (dim >= 1, f"dim={dim}: must be at least 1"),
            (math.isfinite(mean), f"mean={mean}: must be finite"),
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
            (len(means) >= 1, f"means={list(means)}: give at least one"),
            (
                len(means) == len(stds) == len(weights),
                f"means={list(means)}: stds={list(stds)} and weights={list(weights)} "
                "must be as many",
            ),
            (all(map(math.isfinite, means)), f"means={list(means)}: must all be finite"),
            (_all_positive(stds), f"stds={list(stds)}: must all be positive and finite"),
            (_all_positive(weights), f"weights={list(weights)}: must all be positive and finite"),
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
            (modes >= 1, f"modes={modes}: must be at least 1"),
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
            (side >= 1, f"side={side}: must be at least 1"),
            _positive("spacing", spacing),
            _positive("std", std),
        )
        axis = (torch.arange(side, dtype=DTYPE) - (side - 1) / 2) * spacing
        means = torch.cartesian_prod(axis, axis)
        super().__init__(mixture(means, std), samples=samples)


def _all_positive(numbers: Sequence[float]) -> bool:
    return all(0 < number < math.inf for number in numbers)


def _positive(name: str, number: float) -> tuple[bool, str]:
    return (0 < number < math.inf, f"{name}={number}: must be positive and finite")
