"""G may map too many z to one x: the Helvetica scenario.

Nothing in G's loss asks for variety. If G moves too fast for D, all z go to where the present D is
mildest, D follows, and the crowd moves on to the next place. What lies elsewhere is lost.

The data are eight Gaussians on a ring. A fast G loses some. The cure here keeps D and G close
together: noise on all that D sees, which fades as the learning rate does (Arjovsky & Bottou 2017).
Counted are modes that get at least a quarter of their due, and how many different samples lie in
modes, to a tenth of a mode's width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import DATA, MODEL, legend, name, several
from gan_cli.claims.lab import Experiment, Lab
from gan_cli.theory.density import GaussianMixture

ARMS = {"collapse": "mode_collapse", "cure": "ring_modes"}
STEPS = {"collapse": 1500, "cure": 4000}
CHANGES: dict[str, Callable[[int], list[str]]] = {
    "collapse": lambda _: [],
    "cure": lambda steps: [
        "ema.decay=0.99",
        f"schedule.decay_steps={steps}",
        f"regularizer.instance_noise.decay_steps={steps * 2 // 3}",
    ],
}
SAMPLES, SHOWN = 10_000, 1000
DUE = 0.25  # share of its due that a mode must get


def distinct(x: Tensor, width: float) -> int:
    """How many of the points (n, dim) differ, to so fine a grid."""
    return len((x / width).round().unique(dim=0))


def well_covered(x: Tensor, density: GaussianMixture) -> int:
    """How many modes get a quarter of their due of the samples x."""
    near = x[density.near(x)]
    shares = torch.cdist(near.double(), density.means).argmin(dim=1).bincount() / len(x)
    return int((shares >= DUE / len(density.means)).sum())


def show(lab: Lab) -> Outcome:
    """Train both, and count."""
    n = lab.steps(SAMPLES, fast=500)
    figure, plots = several(len(ARMS), width=3.4, height=3.6)
    covered, share = {}, {}
    games: dict[str, Experiment] = {}
    for (arm, recipe), plot in zip(ARMS.items(), plots, strict=True):
        steps = lab.steps(STEPS[arm], fast=10)
        experiment = lab.experiment(f"experiment={recipe}", f"steps={steps}", *CHANGES[arm](steps))
        experiment.play(steps)
        games[arm] = experiment
        x, density = experiment.samples(n, seed=lab.seed), experiment.density
        real, _ = density.sample(n, generator=lab.generator("real"))
        width = 0.1 * density.stds[0].item()
        covered[arm] = well_covered(x, density)
        good = [points[density.near(points)] for points in (x, real)]
        share[arm] = distinct(good[0], width) / distinct(good[1], width)
        name(plot, "x1", "x2", title=f"{arm}: {covered[arm]} of {len(density.means)} modes")
        plot.plot(*real[:SHOWN].T, ".", markersize=2, color=DATA, label="data")
        plot.plot(*x[:SHOWN].T, ".", markersize=2, color=MODEL, label="samples")
        plot.set_aspect("equal")
    legend(figure)
    return Outcome(
        [
            Check("modes of 8 that the fast G feeds", covered["collapse"], at_most=5),
            Check("modes fed with the cure", covered["cure"], at_least=7),
            Check("different samples in modes, fast G over data", share["collapse"],
                  at_most=0.75 * share["cure"]),
            Check("the same with the cure", share["cure"]),
        ],
        figure,
        data={"modes": list(covered.values()), "distinct": list(share.values())},
        games=games,
    )  # fmt: skip


CLAIM = Claim(
    25,
    "mode_collapse",
    statement="G may send too many z to one x, and lose modes of the data.",
    formula="G(z1) = G(z2) for many z1, z2",
    source="note 001; Goodfellow et al. 2014, section 6",
    method="A ring of eight modes: a G too fast for D, and the same with fading noise on D's view.",
    show=show,
)
