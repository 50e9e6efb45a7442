"""Early on D rejects all that G makes, and log(1 - D(G(z))) gives G nothing to go by.

G begins far from the data, and D, which is faster, soon says so with confidence: D(G(z)) is 0, and
so is the slope of log(1 - D(G(z))). Theorem 1 says the same: while p_data and p_g do not meet, JSD
is log 2, however far or near they are. log D(G(z)) has a slope there (6), and G comes.
"""

from __future__ import annotations

import math

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import MODEL, THEORY, legend, name, several
from gan_cli.claims.lab import Lab

LOSSES = ("minimax", "non_saturating")
LOOKS = 20


def show(lab: Lab) -> Outcome:
    """Play experiment=vanishing_gradient with both losses."""
    steps, samples = lab.steps(600, fast=20), lab.steps(100_000, fast=2000)
    norms: dict[str, list[float]] = {}
    divergences = {}
    for loss in LOSSES:
        experiment = lab.experiment("experiment=vanishing_gradient", f"loss={loss}")
        norms[loss] = [experiment.play(steps // LOOKS)["grad_norm/g"] for _ in range(LOOKS)]
        theory = experiment.theory(samples)
        divergences[loss] = theory.scalars["divergence/jsd"]
    figure, (left, right) = several(2, width=3.6)
    name(left, "step", "norm of G's gradient")
    at = [steps // LOOKS * (number + 1) for number in range(LOOKS)]
    for loss, color in zip(LOSSES, (THEORY, MODEL), strict=True):
        left.semilogy(at, norms[loss], color=color, label=loss)
    name(right, "", "JSD at the end, in nats")
    right.bar(LOSSES, list(divergences.values()), color=[THEORY, MODEL])
    right.axhline(math.log(2), color="gray", linestyle=":", label="log 2")
    legend(figure)
    flat, steep = (min(norms[loss]) for loss in LOSSES)
    return Outcome(
        [
            Check("JSD of minimax at the end, in nats", divergences["minimax"], at_least=0.68),
            Check("least gradient of minimax", flat, at_most=0.01),
            Check("least gradient of non_saturating, as often", steep / flat, at_least=10),
            Check("JSD of non_saturating at the end", divergences["non_saturating"], at_most=0.4),
        ],
        figure,
        data=norms,
    )


CLAIM = Claim(
    11,
    "vanishing",
    statement="While D rejects all that G makes, log(1 - D(G(z))) gives G no gradient.",
    formula="d log(1 - D)/d logit = -D -> 0;  JSD = log 2",
    source="notes 000 and 002; Goodfellow et al. 2014, section 3",
    method="experiment=vanishing_gradient from one start with both losses.",
    show=show,
)
