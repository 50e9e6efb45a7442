"""Training D to the end before each move of G costs too much, and overfits finite data.

Algorithm 1 lets D move k times and no more. One reason is time. The other is that V is an average
over data at hand. With 200 of them, a D that is trained on and on learns those 200 by heart, and
its verdicts on them say ever less about data that it has not seen. V goes on rising on its own
data, while on others it falls.

G stands still here, half a standard deviation beside the data, so that the best V is known.
"""

from __future__ import annotations

import time

from torch import Tensor

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import MODEL, THEORY, legend, name, several
from gan_cli.claims.lab import Experiment, Given, Lab
from gan_cli.losses import value
from gan_cli.theory.measure import logits_of

DATA_AT_HAND, FRESH, SHIFT = 200, 5000, 0.5
KS = (1, 5, 25, 125, 625, 3125)  # moves of D


def both_values(experiment: Experiment, held_out: Tensor, fakes: Tensor) -> tuple[float, float]:
    """V on the data that D is trained on, and on others."""
    fake = logits_of(experiment.discriminator, fakes)
    own, others = (
        value(logits_of(experiment.discriminator, x), fake).item()
        for x in (experiment.dataset.first(DATA_AT_HAND), held_out)
    )
    return own, others


def show(lab: Lab) -> Outcome:
    """Let D move more and more against a G that stays as it is."""
    experiment = lab.experiment(
        "data=gaussian", "data.dim=2", "data.mean=0", "data.std=1", "noise.dim=2",
        f"data.samples={DATA_AT_HAND}", "data.batch_size=50",
        "model.discriminator.hidden=[256,256]", "model.discriminator.dropout=0",
        "model.discriminator.dropout_input=0", "optimizer.lr_d=0.002",
        generator=Given(lambda z: z + SHIFT),
    )  # fmt: skip
    held_out, _ = experiment.density.sample(FRESH, generator=lab.generator("held out"))
    own, others, seconds, moved, spent = [], [], [], 0, 0.0
    for k in KS if not lab.fast else KS[:3]:
        began = time.perf_counter()
        experiment.play_d(k - moved)
        spent, moved = spent + time.perf_counter() - began, k
        fakes = experiment.samples(FRESH, seed=lab.seed)
        values = both_values(experiment, held_out, fakes)
        own.append(values[0])
        others.append(values[1])
        seconds.append(spent)
    gaps = [a - b for a, b in zip(own, others, strict=True)]
    figure, (left, right) = several(2, width=3.6)
    name(left, "moves of D", "V in nats")
    ks = KS[: len(gaps)]
    left.semilogx(ks, own, "o-", color=MODEL, label="on D's 200 data")
    left.semilogx(ks, others, "o-", color=THEORY, label="on data held out")
    name(right, "moves of D", "seconds")
    right.loglog(ks, seconds, "o-", color="gray")
    legend(figure)
    return Outcome(
        [
            Check("V on D's own data above V on others, at the end", gaps[-1],
                  at_least=gaps[0] + 0.02),
            Check("the same at the start", gaps[0]),
            Check("seconds at the end, over those of k = 1", seconds[-1] / seconds[0],
                  at_least=3),
        ],
        figure,
        data={"k": ks, "V on own": own, "V on others": others, "seconds": seconds},
    )  # fmt: skip


CLAIM = Claim(
    10,
    "overfit",
    statement="Training D to the end each time costs too much, and overfits finite data.",
    formula="V on D's own data - V on data held out, growing with k",
    source="note 000; Goodfellow et al. 2014, section 3",
    method="200 points: D moves 1 to 3,125 times against a frozen G; V on them and on fresh ones.",
    show=show,
)
