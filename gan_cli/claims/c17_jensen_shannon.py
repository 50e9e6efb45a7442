"""JS is symmetric, and never above log 2.

JSD(p || q) is the mean KL of both to their middle (p + q)/2. The middle has at least half of
either, so neither can be more than log 2 away: 0.693 nats is "no overlap at all". That is its
strength, it is always finite, and its weakness: once p_g and p_data lie apart, it says the same
for near and far, and so gives G no direction.
"""

from __future__ import annotations

import math

import torch

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import MODEL, THEORY, axes, legend
from gan_cli.claims.lab import Given, Lab
from gan_cli.theory.density import GaussianMixture
from gan_cli.theory.divergence import Cells, jsd

DISTANCES = tuple(0.5 * i for i in range(17))


def normal(mean: float) -> GaussianMixture:
    """N(mean, 1)."""
    return GaussianMixture(torch.tensor([[mean]]), torch.tensor([1.0]))


def show(lab: Lab) -> Outcome:
    """JSD over the distance of two normals, exactly; and from samples where they are disjoint."""
    cells = Cells(GaussianMixture(torch.tensor([[0.0], [DISTANCES[-1]]]), torch.ones(2)), bins=8000)
    p = cells.masses(normal(0.0))
    there = [jsd(p, cells.masses(normal(distance))) for distance in DISTANCES]
    back = [jsd(cells.masses(normal(distance)), p) for distance in DISTANCES]
    asymmetry = max(abs(a - b) for a, b in zip(there, back, strict=True))
    far = lab.experiment("data=gaussian", "noise.dim=1", generator=Given(lambda z: z - 100))
    scalars = far.theory(lab.steps(200_000, fast=5000)).scalars
    figure, plot = axes("distance of two normals, in standard deviations", "JSD in nats")
    plot.plot(DISTANCES, there, color=THEORY, label="JSD(p, q)")
    plot.plot(DISTANCES, back, "o", color=MODEL, markersize=4, label="JSD(q, p)")
    plot.axhline(math.log(2), color="gray", linestyle=":", label="log 2")
    legend(figure)
    gap = abs(scalars["divergence/jsd"] - math.log(2))
    return Outcome(
        [
            Check("largest JSD minus log 2", max(there) - math.log(2), at_most=1e-12),
            Check("largest |JSD(p, q) - JSD(q, p)|", asymmetry, at_most=1e-12),
            Check("JSD of equals", there[0], at_most=1e-12),
            Check(
                "disjoint samples: |JSD - log 2|",
                gap,
                at_most=scalars["divergence/jsd_floor"] + 1e-9,
            ),
        ],
        figure,
        data={"distance": DISTANCES, "jsd": there},
    )


CLAIM = Claim(
    17,
    "jensen_shannon",
    statement="JSD is symmetric and at most log 2, which disjoint distributions reach.",
    formula="JSD(p || q) = KL(p || (p+q)/2)/2 + KL(q || (p+q)/2)/2 <= log 2",
    source="note 001",
    method="Two normals moved apart, exactly; and 200,000 samples that do not overlap.",
    show=show,
)
