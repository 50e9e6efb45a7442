"""Divergences between a known density and samples, on a fine grid of cells.

Putting points into cells can only lower a divergence, and a finite sample raises the estimate: the
figure for as many draws from p_data itself, the floor, is what a perfect G would get.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from gan_cli.errors import require
from gan_cli.theory.density import GaussianMixture

BINS = {1: 400, 2: 256}  # cells along each axis, by dimension; in the plane, where p_data is ~ 0
CELL_STD = 0.2  # in the plane: side of a cell near a component, in its standard deviations, ...
MOST_BINS = 4096  # ... unless that takes more cells along an axis
NEGLIGIBLE = 1e-290  # mass that halving could round to 0
REACH = 6.0  # the grid ends this many standard deviations beyond the outermost means


class Cells:
    """A grid over R or R^2 that covers p_data, and one more cell for all that lies outside."""

    def __init__(self, density: GaussianMixture, *, bins: int | None = None) -> None:
        """Lay the grid.

        Args:
            density: p_data.
            bins: equal cells along each axis; None: as many as the density needs.

        Raises:
            ValueError: the density has more than two dimensions.
        """
        dim = density.means.shape[1]
        require(
            (dim in BINS, "dim", dim, "divergences are measured on a grid of 1 or 2 dimensions")
        )
        margin = REACH * density.stds.max()
        low, high = density.means.amin(dim=0) - margin, density.means.amax(dim=0) + margin
        #: Bounds of the cells along each axis, float64 (cells + 1,), rising.
        self.edges = [
            torch.linspace(a, b, (bins or BINS[dim]) + 1, dtype=torch.float64)
            if bins or dim == 1
            else fine_edges(means, density.stds, low=a, high=b)
            for means, a, b in zip(density.means.T, low.tolist(), high.tolist(), strict=True)
        ]
        self.count = math.prod(len(edges) - 1 for edges in self.edges) + 1
        #: The longest side of a cell near a component, in that component's standard deviations.
        self.cell_std = max(
            coarseness(edges, means, density.stds)
            for edges, means in zip(self.edges, density.means.T, strict=True)
        )

    @property
    def area(self) -> float:
        """Length or area of the first cell: of each, where all are equal."""
        return math.prod((edges[1] - edges[0]).item() for edges in self.edges)

    @property
    def centres(self) -> Tensor:
        """Middle points of the cells inside, float64 (count - 1, dim)."""
        middles = [(edges[1:] + edges[:-1]) / 2 for edges in self.edges]
        return torch.cartesian_prod(*middles).view(-1, len(middles))

    def places(self, x: Tensor) -> Tensor:
        """The cell of each point of x, (n, dim): int64 (n,), the last for those outside."""
        place = torch.zeros(len(x), dtype=torch.long)
        outside = torch.zeros(len(x), dtype=torch.bool)
        for column, edges in zip(x.double().cpu().T.contiguous(), self.edges, strict=True):
            cell = torch.bucketize(column, edges, right=True) - 1
            outside |= (cell < 0) | (cell >= len(edges) - 1) | ~torch.isfinite(column)
            place = place * (len(edges) - 1) + cell.clamp(0, len(edges) - 2)
        return torch.where(outside, self.count - 1, place)

    def counts(self, x: Tensor) -> Tensor:
        """How many of the points x lie in each cell, int64 (count,)."""
        return torch.bincount(self.places(x), minlength=self.count)

    def shares(self, x: Tensor) -> Tensor:
        """Share of the points x in each cell, float64 (count,)."""
        return self.counts(x).double() / len(x)

    def masses(self, density: GaussianMixture) -> Tensor:
        """Mass of a density in each cell, exactly, float64 (count,)."""
        along = []  # for each axis: the mass of each component between two edges, (K, cells)
        for axis, edges in enumerate(self.edges):
            scaled = (edges - density.means[:, axis, None]) / density.stds[:, None]
            # Differences of numbers near 1 lose the upper tail; its mirror image keeps it. Tails
            # by erfc, because torch.special.ndtr is 0 from about -8 down.
            lower, upper = (torch.erfc(x * -math.sqrt(0.5)) / 2 for x in (scaled, -scaled))
            along.append(torch.where(scaled[:, :-1] > 0, -upper.diff(dim=1), lower.diff(dim=1)))
        weights = density.weights
        if len(along) == 1:
            inside = weights @ along[0]
        else:
            inside = torch.einsum("k,ka,kb->ab", weights, *along).flatten()
        return torch.cat([inside, (1 - inside.sum()).clamp_min(0)[None]])


def fine_edges(means: Tensor, stds: Tensor, *, low: float, high: float) -> Tensor:
    """Bounds of cells along one axis of the plane, fine where p_data is and coarse elsewhere.

    Within REACH standard deviations of a component a cell is at most CELL_STD of them long: cells
    of 0.8 take a third of the divergence of two normal distributions that lie 0.6 apart.

    Args:
        means: of the components along this axis, float64 (K,).
        stds: theirs, (K,).
        low: where the first cell begins.
        high: where the last one ends.

    Returns:
        Rising, float64 (cells + 1,), at most about MOST_BINS cells.
    """
    reach, coarse = REACH * stds, (high - low) / BINS[2]
    ends = torch.cat([means - reach, means + reach, torch.tensor([low, high]).to(means)])
    ends = ends.sort().values
    is_new = ends.diff() > 1e-9 * (high - low)  # not the same but for rounding
    spans = list(itertools.pairwise([ends[0].item(), *ends[1:][is_new].tolist()]))
    cells = []
    for start, end in spans:
        over = (means - (start + end) / 2).abs() < reach
        side = CELL_STD * stds[over].min().item() if over.any() else coarse
        cells.append((end - start) / side)
    fewer = max(1.0, sum(cells) / MOST_BINS)
    pieces = [
        torch.linspace(start, end, math.ceil(n / fewer - 1e-6) + 1, dtype=torch.float64)[:-1]
        for (start, end), n in zip(spans, cells, strict=True)
    ]
    return torch.cat([*pieces, torch.tensor([spans[-1][1]], dtype=torch.float64)])


def coarseness(edges: Tensor, means: Tensor, stds: Tensor) -> float:
    """The longest cell along an axis near a component, in that component's standard deviations."""
    middles = (edges[1:] + edges[:-1]) / 2
    near = (middles - means[:, None]).abs() < REACH * stds[:, None]
    return (edges.diff() / stds[:, None])[near].max().item()


def kl(p: Tensor, q: Tensor) -> float:
    """KL(p || q) = sum p log(p / q) in nats; infinite where q misses what p has."""
    held = p > NEGLIGIBLE
    return (p[held] * (p[held] / q[held]).log()).sum().item()


def jsd(p: Tensor, q: Tensor) -> float:
    """JSD(p || q) = KL(p || (p + q)/2)/2 + KL(q || (p + q)/2)/2, from 0 to log 2 nats."""
    middle = (p + q) / 2
    return kl(p, middle) / 2 + kl(q, middle) / 2


def smoothed(shares: Tensor, n: int) -> Tensor:
    """Shares of n points with half a point added to each cell, so that none is empty."""
    return (shares * n + 0.5) / (n + 0.5 * len(shares))
