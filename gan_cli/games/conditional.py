"""Conditional GAN (Mirza & Osindero 2014), with a discriminator that is aware of mismatches.

The third term of D's value, E[log(1 - D(c', x))] for real x and a wrong label c', makes D judge
whether datum and label belong together (after Reed et al. 2016, section 4.1, who halve the two
negative terms; here they are summed). With it the best D at p_g = p_data is no longer 1/2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from typing_extensions import override

from gan_cli.errors import require
from gan_cli.games.base import Preview, Scalars
from gan_cli.games.gan import GAN
from gan_cli.losses import Loss
from gan_cli.noise import Noise
from gan_cli.regularizers import Regularizer
from gan_cli.seeding import generator_for
from gan_cli.spec import Batch, DataSpec

PREVIEW_COLUMNS = 10  # samples of each class
PREVIEW_POINTS = 500  # of each class, for points


class ConditionalGAN(GAN):
    """A GAN whose networks both see the label; fakes take the labels of the batch."""

    conditional = True

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        noise: Noise,
        loss: Loss,
        spec: DataSpec,
        regularizers: Sequence[Regularizer] = (),
        mismatch_weight: float,
    ) -> None:
        super().__init__(
            generator, discriminator, noise=noise, loss=loss, spec=spec, regularizers=regularizers
        )
        require(
            *(
                (
                    getattr(network, "conditional", True) is True,
                    f"{role}.labels",
                    "none",
                    "model=cgan conditions both networks on labels",
                )
                for role, network in (("generator", generator), ("discriminator", discriminator))
            ),
            (
                0 <= mismatch_weight < math.inf,
                "mismatch_weight",
                mismatch_weight,
                "must be 0 (none) or more",
            ),
            (
                not mismatch_weight or spec.classes != 1,
                "mismatch_weight",
                mismatch_weight,
                "with a single class no label is wrong. Set it to 0",
            ),
        )
        self.mismatch_weight = float(mismatch_weight)

    def further_negatives(self, batch: Batch) -> list[Batch]:
        """Real data under wrong labels."""
        if not self.mismatch_weight:
            return []
        assert batch.labels is not None
        return [Batch(batch.x, self.wrong_labels(batch.labels))]

    def rejection_terms(self, wrong: list[Tensor], real: Tensor) -> tuple[list[Tensor], Scalars]:
        """The third term."""
        if not wrong:
            return [], {}
        (mismatch,) = wrong
        term = self.mismatch_weight * self.loss.d_rejects(mismatch, real)
        if not self.log_due:
            return [term], {}
        mismatch = mismatch.detach()
        if self.loss.log_odds:
            return [term], {"prob/mismatch": torch.sigmoid(mismatch).mean()}
        return [term], {"score/mismatch": mismatch.mean()}

    def wrong_labels(self, labels: Tensor) -> Tensor:
        """For each label one of the others, all equally likely."""

        def draw(n: int) -> Tensor:
            return torch.randint(
                1, self.spec.classes, (n,), generator=self.rng, device=self.rng.device
            )

        shift = self.ranks.draw(len(labels), draw)
        return (labels + shift) % self.spec.classes

    @override
    def fix_preview(self, *, seed: int, examples: tuple[Tensor, Tensor] | None = None) -> None:
        """One row a class; the same z stand in every row, so that columns share what z decides."""
        columns = PREVIEW_COLUMNS if self.spec.is_image else PREVIEW_POINTS
        z = self.noise.sample(columns, generator=generator_for(seed, "fixed noise"))
        self.register_buffer("fixed_noise", z.repeat(self.spec.classes, 1))
        labels = torch.arange(self.spec.classes).repeat_interleave(columns)
        self.register_buffer("fixed_labels", labels)

    def preview(self) -> Preview:
        """G(fixed z), one row a class."""
        samples = self.map_noise(self.fixed_noise, self.fixed_labels)
        return Preview(samples, self.spec, columns=PREVIEW_COLUMNS)
