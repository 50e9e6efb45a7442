"""Where supports do not meet, JS says the same everywhere; the Wasserstein distance points the way.

Data lie on the line x1 = t, samples on the line x1 = 0: G(z) = (theta, z) with theta = 0. The two
share no point, so JSD is log 2 for every t but 0, near or far. A D that knows this gives G no
gradient. W1, the work of moving one line onto the other, is |t|, and its slope in theta is 1.

A critic whose slope is at most 1 measures W1. The gradient penalty does not hold it at 1 exactly:
to gain s|t| - lambda (s - 1)^2, it takes the slope s = 1 + |t|/(2 lambda), a bias of 5 % at t = 1
and lambda = 10. Divided by its largest slope, its estimate is |t|.
"""

from __future__ import annotations

import math

import torch

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import DATA, MODEL, THEORY, THIRD, legend, name, several
from gan_cli.claims.lab import Experiment, Given, Lab
from gan_cli.spec import Batch
from gan_cli.training.loop import draw

DISTANCES = (-1.0, -0.5, 0.25, 1.0)
LAMBDA, FRESH = 10.0, 20  # of the penalty; batches that are averaged
SETTINGS = (
    "data=parallel_lines", "data.samples=20000", "data.batch_size=256", "noise=uniform",
    "noise.dim=1", "noise.low=0", "noise.high=1", "optimizer.lr=0.002", "schedule=cosine",
    "optimizer.betas=[0.5,0.99]", "model.discriminator.hidden=[64,64]",
)  # fmt: skip
CRITIC = ("loss=wasserstein", "regularizer=gradient_penalty", "model.discriminator.activation=silu")


def fitted(lab: Lab, distance: float, *settings: str) -> Experiment:
    """The lines so far apart, with D trained against the G of example 1, theta staying 0."""
    moves = lab.steps(500, fast=10)
    experiment = lab.experiment(
        *SETTINGS, f"data.distance={distance}", f"schedule.decay_steps={moves}", *settings,
        generator=Given(lambda z, theta: torch.cat([theta.expand_as(z), z], dim=1), [0.0]),
    )  # fmt: skip
    experiment.play_d(moves)
    experiment.game.log_due = True
    return experiment


def looks(experiment: Experiment, key: str) -> tuple[float, float]:
    """Means over batches of what D's move logs, and of the gradient by theta."""
    game, values, slopes = experiment.game, [], []
    for _ in range(FRESH):
        batch = draw(experiment.state.batches)
        assert isinstance(batch, Batch)
        values.append(game.d_loss(batch)[1][key].item())
        loss, _ = game.g_loss(batch)
        slopes.append(torch.autograd.grad(loss, list(game.generator.parameters()))[0].item())
    return sum(values) / FRESH, sum(slopes) / FRESH


def largest_slope(experiment: Experiment, distance: float) -> float:
    """Of D between the lines."""
    axes = torch.linspace(0, distance, 41), torch.linspace(0, 1, 41)
    x = torch.cartesian_prod(*axes).requires_grad_()
    (gradient,) = torch.autograd.grad(experiment.discriminator(x, None).sum(), x)
    return float(gradient.norm(dim=1).max())


def show(lab: Lab) -> Outcome:
    """Fit D with both losses for each distance, and read off what it tells G."""
    players = [fitted(lab, t, "loss=minimax") for t in DISTANCES]
    jsd, flat = zip(*[looks(player, "divergence/jsd_bound") for player in players], strict=True)
    critics = [fitted(lab, t, *CRITIC) for t in DISTANCES]
    estimates, slopes = zip(*[looks(c, "wasserstein/estimate") for c in critics], strict=True)
    steepest = [largest_slope(c, t) for c, t in zip(critics, DISTANCES, strict=True)]
    figure, (left, right) = several(2, width=3.6)
    name(left, "distance t of the lines", "how far apart")
    left.plot((-1, 0, 1), (1, 0, 1), color=THEORY, label="W1 = |t|")
    left.plot(DISTANCES, estimates, "x", color=THIRD, label="critic's estimate")
    divided = torch.tensor(estimates) / torch.tensor(steepest)
    left.plot(DISTANCES, divided, "o", color=MODEL, label="divided by its slope")
    left.plot(DISTANCES, jsd, "s", color=DATA, label="JSD by D, minimax")
    left.axhline(math.log(2), color=DATA, linestyle=":", label="log 2")
    name(right, "distance t of the lines", "gradient by theta")
    right.plot(DISTANCES, slopes, "o", color=MODEL, label="gradient: Wasserstein")
    right.plot(DISTANCES, flat, "s", color=DATA, label="gradient: minimax")
    legend(figure, columns=4)
    t = torch.tensor(DISTANCES)
    wrong = (divided / t.abs() - 1).abs().max().item()
    biased = t.abs() * (1 + t.abs() / (2 * LAMBDA))
    off = (torch.tensor(estimates) / biased - 1).abs().max().item()
    turned = (torch.tensor(slopes) + t.sign()).abs().max().item()
    return Outcome(
        [
            Check("largest |estimate / slope - |t|| over |t|", wrong, at_most=0.05),
            Check("least JSD by a fitted D, in nats", min(jsd), at_least=math.log(2) - 0.01),
            Check("largest minimax gradient by theta", max(map(abs, flat)), at_most=0.05),
            Check("largest |gradient + sign(t)| of Wasserstein", turned, at_most=0.1),
            Check("largest distance of the estimate from its biased form", off, at_most=0.05),
        ],
        figure,
        data={"t": DISTANCES, "jsd": jsd, "estimate": estimates, "gradient": slopes},
    )


CLAIM = Claim(
    27,
    "wasserstein",
    statement="Where supports do not meet, JS gives no direction; the Wasserstein distance does.",
    formula="parallel lines at t != 0: JSD = log 2, W1 = |t|",
    source="note 001; Arjovsky et al. 2017, example 1; Gulrajani et al. 2017 for the penalty",
    method="D fitted to lines at four distances, by minimax and as a critic with gradient penalty.",
    show=show,
)
