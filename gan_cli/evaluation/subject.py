"""A model as it is now, and its samples."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from gan_cli.evaluation.encoders import Encoder
from gan_cli.evaluation.reference import RealData, Reference
from gan_cli.games.base import Game
from gan_cli.games.from_noise import FromNoise
from gan_cli.games.translating import Translating
from gan_cli.pictures import Picture


@dataclass
class Results:
    """What an evaluation gives: numbers by log key, and pictures by name."""

    scalars: dict[str, float] = field(default_factory=dict)
    pictures: dict[str, Picture] = field(default_factory=dict)


class Subject:
    """A model as it is now, with samples drawn when they are first asked for."""

    def __init__(
        self,
        game: Game[Any],
        reference: Reference,
        *,
        n: int,
        seed: int,
        in_training: bool = False,
    ) -> None:
        """Nothing is drawn yet.

        Args:
            game: what is evaluated, with averaged weights if it keeps them.
            reference: its data.
            n: samples, and real data to compare them with (fewer where there are fewer).
            seed: of the samples.
            in_training: training waits for it, so that less exact is good enough.
        """
        self.in_training = in_training
        self.game, self.reference, self.n, self.seed = game, reference, n, seed
        self._encoded: dict[str, Tensor] = {}

    @property
    def sampler(self) -> FromNoise:
        """The game, if it makes data from noise."""
        assert isinstance(self.game, FromNoise)
        return self.game

    @property
    def translator(self) -> Translating:
        """The game, if it translates."""
        assert isinstance(self.game, Translating)
        return self.game

    @property
    def real(self) -> RealData:
        """Real data of the kind that the samples shall be."""
        return self.reference.real

    def draw(self, n: int, start: int = 0) -> tuple[Tensor, Tensor | None]:
        """Samples `start` to `start + n`, images in [0, 1], on the CPU; and the labels asked for.

        A conditional model draws all classes in turn, as `gan-sample` does.
        """
        game = self.sampler
        z = game.draw_noise(start + n, seed=self.seed)[start:]
        labels = None
        if game.conditional:
            labels = torch.arange(start, start + n) % game.spec.classes
        x = game.map_noise(z, None if labels is None else labels.to(z.device)).float().cpu()
        return game.spec.to_unit(x) if game.spec.is_image else x, labels

    @cached_property
    def samples(self) -> tuple[Tensor, Tensor | None]:
        """The first n."""
        return self.draw(self.n)

    def encoded(self, encoder: Encoder) -> Tensor:
        """Their features."""
        if encoder.key not in self._encoded:
            self._encoded[encoder.key] = encoder(self.samples[0])
        return self._encoded[encoder.key]
