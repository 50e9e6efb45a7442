"""What the 2014 paper proves, measured on a game whose p_data is known in closed form.

Proposition 1: for a fixed G, the best D is D*(x) = p_data(x) / (p_data(x) + p_g(x)). Theorem 1:
its value is V(D*, G) = -log 4 + 2 JSD(p_data || p_g). p_g is estimated by a histogram of samples.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from gan_cli.games.base import evaluating
from gan_cli.games.from_noise import FromNoise
from gan_cli.seeding import derive_seed, generator_for
from gan_cli.system.stopping import polled
from gan_cli.theory.density import GaussianMixture
from gan_cli.theory.divergence import Cells, jsd, kl, smoothed

SAMPLES = 200_000  # from p_g, and as many from p_data: on the line, and what D is held against
#: In the plane, where cells are many: at least, for each component, and at most; then the floor is
#: below 0.001 for all but many components. Evaluations while training take fewer.
LEAST, FOR_EACH, MOST, IN_TRAINING = 4_000_000, 240_000, 8_000_000, 1_000_000
REFIT_STEPS, REFIT_BATCH, REFIT_RATE = 300, 2048, 2e-3
CHUNK = 65_536  # points judged at once


@dataclass(frozen=True)
class Theory:
    """A look at the theorems.

    Attributes:
        scalars: by log key.
        cells: the grid.
        p_data: mass in each cell.
        p_g: share of samples in each cell.
        samples: some of them, float32 (n, dim).
    """

    scalars: dict[str, float]
    cells: Cells
    p_data: Tensor
    p_g: Tensor
    samples: Tensor


def measurable(game: object, dataset: object) -> tuple[FromNoise, GaussianMixture] | None:
    """The game and p_data, if p_g can be compared with it: known, in 1 or 2 dimensions."""
    density = getattr(dataset, "density", None)
    known = isinstance(density, GaussianMixture) and density.means.shape[1] <= 2
    if not known or not isinstance(game, FromNoise) or game.conditional:
        return None
    if len(game.each_discriminator()) > 1:  # the theorems are about one
        return None
    assert density is not None
    return game, density


def measure(
    game: FromNoise,
    density: GaussianMixture,
    *,
    samples: int | None = None,
    seed: int = 0,
    refit: bool = True,
) -> Theory:
    """Hold p_g against p_data, and D against D*. Draws nothing from the game's own streams.

    Args:
        game: with a generator of 1-D or 2-D points.
        density: p_data.
        samples: draws from each, for the divergences; None: `draws_for` the density.
        seed: of the draws.
        refit: also train a copy of D on the frozen G, to see how near V comes to V(D*, G).
    """
    cells = Cells(density)
    samples = samples or draws_for(density)
    p, floor = cells.masses(density), floor_of(density, cells, samples=samples, seed=seed)
    q, fake = shares_of_samples(game, cells, samples=samples, seed=seed)
    real, _ = density.sample(len(fake), generator=generator_for(seed, "theory"))
    divergence = jsd(p, q)
    best_value = -math.log(4) + 2 * divergence
    scalars = {
        "divergence/jsd": divergence,
        "divergence/jsd_floor": floor,
        "divergence/samples": float(samples),
        "divergence/cell_std": cells.cell_std,
        "divergence/kl_data_g": kl(p, smoothed(q, samples)),
        "divergence/kl_g_data": kl(q, p.clamp_min(1e-300)),
        "modes/covered": float(density.covered(fake)),
        "modes/total": float(len(density.means)),
        "modes/high_quality": density.near(fake).double().mean().item(),
        "value/best": best_value,
    }
    # D*(x) at all points, from the cells they lie in; half of them real, half generated.
    best = p / (p + q).clamp_min(1e-300)
    points, at = torch.cat([real, fake]), torch.cat([cells.places(real), cells.places(fake)])
    if game.loss.log_odds:
        scalars |= against_best(game.discriminator, game, points, best[at], name="")
    if refit and game.loss.log_odds:
        refitted = refit_discriminator(game, density, seed=seed)
        scalars |= against_best(refitted, game, points, best[at], name="_refitted")
        scalars["value/refit_gap"] = abs(scalars["value/measured_refitted"] - best_value)
    return Theory(scalars, cells, p, q, fake)


def draws_for(density: GaussianMixture, *, in_training: bool = False) -> int:
    """How many draws show divergences from a density well; in training, well enough."""
    if density.means.shape[1] == 1:
        return SAMPLES
    if in_training:
        return IN_TRAINING
    return min(MOST, max(LEAST, FOR_EACH * len(density.means)))


def shares_of_samples(
    game: FromNoise, cells: Cells, *, samples: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Share of p_g's samples in each cell, and the first block of them, float32 (n, dim)."""
    counts, first = torch.zeros(cells.count, dtype=torch.long), None
    for number, n in enumerate(polled(blocks(samples))):
        block_seed = derive_seed(seed, "theory", "block", number) if number else seed + 1
        fake = game.map_noise(game.draw_noise(n, seed=block_seed)).float().cpu()
        counts += cells.counts(fake)
        first = fake if first is None else first
    assert first is not None
    return counts.double() / samples, first


def floor_of(density: GaussianMixture, cells: Cells, *, samples: int, seed: int) -> float:
    """The JSD that as many draws from p_data itself show."""
    generator = generator_for(seed, "theory", "again")
    counts = torch.zeros(cells.count, dtype=torch.long)
    for n in polled(blocks(samples)):
        counts += cells.counts(density.sample(n, generator=generator)[0])
    return jsd(cells.masses(density), counts.double() / samples)


def blocks(samples: int) -> list[int]:
    """Sizes of the blocks that so many draws are made in, so that memory stays flat."""
    whole, rest = divmod(samples, SAMPLES)
    return [SAMPLES] * whole + [rest] * (rest > 0)


def against_best(
    discriminator: nn.Module, game: FromNoise, points: Tensor, best: Tensor, *, name: str
) -> dict[str, float]:
    """V of a D, and its mean distance from D*, over points of which the first half are real."""
    logits = logits_of(discriminator, points.to(game.fixed_noise.device)).double()
    real, fake = logits.chunk(2)
    return {
        f"value/measured{name}": (logsigmoid(real).mean() + logsigmoid(-fake).mean()).item(),
        f"discriminator/error{name}": (torch.sigmoid(logits) - best).abs().mean().item(),
    }


def logits_of(discriminator: nn.Module, x: Tensor) -> Tensor:
    """A D's logits (n,) on the CPU, with dropout off."""
    with evaluating(discriminator):
        return torch.cat(
            [discriminator(part, None).float() for part in polled(x.split(CHUNK))]
        ).cpu()


def refit_discriminator(game: FromNoise, density: GaussianMixture, *, seed: int = 0) -> nn.Module:
    """A copy of D, trained on the frozen G until it is near its best; D itself stays as it is."""
    device = game.fixed_noise.device
    n = REFIT_STEPS * REFIT_BATCH // 4  # each point is seen four times
    real, _ = density.sample(n, generator=generator_for(seed, "theory", "refit"))
    fake = game.map_noise(game.draw_noise(n, seed=seed + 2)).float()
    real = real.to(device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        copied = copy.deepcopy(game.discriminator).requires_grad_(True).eval()
        optimizer = torch.optim.Adam(copied.parameters(), lr=REFIT_RATE)
        rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, REFIT_STEPS)
        order = generator_for(seed, "theory", "order")
        for _ in polled(range(REFIT_STEPS)):
            rows = torch.randint(n, (2, REFIT_BATCH), generator=order).to(device)
            loss = softplus(-copied(real[rows[0]], None)).mean()
            loss = loss + softplus(copied(fake[rows[1]], None)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rates.step()
    return copied
