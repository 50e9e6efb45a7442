"""At the end neither player can do better alone: a Nash equilibrium.

"G has reached p_data" is not what the game itself can see. What it can see is whether a move pays.
Let D' be the best D against the present G, and G' the best G against the present D. Their gap

    max over D' of V(D', G)  -  min over G' of V(D, G')

is never negative, and 0 only where neither gains by a change (Grnarova et al. 2019). Both are found
by training copies and judged on fresh draws, so the gap is a lower estimate.

At p_g = p_data and D = 1/2 it must be 0. A G that puts all its samples near one mode of two leaves
a gap: D' gains by seeing it, or G' by moving where D lets it through.
"""

from __future__ import annotations

import torch
from torch import nn

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import DATA, MODEL, axes
from gan_cli.claims.lab import Given, Lab
from gan_cli.evaluation.nash import Effort, Gap, duality_gap

MODES, STD = 1.5, 0.5  # the data: two Gaussians at -1.5 and 1.5
FRESH, TRAIN = 50_000, 50_000


def to_mixture(z: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Half of the z to each of two Gaussians, by the sign of their second coordinate."""
    return torch.where(z[:, 1:] < 0, left, right) + STD * z[:, :1]


def undecided(d: nn.Module) -> nn.Module:
    """D with its last layer at 0: D(x) = 1/2 for all x."""
    last = [module for module in d.modules() if isinstance(module, nn.Linear)][-1]
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return d


def show(lab: Lab) -> Outcome:
    """Measure the gap at the equilibrium, and of a G that lost a mode."""
    effort = Effort(lab.steps(400, fast=60), 256, 1e-2)
    n = lab.steps(FRESH, fast=4000)
    gaps: dict[str, Gap] = {}
    for name, ends in {"equilibrium": [-MODES, MODES], "collapsed G": [MODES, MODES]}.items():
        experiment = lab.experiment(
            "data=mixture_1d", f"data.means=[{-MODES},{MODES}]", f"data.stds=[{STD},{STD}]",
            "data.weights=[0.5,0.5]", "noise.dim=2", "model.discriminator.hidden=[64,64]",
            "model.discriminator.activation=tanh", generator=Given(to_mixture, ends),
        )  # fmt: skip
        draw, game = experiment.density.sample, experiment.game
        train, _ = draw(lab.steps(TRAIN, fast=4000), generator=lab.generator(name, "train"))
        fresh, _ = draw(n, generator=lab.generator(name, "fresh"))
        undecided(game.discriminator)
        gaps[name] = duality_gap(
            game, (train, None), (fresh, None), effort=effort, seed=lab.seed,
            refit=name != "equilibrium",
        )  # fmt: skip
    figure, plot = axes("", "V in nats")
    for place, gap in enumerate(gaps.values()):
        plot.plot([place, place], [gap.by_g, gap.by_d], "o-", color=MODEL, linewidth=3)
        text = f"  gap {gap.gap:.4f}"
        plot.annotate(text, (place, (gap.by_g + gap.by_d) / 2), va="center")
    plot.axhline(-1.3863, color=DATA, linestyle=":", label="-log 4")
    plot.set_xticks(range(len(gaps)), list(gaps))
    plot.set_xlim(-0.5, 1.8)
    plot.legend(frameon=False)
    still, lost = gaps["equilibrium"], gaps["collapsed G"]
    return Outcome(
        [
            Check("gap of the collapsed G, in nats", lost.gap, error=lost.error, at_least=0.1),
            Check("gap at p_g = p_data and D = 1/2", still.gap, error=still.error,
                  at_least=-0.01, at_most=0.01),
        ],
        figure,
        data={name: [gap.by_g, gap.by_d] for name, gap in gaps.items()},
    )  # fmt: skip


CLAIM = Claim(
    19,
    "nash",
    statement="The game ends in a Nash equilibrium, where neither player can do better alone.",
    formula="max_D' V(D',G) - min_G' V(D,G') >= 0, and 0 only at the equilibrium",
    source="note 002; Goodfellow et al. 2014, section 4",
    method="The gap by retrained copies on fresh draws, at the equilibrium and for a collapsed G.",
    show=show,
)
