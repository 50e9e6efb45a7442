"""The two-player game of Goodfellow et al. 2014: one generator, one discriminator."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from gan_cli.games.base import Scalars, widened
from gan_cli.games.from_noise import FromNoise
from gan_cli.networks.speed import is_rowwise
from gan_cli.spec import Batch


class GAN(FromNoise):
    """min over G, max over D of V(D,G), with both losses as configured."""

    #: D gets real and generated data in one pass, as it may where each datum counts for itself.
    in_one_pass = False

    def join_passes(self) -> None:
        """Let D get real and generated data at once, if each datum counts for itself."""
        self.in_one_pass = is_rowwise(self.discriminator)

    def logits(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """D's outputs on x, augmented, in full precision under autocast too."""
        outputs: Tensor = self.discriminator(self.augment(x), labels)
        return widened(outputs)

    def logits_of(self, *several: Batch) -> list[Tensor]:
        """D's outputs on several sets of data."""
        if not self.in_one_pass:
            return [self.logits(batch.x, batch.labels) for batch in several]
        x = torch.cat([self.augment(batch.x) for batch in several])
        labels = [batch.labels for batch in several if batch.labels is not None]
        outputs: Tensor = self.discriminator(x, torch.cat(labels) if labels else None)
        return list(widened(outputs).split([len(batch.x) for batch in several]))

    def d_loss(self, batch: Batch) -> tuple[Tensor, Scalars]:
        """One ascent on V (Algorithm 1, inner loop), or what the configured loss makes of it."""
        fakes = Batch(self.fakes(batch), batch.labels)
        real, fake, *wrong = self.logits_of(batch, fakes, *self.further_negatives(batch))
        terms, scalars = self.rejection_terms(wrong, real)
        penalties = self.due_penalties(lambda x: self.logits(x, batch.labels), batch.x, fakes.x)
        loss = sum([*terms, *penalties], start=self.loss.d(real, fake))
        scalars |= self.output_scalars(real.detach(), fake.detach())
        return loss, {"loss/d": loss.detach(), **scalars}

    def further_negatives(self, batch: Batch) -> list[Batch]:  # noqa: ARG002  (a hook)
        """Other data than generated ones that D shall not take for real."""
        return []

    def rejection_terms(
        self,
        wrong: list[Tensor],  # noqa: ARG002  (a hook)
        real: Tensor,  # noqa: ARG002
    ) -> tuple[list[Tensor], Scalars]:
        """Terms of D's loss for D's outputs on `further_negatives`, and what to log of them."""
        return [], {}

    @override
    def g_loss(self, batch: Batch) -> tuple[Tensor, Scalars]:
        """G's move on fresh noise (Algorithm 1, outer loop)."""
        fake = self.logits(self.fakes(batch), batch.labels)
        if self.loss.pairs:
            with torch.no_grad():
                real = self.logits(batch.x, batch.labels)
            loss = self.loss.g(fake, real)
        else:
            loss = self.loss.g(fake)
        return loss, {"loss/g": loss.detach()}
