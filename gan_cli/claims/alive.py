"""Experiments that a reader plays with in the page of claims: which claims have one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from gan_cli.claims import c12_oscillation as c12
from gan_cli.claims import c13_proposition_1 as c13
from gan_cli.claims import c16_kullback_leibler as c16
from gan_cli.claims import c17_jensen_shannon as c17
from gan_cli.claims import c22_figure_1 as c22
from gan_cli.data.points import Points
from gan_cli.settings.build import make
from gan_cli.settings.compose import compose_config
from gan_cli.theory.density import GaussianMixture

#: Names in `page/scripts/`: of all such experiments, and of each kind.
COMMON = (
    "explore/noise.js", "explore/controls.js", "explore/charts.js", "claims/alive.js",
    "claims/plots.js", "claims/divergence.js",
)  # fmt: skip
OWN = {
    "densities": ("claims/densities.js",),
    "circle": ("claims/circle.js",),
    "play": ("claims/game.js", "claims/play.js"),
}


@dataclass(frozen=True)
class Alive:
    """An experiment for the reader.

    Attributes:
        kind: of it, a key of OWN.
        caption: what to try, in a sentence or two.
        settings: gives what its script takes, ready for JSON.
    """

    kind: str
    caption: str
    settings: Callable[[], Mapping[str, Any]]


def scripts_for(experiments: Iterable[Alive]) -> tuple[str, ...]:
    """The scripts that a page with these experiments needs; none for none."""
    kinds = sorted({experiment.kind for experiment in experiments})
    return (*COMMON, *(name for kind in kinds for name in OWN[kind])) if kinds else ()


def configured(*overrides: str) -> GaussianMixture:
    """p_data as the config has it; no point is drawn."""
    return cast("Points", make(compose_config(list(overrides)), "data")).density


def densities(
    density: Callable[[], GaussianMixture],
    *,
    start: tuple[float, float],
    means: tuple[float, float],
    stds: tuple[float, float],
    pushed: bool = False,
) -> dict[str, Any]:
    """Settings of a place where p_g is moved by hand.

    Args:
        density: gives p_data, on the line.
        start: mean and standard deviation of p_g.
        means: ends of the mean's slider.
        stds: ends of the deviation's slider.
        pushed: whether D may be pushed away from D*.
    """
    p = density()
    data = {
        "means": p.means[:, 0].tolist(), "stds": p.stds.tolist(), "weights": p.weights.tolist()
    }  # fmt: skip
    mean, std = start
    return {
        "data": data, "mean": mean, "std": std, "means": means, "stds": stds, "pushed": pushed
    }  # fmt: skip


def playing(*, k: int, rate: float) -> dict[str, Any]:
    """Settings of a game on the data of figure 1.

    Args:
        k: moves of D in a step, at first.
        rate: of both players, at first.
    """
    p = configured(*c22.DATA_SETTINGS)
    mean, std = p.means.item(), p.stds.item()
    return {
        "mean": mean, "std": std, "start": [mean - 2, 1.0], "batch": 64, "seed": 1, "k": k,
        "rate": rate,
    }  # fmt: skip


#: The experiment of a claim, by the claim's number.
EXPERIMENTS: dict[int, Alive] = {
    8: Alive(
        "play",
        "Take one move at a time: k moves of D, each on fresh noise and data, then one of G.",
        partial(playing, k=3, rate=0.1),
    ),
    9: Alive(
        "play",
        "Play 2,400 moves with k = 1, then with k = 20, and compare: few were left for G.",
        partial(playing, k=1, rate=0.2),
    ),
    12: Alive(
        "circle",
        "Choose a loss, the rate and R1's gamma, and see where the players go.",
        lambda: {"rate": c12.RATE, "gamma": c12.GAMMA, "start": c12.START},
    ),
    13: Alive(
        "densities",
        "Move p_g: the best D follows. Push D's log-odds away from it: V falls.",
        partial(
            densities, partial(configured, *c13.SETTINGS[:1]), start=(c13.MEAN, c13.STD),
            means=(-4, 5), stds=(0.1, 3), pushed=True,
        ),
    ),
    14: Alive(
        "densities",
        "Move p_g onto the data: what G pays falls to -log 4, and not below.",
        partial(
            densities, partial(configured, "data=gaussian"), start=(3.0, 0.5), means=(2, 6),
            stds=(0.1, 1.5),
        ),
    ),
    16: Alive(
        "densities",
        "Put p_g on one mode, then stretch it over both: the two KL punish different faults.",
        partial(densities, lambda: c16.P, start=(0.0, 3.0), means=(-4, 4), stds=(0.1, 3)),
    ),
    17: Alive(
        "densities",
        "Move two normals apart: JSD comes to log 2 = 0.6931, and never above.",
        partial(
            densities, partial(c17.normal, 0.0), start=(2.0, 1.0), means=(-8, 8), stds=(0.1, 3)
        ),
    ),
    22: Alive(
        "play",
        "Play: D comes to D*, G follows D's slope, overshoots, and comes back to the data.",
        partial(playing, k=5, rate=0.1),
    ),
}  # fmt: skip
