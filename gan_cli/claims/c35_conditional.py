"""A conditional GAN judges two things: is x real, and does it match the condition c?

G and D both see c. With fakes as its only bad examples, D learns little of the match: G's first
attempts are bad under every label. The third term hands D real data under wrong labels, so that
"real, but not a three" becomes a reason to reject:

    max over D of  E log D(x|c) + E log(1 - D(G(z|c)|c)) + E log(1 - D(x|c'))

The term has a price that the notes do not mention. The best D is now p / (p + q + m), where m is
the density of mismatched pairs, and G does best not with q = p but with q + m close to a multiple
of p. Where classes overlap, so that a wrong label may fit, the best q is not the data. This is
worked out below for two overlapping Gaussians, by gradient descent on a grid.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import DATA, MODEL, THEORY, legend, name, several
from gan_cli.claims.lab import Lab
from gan_cli.games.base import evaluating
from gan_cli.theory.divergence import jsd

WITH, WITHOUT = "classes", "classes_unmatched"
AGREEMENT = "eval/label_agreement"


def verdict_on_mismatch(lab: Lab, run: str) -> float:
    """Mean D(x|c') of real images under all wrong labels."""
    game, real = lab.trained(run).sampler, lab.reference(run).real
    images, labels = real.sample(lab.steps(1000, fast=20))
    assert labels is not None
    x = game.spec.from_unit(images)
    shifts = range(1, game.spec.classes)
    with evaluating(game.discriminator):
        outputs = [
            torch.sigmoid(game.discriminator(x, (labels + shift) % game.spec.classes)).mean()
            for shift in shifts
        ]
    return torch.stack(outputs).mean().item()


def best_imitation(p: Tensor, m: Tensor, *, steps: int) -> Tensor:
    """The masses q that lose least against the best D, which rejects q and m."""
    raw = p.log().clamp_min(-50).requires_grad_()
    optimizer = torch.optim.Adam([raw], lr=0.05)
    for _ in range(steps):
        q = raw.softmax(dim=0)
        best = p / (p + q + m)
        value = (p * best.log()).sum() + ((q + m) * torch.log1p(-best)).sum()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return raw.detach().softmax(dim=0)


def show(lab: Lab) -> Outcome:
    """With and without the third term: D on wrong labels, and G's obedience."""
    n = lab.steps(2000, fast=50)
    seen = {run: verdict_on_mismatch(lab, run) for run in (WITH, WITHOUT)}
    scalars = {run: lab.measured(run, "label_agreement", n=n).scalars for run in (WITH, WITHOUT)}
    agreement = {run: scalars[run][AGREEMENT] for run in scalars}
    error = math.hypot(*(scalars[run][f"{AGREEMENT}_error"] for run in scalars))
    x = torch.linspace(-5, 5, 401, dtype=torch.float64)
    p, m = (torch.softmax(-((x - mean) ** 2) / 2, dim=0) for mean in (-1, 1))
    q = best_imitation(p, m, steps=lab.steps(3000, fast=20))
    figure, (left, middle, right) = several(3, width=3.4)
    name(left, "", "mean D(x | wrong label)")
    left.bar(["with third term", "without"], list(seen.values()), color=[MODEL, DATA])
    name(middle, "", "label agreement")
    middle.bar(["with third term", "without"], list(agreement.values()), color=[MODEL, DATA])
    middle.set_ylim(0, 1)
    name(right, "x", "density", title="overlapping classes")
    spacing = float(x[1] - x[0])
    right.plot(x, p / spacing, color=DATA, label="p: data of the class")
    right.plot(x, m / spacing, color=THEORY, linestyle=":", label="m: of the other")
    right.plot(x, q / spacing, color=MODEL, label="G's best answer")
    legend(figure)
    return Outcome(
        [
            Check("label agreement with the third term", agreement[WITH], at_least=0.95),
            Check(
                "gain of agreement by it",
                agreement[WITH] - agreement[WITHOUT],
                error=error,
                at_least=2 * error,
            ),
            Check("mean D(x | wrong label) with it", seen[WITH], at_most=0.75 * seen[WITHOUT]),
            Check("mean D(x | wrong label) without it", seen[WITHOUT]),
            Check("JSD of p and G's best answer where classes overlap", jsd(p, q), at_least=0.01),
        ],
        figure,
        limits="the third term moves the optimum: where classes overlap, G's best answer is not "
        "the data",
        data={"x": x.tolist(), "p": p.tolist(), "m": m.tolist(), "q": q.tolist()},
    )


CLAIM = Claim(
    35,
    "conditional",
    statement="A conditional D judges realness and match; the third term makes it see mismatch.",
    formula="V + E[log(1 - D(x|c'))], c' a wrong condition",
    source="note 003; Mirza & Osindero 2014; Reed et al. 2016, section 4.1",
    method="Two runs on digits, with and without the term; the changed optimum on a grid.",
    show=show,
    runs=(WITH, WITHOUT),
)
