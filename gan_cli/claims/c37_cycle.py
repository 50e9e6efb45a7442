"""CycleGAN: two GANs, and a term that makes there and back again lead home.

Two heaps of images, gray digits and blue ones on yellow, and no pairs. G translates from A to B
and F back; D_B and D_A judge. The adversarial terms alone only ask that G(a) looks like some image
of B: any permutation of the digits would do. The cycle term ties both maps together:

    lambda (E |F(G(a)) - a| + E |G(F(b)) - b|)

Here the true translation is known, so one sees what it does: without it, a three becomes some other
fine digit; with it, a three stays a three.
"""

from __future__ import annotations

import torch

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import name, several
from gan_cli.claims.lab import Lab
from gan_cli.data.base import PairDataset
from gan_cli.pictures import sheet, to_bytes

WITH, WITHOUT = "domains", "domains_without_cycle"
DIGITS, UNSEEN = 8, 397


def translations(lab: Lab, run: str) -> torch.Tensor:
    """Unseen digits of A and below them their translations, as bytes."""
    test = lab.reference(run).test
    assert isinstance(test, PairDataset)
    x = test.a.take(torch.arange(DIGITS))[0]
    made = lab.trained(run).translate(x, "a2b")
    shown = to_bytes(x, test.a.spec).expand(-1, 3, -1, -1)
    return torch.cat([shown, to_bytes(made, test.b.spec)])


def show(lab: Lab) -> Outcome:
    """Translate unseen digits with a run that has the term, and one that lacks it."""
    n = lab.steps(UNSEEN, fast=20)
    scalars = {run: lab.measured(run, "translation", n=n).scalars for run in (WITH, WITHOUT)}
    worst = {
        run: min(values[f"eval/label_agreement_{way}"] for way in ("a2b", "b2a"))
        for run, values in scalars.items()
    }
    most = {
        run: max(values[f"eval/translation_{way}"] for way in ("a2b", "b2a"))
        for run, values in scalars.items()
    }
    figure, plots = several(2, width=5, height=2.2)
    for plot, run, title in zip(
        plots, (WITH, WITHOUT), ("with the cycle term", "without it"), strict=True
    ):
        name(plot, "", "", title=title)
        plot.imshow(sheet(translations(lab, run), columns=DIGITS))
        plot.axis("off")
    return Outcome(
        [
            Check("label agreement with the cycle term", worst[WITH], at_least=0.9),
            Check("label agreement without it", worst[WITHOUT], at_most=worst[WITH] - 0.1),
            Check("error of pixels with it", most[WITH], at_most=0.06),
            Check("error of pixels without it", most[WITHOUT], at_least=1.5 * most[WITH]),
        ],
        figure,
        data={"label agreement": list(worst.values()), "error": list(most.values())},
    )


CLAIM = Claim(
    37,
    "cycle",
    statement="Two GANs and the cycle term translate between domains without pairs.",
    formula="V(D_B,G) + V(D_A,F) + lambda (E|F(G(a)) - a| + E|G(F(b)) - b|)",
    source="note 003; Zhu et al. 2017, equations 1 to 3",
    method="Digits in two looks, with and without the term, held against the true translation.",
    show=show,
    runs=(WITH, WITHOUT),
)
