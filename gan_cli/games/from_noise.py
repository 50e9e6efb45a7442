"""Games whose G makes data from noise: what sampling, previews and evaluations ask of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from gan_cli.errors import Problem, SettingsError
from gan_cli.games.base import Game, Preview, Roles, Use, evaluating
from gan_cli.losses import Loss
from gan_cli.noise import Noise
from gan_cli.regularizers import Regularizer
from gan_cli.seeding import generator_for
from gan_cli.spec import AnySpec, Batch, DataSpec
from gan_cli.system.stopping import polled

CHUNK = 1024  # samples made at once when many are asked for
BLOCK = 64  # noises drawn at once for them
PREVIEW_IMAGES, PREVIEW_POINTS = 64, 4096  # an 8x8 sheet; enough to see a density


class FromNoise(Game[Batch]):
    """One generator and one discriminator; a new kind of game adds `d_loss` and `g_loss`."""

    use: ClassVar[Use | None] = Use("sample", "gan-sample")
    #: Samples are asked for by label.
    conditional = False
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
            advice = "are two domains to translate between. Use model=cyclegan, or other data"
            raise SettingsError([Problem.about("data", advice, is_full=True)])
        return Roles({"": {"noise_dim": noise_dim, "spec": spec}}, {"": {"spec": spec}})

    @property
    def generators(self) -> nn.Module:
        """G."""
        return self.generator

    @property
    def discriminators(self) -> nn.Module:
        """D."""
        return self.discriminator

    def each_discriminator(self) -> list[nn.Module]:
        """D, or all of them for games with several."""
        network = self.discriminator
        return list(network.values()) if isinstance(network, nn.ModuleDict) else [network]

    def fakes(self, batch: Batch) -> Tensor:
        """G(z) for fresh z, as many as the batch has data and with their labels."""
        z = self.ranks.draw(len(batch.x), lambda n: self.noise.sample(n, generator=self.rng))
        x: Tensor = self.generator(z, batch.labels)
        return x

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
            for discriminator in self.each_discriminator():
                logits = discriminator(x, labels)
                if logits.shape[:1] != (2,):
                    raise ValueError(
                        f"discriminator: gives {tuple(logits.shape)} for two data, "
                        "but logits are (2,)"
                    )

    @override
    def fix_preview(self, *, seed: int, examples: tuple[Tensor, Tensor] | None = None) -> None:
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
        generator, chunks = self.generators_in_use, z.split(CHUNK)
        labels_of_chunks = [None] * len(chunks) if labels is None else labels.split(CHUNK)
        with evaluating(generator):
            return torch.cat(
                [generator(*c) for c in polled(zip(chunks, labels_of_chunks, strict=True))]
            )
