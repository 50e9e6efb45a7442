"""An unsupervised task with a supervised loss.

Nobody labels the data. But D has labels all the same, for free: data are 1, samples are 0. Its
loss is that of any classifier, binary cross-entropy. The sum of both terms
is -V, so a better classifier is a D that plays better. So all that is known of training classifiers
helps.
"""

from __future__ import annotations

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import MODEL, THEORY, axes, legend
from gan_cli.claims.lab import Lab
from gan_cli.losses import NonSaturating


def show(lab: Lab) -> Outcome:
    """D's loss against binary cross-entropy, for logits of many sizes."""
    loss, scales = NonSaturating(d_weight=1.0), (0.01, 0.1, 1.0, 3.0, 10.0, 30.0, 100.0)
    of_d, of_classifier = [], []
    for scale in scales:
        logits = scale * torch.randn(
            2, 4096, generator=lab.generator("logits"), dtype=torch.float64
        )
        real, fake = logits
        of_d.append(loss.d(real, fake).item())
        both, labels = logits.flatten(), torch.cat([torch.ones(4096), torch.zeros(4096)]).double()
        of_classifier.append(2 * binary_cross_entropy_with_logits(both, labels).item())
    worst = max(abs(a - b) / b for a, b in zip(of_d, of_classifier, strict=True))
    figure, plot = axes("size of D's logits", "loss of D")
    plot.loglog(
        scales, of_classifier, color=THEORY, label="2 x binary cross-entropy with labels 1 and 0"
    )
    plot.loglog(scales, of_d, "o", color=MODEL, label="D's loss")
    legend(figure, columns=1)
    return Outcome(
        [Check("largest relative difference of both", worst, at_most=1e-7)],
        figure,
        data={"scale": scales, "D": of_d, "classifier": of_classifier},
    )


CLAIM = Claim(
    30,
    "supervised_loss",
    statement="D learns by a supervised loss: binary cross-entropy with labels 1 and 0.",
    formula="-V(D,G) = 2 BCE(D, real = 1, generated = 0)",
    source="note 002",
    method="D's loss and PyTorch's binary cross-entropy on the same logits.",
    show=show,
)
