"""Proposition 2: if D is at its best before each step of p_g, then p_g reaches p_data.

The proof moves p_g itself, not the weights of a network. C(p_g) = max_D V is convex in p_g, and
its slope at each x is log(1 - D*(x)), with D* of proposition 1. So going down that slope cannot
get stuck. We do just that on a grid: p_g is 400 numbers that sum to 1, D* is exact, and each step
multiplies p_g by exp(-rate log(1 - D*)).

A network's p_g moves through its weights, and there the proof does not hold. What is left of it is
seen in experiment=proposition_2: D, where it was, moves 25 times before each move of G, and stays
near its best. On an easy target G comes as near to the data.
"""

from __future__ import annotations

import itertools

import torch

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import DATA, MODEL, legend, name, several
from gan_cli.claims.lab import Lab
from gan_cli.theory.divergence import Cells, jsd
from gan_cli.theory.measure import measure

RATE, STEPS = 1.0, 60


def show(lab: Lab) -> Outcome:
    """Descend on C in the space of densities, from a p_g that has next to nothing of two modes."""
    density = lab.experiment("data=mixture_1d", "noise.dim=1").density
    cells = Cells(density)
    p_data = cells.masses(density).clamp_min(1e-300)
    x = cells.centres[:, 0]
    inside = torch.exp(-(x - 2.5).square() / 2)  # near the third mode only
    p_g = torch.cat([inside, torch.zeros(1)]) + 1e-9
    p_g = p_g / p_g.sum()
    start, divergences = p_g, [jsd(p_data, p_g)]
    for _ in range(STEPS):
        best = p_data / (p_data + p_g)
        p_g = p_g * torch.exp(-RATE * torch.log1p(-best))
        p_g = p_g / p_g.sum()
        divergences.append(jsd(p_data, p_g))
    falls = sum(b <= a + 1e-12 for a, b in itertools.pairwise(divergences))
    refitted = with_networks(lab)
    figure, (left, right, by_networks) = several(3, width=3.2)
    name(left, "x", "density")
    for mass, color, label in (
        (p_data, DATA, "p_data"),
        (start, "gray", "p_g before"),
        (p_g, MODEL, "p_g after"),
    ):
        style = ":" if label == "p_g before" else "-"
        left.plot(x, mass[:-1] / cells.area, style, color=color, label=label)
    name(right, "step", "JSD in nats")
    right.semilogy(divergences, color=MODEL)
    name(by_networks, "twentieth of the run", "JSD in nats", title="networks, D refitted")
    by_networks.semilogy(refitted, color=MODEL)
    legend(figure)
    return Outcome(
        [
            Check("JSD at the end, in nats", divergences[-1], at_most=1e-4),
            Check("share of steps in which it did not rise", falls / STEPS, at_least=1.0),
            Check("JSD of networks at the end, in nats", refitted[-1], at_most=0.01),
        ],
        figure,
        limits="the proof moves p_g itself; that networks come as near is seen, not proven",
        data={"jsd": divergences, "jsd of networks": refitted},
    )


def with_networks(lab: Lab) -> list[float]:
    """JSD while an MLP G learns against a D that is refitted before each of its moves."""
    steps, samples = lab.steps(300, fast=20), lab.steps(100_000, fast=2000)
    experiment = lab.experiment(
        "experiment=proposition_2", f"steps={steps}", f"schedule.decay_steps={steps}"
    )
    game, density = experiment.game, experiment.density
    divergences: list[float] = []

    def look(_: int) -> None:
        theory = measure(game, density, refit=False, samples=samples)
        divergences.append(theory.scalars["divergence/jsd"])

    experiment.play(steps, every=steps // 20, look=look)
    return divergences


CLAIM = Claim(
    18,
    "proposition_2",
    statement="If D is best before each step of p_g, and p_g can follow, p_g reaches p_data.",
    formula="p_g <- p_g exp(-rate log(1 - D*)) / Z;  JSD(p_data || p_g) -> 0",
    source="note 002; Goodfellow et al. 2014, proposition 2",
    method="Mirror descent on C over 400 cells with the exact D*; networks with D refitted.",
    show=show,
)
