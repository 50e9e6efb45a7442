"""From x back to z: the z whose G(z) comes nearest to x, found by descent.

G gives no way back (Goodfellow et al. 2014 infer no z), but it is differentiable: from several
random z, descend on the mean squared error of G(z), and keep the best (Lipton & Tripathi 2017,
Webster et al. 2019 for what the error tells).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_cli.games.base import evaluating
from gan_cli.games.from_noise import FromNoise
from gan_cli.system.stopping import polled
from gan_cli.training.optimizers import light

STARTS, STEPS = 8, 300
RATE = 0.3  # of Adam at first, in standard deviations of the prior; it fades to 0 as a cosine
AT_ONCE = 256  # z that descend together: gradients take memory


@dataclass(frozen=True)
class Inversion:
    """The best z for each x, and what every start came to.

    Attributes:
        z: (n, dim), on the prior's support.
        x: G(z), float32 (n, *shape), in the data's range.
        labels: that G was given, int64 (n,); None: it takes none.
        errors: mean squared error of G(z) over the numbers of x, in the data's range, (n,).
        all_z: of every start with every label, (n, tries, dim).
        all_errors: likewise, (n, tries).
    """

    z: Tensor
    x: Tensor
    labels: Tensor | None
    errors: Tensor
    all_z: Tensor
    all_errors: Tensor


def invert(
    game: FromNoise,
    x: Tensor,
    *,
    labels: Tensor | None = None,
    starts: int = STARTS,
    steps: int = STEPS,
    seed: int = 0,
) -> Inversion:
    """Find z with G(z) near x.

    Args:
        game: whose G is inverted, as it is in use.
        x: (n, *shape), in the data's range, on any device.
        labels: for conditional models, those to try for each x, int64 (n, tried).
        starts: how many random z each x, and each of its labels, starts from.
        steps: of descent.
        seed: of the starts.

    Returns:
        All of it on the CPU.
    """
    device = game.fixed_noise.device
    tried = 1 if labels is None else labels.shape[1]
    tries = starts * tried
    begin = game.draw_noise(tries * len(x), seed=seed)
    targets = x.to(device).repeat_interleave(tries, dim=0)
    given = None if labels is None else labels.to(device).repeat_interleave(starts, dim=1).flatten()
    parts = [
        descend(game, begin[part], targets[part], None if given is None else given[part], steps)
        for part in polled(torch.arange(len(begin)).split(AT_ONCE))
    ]
    all_z = torch.cat([z for z, _ in parts]).view(len(x), tries, -1)
    all_errors = torch.cat([errors for _, errors in parts]).view(len(x), tries)
    errors, best = all_errors.min(dim=1)
    rows = torch.arange(len(x), device=device)
    z = all_z[rows, best]
    chosen = None if given is None else given.view(len(x), tries)[rows, best]
    made = game.map_noise(z, chosen).float().cpu()
    cpu = [None if part is None else part.cpu() for part in (z, chosen, errors, all_z, all_errors)]
    return Inversion(cpu[0], made, *cpu[1:])  # type: ignore[arg-type]


def descend(
    game: FromNoise, z: Tensor, targets: Tensor, labels: Tensor | None, steps: int
) -> tuple[Tensor, Tensor]:
    """Adam on the error of G(z), with z put back onto the prior's support after each step.

    Returns:
        z, (n, dim), and mean squared errors, (n,).
    """
    generator, noise = game.generators_in_use, game.noise
    rate = RATE * z.std().item() if z.numel() > 1 else RATE
    z = z.clone()
    optimizer = light(torch.optim.Adam)([z], lr=rate)

    def errors() -> Tensor:
        made: Tensor = generator(noise.onto_support(z), labels)  # on a sphere: along it
        return (made.float() - targets).square().flatten(1).mean(dim=1)

    with evaluating(generator):
        for step in polled(range(steps)):
            optimizer.param_groups[0]["lr"] = rate * (1 + math.cos(math.pi * step / steps)) / 2
            with torch.enable_grad():
                z.requires_grad_(True)
                (z.grad,) = torch.autograd.grad(errors().sum(), z)
            optimizer.step()
            z.requires_grad_(False)
            z.copy_(noise.nearest(z))
        return z, errors()
