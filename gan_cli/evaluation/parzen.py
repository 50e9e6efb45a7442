"""Log-likelihood under a Gaussian Parzen window on samples (Goodfellow et al. 2014, section 5).

log p(x) = log (1/n) sum_i N(x; s_i, sigma^2 I), with sigma chosen on validation data. The measure
has a ceiling, which real training data in place of samples show, and blurred or memorised samples
may pass them: it counts only beside measures of coverage and of nearest neighbours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_cli.system.stopping import polled

SIGMAS = tuple(10.0 ** (i / 9 - 1) for i in range(10))  # 0.1 to 1, evenly in the logarithm
BLOCK = 1000  # points compared with all samples at once


@dataclass(frozen=True)
class Parzen:
    """A log-likelihood in nats, its standard error over the points, and the window's width."""

    mean: float
    error: float
    sigma: float


def log_likelihoods(x: Tensor, samples: Tensor, sigma: float) -> Tensor:
    """Log p(x) in nats, float64 (m,).

    Args:
        x: points, (m, ...).
        samples: centres of the windows, (n, ...) of the same shape.
        sigma: standard deviation of each window.
    """
    return _of_squared_distances(x, samples, (sigma,))[0]


def _of_squared_distances(x: Tensor, samples: Tensor, sigmas: tuple[float, ...]) -> list[Tensor]:
    """Log p(x) for several sigmas at the price of one, in blocks."""
    centres = samples.flatten(1).double()
    lengths = centres.square().sum(dim=1)
    n, dim = centres.shape
    of_sigmas: list[list[Tensor]] = [[] for _ in sigmas]
    for block in polled(x.flatten(1).double().split(BLOCK)):
        squared = torch.addmm(lengths, block, centres.T, alpha=-2.0)
        squared += block.square().sum(dim=1, keepdim=True)
        for sigma, parts in zip(sigmas, of_sigmas, strict=True):
            normaliser = math.log(n) + dim * math.log(sigma * math.sqrt(2 * math.pi))
            parts.append(torch.logsumexp(squared / (-2 * sigma**2), dim=1) - normaliser)
    return [torch.cat(parts) for parts in of_sigmas]


def parzen(
    samples: Tensor,
    *,
    validation: Tensor,
    test: Tensor,
    sigmas: tuple[float, ...] = SIGMAS,
) -> Parzen:
    """Mean log-likelihood of the test data, with the sigma that suits the validation data best."""
    scores = [values.mean().item() for values in _of_squared_distances(validation, samples, sigmas)]
    sigma = sigmas[max(range(len(sigmas)), key=scores.__getitem__)]
    values = log_likelihoods(test, samples, sigma)
    return Parzen(values.mean().item(), values.std().item() / math.sqrt(len(values)), sigma)
