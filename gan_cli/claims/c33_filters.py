"""Filters learn to draw specific things.

A unit of G is one number in a hidden layer. Nobody told it what to draw. Take the units that are on
in samples of one class more than in others, switch them off, and that class can hardly be drawn any
more, while the other classes stay: its samples turn into other digits. As many units taken at
random do not do that. The units, and the class, are chosen on one half of the samples, and the
shares are counted on the other; a classifier of the real digits says what a sample shows.

In D, a deep unit can be drawn back to pixels: which parts of digits excite it most, and which
pixels of them do (guided backpropagation). All nine show one stroke.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import DATA, MODEL, THEORY, legend, name, several, show_picture
from gan_cli.claims.lab import Lab
from gan_cli.evaluation.units import UnitsOfG, exciting
from gan_cli.networks.abilities import HasUnits
from gan_cli.pictures import sheet, to_bytes
from gan_cli.sampling.filters import picture_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RUN, PART = "digits", 16  # one in so many units of G's first layer is switched off
RANDOM = 5  # other choices of as many units


def show(lab: Lab) -> Outcome:
    """Switch a class's units of G off, and draw units of D back."""
    game, real = lab.trained(RUN).sampler, lab.reference(RUN).real
    spec, n = game.spec, lab.steps(2000, fast=200)
    assert isinstance(game.generator, HasUnits)
    assert isinstance(game.discriminator, HasUnits)
    units = UnitsOfG(game, game.generator.unit_layers()[0])
    count = units.count // PART

    def shares(samples: Tensor) -> Tensor:
        labels = real.classifier.predict(spec.to_unit(samples))
        return torch.bincount(labels, minlength=spec.classes).double() / len(labels)

    first, second = game.draw_noise(2 * n, seed=lab.seed_for("samples")).split(n)
    samples = game.map_noise(first)
    classes = real.classifier.predict(spec.to_unit(samples))
    own = units.of_classes(first, classes, among=spec.classes).topk(count).indices
    before = shares(samples)
    left = torch.stack([shares(units.without(chosen, first)) for chosen in own])
    chosen_class = best_class(before, left)
    usual = shares(game.map_noise(second)).clamp_min(1 / n)
    without = shares(units.without(own[chosen_class], second)) / usual
    generator = lab.generator("units")
    others = [torch.randperm(units.count, generator=generator)[:count] for _ in range(RANDOM)]
    at_random = torch.stack([shares(units.without(o, second)) for o in others]) / usual
    rest = torch.arange(spec.classes) != chosen_class
    x = spec.from_unit(real.sample(1000)[0])
    deep = exciting(game.discriminator, game.discriminator.unit_layers()[-1], x, None, units=4)
    figure, (bars, middle, right) = several(3, width=3.6, height=3.8)
    shares_left(bars, without.tolist(), at_random.mean(dim=0).tolist(), chosen_class)
    z = first[(classes != chosen_class).int().argsort(stable=True)[:8]]
    pairs = torch.stack([game.map_noise(z), units.without(own[chosen_class], z)], dim=1)
    caption = f"samples of {chosen_class}, each beside itself\nwithout {count} units"
    show_picture(middle, sheet(to_bytes(pairs.flatten(0, 1), spec), columns=4), caption)
    drawn_back = picture_of(deep, spec, most=6)
    show_picture(right, drawn_back, "4 units of D: what excites each,\nand its pixels")
    legend(figure)
    more = (at_random.mean(dim=0) - without)[chosen_class].item()
    return Outcome(
        [
            Check("share left of its samples", without[chosen_class].item(), at_most=0.5),
            Check("share left without random units, less the former", more, at_least=0.25),
            Check("least share left of any other class", without[rest].min().item(), at_least=0.5),
        ],
        figure,
        data={"without": without.tolist(), "random": at_random.mean(dim=0).tolist()},
    )


def shares_left(plot: Axes, without: list[float], others: list[float], chosen: int) -> None:
    """Of each class, what is left without the chosen class's units, and without random ones."""
    name(plot, "class", "share left of its samples")
    places = range(len(without))
    for shift, values, color, label in (
        (-0.2, without, MODEL, f"without {chosen}'s units"),
        (0.2, others, DATA, "without others"),
    ):
        plot.bar([place + shift for place in places], values, width=0.4, color=color, label=label)
    plot.axhline(0.5, color=THEORY, linestyle=":", label="half")
    plot.set_xticks(list(places))


def best_class(before: Tensor, left: Tensor) -> int:
    """The class whose units leave least of it and most of the others; shares as in `show`."""
    kept = left / before.clamp_min(1e-3)
    own = kept.diagonal()
    others = kept.masked_fill(torch.eye(len(kept), dtype=torch.bool), torch.inf).amin(dim=1)
    return int((others - own).masked_fill(before < 0.02, -torch.inf).argmax())


CLAIM = Claim(
    33,
    "filters",
    statement="Filters learn specific things: some units of G draw one class, and few others.",
    formula="units u with the largest E[h_u | class] - E[h_u | others], set to 0",
    source="note 001; Radford et al. 2015, section 6.3",
    method="Units chosen on half the samples are switched off; shares are counted on the other.",
    show=show,
    runs=(RUN,),
)
