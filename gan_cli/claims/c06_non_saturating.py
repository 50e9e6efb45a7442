"""In practice G maximises log D(G(z)) instead.

Early on D rejects G's samples with ease, D(G(z)) is near 0, and log(1 - D(G(z))) is flat there:
its gradient with respect to D's logit is D, that of -log D(G(z)) is 1 - D. The ratio is (1 -
D)/D: at D(G(z)) = 1/1000 the second one is 999 times as strong. Both vanish where the game is in
balance at the same place, so the fixed point stays: from a good start, both reach the same p_g.
"""

from __future__ import annotations

import math

import torch

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import MODEL, THEORY, legend, name, several
from gan_cli.claims.lab import Experiment, Lab
from gan_cli.losses import Minimax, NonSaturating

SHARES = (1e-3, 1e-2, 0.1, 0.3, 0.5, 0.9)
LOSSES = {"minimax": Minimax, "non_saturating": NonSaturating}


def gradient(loss: NonSaturating, share: float) -> float:
    """The gradient of G's loss with respect to D's logit, where D(G(z)) is `share`."""
    logit = torch.tensor([math.log(share / (1 - share))], dtype=torch.float64, requires_grad=True)
    loss.g(logit).backward()
    assert logit.grad is not None
    return logit.grad.item()


def divergence(experiment: Experiment, samples: int) -> float:
    """JSD of p_data and p_g."""
    theory = experiment.theory(samples)
    return theory.scalars["divergence/jsd"]


def show(lab: Lab) -> Outcome:
    """Both gradients over D(G(z)), and both losses from one good start to the end."""
    ratios = {}
    for share in SHARES:
        flat, strong = (gradient(kind(d_weight=1.0), share) for kind in LOSSES.values())
        ratios[share] = strong / flat
    steps = lab.steps(2500, fast=30)
    samples = lab.steps(200_000, fast=2000)
    divergences: dict[str, list[float]] = {}
    for loss in LOSSES:
        experiment = lab.experiment(
            "data=gaussian", "data.mean=1", "data.batch_size=256", "noise.dim=1", f"loss={loss}",
            "k=2", "model.discriminator.fourier_features=64", "optimizer.lr=0.002",
            "optimizer.betas=[0.5,0.99]", "schedule=cosine", f"schedule.decay_steps={steps}",
            f"steps={steps}", "ema.decay=0.99",
        )  # fmt: skip
        column = divergences[loss] = []
        experiment.play(
            steps,
            every=steps // 10,
            look=lambda _, e=experiment, c=column: c.append(divergence(e, samples)),  # type: ignore[misc]
        )
    figure, (left, right) = several(2, width=3.6)
    name(left, "D(G(z))", "ratio of the gradients")
    left.loglog(list(ratios), list(ratios.values()), "o", color=MODEL, label="the losses")
    left.loglog(SHARES, [(1 - d) / d for d in SHARES], color=THEORY, label="(1 - D)/D")
    name(right, "tenth of the run", "JSD in nats")
    for (loss, column), color in zip(divergences.items(), (THEORY, MODEL), strict=True):
        right.semilogy(column, color=color, label=loss)
    legend(figure, columns=4)
    ends = [column[-1] for column in divergences.values()]
    return Outcome(
        [
            Check(
                "ratio of the gradients at D(G(z)) = 0.001",
                ratios[1e-3],
                at_least=998.9,
                at_most=999.1,
            ),
            Check("larger JSD at the end of both runs", max(ends), at_most=0.03),
        ],
        figure,
        data={"D(G(z))": SHARES, "ratio": list(ratios.values()), **divergences},
    )


CLAIM = Claim(
    6,
    "non_saturating",
    statement="Maximising log D(G(z)) has the same fixed point and a stronger gradient early on.",
    formula="|d log D| / |d log(1 - D)| = (1 - D)/D with respect to D's logit",
    source="note 002; Goodfellow et al. 2014, end of section 3",
    method="Both losses' gradients by autograd; both trained on one Gaussian from one start.",
    show=show,
)
