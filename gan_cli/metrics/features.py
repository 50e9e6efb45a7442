"""Distances between two sets of features: Fréchet, kernel, precision, recall, density, coverage.

All take float features (n, d) of real and of generated data, and compute in float64.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

NEIGHBOURS = 5  # Naeem et al. 2020, section 5
SUBSETS, SUBSET_SIZE = 50, 1000  # Binkowski et al. 2018's implementation


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


def kernel_distance(real: Tensor, fake: Tensor, *, seed: int = 0) -> tuple[float, float]:
    """Unbiased MMD^2 with the kernel (x.y/d + 1)^3, over random subsets (Binkowski et al. 2018).

    Returns:
        Mean over subsets, and its standard error.
    """
    generator = torch.Generator().manual_seed(seed)
    size = min(SUBSET_SIZE, len(real), len(fake))
    found = []
    for _ in range(SUBSETS):
        x, y = (
            f[torch.randperm(len(f), generator=generator)[:size]].double() for f in (real, fake)
        )
        xx, yy, xy = _kernel(x, x), _kernel(y, y), _kernel(x, y)
        same = (xx.sum() - xx.trace() + yy.sum() - yy.trace()) / (size * (size - 1))
        found.append((same - 2 * xy.mean()).item())
    values = torch.tensor(found, dtype=torch.float64)
    return values.mean().item(), values.std().item() / math.sqrt(SUBSETS)


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
    distances = torch.cdist(real, fake)
    in_real, in_fake = distances < real_radius[:, None], distances < fake_radius
    return {
        "precision": in_real.any(dim=0).double().mean().item(),
        "recall": in_fake.any(dim=1).double().mean().item(),
        "density": in_real.double().sum(dim=0).mean().item() / k,
        "coverage": (distances.amin(dim=1) < real_radius).double().mean().item(),
    }


def _radii(x: Tensor, k: int) -> Tensor:
    """Distance of each datum to its k-th neighbour, itself not counted."""
    return torch.cdist(x, x).kthvalue(k + 1, dim=1).values


def nearest(x: Tensor, among: Tensor, *, block: int = 1000) -> tuple[Tensor, Tensor]:
    """Distance of each x, (m, ...), to the nearest of `among`, (n, ...), and which that is."""
    others = among.flatten(1)
    found = [torch.cdist(part, others).min(dim=1) for part in x.flatten(1).split(block)]
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])
