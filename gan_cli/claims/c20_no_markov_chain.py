"""No Markov chain is needed to sample, and no inference.

Models before GANs drew samples by walking: each sample starts from the one before, and it takes
many steps until a walk has forgotten where it was, or has found the next mode. G draws each
sample on its own from fresh z. So two samples in a row have nothing to do with each other.

Both draw from the same mixture on the line: a G that was trained for a short while, and a
Metropolis walk on the known density. An autocorrelation of r makes n samples worth about n (1 -
r)/(1 + r) independent ones.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import MODEL, THEORY, axes, legend
from gan_cli.claims.lab import Lab
from gan_cli.theory.density import GaussianMixture

STRIDE, LAGS = 0.5, 40


def metropolis(density: GaussianMixture, n: int, generator: torch.Generator) -> Tensor:
    """A walk of n steps on a density."""
    steps = torch.randn(n, generator=generator, dtype=torch.float64) * STRIDE
    chances = torch.rand(n, generator=generator, dtype=torch.float64).log()
    x, log_p, walk = torch.zeros(1, 1, dtype=torch.float64), -torch.inf, []
    for step, chance in zip(steps, chances, strict=True):
        proposal = x + step
        proposed = density.log_prob(proposal).item()
        if chance < proposed - log_p:
            x, log_p = proposal, proposed
        walk.append(x.item())
    return torch.tensor(walk)


def autocorrelations(x: Tensor) -> list[float]:
    """The correlation of samples that are 0, 1, ... LAGS apart."""
    centred = x.double() - x.double().mean()
    return [
        (centred[lag:] * centred[: len(x) - lag]).mean().item() / centred.square().mean().item()
        for lag in range(LAGS + 1)
    ]


def show(lab: Lab) -> Outcome:
    """Draw from G and from a walk, and compare neighbours."""
    experiment = lab.experiment("data=mixture_1d", "noise.dim=1", "data.batch_size=128")
    experiment.play(lab.steps(300, fast=5))
    n = lab.steps(20_000, fast=3000)
    began = time.perf_counter()
    samples = experiment.samples(n, seed=lab.seed)[:, 0]
    of_g = time.perf_counter() - began
    began = time.perf_counter()
    walk = metropolis(experiment.density, n, lab.generator("walk"))
    of_walk = time.perf_counter() - began
    free, bound = autocorrelations(samples), autocorrelations(walk)
    errors = max(abs(r) for r in free[1:6]) * n**0.5
    rates = [
        n * (1 - r) / (1 + r) / seconds
        for r, seconds in ((abs(free[1]), of_g), (bound[1], of_walk))
    ]
    figure, plot = axes("samples apart", "autocorrelation")
    plot.plot(bound, color=THEORY, label=f"Metropolis walk: {rates[1]:,.0f} independent samples/s")
    plot.plot(free, color=MODEL, label=f"G: {rates[0]:,.0f} independent samples/s")
    plot.axhline(0, color="gray", linewidth=0.6)
    legend(figure, columns=1)
    return Outcome(
        [
            Check(
                "G: largest |autocorrelation| of lags 1 to 5, in standard errors",
                errors,
                at_most=3.5,
            ),
            Check("walk: autocorrelation of neighbours", bound[1], at_least=0.5),
            Check(
                "G's independent samples a second over the walk's", rates[0] / rates[1], at_least=2
            ),
        ],
        figure,
        data={"G": free, "walk": bound},
    )


CLAIM = Claim(
    20,
    "no_markov_chain",
    statement="Sampling needs no Markov chain: samples of G are independent of each other.",
    formula="x_i = G(z_i), z_i ~ p_z independent",
    source="notes 001 and 002; Goodfellow et al. 2014, section 1",
    method="Autocorrelation of G's samples beside that of a Metropolis walk on p_data.",
    show=show,
)
