"""Metrics of models that translate: there and back, and against the truth where it is known."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_cli.data.base import PairDataset
from gan_cli.evaluation.measures import mean, share
from gan_cli.evaluation.reference import unit
from gan_cli.evaluation.subject import Results, Subject
from gan_cli.games.translating import BACK, Direction, Translating
from gan_cli.system.stopping import polled

#: Each direction, the domain it starts from and the one it leads to.
WAYS: tuple[tuple[Direction, str, str], ...] = (("a2b", "a", "b"), ("b2a", "b", "a"))


def measure_cycle(subject: Subject) -> Results:
    """Mean of |F(G(a)) - a| and |G(F(b)) - b|, pixels in [0, 1], on unseen images if there are."""
    scalars: dict[str, float] = {}
    for direction, source, _ in polled(WAYS):
        domain = subject.reference.domains[source]
        dataset = domain.train if domain.test is None else domain.test
        x = dataset.take(torch.arange(min(subject.n, len(dataset))))[0]
        rebuilt = translate(subject.translator, translate(subject.translator, x, direction),
                            BACK[direction])  # fmt: skip
        error = (dataset.spec.to_unit(rebuilt) - dataset.spec.to_unit(x)).abs()
        scalars |= mean(error.flatten(1).mean(dim=1), f"eval/cycle_{source}")
    return Results(scalars)


def translate(game: Translating, x: Tensor, direction: Direction) -> Tensor:
    """Translated images on the CPU."""
    device = next(game.generators.parameters()).device
    return game.translate(x.to(device), direction).float().cpu()


def measure_translation(subject: Subject) -> Results:
    """Mean absolute difference to the truth, pixels in [0, 1], and label agreement, both ways.

    The error of leaving images as they are is given for comparison.
    """
    test = subject.reference.test
    assert isinstance(test, PairDataset)
    scalars: dict[str, float] = {}
    for direction, source, target in polled(WAYS):
        inputs, truth = getattr(test, source), getattr(test, target)
        places = torch.arange(min(subject.n, len(inputs)))
        x, (y, labels) = inputs.take(places)[0], unit(truth, places)
        made = truth.spec.to_unit(translate(subject.translator, x, direction))
        scalars |= mean((made - y).abs().flatten(1).mean(dim=1), f"eval/translation_{direction}")
        same = inputs.spec.to_unit(x).mean(dim=1, keepdim=True).expand_as(y)
        scalars[f"eval/identity_{direction}"] = (same - y).abs().mean().item()
        if labels is not None and truth.spec.classes > 1:
            classifier = subject.reference.domains[target].classifier
            key = f"eval/label_agreement_{direction}"
            scalars |= share(classifier.predict(made) == labels, key)
            scalars[f"eval/classifier_accuracy_{target}"] = classifier.accuracy
    return Results(scalars)
