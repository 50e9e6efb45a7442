"""The two ends of V: a perfect D, and a D that is fooled.

V is a sum of logarithms of probabilities, so it is never above 0. A D that is right about
everything reaches 0: log 1 + log(1 - 0). A D that takes data for fake and fakes for data pays
without bound: V goes to minus infinity. In between, a D that says 1/2 gets -log 4.

Data lie at -1 and samples at +1, D(x) = sigmoid(s x), and s goes from one end to the other.
"""

from __future__ import annotations

import math

import torch

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import MODEL, axes
from gan_cli.claims.lab import Given, Lab
from gan_cli.spec import Batch

SLOPES = (-200.0, -20.0, -5.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0, 20.0, 200.0)


def show(lab: Lab) -> Outcome:
    """V of the game over D's slope."""
    batch = Batch(torch.full((64, 1), -1.0), None)
    values = []
    for slope in SLOPES:
        game = lab.game(
            Given(lambda z: 0 * z + 1),
            Given(lambda x, slope=slope: slope * x[:, 0]),
            "data=gaussian", "noise.dim=1", "loss=minimax",
        )  # fmt: skip
        with torch.no_grad():
            values.append(game.d_loss(batch)[1]["value"].item())
    figure, plot = axes("slope s of D (data at -1, samples at +1)", "V(D,G) in nats")
    plot.plot(SLOPES, values, "o-", color=MODEL)
    plot.set_xscale("symlog")
    plot.set_yscale("symlog", linthresh=1)
    plot.axhline(-math.log(4), color="gray", linestyle=":")
    plot.text(SLOPES[0], -math.log(4), "-log 4", va="bottom", fontsize=9)
    fooled = values[-1] / (-2 * SLOPES[-1])
    return Outcome(
        [
            Check("V of a perfect D", values[0], at_least=-1e-6, at_most=0.0),
            Check("V of a D that says 1/2, plus log 4", abs(values[5] + math.log(4)), at_most=1e-6),
            Check(
                "V of a fooled D over -2 s, where s = 200", fooled, at_least=0.999, at_most=1.001
            ),
        ],
        figure,
        data={"slope": SLOPES, "V": values},
    )


CLAIM = Claim(
    21,
    "both_ends",
    statement="V -> 0 for a perfect D, and V -> -infinity for a D that is fooled.",
    formula="log 1 + log(1 - 0) = 0;  log 0 + log(1 - 1) = -infinity",
    source="notes 002 and 003",
    method="Hand-made players, from a perfect D to a fooled one.",
    show=show,
)
