"""At the optimum D says 1/2 everywhere.

If p_g = p_data, then D* = p/(p + p) = 1/2 at every x: there is nothing to tell apart, and the
best D tosses a coin. Here G is made by hand and perfect, D is fitted to samples of both, and we
look for the x where it is furthest from 1/2, over the shortest set that holds 99 % of the data's
mass. (Outside, D has seen next to nothing, and may say anything.)
"""

from __future__ import annotations

import torch

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import DATA, THEORY, axes, legend
from gan_cli.claims.lab import Given, Lab
from gan_cli.theory.measure import logits_of, refit_discriminator

MEAN, STD, REACH = 4.0, 0.5, 2.5758  # of data=gaussian; a normal's 99 % lie within REACH stds


def show(lab: Lab) -> Outcome:
    """Fit D to equal distributions."""
    experiment = lab.experiment(
        "data=gaussian", "noise.dim=1", "model.discriminator.hidden=[32,32]",
        generator=Given(lambda z: MEAN + STD * z),
    )  # fmt: skip
    fitted = refit_discriminator(experiment.game, experiment.density, seed=lab.seed)
    x = torch.linspace(MEAN - REACH * STD, MEAN + REACH * STD, 1001)[:, None]
    learnt = torch.sigmoid(logits_of(fitted, x))
    figure, plot = axes("x", "D(x)")
    density = experiment.density.log_prob(x).exp()
    plot.fill_between(
        x[:, 0], density / density.max() / 2, color=DATA, alpha=0.35, label="p_data = p_g"
    )
    plot.axhline(0.5, color=THEORY, label="1/2")
    plot.plot(x, learnt, "--", color="black", label="D, fitted to samples")
    plot.set_ylim(0, 1)
    legend(figure)
    return Outcome(
        [Check("largest |D(x) - 1/2|", (learnt - 0.5).abs().max().item(), at_most=0.05)],
        figure,
        limits="on the shortest set that holds 99 % of p_data",
        data={"x": x[:, 0].tolist(), "D": learnt.tolist()},
    )


CLAIM = Claim(
    15,
    "half",
    statement="Where p_g = p_data, the best D says 1/2 everywhere.",
    formula="D*(x) = p(x) / (p(x) + p(x)) = 1/2",
    source="notes 001 and 002; Goodfellow et al. 2014, section 4.1",
    method="D is fitted to samples of a perfect, hand-made G.",
    show=show,
)
