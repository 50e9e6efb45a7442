"""D on data that it was never trained on, beside D on its training data.

A D that has learnt its data by heart takes them for real, and other real data less so. Both means
are of one kind: each batch is normalised by itself, with dropout and augmentation as in training.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from gan_cli.data.base import Dataset
from gan_cli.games.from_noise import FromNoise
from gan_cli.seeding import generator_for
from gan_cli.spec import Batch
from gan_cli.training.turn import Freezable

PROB, SCORE = "prob/held_out", "score/held_out"


class HeldOut:
    """Looks at one batch of the data held out, another one at each step."""

    def __init__(self, game: FromNoise, dataset: Dataset, *, n: int, seed: int) -> None:
        """Keep what is looked at.

        Args:
            game: whose D it is; it has `logits`, of data and their labels.
            dataset: what training never sees.
            n: data in a batch, as training has; all, if there are fewer.
            seed: of the choice.
        """
        self.game, self.dataset, self.seed = game, dataset, seed
        self.n = min(n, len(dataset))
        self._discriminators = Freezable(game.discriminators)

    def scalars(self, step: int) -> dict[str, float]:
        """Mean D(x), or mean score for losses without probabilities; training stays as it is."""
        game, device = self.game, self.game.fixed_noise.device
        draws = generator_for(self.seed, "held out", step)
        rows = torch.randperm(len(self.dataset), generator=draws)[: self.n]
        x, labels = self.dataset.take(rows)
        of_game = labels.to(device) if game.conditional and labels is not None else None
        own_stream, devices = game.rng, [device] if device.type == "cuda" else []
        with torch.no_grad(), torch.random.fork_rng(devices), self._discriminators.frozen():
            game.rng = generator_for(self.seed, "held out", step, "views", device=device)
            try:
                batch = Batch(x.to(device), of_game)
                outputs: Tensor = cast("Any", game).logits(batch.x, batch.labels)
            finally:
                game.rng = own_stream
        if game.loss.log_odds:
            return {PROB: torch.sigmoid(outputs).mean().item()}
        return {SCORE: outputs.mean().item()}


def held_out_of(game: object, dataset: object, *, n: int, seed: int) -> HeldOut | None:
    """What to look at; None: nothing is held out, or the game has no one D for it."""
    held_out = getattr(dataset, "held_out", None)
    if held_out is None or not isinstance(game, FromNoise) or not hasattr(game, "logits"):
        return None
    return HeldOut(game, held_out, n=n, seed=seed)
