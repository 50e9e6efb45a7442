"""The two-player game of Goodfellow et al. 2014: one generator, one discriminator."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_cli.games.base import Game, Scalars, evaluating
from gan_cli.losses import Loss, log_odds_scalars
from gan_cli.noise import Noise
from gan_cli.seeding import generator_for
from gan_cli.spec import Batch

CHUNK = 1024  # samples made at once when many are asked for


class GAN(Game):
    """min over G, max over D of V(D,G), with G's loss as configured."""

    fixed_noise: Tensor

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, *, noise: Noise, loss: Loss
    ) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator
        self.noise = noise
        self.loss = loss

    @property
    def generators(self) -> nn.Module:
        """G."""
        return self.generator

    @property
    def discriminators(self) -> nn.Module:
        """D."""
        return self.discriminator

    def fakes(self, batch: Batch) -> Tensor:
        """G(z) for fresh z, as many as the batch has data."""
        z = self.noise.sample(len(batch.x), generator=self.rng)
        x: Tensor = self.generator(z, batch.labels)
        return x

    def d_loss(self, batch: Batch) -> tuple[Tensor, Scalars]:
        """One ascent on V (Algorithm 1, inner loop)."""
        fake_x = self.fakes(batch)
        real = self.discriminator(batch.x, batch.labels)
        fake = self.discriminator(fake_x, batch.labels)
        real, fake = real.float(), fake.float()  # losses in full precision under autocast too
        loss = self.loss.d(real, fake)
        real, fake = real.detach(), fake.detach()
        if self.loss.log_odds:
            scalars = log_odds_scalars(real, fake)
        else:
            scalars = {"score/real": real.mean(), "score/fake": fake.mean()}
        return loss, {"loss/d": loss.detach(), **scalars}

    def g_loss(self, batch: Batch) -> tuple[Tensor, Scalars]:
        """G's move on fresh noise (Algorithm 1, outer loop)."""
        fake = self.discriminator(self.fakes(batch), batch.labels)
        loss = self.loss.g(fake.float())
        return loss, {"loss/g": loss.detach()}

    def check_shapes(self, shape: tuple[int, ...]) -> None:
        """Pass two samples through both networks, as a user's own may not fit the data.

        Raises:
            ValueError: G's samples are not of the data's shape, or D gives other than a logit each.
        """
        with evaluating(self), torch.random.fork_rng(devices=[]):
            z = self.noise.sample(2, generator=generator_for(0, "shapes"))
            x = self.generator(z.to(self.fixed_noise.device), None)
            if x.shape != (2, *shape):
                raise ValueError(
                    f"generator: makes {tuple(x.shape)} of two z, but the data need {(2, *shape)}"
                )
            logits = self.discriminator(x, None)
            if logits.shape[:1] != (2,):
                raise ValueError(
                    f"discriminator: gives {tuple(logits.shape)} for two data, but logits are (2,)"
                )

    def draw_fixed_noise(self, n: int, *, seed: int) -> None:
        """Draw the preview's z, (n, dim), on the CPU, so that it is the same everywhere."""
        z = self.noise.sample(n, generator=generator_for(seed, "fixed noise"))
        self.register_buffer("fixed_noise", z)

    def preview(self) -> Tensor:
        """G(fixed z), (n, *shape)."""
        return self.map_noise(self.fixed_noise)

    def sample(self, n: int, *, seed: int) -> Tensor:
        """N samples, (n, *shape) on the model's device, a function of the weights and `seed`."""
        z = self.noise.sample(n, generator=generator_for(seed, "sample"))
        return self.map_noise(z.to(self.fixed_noise.device))

    def map_noise(self, z: Tensor) -> Tensor:
        """G(z) as in use: dropout and batch statistics off, no gradients."""
        with evaluating(self.generator):
            return torch.cat([self.generator(part) for part in z.split(CHUNK)])
