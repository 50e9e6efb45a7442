"""Theorem 1: against the best D, G pays C(G) = -log 4 + 2 JSD(p_data || p_g).

Put D* of proposition 1 into V, and what is left is a distance between p_data and p_g, the Jensen-
Shannon divergence. It is 0 only if both are equal, so -log 4 is the least that G can reach, and
it reaches it only by imitating the data in all.

Ten different G, made by hand: they shift the data's own distribution by up to three standard
deviations. For each, D is fitted anew, and its V on fresh draws is held against the integral.
"""

from __future__ import annotations

import math

import torch
from torch.nn.functional import logsigmoid

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import MODEL, THEORY, axes, legend
from gan_cli.claims.lab import Given, Lab
from gan_cli.theory.density import GaussianMixture
from gan_cli.theory.divergence import Cells, jsd
from gan_cli.theory.measure import logits_of, refit_discriminator

MEAN, STD = 4.0, 0.5  # of data=gaussian
SHIFTS = (-1.5, -1.0, -0.6, -0.3, -0.1, 0.0, 0.2, 0.4, 0.8, 1.2)
FRESH = 200_000


def show(lab: Lab) -> Outcome:
    """Fit D to each G, and hold V against -log 4 + 2 JSD."""
    n = lab.steps(FRESH, fast=20_000)
    shifts = SHIFTS if not lab.fast else SHIFTS[2:6:3]
    measured, exact = [], []
    for shift in shifts:
        experiment = lab.experiment(
            "data=gaussian", "noise.dim=1", generator=Given(lambda z, s=shift: MEAN + s + STD * z)
        )
        p_g = GaussianMixture(torch.tensor([[MEAN + shift]]), torch.tensor([STD]))
        fitted = refit_discriminator(experiment.game, experiment.density, seed=lab.seed)
        real, _ = experiment.density.sample(n, generator=lab.generator("real", str(shift)))
        fake, _ = p_g.sample(n, generator=lab.generator("fake", str(shift)))
        terms = (
            logsigmoid(logits_of(fitted, real)).mean() + logsigmoid(-logits_of(fitted, fake)).mean()
        )
        measured.append(terms.item())
        both = GaussianMixture(torch.tensor([[MEAN], [MEAN + shift]]), torch.tensor([STD, STD]))
        cells = Cells(both, bins=4000)
        divergence = jsd(cells.masses(experiment.density), cells.masses(p_g))
        exact.append(-math.log(4) + 2 * divergence)
    worst = max(abs(a - b) for a, b in zip(measured, exact, strict=True))
    lowest = shifts[measured.index(min(measured))]
    figure, plot = axes("shift of p_g", "V in nats")
    plot.plot(shifts, exact, color=THEORY, label="-log 4 + 2 JSD")
    plot.plot(shifts, measured, "o", color=MODEL, label="V of the fitted D")
    plot.axhline(-math.log(4), color="gray", linewidth=0.7, linestyle=":", label="-log 4")
    legend(figure)
    return Outcome(
        [
            Check("largest distance of V from -log 4 + 2 JSD, in nats", worst, at_most=0.01),
            Check("shift of the G with the lowest V", lowest, at_least=0.0, at_most=0.0),
        ],
        figure,
        data={"shift": shifts, "V": measured, "C(G)": exact},
    )


CLAIM = Claim(
    14,
    "theorem_1",
    statement="Against the best D, G pays -log 4 + 2 JSD, which is least only if p_g = p_data.",
    formula="C(G) = max_D V(D,G) = -log 4 + 2 JSD(p_data || p_g)",
    source="notes 001 and 002; Goodfellow et al. 2014, theorem 1",
    method="Ten shifted G; V of a D fitted to each, on fresh draws, against the integral.",
    show=show,
)
