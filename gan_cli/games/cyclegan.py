"""CycleGAN (Zhu et al. 2017): G: A -> B and F: B -> A against D_A and D_B, held together by cycles.

Equation 3, with the L1 cycle term of equation 2 and the identity term of section 5.2. Losses of
D's outputs are the paper's least squares, or the logs of its equation 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss
from typing_extensions import override

from gan_cli.errors import Problem, SettingsError, require
from gan_cli.games.base import Roles, Scalars, evaluating, widened
from gan_cli.games.translating import DIRECTIONS, Direction, Translating
from gan_cli.losses import Loss
from gan_cli.networks.speed import is_rowwise
from gan_cli.regularizers import Regularizer
from gan_cli.seeding import generator_for
from gan_cli.spec import AnySpec, PairBatch, PairSpec

__all__ = ["DIRECTIONS", "CycleGAN", "Direction", "ImagePool"]


class ImagePool(nn.Module):
    """The latest fakes of one domain; half of the time D sees one from here (section 4).

    Shrivastava et al. 2017: it keeps D from forgetting what G made before.
    """

    images: Tensor

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.size, self.filled = size, 0
        self.register_buffer("images", torch.zeros(size, *shape))
        #: On the CPU whatever the device, since its draws decide what is copied.
        self.rng = torch.Generator()

    def exchange(self, fakes: Tensor) -> Tensor:
        """Store fakes, (m, *shape), and give back as many: themselves, or older ones."""
        if not self.size:
            return fakes
        returned = []
        for fake in fakes:
            if self.filled < self.size:
                self.images[self.filled] = fake
                self.filled += 1
                returned.append(fake)
            elif torch.rand((), generator=self.rng) < 0.5:
                place = int(torch.randint(self.size, (), generator=self.rng))
                returned.append(self.images[place].clone())
                self.images[place] = fake
            else:
                returned.append(fake)
        return torch.stack(returned)

    def get_extra_state(self) -> dict[str, Any]:
        """How full it is, and the position of its random stream."""
        return {"filled": self.filled, "rng": self.rng.get_state()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Continue where `get_extra_state` left off."""
        self.filled = int(state["filled"])
        if not 0 <= self.filled <= self.size:
            raise ValueError(f"a pool of {self.size} images holds {self.filled}")
        self.rng.set_state(state["rng"].cpu())


class CycleGAN(Translating):
    """Two generators are one player, two discriminators the other.

    D judges the fakes of G's last move, as in the authors' code, so that none are made for it
    alone; on further moves (k > 1) and on the first, they are made afresh.
    """

    #: A generator translates and imitates the identity at once; domains must be alike for it.
    in_one_pass = False

    def __init__(
        self,
        generator: nn.ModuleDict,
        discriminator: nn.ModuleDict,
        *,
        loss: Loss,
        spec: PairSpec,
        regularizers: Sequence[Regularizer] = (),
        cycle_weight_a: float,
        cycle_weight_b: float,
        identity_weight: float,
        pool_size: int,
    ) -> None:
        super().__init__(loss=loss, spec=spec, regularizers=regularizers)
        channels = spec.a.shape[0], spec.b.shape[0]
        require(
            *(
                (0 <= weight < math.inf, name, weight, "must be 0 (none) or more")
                for name, weight in (
                    ("cycle_weight_a", cycle_weight_a),
                    ("cycle_weight_b", cycle_weight_b),
                    ("identity_weight", identity_weight),
                )
            ),
            (pool_size >= 0, "pool_size", pool_size, "must be 0 (none) or more"),
            (
                not identity_weight or channels[0] == channels[1],
                "identity_weight",
                identity_weight,
                "a generator is compared with the identity, "
                f"but A has {channels[0]} channels and B {channels[1]}. Set it to 0",
            ),
        )
        self.generator = generator
        self.discriminator = discriminator
        self.cycle_weights = {"a": float(cycle_weight_a), "b": float(cycle_weight_b)}
        self.identity_weight = float(identity_weight)
        self.pools = nn.ModuleDict(
            {"a": ImagePool(pool_size, spec.a.shape), "b": ImagePool(pool_size, spec.b.shape)}
        )
        #: Fakes of G's last move, (of A, of B) for each micro-batch.
        self._made: list[tuple[Tensor, Tensor]] = []
        self._past = 0  # so many are of earlier moves

    def join_passes(self) -> None:
        """Let a generator translate and imitate the identity at once, if images count alone."""
        alike = self.spec.a.shape == self.spec.b.shape
        self.in_one_pass = alike and is_rowwise(self.generator)

    @classmethod
    @override
    def roles(cls, spec: AnySpec, *, noise_dim: int) -> Roles:
        """A generator for each direction, a discriminator for each domain."""
        if not isinstance(spec, PairSpec):
            advice = (
                "are one domain, but model=cyclegan translates between two. Use "
                "data=digit_domains, data=unpaired_folders or one of the public pairs"
            )
            raise SettingsError([Problem.about("data", advice, is_full=True)])
        return Roles(
            {
                "a2b": {"source": spec.a, "target": spec.b},
                "b2a": {"source": spec.b, "target": spec.a},
            },
            {"a": {"spec": spec.a}, "b": {"spec": spec.b}},
        )

    @property
    def generators(self) -> nn.Module:
        """G (a2b) and F (b2a)."""
        return self.generator

    @property
    def discriminators(self) -> nn.Module:
        """D_A (a) and D_B (b)."""
        return self.discriminator

    def logits(self, domain: str, x: Tensor) -> Tensor:
        """Outputs of a domain's D, in full precision under autocast too."""
        outputs: Tensor = self.discriminator[domain](self.augment(x))
        return widened(outputs)

    def latest_fakes(self, batch: PairBatch) -> tuple[Tensor, Tensor]:
        """Fakes of A and of B for D's move."""
        if self._made:
            return self._made.pop(0)
        with torch.no_grad():
            return self.generator["b2a"](batch.b), self.generator["a2b"](batch.a)

    def d_loss(self, batch: PairBatch) -> tuple[Tensor, Scalars]:
        """D_A on real and fake A, D_B on real and fake B."""
        fake_a, fake_b = self.latest_fakes(batch)
        losses, scalars = [], {}
        of_both: dict[str, list[Tensor]] = {}
        for domain, real_x, made in (("a", batch.a, fake_a), ("b", batch.b, fake_b)):
            fake_x = self.pools[domain].exchange(made)  # type: ignore[operator]
            # At once, which is faster; each image is normalised on its own.
            real, fake = self.logits(domain, torch.cat([real_x, fake_x])).chunk(2)
            penalties = self.due_penalties(
                lambda x, domain=domain: self.logits(domain, x),  # type: ignore[misc]
                real_x,
                fake_x,
                suffix=f"_{domain}",
            )
            losses.append(sum(penalties, start=self.loss.d(real, fake)))
            scalars[f"loss/d_{domain}"] = losses[-1].detach()
            for key, value in self.output_scalars(real.detach(), fake.detach()).items():
                scalars[f"{key}_{domain}"] = value
                of_both.setdefault(key, []).append(value)
        loss = losses[0] + losses[1]
        means = {key: torch.stack(values).mean() for key, values in of_both.items()}
        return loss, {"loss/d": loss.detach(), **means, **scalars}

    def g_loss(self, batch: PairBatch) -> tuple[Tensor, Scalars]:
        """L_GAN(G, D_B) + L_GAN(F, D_A) + weighted cycle and identity terms (equation 3)."""
        a, b = batch.a, batch.b
        a2b, b2a = self.generator["a2b"], self.generator["b2a"]
        fake_b, same_b = self.first_pass(a2b, a, b)
        fake_a, same_a = self.first_pass(b2a, b, a)
        scalars = {
            "loss/adversarial_a2b": self.adversarial("b", fake_b, b),
            "loss/adversarial_b2a": self.adversarial("a", fake_a, a),
        }
        loss = scalars["loss/adversarial_a2b"] + scalars["loss/adversarial_b2a"]
        cycles = {"a": l1_loss(widened(b2a(fake_b)), a), "b": l1_loss(widened(a2b(fake_a)), b)}
        for domain, cycle in cycles.items():
            loss = loss + self.cycle_weights[domain] * cycle
            scalars[f"loss/cycle_{domain}"] = cycle
        scalars["loss/cycle"] = cycles["a"] + cycles["b"]
        if same_a is not None and same_b is not None:
            same = {"a": l1_loss(widened(same_a), a), "b": l1_loss(widened(same_b), b)}
            for domain, term in same.items():
                loss = loss + self.identity_weight * self.cycle_weights[domain] * term
                scalars[f"loss/identity_{domain}"] = term
            scalars["loss/identity"] = same["a"] + same["b"]
        self._made.append((widened(fake_a.detach()), widened(fake_b.detach())))
        return loss, {"loss/g": loss.detach(), **{k: v.detach() for k, v in scalars.items()}}

    def first_pass(
        self, generator: nn.Module, source: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """What a generator makes of its source domain, and of its target's if that is compared."""
        if not self.identity_weight:
            return generator(source), None
        if not self.in_one_pass:
            return generator(source), generator(target)
        fake, same = generator(torch.cat([source, target])).split([len(source), len(target)])
        return fake, same

    def adversarial(self, domain: str, fake_x: Tensor, real_x: Tensor) -> Tensor:
        """G's loss against a domain's D."""
        fake = self.logits(domain, fake_x)
        if not self.loss.pairs:
            return self.loss.g(fake)
        with torch.no_grad():
            real = self.logits(domain, real_x)
        return self.loss.g(fake, real)

    def after_move(self, player: str) -> Scalars:
        """Keep the fakes of G's move alone, which a graph's next replay would write over."""
        if player == "g":
            self._made = [(a.clone(), b.clone()) for a, b in self._made[self._past :]]
        self._past = len(self._made)
        return super().after_move(player)

    def seed_noise(self, seed: int, *purpose: str | int, device: torch.device) -> None:
        """Start the pools' streams too."""
        super().seed_noise(seed, *purpose, device=device)
        for domain, pool in self.pools.items():
            assert isinstance(pool, ImagePool)
            pool.rng = generator_for(seed, "pool", domain)

    def get_extra_state(self) -> dict[str, Any]:
        """The fakes for D's next move, too."""
        return super().get_extra_state() | {"made": [list(pair) for pair in self._made]}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Continue where `get_extra_state` left off."""
        super().set_extra_state(state)
        device = self.rng.device
        made = [(a.to(device).float(), b.to(device).float()) for a, b in state["made"]]
        for pair in made:
            shapes = tuple(tuple(fakes.shape[1:]) for fakes in pair)
            if shapes != (self.spec.a.shape, self.spec.b.shape):
                raise ValueError(f"fakes of shapes {shapes}")
        self._made = made

    def check_shapes(self) -> None:
        """Pass one image each way through both networks, as a user's own networks may not fit.

        Raises:
            ValueError: a translation is not of the other domain's shape, or D fails on it.
        """
        a, b = (x.new_zeros(1, *x.shape[1:]) for x in (self.fixed_a, self.fixed_b))
        with evaluating(self), torch.random.fork_rng(devices=[]):
            for domain, x in (("b", self.generator["a2b"](a)), ("a", self.generator["b2a"](b))):
                shape = (self.spec.a if domain == "a" else self.spec.b).shape
                if x.shape != (1, *shape):
                    raise ValueError(
                        f"generator: makes {tuple(x.shape)}, but domain {domain.upper()} needs "
                        f"{(1, *shape)}"
                    )
                logits = self.discriminator[domain](x)
                if logits.shape[:1] != (1,):
                    raise ValueError(
                        f"discriminator: gives {tuple(logits.shape)} for one image, but logits "
                        "are (1, ...)"
                    )

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # The run's examples are those of its first session, though the folders may have changed.
        for name in ("fixed_a", "fixed_b"):
            stored, own = state_dict.get(prefix + name), getattr(self, name)
            if isinstance(stored, Tensor) and stored.shape[1:] == own.shape[1:]:
                setattr(self, name, torch.empty_like(stored, device=own.device))
        super()._load_from_state_dict(state_dict, prefix, *rest)
