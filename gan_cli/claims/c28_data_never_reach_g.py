"""G never sees the data: its gradient comes through D alone.

G's loss contains only D(G(z)). So if a real datum changes, G's loss and its gradient stay exactly
what they were, in that move. All that G knows of the data, it knows from D. (That is why G cannot
simply copy: statistically it is one step away from the data.) The relativistic loss is an
exception: it compares D's outputs on samples with those on real data.
"""

from __future__ import annotations

import torch

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import MODEL, axes
from gan_cli.claims.lab import Lab
from gan_cli.losses import Loss
from gan_cli.settings.schema import groups
from gan_cli.spec import Batch


def show(lab: Lab) -> Outcome:
    """For each loss: how far G's gradient moves if the real data are exchanged."""
    moved: dict[str, float] = {}
    pairs: dict[str, bool] = {}
    for loss in groups()["loss"]:
        experiment = lab.experiment("data=digits", f"loss={loss}", "data.batch_size=32")
        game, kind = experiment.game, experiment.game.loss
        assert isinstance(kind, Loss)
        pairs[loss] = kind.pairs
        first = next(experiment.state.batches)
        assert isinstance(first, Batch)
        gradients = []
        for batch in (first, Batch(-first.x, first.labels)):
            before = game.rng.get_state()
            torch.manual_seed(lab.seed)
            value, _ = game.g_loss(batch)
            game.rng.set_state(before)
            parts = torch.autograd.grad(value, list(game.generator.parameters()))
            gradients.append(torch.cat([part.flatten() for part in parts]))
        difference = (gradients[0] - gradients[1]).norm() / gradients[0].norm()
        moved[loss] = difference.item()
    figure, plot = axes("", "change of G's gradient, relative")
    plot.bar(list(moved), list(moved.values()), color=MODEL)
    plot.tick_params(axis="x", rotation=20)
    alone = max(value for loss, value in moved.items() if not pairs[loss])
    compared = min(value for loss, value in moved.items() if pairs[loss])
    return Outcome(
        [
            Check(
                "change of G's gradient with other data, largest over losses", alone, at_most=0.0
            ),
            Check("the same for the relativistic loss, which compares", compared, at_least=1e-6),
        ],
        figure,
        limits="for all losses but the relativistic one",
        data={loss: [value] for loss, value in moved.items()},
    )


CLAIM = Claim(
    28,
    "data_never_reach_g",
    statement="G's gradient comes through D alone; the data never reach G.",
    formula="d loss_G / d x = 0 for real x",
    source="note 001; Goodfellow et al. 2014, section 6",
    method="G's gradient with one minibatch of digits and with its negatives, for every loss.",
    show=show,
)
