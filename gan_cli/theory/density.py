"""Densities known in closed form, to hold p_g against."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class GaussianMixture:
    """p(x) = sum_k w_k N(x; mu_k, sigma_k^2 I) on R^n."""

    def __init__(self, means: Tensor, stds: Tensor, weights: Tensor | None = None) -> None:
        """Store means (K, n), stds (K,) and weights (K,), equal if not given; float64."""
        self.means, self.stds = means.double(), stds.double()
        weights = torch.ones(len(means)) if weights is None else weights
        self.weights = weights.double() / weights.double().sum()

    def sample(self, n: int, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw n points, float32 (n, dim), and the component each came from, int64 (n,)."""
        modes = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, self.means.shape[1], dtype=torch.float64, generator=generator)
        return (self.means[modes] + self.stds[modes, None] * noise).float(), modes

    def covered(self, x: Tensor) -> int:
        """How many components have a sample within three of their standard deviations.

        The count of Srivastava et al. 2017 (VEEGAN, section 4.1), for x of shape (m, n).
        """
        near, nearest = self._nearest(x)
        return len(nearest[near].unique())

    def near(self, x: Tensor) -> Tensor:
        """Which points of x, (m, n), lie within three standard deviations of the nearest mean.

        Those are the high-quality samples of Srivastava et al. 2017; bool (m,).
        """
        return self._nearest(x)[0]

    def _nearest(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Whether each point lies within three standard deviations of its nearest mean; which."""
        distances, nearest = torch.cdist(x.cpu().double(), self.means).min(dim=1)
        return distances <= 3 * self.stds[nearest], nearest

    def log_prob(self, x: Tensor) -> Tensor:
        """Log p(x) in nats, float64 (m,), for x of shape (m, n)."""
        squared = torch.cdist(x.double(), self.means).square() / self.stds.square()
        normaliser = self.means.shape[1] * (self.stds.log() + 0.5 * math.log(2 * math.pi))
        return torch.logsumexp(self.weights.log() - normaliser - squared / 2, dim=1)
