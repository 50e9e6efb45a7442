"""D must keep in step with G: k neither too small nor too large.

If G moves much more often than D, it finds the one x that the present D likes best, and puts all
its mass there. If D moves much more often than G, most moves are spent on a D that was good enough,
and against V itself it leaves G little to go by. Between both lies a k that is best for the same
number of moves in all.
"""

from __future__ import annotations

import torch

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import MODEL, axes
from gan_cli.claims.exact import standard_error
from gan_cli.claims.lab import Lab

PACES = {"1/20": (1, 20), "1/5": (1, 5), "1": (1, 1), "2": (2, 1), "5": (5, 1), "20": (20, 1),
         "100": (100, 1)}  # fmt: skip
MOVES, SEEDS = 2400, 3  # of both players together


def divergence(lab: Lab, k: int, g_moves: int) -> float:
    """JSD after so many moves of both players together."""
    steps = max(1, lab.steps(MOVES, fast=8) // (k + g_moves))
    experiment = lab.experiment(
        "data=mixture_1d", "data.batch_size=128", "noise.dim=1", "loss=minimax", f"k={k}",
        f"g_moves={g_moves}", "model.generator.hidden=[64,64]",
        "model.discriminator.hidden=[64,64]", "model.discriminator.fourier_features=64",
        "optimizer.lr=0.001", "optimizer.betas=[0.5,0.99]",
    )  # fmt: skip
    experiment.play(steps)
    samples = lab.steps(50_000, fast=2000)
    theory = experiment.theory(samples)
    return theory.scalars["divergence/jsd"]


def show(lab: Lab) -> Outcome:
    """The same number of moves, shared out between both players in seven ways."""
    labs = [
        Lab(lab.folder, seed=lab.seed_for("pace", str(number)) % 2**31, fast=lab.fast)
        for number in range(lab.steps(SEEDS, fast=2))
    ]
    found = {
        pace: torch.tensor([divergence(one, *moves) for one in labs])
        for pace, moves in PACES.items()
    }
    means = {pace: values.mean().item() for pace, values in found.items()}
    errors = {pace: standard_error(values) for pace, values in found.items()}
    best = min(means, key=lambda pace: means[pace])
    figure, plot = axes("moves of D for each move of G", "JSD in nats")
    plot.errorbar(list(means), list(means.values()), yerr=list(errors.values()), fmt="o-",
                  color=MODEL, capsize=4)  # fmt: skip
    plot.set_ylim(bottom=0)
    checks = []
    for end in ("1/20", "100"):
        error = (errors[end] ** 2 + errors[best] ** 2) ** 0.5
        excess = means[end] - means[best]
        what = f"JSD at {end}, above that at {best}"
        checks.append(Check(what, excess, error=error, at_least=2 * error))
    return Outcome(checks, figure, data={pace: values.tolist() for pace, values in found.items()})


CLAIM = Claim(
    9,
    "pace",
    statement="D must keep in step with G: for equal work, k has an optimum in between.",
    formula="JSD after (k + g) moves x steps = const.",
    source="note 002; Goodfellow et al. 2014, section 3",
    method="2,400 moves shared out from 20 of G for one of D to 100 of D for one of G; 3 seeds.",
    show=show,
)
