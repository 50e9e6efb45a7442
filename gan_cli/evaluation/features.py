"""Distances between two sets of features: Fréchet, kernel, precision, recall, density, coverage.

All take float features (n, d) of real and of generated data, and compute in float64.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gan_cli.system.stopping import polled

NEIGHBOURS = 5  # Naeem et al. 2020, section 5
BLOCK = 1000  # data compared with all others at once
RESAMPLES, RESAMPLES_OF_MANY, MANY = 20, 5, 512  # of a bootstrap; with over 512 features it is slow
SUBSETS, SUBSET_SIZE = 50, 1000  # Binkowski et al. 2018's implementation
PARTS = 10  # of the data, to see how far estimates differ


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of two Gaussians (Heusel et al. 2017, eq. 6)."""
    (m1, c1), (m2, c2) = (_moments(features) for features in (real, fake))
    # tr (C1 C2)^(1/2) = tr (C1^(1/2) C2 C1^(1/2))^(1/2), whose argument is symmetric.
    values, vectors = torch.linalg.eigh(c1)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    joint = torch.linalg.eigvalsh(root @ c2 @ root).clamp_min(0).sqrt().sum()
    return float((m1 - m2).square().sum() + c1.trace() + c2.trace() - 2 * joint)


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    x = features.double()
    return x.mean(dim=0), x.T.cov()


def frechet_error(real: Tensor, fake: Tensor, *, seed: int = 0) -> float:
    """Standard error of `frechet_distance`, from data drawn again with replacement (bootstrap)."""
    generator = torch.Generator().manual_seed(seed)

    def again(x: Tensor) -> Tensor:
        return x[torch.randint(len(x), (len(x),), generator=generator)]

    times = RESAMPLES if real.shape[1] <= MANY else RESAMPLES_OF_MANY
    distances = [frechet_distance(again(real), again(fake)) for _ in polled(range(times))]
    return torch.tensor(distances, dtype=torch.float64).std().item()


def kernel_distance(
    real: Tensor, fake: Tensor, *, seed: int = 0, size: int | None = None, subsets: int = SUBSETS
) -> tuple[float, float]:
    """Unbiased MMD^2 with the kernel (x.y/d + 1)^3, over random subsets (Binkowski et al. 2018).

    Args:
        real: features of real data.
        fake: of generated ones.
        seed: of the choice of subsets.
        size: of each subset; None: 1000, or half of the data where they are few.
        subsets: how many.

    Returns:
        Mean over subsets, and its standard error: from ten parts of the data that share none, as
        subsets that overlap agree with each other more than with other data.
    """
    generator = torch.Generator().manual_seed(seed)
    size = size or max(2, min(SUBSET_SIZE, len(real) // 2, len(fake) // 2))
    values = []
    for _ in polled(range(subsets)):
        x, y = (f[torch.randperm(len(f), generator=generator)[:size]] for f in (real, fake))
        values.append(_squared_mmd(x, y))
    parts = zip(real.chunk(PARTS), fake.chunk(PARTS), strict=False)
    apart = torch.tensor([_squared_mmd(x, y) for x, y in parts if min(len(x), len(y)) > 1])
    error = apart.std().item() / math.sqrt(len(apart)) if len(apart) > 1 else 0.0
    return sum(values) / len(values), error


def _squared_mmd(x: Tensor, y: Tensor) -> float:
    x, y = x.double(), y.double()
    xx, yy, xy = _kernel(x, x), _kernel(y, y), _kernel(x, y)
    of_x = (xx.sum() - xx.trace()) / (len(x) * (len(x) - 1))
    of_y = (yy.sum() - yy.trace()) / (len(y) * (len(y) - 1))
    return (of_x + of_y - 2 * xy.mean()).item()


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1).pow(3)


def neighbourhoods(real: Tensor, fake: Tensor, *, k: int = NEIGHBOURS) -> dict[str, float]:
    """Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020).

    A ball about each datum reaches to its k-th neighbour in its own set. Precision: the share of
    generated data in a ball of a real one; recall: the other way round. Density: balls of real data
    about a generated one, over k. Coverage: real data whose ball holds a generated one.
    """
    real, fake = real.double(), fake.double()
    real_radius, fake_radius = _radii(real, k), _radii(fake, k)
    balls = torch.zeros(len(fake), dtype=torch.float64)  # of real data, about each generated one
    recalled, covered = [], []
    for part, radius in polled(zip(real.split(BLOCK), real_radius.split(BLOCK), strict=True)):
        distances = torch.cdist(part, fake)
        balls += (distances < radius[:, None]).sum(dim=0)
        recalled.append((distances < fake_radius).any(dim=1))
        covered.append(distances.amin(dim=1) < radius)
    return {
        "precision": (balls > 0).double().mean().item(),
        "recall": torch.cat(recalled).double().mean().item(),
        "density": balls.mean().item() / k,
        "density_error": balls.std().item() / k / math.sqrt(len(fake)),
        "coverage": torch.cat(covered).double().mean().item(),
    }


def _radii(x: Tensor, k: int) -> Tensor:
    """Distance of each datum to its k-th neighbour, itself not counted."""
    parts = [torch.cdist(part, x).kthvalue(k + 1, dim=1).values for part in polled(x.split(BLOCK))]
    return torch.cat(parts)


def pairwise_distance(x: Tensor) -> tuple[float, float]:
    """Mean Euclidean distance of two different data of x, (n, ...), and its standard error."""
    n = len(x)
    if n < 3:  # one pair tells nothing of the others
        return torch.dist(*x.flatten(1).double()).item(), math.nan
    of_each = torch.cdist(x.flatten(1).double(), x.flatten(1).double()).sum(dim=1) / (n - 1)
    # Each datum is in n - 1 pairs: twice the error of independent values (Hoeffding 1948).
    return of_each.mean().item(), 2 * of_each.std().item() / math.sqrt(n)


def nearest(x: Tensor, among: Tensor) -> tuple[Tensor, Tensor]:
    """Distance of each x, (m, ...), to the nearest of `among`, (n, ...), and which that is."""
    others = among.flatten(1)
    minima = [torch.cdist(part, others).min(dim=1) for part in polled(x.flatten(1).split(BLOCK))]
    which = torch.cat([part.indices for part in minima])
    # Once more for the pairs alone: through products, cdist is inexact where data nearly coincide.
    return (x.flatten(1) - others[which]).norm(dim=1), which
