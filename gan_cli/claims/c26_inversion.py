"""G says neither how likely an x is, nor which z it came from.

G is a map from z to x. It has no formula for the way back, and no encoder was trained beside it.
But it is differentiable, so one can search: start from random z, descend on the squared error of
G(z), and keep the best of eight starts. For what G itself has drawn, a z is found. Real digits that
training never saw stay at a distance: what is left over is what G cannot draw.

Nor is the z unique. Where z has more dimensions than x, a whole curve of z gives the same x: on the
right, G maps a plane onto the line, and all searches end on one level curve, far apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import DATA, MODEL, THEORY, legend, name, several, show_picture
from gan_cli.claims.lab import Lab
from gan_cli.evaluation.inversion import invert
from gan_cli.pictures import sheet, to_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RUN, FOUND = "digits", 1e-3  # mean squared error of a pixel, in [-1, 1]
PLANE = ("data=mixture_1d", "noise=normal", "noise.dim=2", "data.batch_size=256")


def show(lab: Lab) -> Outcome:
    """Search z for own samples and for held-out digits; and many z for one x."""
    model, n = lab.trained(RUN), lab.steps(24, fast=2)
    held_out = lab.reference(RUN).validation
    assert held_out is not None
    data = {"own samples": model.sample(n, seed=lab.seed_for("own")), "held out": held_out.first(n)}
    steps = lab.steps(250, fast=5)
    found = {
        what: invert(model.sampler, x, steps=steps, seed=lab.seed_for("starts"))
        for what, x in data.items()
    }
    own, real = (result.errors for result in found.values())
    again, further = (own <= FOUND).double().mean().item(), (real.median() / own.median()).item()
    experiment = lab.experiment(*PLANE)
    experiment.play(lab.steps(300, fast=2))
    one = experiment.samples(1, seed=lab.seed_for("one"))
    several_z = invert(experiment.game, one, starts=32, steps=steps)
    usual = several_z.all_z[0].norm(dim=1) <= 3  # where the prior has all but 1 % of its mass
    right = several_z.all_z[0][(several_z.all_errors[0] <= FOUND) & usual]
    apart = torch.pdist(right).max().item() if len(right) > 1 else 0.0
    figure, (left, middle, plane) = several(3, width=3.6, height=3.6)
    shown = [part[:6] for what, x in data.items() for part in (x, found[what].x)]
    sheet_of = sheet(to_bytes(torch.cat(shown), model.sampler.spec), columns=len(shown[0]))
    show_picture(left, sheet_of, "own samples, and G of the z found;\nheld-out digits, and theirs")
    name(middle, "mean squared error of a pixel", "samples or digits")
    for (what, result), color in zip(found.items(), (MODEL, DATA), strict=True):
        middle.hist(result.errors.log10().numpy(), bins=12, color=color, alpha=0.8, label=what)
    middle.axvline(math.log10(FOUND), color="black", linestyle=":", label="0.001")
    middle.set_xticks([-5, -4, -3, -2, -1], ["1e-5", "1e-4", "1e-3", "1e-2", "0.1"])
    level(plane, experiment.game.map_noise, one, right)
    legend(figure, columns=4)
    return Outcome(
        [
            Check(f"share of own samples found to within {FOUND}", again, at_least=0.9),
            Check("error of held-out digits over own samples', medians", further, at_least=3.0),
            Check("distance of two z that give one x, in standard deviations", apart, at_least=1.0),
        ],
        figure,
        data={"own": own.tolist(), "held_out": real.tolist(), "z": right.flatten().tolist()},
    )


def level(plot: Axes, generator: Callable[[Tensor], Tensor], x: Tensor, z: Tensor) -> None:
    """The plane of z: the curve on which G(z) = x, and the z found for this one x, (n, 2)."""
    side = torch.linspace(-3, 3, 121)
    over, up = torch.meshgrid(side, side, indexing="xy")
    values = generator(torch.stack([over.flatten(), up.flatten()], dim=1)).view(over.shape)
    name(plot, "z1", "z2")
    plot.contourf(side, side, values, levels=20, cmap="Greys", alpha=0.5)
    plot.contour(side, side, values, levels=[x.item()], colors=[THEORY])
    plot.plot([], [], color=THEORY, label="G(z) = x")
    plot.plot(z[:, 0], z[:, 1], "o", color=MODEL, markersize=4, label="z found for x")
    plot.set_aspect("equal")


CLAIM = Claim(
    26,
    "inversion",
    statement="G has no way back from x to z: it must be searched for, and need not be unique.",
    formula="z* = argmin |G(z) - x|^2;  G(z) = G(z') for z != z'",
    source="note 002; Goodfellow et al. 2014, section 6",
    method="Descent on the error of G(z) from 8 random z, for samples and for held-out digits.",
    show=show,
    runs=(RUN,),
)
