"""A GAN becomes conditional if both players see c: data are then pairs (c, x).

Nothing else in the game changes. D judges whether x is real *and* goes with c, so G has to make
the x that belongs to the c it was told. Here c is a class: the number of one of eight Gaussians
on a ring. Samples that were asked for by number must lie at that Gaussian, and spread as it does.
(This is the objective of 2014. gan-train's third term, for wrong labels, is off: it would draw
each class together.)

The control has the same points under shuffled labels. There c says nothing of x, and a sample
that was asked for by number lies at that Gaussian only by chance, one time in eight.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import legend, name, several
from gan_cli.claims.lab import Experiment, Lab
from gan_cli.evaluation.measures import share_error

MODES, SHOWN = 8, 800
SETTINGS = (
    "model=cgan", "model/backbone@model=mlp", "data=ring", f"data.modes={MODES}", "data.std=0.3",
    "data.batch_size=256", "noise.dim=2", "ema.decay=0.99", "schedule=cosine",
    "optimizer.lr=0.002", "optimizer.betas=[0.5,0.99]", "regularizer=r1",
    "regularizer.r1.weight=0.02", "k=2", "model.mismatch_weight=0",
    "model.generator.noise_hidden=64", "model.generator.label_hidden=64",
    "model.generator.joint_hidden=[64]",
    "model.discriminator.data_hidden=64", "model.discriminator.label_hidden=64",
    "model.discriminator.joint_hidden=[64]", "model.discriminator.activation=leaky_relu",
    "model.discriminator.maxout_pieces=null", "model.discriminator.joint_maxout_pieces=null",
    "model.discriminator.dropout=0",
)  # fmt: skip


def trained(lab: Lab, *, shuffled: bool) -> Experiment:
    """A conditional GAN on the ring, with the labels of the points or with shuffled ones."""
    steps = lab.steps(800, fast=10)
    experiment = lab.experiment(*SETTINGS, f"schedule.decay_steps={steps}", f"steps={steps}")
    labels = experiment.dataset.labels
    assert labels is not None
    if shuffled:
        labels.copy_(labels[torch.randperm(len(labels), generator=lab.generator("shuffle"))])
    experiment.play(steps)
    return experiment


def asked_for(experiment: Experiment, n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Samples (n, 2), the labels they were asked for by, and whether that mode is the nearest."""
    game, density = experiment.game, experiment.density
    labels = torch.arange(n) % MODES
    x = game.map_noise(game.draw_noise(n, seed=0), labels).float()
    return x, labels, torch.cdist(x.double(), density.means).argmin(dim=1) == labels


def show(lab: Lab) -> Outcome:
    """Train with true and with shuffled labels, and ask for each class equally often."""
    n = lab.steps(8000, fast=800)
    shares, at_mode, spread = {}, 0.0, 0.0
    figure, plots = several(2, width=3.6, height=3.8)
    for label, plot in zip(("labels", "shuffled labels"), plots, strict=True):
        experiment = trained(lab, shuffled=label != "labels")
        x, labels, hits = asked_for(experiment, n)
        shares[label] = hits.double().mean().item()
        if label == "labels":
            conditional = experiment
            at_mode = (hits & experiment.density.near(x)).double().mean().item()
            away = x.double() - experiment.density.means[labels]
            spread = (away.square().mean().sqrt() / experiment.density.stds[0]).item()
        name(plot, "x1", "x2", title=f"{label}: {shares[label]:.1%} where asked for")
        for mode in range(MODES):
            of_mode = x[:SHOWN][labels[:SHOWN] == mode]
            plot.plot(*of_mode.T, ".", color=f"C{mode}", markersize=3, label=f"c = {mode}")
        plot.plot(*experiment.density.means.T, "k+", markersize=9, label="mode")
        plot.axis((-2.8, 2.8, -2.8, 2.8))
        plot.set_aspect("equal")
    legend(figure, columns=5)
    return Outcome(
        [
            Check("share of samples within 3 std of the mode they were asked for by", at_mode,
                  error=share_error(at_mode, n), at_least=0.9),
            Check("their distance from it, over the data's", spread, at_least=0.6, at_most=1.4),
            Check("share nearest to it, after shuffled labels", shares["shuffled labels"],
                  at_least=0.75 / MODES, at_most=1.5 / MODES),
        ],
        figure,
        limits="classes only; vectors and images as conditions are not shown here",
        data={key: [value] for key, value in shares.items()},
        games={"ask for a c": conditional},
    )  # fmt: skip


CLAIM = Claim(
    36,
    "conditions",
    statement="With pairs (c, x) as data, G makes the x that belongs to the c it is given.",
    formula="min_G max_D E[log D(c, x)] + E[log(1 - D(c, G(c, z)))]",
    source="note 003; Mirza & Osindero 2014, section 3.2",
    method="Eight Gaussians with their numbers as classes, and a control with shuffled labels.",
    show=show,
)
