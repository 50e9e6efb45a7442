"""The duality gap: what either player could still gain alone (Grnarova et al. 2019, eq. 2).

At a Nash equilibrium neither player can do better while the other holds still: max over D' of
V(D', G) equals min over G' of V(D, G'). The gap between both is never negative, and 0 only there.
Both are found by training copies, which may stop short of the best, so what is measured is a lower
estimate.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from gan_cli.evaluation.subject import Results, Subject
from gan_cli.games.base import evaluating
from gan_cli.games.from_noise import FromNoise
from gan_cli.losses import value
from gan_cli.seeding import generator_for
from gan_cli.system.stopping import polled
from gan_cli.training.optimizers import light

KEY = "eval/nash_gap"
CHUNK = 1000  # data judged at once


@dataclass(frozen=True)
class Effort:
    """How hard the copies try: steps, data in each, and Adam's learning rate."""

    steps: int
    batch: int
    rate: float


POINTS, IMAGES = Effort(400, 256, 1e-3), Effort(100, 64, 2e-4)
Data = tuple[Tensor, Tensor | None]


@dataclass(frozen=True)
class Gap:
    """The gap in nats, its standard error, and the two values of V that it lies between."""

    gap: float
    error: float
    by_d: float
    by_g: float


def duality_gap(
    game: FromNoise, train: Data, fresh: Data, *, effort: Effort, seed: int, refit: bool = True
) -> Gap:
    """Train D' and G' from the present pair, and take V of each on data that neither has seen.

    The game stays as it is. Dropout is off and batch norm goes by its running averages.

    Args:
        game: of a loss whose D is a log-odds.
        train: data in the range of `game.spec`, (n, *shape), and labels (n,) of conditional games.
        fresh: others, likewise.
        effort: of each training.
        seed: of all draws.
        refit: train D first, so that the gap is G's fault alone.
    """
    tries = _Tries(game, train, effort, seed)
    d, g = (copy.deepcopy(network).eval() for network in (game.discriminator, _generator(game)))
    if refit:
        d = tries.best_discriminator(d, g, "refit")
    better_d, better_g = tries.best_discriminator(d, g, "d"), tries.best_generator(g, d)
    x, labels = fresh
    z = game.noise.sample(len(x), generator=generator_for(seed, "nash", "fresh")).to(x.device)
    high, low = (_terms(players, x, z, labels) for players in ((better_d, g), (d, better_g)))
    difference = [one - other for one, other in zip(high, low, strict=True)]
    error = math.sqrt(sum(part.var().item() / len(part) for part in difference))
    by_d, by_g = (sum(part.mean().item() for part in parts) for parts in (high, low))
    return Gap(by_d - by_g, error, by_d, by_g)


def measure_nash_gap(subject: Subject) -> Results:
    """The duality gap of a run, on test data or what is held out."""
    game, real = subject.sampler, subject.real

    def data(*, of_test: bool) -> Data:
        x, labels = real.sample(len(real.train) if not of_test else subject.n, of_test=of_test)
        device = game.fixed_noise.device
        x = game.spec.from_unit(x) if game.spec.is_image else x
        of_games = labels.to(device) if game.conditional and labels is not None else None
        return x.to(device), of_games

    effort = IMAGES if game.spec.is_image else POINTS
    gap = duality_gap(
        game, data(of_test=False), data(of_test=True), effort=effort, seed=subject.seed
    )
    return Results({KEY: gap.gap, f"{KEY}_error": gap.error})


def _generator(game: FromNoise) -> nn.Module:
    """G as in use: with averaged weights, if the game keeps them."""
    network: nn.Module = game.generators_in_use
    return network


@dataclass(frozen=True)
class _Tries:
    """Trains copies of the players on V itself."""

    game: FromNoise
    train: Data
    effort: Effort
    seed: int

    def best_discriminator(self, d: nn.Module, g: nn.Module, name: str) -> nn.Module:
        """A copy of D that has climbed on V against a G that holds still."""
        return self._trained(d, lambda tried, *batch: -self._value(tried, g, *batch), name)

    def best_generator(self, g: nn.Module, d: nn.Module) -> nn.Module:
        """A copy of G that has descended on V against a D that holds still."""
        return self._trained(g, lambda tried, *batch: self._value(d, tried, *batch), "g")

    @staticmethod
    def _value(d: nn.Module, g: nn.Module, x: Tensor, z: Tensor, labels: Tensor | None) -> Tensor:
        return value(d(x, labels), d(g(z, labels), labels))

    def _trained(self, start: nn.Module, loss: Callable[..., Tensor], name: str) -> nn.Module:
        tried = copy.deepcopy(start).requires_grad_(True).eval()
        draws = generator_for(self.seed, "nash", name)
        optimizer = light(torch.optim.Adam)(
            tried.parameters(), lr=self.effort.rate, betas=(0.5, 0.99)
        )
        rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.effort.steps)
        x, labels = self.train
        for _ in polled(range(self.effort.steps)):
            rows = torch.randint(len(x), (self.effort.batch,), generator=draws).to(x.device)
            z = self.game.noise.sample(self.effort.batch, generator=draws).to(x.device)
            optimizer.zero_grad()
            loss(tried, x[rows], z, None if labels is None else labels[rows]).backward()
            optimizer.step()
            rates.step()
        return tried


def _terms(
    players: tuple[nn.Module, nn.Module], x: Tensor, z: Tensor, labels: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Terms log D(x) and log(1 - D(G(z))) of each datum, float64 (n,) on the CPU."""
    d, g = players
    real, fake = [], []
    with evaluating(d), evaluating(g):
        for start in polled(range(0, len(x), CHUNK)):
            part = slice(start, start + CHUNK)
            y = None if labels is None else labels[part]
            real.append(logsigmoid(d(x[part], y)).double().cpu())
            fake.append(logsigmoid(-d(g(z[part], y), y)).double().cpu())
    return torch.cat(real), torch.cat(fake)
