"""G minimises log(1 - D(G(z))).

That is G's term of V, the other one does not contain G. For a G that only shifts, G(z) = z + t,
and a logistic D(x) = sigmoid(a x + b), the gradient is a line on paper:

    d/dt log(1 - D(z + t)) = -a D(z + t)

G moves against it: towards larger x where a > 0, that is to where D finds data more likely. The
factor D is the flaw of this loss: where D is sure that samples are fake, nothing is left of it.
"""

from __future__ import annotations

import torch

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import MODEL, THEORY, axes, legend
from gan_cli.claims.lab import Given, Lab
from gan_cli.spec import Batch

SLOPE, BIAS = 1.5, -2.0
SHIFTS = tuple(-4 + 0.5 * i for i in range(17))


def show(lab: Lab) -> Outcome:
    """Compare the gradient that the game computes with the one on paper, for many shifts."""
    batch = Batch(torch.zeros(4096, 1), None)
    computed, on_paper = [], []
    for shift in SHIFTS:
        generator = Given(lambda z, t: z + t, [shift])
        discriminator = Given(lambda x: SLOPE * x[:, 0] + BIAS)
        game = lab.game(generator, discriminator, "data=gaussian", "noise.dim=1", "loss=minimax")
        same_draws = torch.Generator().set_state(game.rng.get_state())
        loss, _ = game.g_loss(batch)
        (gradient,) = torch.autograd.grad(loss, list(generator.parameters()))
        z = game.noise.sample(len(batch.x), generator=same_draws).double()
        computed.append(gradient.item())
        on_paper.append((-SLOPE * torch.sigmoid(SLOPE * (z + shift) + BIAS)).mean().item())
    worst = max(abs(a - b) for a, b in zip(computed, on_paper, strict=True))
    figure, plot = axes("shift t of G", "gradient of G's loss")
    plot.plot(SHIFTS, on_paper, color=THEORY, label="-a E[D(z + t)]")
    plot.plot(SHIFTS, computed, "o", color=MODEL, label="the game")
    legend(figure)
    return Outcome(
        [Check("largest difference of the two gradients", worst, at_most=1e-6)],
        figure,
        data={"shift": SHIFTS, "on paper": on_paper, "computed": computed},
    )


CLAIM = Claim(
    5,
    "generator_descends",
    statement="G minimises log(1 - D(G(z))), its own term of V.",
    formula="d/dt E_z[log(1 - D(z + t))] = -a E_z[D(z + t)] for D(x) = sigmoid(a x + b)",
    source="all notes; Goodfellow et al. 2014, equation 1 and Algorithm 1",
    method="A G of one parameter against a logistic D; the game's gradient against the formula.",
    show=show,
)
