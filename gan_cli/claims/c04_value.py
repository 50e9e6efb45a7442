"""V(D,G), the one number that both players fight over.

V(D,G) = E_x[log D(x)] + E_z[log(1 - D(G(z)))]. D wants it large: D(x) near 1 on data, D(G(z))
near 0 on what G makes. G wants it small. If D says 1/2 to everything, V = 2 log(1/2) = -log 4 =
-1.386.

Here both players are made by hand, so that V is known exactly: data are N(0, 1), G moves noise by
1, and D(x) = sigmoid(s x - 0.5). Each expectation is an integral over a normal density, which
quadrature gives to many digits. The game estimates the same from draws, as in training.
"""

from __future__ import annotations

import math

import torch
from torch.nn.functional import logsigmoid

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import MODEL, THEORY, axes, legend
from gan_cli.claims.exact import expectation, variance
from gan_cli.claims.lab import Given, Lab
from gan_cli.spec import Batch

SHIFT, BIAS = 1.0, -0.5
ROUNDING = 1e-6  # of float32; a D that says 1/2 has no other error
SLOPES = (-2.0, -1.0, 0.0, 1.0, 2.0)


def show(lab: Lab) -> Outcome:
    """Measure V of hand-made players, and hold it against the integral."""
    n = lab.steps(1_000_000, fast=50_000)
    x = torch.randn(n, 1, generator=lab.generator("value"))
    measured, exact, distances = [], [], []
    for slope in SLOPES:
        game = lab.game(
            Given(lambda z: z + SHIFT),
            Given(lambda x, slope=slope: slope * x[:, 0] + BIAS),
            "data=gaussian", "noise.dim=1", "loss=minimax",
        )  # fmt: skip
        with torch.no_grad():
            measured.append(game.d_loss(Batch(x, None))[1]["value"].item())
        real = lambda x, slope=slope: logsigmoid(slope * x + BIAS)  # noqa: E731
        fake = lambda x, slope=slope: logsigmoid(-(slope * x + BIAS))  # noqa: E731
        exact.append(expectation(real) + expectation(fake, mean=SHIFT))
        error = math.sqrt((variance(real) + variance(fake, mean=SHIFT)) / n)
        distances.append(abs(measured[-1] - exact[-1]) / max(error, ROUNDING))
    figure, plot = axes("slope s of D", "V(D,G) in nats")
    plot.plot(SLOPES, exact, color=THEORY, label="the integral")
    plot.plot(SLOPES, measured, "o", color=MODEL, label=f"the game, {n:,} draws")
    legend(figure)
    return Outcome(
        [
            Check(
                "largest distance from the integral, in standard errors",
                max(distances),
                at_most=3.5,
            )
        ],
        figure,
        data={"slope": SLOPES, "integral": exact, "measured": measured},
    )


CLAIM = Claim(
    4,
    "value",
    statement="The game's value is the expected log-likelihood of D's verdicts on data and fakes.",
    formula="V(D,G) = E_x[log D(x)] + E_z[log(1 - D(G(z)))]",
    source="all notes; Goodfellow et al. 2014, equation 1",
    method="Five hand-made D, one shift G; the game's value against quadrature.",
    show=show,
)
