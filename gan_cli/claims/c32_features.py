"""D learns features that classify.

Nobody told D what a three is. It only had to tell real digits from G's attempts, and for that it
had to see strokes and how they hang together. So the layers of a trained D should help to classify
digits: a linear classifier on them should beat one on raw pixels. How much of that D has learnt,
and how much convolutions see anyway, is told by the layers of a D that was never trained.

The classifier learns from few labels, as it would where labels are dear. With hundreds of them,
pixels alone tell these digits apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import DATA, MODEL, THEORY, axes
from gan_cli.claims.exact import standard_error
from gan_cli.claims.lab import Lab
from gan_cli.evaluation.label_measures import pooled_features

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PER_CLASS, DRAWS = 3, 12  # labels that the classifier learns from, and how often they are drawn
RUN = "digits"


def show(lab: Lab) -> Outcome:
    """Classify held-out digits by pixels, by an untrained D and by the trained one."""
    real = lab.reference(RUN).real
    assert real.test is not None
    game = lab.trained(RUN).sampler
    untrained = lab.experiment(*lab.overrides(RUN)).discriminator
    x, labels = real.sample(len(real.train))
    test_x, test_labels = real.sample(len(real.test), of_test=True)
    assert labels is not None
    assert test_labels is not None
    ways = {
        "pixels": (x.flatten(1), test_x.flatten(1)),
        "untrained D": both(untrained, game.spec.from_unit(x), game.spec.from_unit(test_x)),
        "trained D": both(game.discriminator, game.spec.from_unit(x), game.spec.from_unit(test_x)),
    }
    draws = lab.steps(DRAWS, fast=2)
    generator = lab.generator("labels")
    chosen = [few(labels, generator) for _ in range(draws)]
    correct = {
        name: torch.tensor(
            [accuracy(known[rows], labels[rows], unseen, test_labels) for rows in chosen]
        )
        for name, (known, unseen) in ways.items()
    }
    over_pixels, over_untrained = (
        correct["trained D"] - correct[name] for name in ("pixels", "untrained D")
    )
    error, what = standard_error(over_pixels), "gain of a trained D's features over"
    return Outcome(
        [
            Check(f"{what} pixels", over_pixels.mean().item(), error=error, at_least=2 * error),
            Check(
                f"{what} an untrained D's",
                over_untrained.mean().item(),
                error=standard_error(over_untrained),
            ),
        ],
        drawn(correct),
        limits="they beat pixels; on these small digits an untrained D of the same shape does "
        "about as well, so the gain is the convolutions' more than the game's",
        data={name: values.tolist() for name, values in correct.items()},
    )


def drawn(correct: dict[str, Tensor]) -> Figure:
    """A bar for each way, and chance."""
    figure, plot = axes("", "share of held-out digits classified rightly")
    means = [values.mean().item() for values in correct.values()]
    errors = [standard_error(values) for values in correct.values()]
    plot.bar(list(correct), means, yerr=errors, color=[DATA, THEORY, MODEL], width=0.6, capsize=4)
    plot.set_ylim(0, 1)
    plot.axhline(0.1, color="gray", linestyle=":", linewidth=0.8)
    return figure


def both(discriminator: torch.nn.Module, *several: Tensor) -> tuple[Tensor, ...]:
    """D's features of several sets of images."""
    return tuple(pooled_features(discriminator, x) for x in several)


def few(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Rows of so many data of each class."""
    order = torch.randperm(len(labels), generator=generator)
    return torch.cat([order[labels[order] == c][:PER_CLASS] for c in labels.unique()])


def accuracy(x: Tensor, labels: Tensor, test_x: Tensor, test_labels: Tensor) -> float:
    """Of logistic regression on standardised features, on data that it has not seen."""
    from sklearn.linear_model import LogisticRegression

    mean, std = x.mean(dim=0), x.std(dim=0) + 1e-6
    machine = LogisticRegression(max_iter=300, C=0.1).fit(
        ((x - mean) / std).numpy(), labels.numpy()
    )
    return float(machine.score(((test_x - mean) / std).numpy(), test_labels.numpy()))


CLAIM = Claim(
    32,
    "features",
    statement="D's layers are features that classify, though D never saw a label.",
    formula="correct(linear on D's layers) > correct(linear on pixels)",
    source="note 001; Radford et al. 2015, section 5.1",
    method="Linear classifiers on three labels a class: on pixels, an untrained D, a trained D.",
    show=show,
    runs=(RUN,),
)
