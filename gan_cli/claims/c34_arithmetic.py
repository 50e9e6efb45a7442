"""Directions in the space of z have a meaning, and can be added.

Take three samples that lean to the right and three that lean to the left. The mean z of the first
minus that of the second is a direction; added to the mean z of three others, it makes G's picture
lean to the right. Single z are not enough, says the paper; averages of three are. The same works
for broad strokes. Slant and stroke width are measured on the picture, so nobody has to judge it.

Each sum is compared with one that adds the difference of random samples instead, so that both z are
equally long. Chance is then one half, as two such sums show when they are compared.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import DATA, MODEL, legend, name, several, show_picture
from gan_cli.claims.lab import Lab
from gan_cli.evaluation.attributes import ATTRIBUTES, extremes
from gan_cli.pictures import sheet, to_bytes

RUN, SUMS = "digits", 200
AVERAGED = 3  # z, as in the paper


def show(lab: Lab) -> Outcome:
    """Add the directions of slant and of stroke width, and measure the pictures."""
    game = lab.trained(RUN).sampler
    pool, sums = lab.steps(4000, fast=200), lab.steps(SUMS, fast=20)
    z = game.draw_noise(pool, seed=lab.seed_for("samples"))
    samples = game.spec.to_unit(game.map_noise(z))
    generator = lab.generator("choices")

    def means(rows: Tensor) -> Tensor:
        chosen = rows[torch.randint(len(rows), (sums, AVERAGED), generator=generator)]
        return z[chosen].mean(dim=1)

    checks: list[Check] = []
    data: dict[str, list[float]] = {}
    figure, plots = several(len(ATTRIBUTES) + 1, width=3.4, height=3.6)
    for (attribute, (measure, unit)), plot in zip(ATTRIBUTES.items(), plots, strict=False):

        def measured(of: Tensor) -> Tensor:
            return measure(game.spec.to_unit(game.map_noise(game.noise.onto_support(of))))  # noqa: B023

        has, lacks = extremes(measure(samples))
        every = torch.arange(pool)
        a, b, c = means(has), means(lacks), means(lacks)
        added = measured(a - b + c)
        random = [measured(means(every) - means(every) + c) for _ in range(2)]
        moved = (added > random[0]).double().mean().item()
        chance = (random[1] > random[0]).double().mean().item()
        checks += [
            Check(f"{attribute}: share of sums that have more of it", moved, at_least=0.9),
            Check(f"{attribute}: the same of random sums", chance, at_least=0.4, at_most=0.6),
        ]
        name(plot, f"{attribute}: {unit}", "sums")
        for values, color, label in ((random[0], DATA, "random"), (added, MODEL, "a - b + c")):
            plot.hist(values.numpy(), bins=20, color=color, alpha=0.7, label=label)
        data |= {attribute: added.tolist(), f"{attribute} of random sums": random[0].tolist()}
        if attribute == "slant":
            rows = [part[:4] for part in (a, b, c, a - b + c)]
    pictures = game.map_noise(game.noise.onto_support(torch.cat(rows)))
    caption = "G of means of 3 z, from above:\na leans right, b and c left; a - b + c"
    show_picture(plots[-1], sheet(to_bytes(pictures, game.spec), columns=4), caption)
    legend(figure)
    checks.sort(key=lambda check: "random" in check.what)
    return Outcome(checks, figure, data=data)


CLAIM = Claim(
    34,
    "arithmetic",
    statement="Means of three z can be added and subtracted, and the picture's attributes follow.",
    formula="G(mean z(leans right) - mean z(leans left) + mean z(others)) leans right",
    source="note 001; Radford et al. 2015, section 6.3.2",
    method="200 sums of means of 3 z; slant and stroke width measured, against random sums.",
    show=show,
    runs=(RUN,),
)
