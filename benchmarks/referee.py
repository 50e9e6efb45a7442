"""Whether the referee's certified bounds are true, and how near they come.

    python benchmarks/referee.py --known             # 200 pairs of known densities
    python benchmarks/referee.py --halves --root data  # real data against other real data

Known densities: p_data and p_g are Gaussian mixtures on the line or in the plane, p_g anything from
perfect to collapsed. The true JSD is an integral over fine cells. Bounds are certified at 95 %, so
at least that share must lie below the truth. Real against real: the true distance is 0, so bounds
must be 0 and p-values at most as small as uniform ones.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_cli.evaluation.critic_kinds import of_points
from gan_cli.evaluation.critics import Part
from gan_cli.evaluation.referee import Verdict, referee
from gan_cli.seeding import generator_for
from gan_cli.spec import DataSpec
from gan_cli.theory.density import GaussianMixture

DRAWS = 100_000  # from each density
FITTED, STOP = 0.55, 0.1  # shares of them that fit a critic and stop it; the rest are judged
FAR = 0.05  # JSD from which on the ratio of bound and truth counts
CELLS = {1: 200_000, 2: 1500}  # along each axis, for the true JSD
REACH = 7.0  # standard deviations beyond the outermost means, where cells end
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Outcome:
    """What one case gave."""

    truth: float
    verdict: Verdict
    seconds: float


def known_case(number: int) -> tuple[GaussianMixture, GaussianMixture]:
    """A density, and another that a generator might have come to."""
    draws = generator_for(number, "referee cases")

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=draws, dtype=torch.float64)

    dim, modes = 1 + number % 2, int(torch.randint(1, 9, (), generator=draws))
    kind = ("perfect", "shifted", "scaled", "reweighted", "dropped", "collapsed")[number // 2 % 6]
    if dim == 2 and number // 12 % 2:  # the ring of mode collapse
        angles = torch.arange(8, dtype=torch.float64) * (math.pi / 4)
        means, modes = 2 * torch.stack([angles.cos(), angles.sin()], dim=1), 8
        stds = torch.full((8,), uniform(0.05, 0.3, 1).item(), dtype=torch.float64)
    else:
        means, stds = uniform(-3, 3, modes, dim), uniform(0.1, 0.8, modes)
    weights = uniform(0.3, 1, modes)
    strength = uniform(0.1, 1.0, 1).item()
    p = GaussianMixture(means, stds, weights)
    if kind == "shifted":
        means = means + strength * stds[:, None] * torch.randn(modes, dim, generator=draws).double()
    elif kind == "scaled":
        stds = stds * math.exp(strength if uniform(0, 1, 1) > 0.5 else -strength)
    elif kind == "reweighted":
        weights = weights * torch.exp(2 * strength * torch.randn(modes, generator=draws).double())
    elif kind == "dropped":
        kept = max(1, modes - 1 - int(strength * modes / 2))
        means, stds, weights = means[:kept], stds[:kept], weights[:kept]
    elif kind == "collapsed":
        means, stds, weights = means[:1], stds[:1] * (1.2 - strength), weights[:1]
    return p, GaussianMixture(means, stds, weights)


def true_jsd(p: GaussianMixture, q: GaussianMixture) -> float:
    """By the middle points of fine cells that cover both."""
    means, dim = torch.cat([p.means, q.means]), p.means.shape[1]
    margin = REACH * max(p.stds.max().item(), q.stds.max().item())
    axes, area = [], 1.0
    for low, high in zip(means.amin(dim=0) - margin, means.amax(dim=0) + margin, strict=True):
        side = (high - low).item() / CELLS[dim]
        axes.append(low + side * (torch.arange(CELLS[dim], dtype=torch.float64) + 0.5))
        area *= side
    total = 0.0
    for start in axes[0].split(CELLS[dim] if dim == 1 else 100):
        points = torch.cartesian_prod(start, *axes[1:]).view(-1, dim)
        log_p, log_q = p.log_prob(points), q.log_prob(points)
        middle = torch.logaddexp(log_p, log_q) - math.log(2)
        terms = log_p.exp() * (log_p - middle) + log_q.exp() * (log_q - middle)
        total += terms.sum().item() * area / 2
    return total


def judge_known(number: int, *, draws: int = DRAWS) -> Outcome:
    """Draw, fit, judge."""
    p, q = known_case(number)
    truth, began = true_jsd(p, q), time.monotonic()
    real, fake = (
        density.sample(draws, generator=generator_for(number, "referee draws", name))[0]
        for density, name in ((p, "p"), (q, "q"))
    )
    fitted, stop = round(FITTED * draws), round(STOP * draws)
    sizes = [fitted, stop, draws - fitted - stop]
    parts = [Part(x, y) for x, y in zip(real.split(sizes), fake.split(sizes), strict=True)]
    spec = DataSpec((p.means.shape[1],), None)
    candidates = of_points(spec, parts[0])
    verdict = referee(candidates, *parts, seed=number, device=CPU)
    return Outcome(truth, verdict, time.monotonic() - began)
