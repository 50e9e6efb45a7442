"""The two-player game of Goodfellow et al. 2014: one generator, one discriminator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan_cli.games.base import Game, Preview, Roles, Scalars, evaluating, widened
from gan_cli.losses import Loss
from gan_cli.noise import Noise
from gan_cli.regularizers import Regularizer
from gan_cli.seeding import generator_for
from gan_cli.spec import AnySpec, Batch, DataSpec

CHUNK = 1024  # samples made at once when many are asked for
BLOCK = 64  # noises drawn at once for them
PREVIEW_IMAGES, PREVIEW_POINTS = 64, 4096  # an 8x8 sheet; enough to see a density


class GAN(Game[Batch]):
    """min over G, max over D of V(D,G), with both losses as configured."""

    #: Samples are asked for by label.
    conditional = False
    #: D judges real and generated data in one pass, as it may where each datum counts for itself.
    judges_at_once = False
    spec: DataSpec
    fixed_noise: Tensor
    fixed_labels: Tensor | None

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        noise: Noise,
        loss: Loss,
        spec: DataSpec,
        regularizers: Sequence[Regularizer] = (),
    ) -> None:
        super().__init__(loss=loss, spec=spec, regularizers=regularizers)
        self.generator = generator
        self.discriminator = discriminator
        self.noise = noise
        #: Labels of the preview, (n,); None: the model takes none.
        self.register_buffer("fixed_labels", None)

    @classmethod
    def roles(cls, spec: AnySpec, *, noise_dim: int) -> Roles:
        """One of each."""
        if not isinstance(spec, DataSpec):
            raise ValueError(
                "data: are two domains to translate between. Use model=cyclegan, or other data"
            )
        return Roles({"": {"noise_dim": noise_dim, "spec": spec}}, {"": {"spec": spec}})

    @property
    def generators(self) -> nn.Module:
        """G."""
        return self.generator

    @property
    def discriminators(self) -> nn.Module:
        """D."""
        return self.discriminator

    def fakes(self, batch: Batch) -> Tensor:
        """G(z) for fresh z, as many as the batch has data and with their labels."""
        z = self.ranks.draw(len(batch.x), lambda n: self.noise.sample(n, generator=self.rng))
        x: Tensor = self.generator(z, batch.labels)
        return x

    def judge(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """D's outputs on what it sees of x, in full precision under autocast too."""
        outputs: Tensor = self.discriminator(self.see(x), labels)
        return widened(outputs)

    def judge_all(self, *several: Batch) -> list[Tensor]:
        """D's outputs on several sets of data."""
        if not self.judges_at_once:
            return [self.judge(batch.x, batch.labels) for batch in several]
        seen = torch.cat([self.see(batch.x) for batch in several])
        labels = [batch.labels for batch in several if batch.labels is not None]
        outputs: Tensor = self.discriminator(seen, torch.cat(labels) if labels else None)
        return list(widened(outputs).split([len(batch.x) for batch in several]))

    def d_loss(self, batch: Batch) -> tuple[Tensor, Scalars]:
        """One ascent on V (Algorithm 1, inner loop), or what the configured loss makes of it."""
        fakes = Batch(self.fakes(batch), batch.labels)
        real, fake, *wrong = self.judge_all(batch, fakes, *self.further_negatives(batch))
        rejected, scalars = self.reject(wrong, real)
        penalties = self.due_penalties(lambda x: self.judge(x, batch.labels), batch.x, fakes.x)
        loss = sum([*rejected, *penalties], start=self.loss.d(real, fake))
        scalars |= self.describe(real.detach(), fake.detach())
        return loss, {"loss/d": loss.detach(), **scalars}

    def further_negatives(self, batch: Batch) -> list[Batch]:  # noqa: ARG002
        """Other data than generated ones that D shall not take for real."""
        return []

    def reject(
        self,
        judged: list[Tensor],  # noqa: ARG002
        real: Tensor,  # noqa: ARG002
    ) -> tuple[list[Tensor], Scalars]:
        """Terms of D's loss for D's outputs on `further_negatives`, and what to log of them."""
        return [], {}

    def g_loss(self, batch: Batch) -> tuple[Tensor, Scalars]:
        """G's move on fresh noise (Algorithm 1, outer loop)."""
        fake = self.judge(self.fakes(batch), batch.labels)
        if self.loss.pairs:
            with torch.no_grad():
                real = self.judge(batch.x, batch.labels)
            loss = self.loss.g(fake, real)
        else:
            loss = self.loss.g(fake)
        return loss, {"loss/g": loss.detach()}

    def check_shapes(self) -> None:
        """Pass two samples through both networks, as a user's own may not fit the data.

        Raises:
            ValueError: G's samples are not of the data's shape, or D gives other than a logit each.
        """
        with evaluating(self), torch.random.fork_rng(devices=[]):
            device = self.fixed_noise.device
            z = self.noise.sample(2, generator=generator_for(0, "shapes"))
            labels = torch.zeros(2, dtype=torch.long, device=device) if self.spec.classes else None
            x = self.generator(z.to(device), labels)
            if x.shape != (2, *self.spec.shape):
                raise ValueError(
                    f"generator: makes {tuple(x.shape)} of two z, "
                    f"but the data need {(2, *self.spec.shape)}"
                )
            logits = self.discriminator(x, labels)
            if logits.shape[:1] != (2,):
                raise ValueError(
                    f"discriminator: gives {tuple(logits.shape)} for two data, but logits are (2,)"
                )

    def fix_preview(
        self,
        *,
        seed: int,
        examples: tuple[Tensor, Tensor] | None = None,  # noqa: ARG002
    ) -> None:
        """Draw the preview's z, (n, dim), on the CPU, so that it is the same everywhere."""
        n = PREVIEW_IMAGES if self.spec.is_image else PREVIEW_POINTS
        z = self.noise.sample(n, generator=generator_for(seed, "fixed noise"))
        self.register_buffer("fixed_noise", z)

    def preview(self) -> Preview:
        """G(fixed z)."""
        return Preview(self.map_noise(self.fixed_noise, self.fixed_labels), self.spec)

    def draw_noise(self, n: int, *, seed: int) -> Tensor:
        """The z of n samples, (n, dim) on the model's device; each a function of `seed` alone."""
        # Always in blocks of one size: what a generator draws depends on how much is asked for.
        generator = generator_for(seed, "sample")
        blocks = [self.noise.sample(BLOCK, generator=generator) for _ in range(-(-n // BLOCK))]
        return torch.cat(blocks)[:n].to(self.fixed_noise.device)

    def map_noise(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """G(z) as in use, (n, *shape): averaged weights if any, batch statistics off, no gradients.

        Args:
            z: (n, dim), on the model's device.
            labels: (n,), likewise, for conditional models.
        """
        generator, parts = self.generators_in_use, z.split(CHUNK)
        of_parts = [None] * len(parts) if labels is None else labels.split(CHUNK)
        with evaluating(generator):
            return torch.cat([generator(*part) for part in zip(parts, of_parts, strict=True)])
