"""... which brings too large numbers.

The note's doubt about -log D(G(z)), made a number. Let data and samples be disjoint, freeze G,
and train D on and on. D grows ever surer, so D(G(z)) falls towards 0, and -log D(G(z)) rises
without bound. So do G's gradients, and how much they differ from batch to batch (Arjovsky &
Bottou 2017, theorem 2.6). The other loss, log(1 - D(G(z))), falls towards 0, and its gradient
with it.
"""

from __future__ import annotations

import itertools

import torch

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import MODEL, THEORY, legend, name, several
from gan_cli.claims.lab import Experiment, Given, Lab
from gan_cli.spec import Batch
from gan_cli.training.loop import draw

LOOKS, BATCHES = 12, 20


def gradients(experiment: Experiment) -> tuple[float, float, float]:
    """G's mean loss over batches, and mean length and spread of its gradient."""
    game = experiment.game
    losses, slopes = [], []
    for _ in range(BATCHES):
        batch = draw(experiment.state.batches)
        assert isinstance(batch, Batch)
        loss, _ = game.g_loss(batch)
        (slope,) = torch.autograd.grad(loss, list(game.generator.parameters()))
        losses.append(loss.item())
        slopes.append(slope.item())
    spread = torch.tensor(slopes).std().item()
    return sum(losses) / BATCHES, abs(sum(slopes)) / BATCHES, spread


def show(lab: Lab) -> Outcome:
    """Train D against a frozen G, and look at G's loss and gradient on the way."""
    moves = lab.steps(100, fast=5)
    experiment = lab.experiment(
        "data=gaussian", "noise.dim=1", "loss=non_saturating", "data.batch_size=128",
        generator=Given(lambda z, t: t + 0.5 * z, [-4.0]),
    )  # fmt: skip
    seen = []
    for _ in range(LOOKS):
        experiment.play_d(moves)
        seen.append(gradients(experiment))
    losses, slopes, spreads = (list(column) for column in zip(*seen, strict=True))
    at = [moves * (i + 1) for i in range(LOOKS)]
    figure, (left, right) = several(2, width=3.5)
    name(left, "moves of D", "G's loss, -log D(G(z))")
    left.plot(at, losses, color=MODEL, label="loss")
    name(right, "moves of D", "G's gradient")
    right.semilogy(at, slopes, color=MODEL, label="length of the gradient")
    right.semilogy(at, spreads, color=THEORY, label="spread over batches")
    legend(figure)
    rises = sum(b > a for a, b in itertools.pairwise(losses)) / (LOOKS - 1)
    return Outcome(
        [
            Check("G's loss at the end over the start", losses[-1] / losses[0], at_least=1.5),
            Check("share of looks at which the loss had risen", rises, at_least=0.9),
            Check("spread of the gradient, end over start", spreads[-1] / spreads[0], at_least=1.0),
        ],
        figure,
        limits="supports are disjoint; where they overlap, D and the loss stay bounded",
        data={"moves": at, "loss": losses, "gradient": slopes, "spread": spreads},
    )


CLAIM = Claim(
    7,
    "too_large",
    statement="Against a D trained to the end, -log D(G(z)) and its gradient's spread grow on.",
    formula="D(G(z)) -> 0, so -log D(G(z)) -> infinity",
    source="note 002; Arjovsky & Bottou 2017, theorem 2.6",
    method="G frozen and far from the data; D is trained on and on.",
    show=show,
)
