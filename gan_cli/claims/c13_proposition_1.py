"""Proposition 1: for a fixed G, the best D is D*(x) = p_data(x) / (p_data(x) + p_g(x)).

Why? V is an integral of p_data log D + p_g log(1 - D). For two positive numbers a and b, the y
that makes a log y + b log(1 - y) largest is a/(a + b). So D does at each x what a bet would: it
says how often a point at x is real.

G is frozen here and made by hand: it bends nothing and makes N(0.5, 1.2^2), so p_g is known. D is
the product's perceptron. It sees samples only, never a density.
"""

from __future__ import annotations

import torch

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import DATA, MODEL, THEORY, axes, legend
from gan_cli.claims.lab import Given, Lab
from gan_cli.theory.density import GaussianMixture
from gan_cli.theory.measure import logits_of, refit_discriminator

MEAN, STD = 0.5, 1.2
SETTINGS = (
    "data=mixture_1d", "noise.dim=1", "model.discriminator.fourier_features=64",
    "model.discriminator.fourier_scale=1.0",
)  # fmt: skip


def show(lab: Lab) -> Outcome:
    """Fit D to the frozen G, and compare it with D* at real and generated points."""
    experiment = lab.experiment(*SETTINGS, generator=Given(lambda z: MEAN + STD * z))
    p_g = GaussianMixture(torch.tensor([[MEAN]]), torch.tensor([STD]))
    fitted = refit_discriminator(experiment.game, experiment.density, seed=lab.seed)
    n = lab.steps(50_000, fast=2000)
    real, _ = experiment.density.sample(n, generator=lab.generator("real"))
    fake, _ = p_g.sample(n, generator=lab.generator("fake"))

    def best(x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(experiment.density.log_prob(x) - p_g.log_prob(x))

    points = torch.cat([real, fake])
    distance = (torch.sigmoid(logits_of(fitted, points)).double() - best(points)).abs()
    x = torch.linspace(-4, 5, 400)[:, None]
    learnt = torch.sigmoid(logits_of(fitted, x))
    figure, plot = axes("x", "D(x)")
    plot.fill_between(
        x[:, 0], experiment.density.log_prob(x).exp(), color=DATA, alpha=0.35, label="p_data"
    )
    plot.fill_between(x[:, 0], p_g.log_prob(x).exp(), color=MODEL, alpha=0.25, label="p_g")
    plot.plot(x, best(x), color=THEORY, label="D* = p_data / (p_data + p_g)")
    plot.plot(x, learnt, "--", color="black", label="D, fitted to samples")
    legend(figure, columns=4)
    error = distance.std().item() / len(distance) ** 0.5
    return Outcome(
        [
            Check(
                "mean |D(x) - D*(x)|, half of the x real",
                distance.mean().item(),
                error=error,
                at_most=0.02,
            )
        ],
        figure,
        data={"x": x[:, 0].tolist(), "D": learnt.tolist(), "D*": best(x).tolist()},
    )


CLAIM = Claim(
    13,
    "proposition_1",
    statement="For a fixed G, the best D gives at each x the share of real data there.",
    formula="D*(x) = p_data(x) / (p_data(x) + p_g(x))",
    source="notes 001 and 002; Goodfellow et al. 2014, proposition 1",
    method="D is fitted to samples of a frozen, known p_g, and held against D*.",
    show=show,
)
