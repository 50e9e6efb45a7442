"""Training jitters: near the balance the players circle each other.

The smallest GAN shows it (the Dirac-GAN of Mescheder et al. 2018): all data are 0, G makes one
number t, and D(x) = sigmoid(p x) has one weight p. The balance is t = p = 0. With V's own loss,
D's move turns (p, t) one way and G's move the other: after a whole turn they are as far from
balance as before. They never arrive.

R1 puts a brake on D: gamma/2 |dD/dx|^2 = gamma/2 p^2. Then a step multiplies the distance by
sqrt(1 - rate gamma), which is on paper, and the circle becomes a spiral. G's other loss, -log D,
has a weak brake of its own, of second order.
"""

from __future__ import annotations

import math

import torch

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import DATA, MODEL, THEORY, axes, legend
from gan_cli.claims.lab import Given, Lab

RATE, GAMMA, START = 0.05, 0.2, 0.4
SETTINGS = (
    "data=gaussian", "data.mean=0", "data.std=1e-12", "data.samples=64", "data.batch_size=1",
    "noise.dim=1", "optimizer=sgd", f"optimizer.lr={RATE}", "optimizer.momentum=0",
    "performance=plain",
)  # fmt: skip
TURN = round(2 * math.pi / (RATE / 2))  # steps: each moves by half the rate times the other
ARMS = {
    "minimax": ("loss=minimax",),
    "with R1": ("loss=minimax", "regularizer=r1", f"regularizer.r1.weight={GAMMA}"),
    "-log D": ("loss=non_saturating",),
}


def paths(lab: Lab, steps: int) -> dict[str, list[tuple[float, float]]]:
    """The players' numbers (p, t) after each step, for each arm."""
    walked = {}
    for label, overrides in ARMS.items():
        experiment = lab.experiment(
            *SETTINGS,
            *overrides,
            generator=Given(lambda z, t: 0 * z + t, [START]),
            discriminator=Given(lambda x, p: p * x[:, 0], [0.0]),
        )
        path = walked[label] = [(0.0, START)]
        d, g = experiment.game.discriminator, experiment.game.generator
        look = lambda _, d=d, g=g, path=path: path.append(  # noqa: E731
            (next(d.parameters()).item(), next(g.parameters()).item())
        )
        experiment.play(steps, every=1, look=look)
    return walked


def show(lab: Lab) -> Outcome:
    """Walk two turns with each arm, and compare the distances from balance."""
    torch.manual_seed(lab.seed)
    steps = lab.steps(2 * TURN, fast=2 * TURN)
    walked = paths(lab, steps)
    radius = {label: [math.hypot(*point) for point in path] for label, path in walked.items()}
    kept = radius["minimax"][TURN] / radius["minimax"][0]
    per_step = (radius["with R1"][2 * TURN] / radius["with R1"][TURN]) ** (1 / TURN)
    expected = math.sqrt(1 - RATE * GAMMA)
    figure, plot = axes("D's weight p", "G's number t")
    for (label, path), color in zip(walked.items(), (MODEL, THEORY, DATA), strict=True):
        plot.plot(*zip(*path, strict=True), color=color, label=label, linewidth=1)
    plot.plot(0, 0, "k+", label="balance")
    plot.set_aspect("equal")
    legend(figure, columns=4)
    return Outcome(
        [
            Check("distance kept in one turn of minimax", kept, at_least=0.95, at_most=1.05),
            Check(
                "R1's factor a step, over sqrt(1 - rate gamma)",
                per_step / expected,
                at_least=0.999,
                at_most=1.001,
            ),
            Check(
                "distance left after two turns of -log D",
                radius["-log D"][-1] / START,
                at_most=0.99,
            ),
        ],
        figure,
        limits="-log D shrinks by itself, if slowly; the circle is V's own loss",
        data=radius,
    )


CLAIM = Claim(
    12,
    "oscillation",
    statement="Alternating play need not converge: near balance the players circle, unless braked.",
    formula="|(p, t)| stays under V alone; with R1 a step multiplies it by sqrt(1 - rate gamma)",
    source="note 002; Mescheder et al. 2018, lemma 2.3 and section 4.1",
    method="The Dirac-GAN in the product's loop, two turns with three losses.",
    show=show,
)
