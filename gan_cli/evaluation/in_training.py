"""The same metrics of one run, again and again while it trains."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch

from gan_cli.data.base import AnyDataset, Progress
from gan_cli.evaluation.objective import costly_metric_of
from gan_cli.evaluation.reference import Reference, at_hand
from gan_cli.evaluation.registry import METRICS, choose, measure
from gan_cli.evaluation.subject import Results, Subject
from gan_cli.games.base import Game
from gan_cli.settings.targets import Node


class Evaluation:
    """The same metrics of one run, again and again while it trains."""

    def __init__(self, reference: Reference, names: Sequence[str], *, n: int) -> None:
        self.reference, self.names, self.n = reference, names, n

    def measure(self, game: Game[Any]) -> Results:
        """Measure all of them, of the game as it is now."""
        with undisturbed(self.reference.device):
            subject = Subject(game, self.reference, n=self.n, seed=0, in_training=True)
            results = measure(subject, self.names)
        results.scalars["eval/samples"] = float(self.n)
        return results


def undisturbed(device: torch.device) -> AbstractContextManager[None]:
    """Afterwards training draws the random numbers that it would have drawn anyway."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


def evaluation_of(
    config: Node, game: Game[Any], dataset: AnyDataset, progress: Progress
) -> Evaluation | None:
    """What a training config says on evaluations; None: there are none.

    A classifier that they need is trained here, before training starts.

    Raises:
        UserError: a metric that does not suit was asked for, or what it needs cannot be had.
    """
    if not config["eval_every"]:
        return None
    device = next(game.generators.parameters()).device
    reference = Reference(
        config,
        at_hand(dataset, config["eval_samples"], progress),
        device=device,
        inception=config["inception"],
        progress=progress,
    )
    subject = Subject(game, reference, n=config["eval_samples"], seed=0)
    names = choose(config["eval_metrics"], subject, key="eval_metrics", training=True)
    metric = costly_metric_of(config["objective"])
    if metric is not None and metric not in names:
        names += choose(metric, subject, key="objective", training=True)
    with undisturbed(device):
        for name in names:
            METRICS[name].prepare(reference)
    return Evaluation(reference, names, n=config["eval_samples"])
