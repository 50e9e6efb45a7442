"""Algorithm 1: k moves by D, each with m fresh noises and m data, then one by G with fresh noise.

The order matters. D must see what G makes now, not what it made before, so noise is drawn anew
for every move; and G's move comes after D's, so that it follows a D that has just learnt. We let
the product's loop play three steps with k = 3, and write down who moves and what is drawn.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import MODEL, THEORY, axes, legend
from gan_cli.claims.lab import Lab

K, STEPS, M = 3, 3, 16


def show(lab: Lab) -> Outcome:
    """Record order and draws of three steps."""
    experiment = lab.experiment("data=digits", f"k={K}", f"data.batch_size={M}")
    game = experiment.game
    order: list[str] = []
    noises: list[Any] = []
    data: list[Any] = []
    d_loss, g_loss, sample = game.d_loss, game.g_loss, game.noise.sample

    def watch_d(batch: Any) -> Any:
        order.append("d")
        data.append(batch.x)
        return d_loss(batch)

    def watch_g(batch: Any) -> Any:
        order.append("g")
        return g_loss(batch)

    def watch_noise(n: int, **how: Any) -> Any:
        noises.append(sample(n, **how))
        return noises[-1]

    game.d_loss, game.g_loss = watch_d, watch_g  # type: ignore[method-assign]
    game.noise.sample = watch_noise  # type: ignore[method-assign]
    experiment.play(STEPS)
    expected = (["d"] * K + ["g"]) * STEPS
    repeated = sum(
        a.shape == b.shape and a.equal(b) for i, a in enumerate(noises) for b in noises[:i]
    )
    misplaced = sum(a != b for a, b in zip_longest(order, expected))
    odd = sum(len(x) != M for x in [*noises, *data])
    shared = sum(a.equal(b) for i, a in enumerate(data) for b in data[:i])
    figure, plot = axes("move", "", title="who moves, in the order of the loop")
    for player, color, height in (("d", THEORY, 1), ("g", MODEL, 0)):
        at = [place for place, mover in enumerate(order) if mover == player]
        plot.bar(at, [1] * len(at), bottom=height, color=color, label=f"{player.upper()} moves")
    plot.set_yticks([0.5, 1.5], ["G", "D"])
    legend(figure)
    return Outcome(
        [
            Check("moves out of Algorithm 1's order", misplaced, at_most=0),
            Check("draws of noise that were used twice", repeated, at_most=0),
            Check("minibatches of data that were used twice", shared, at_most=0),
            Check("noises and data in a minibatch other than m", odd, at_most=0),
            Check("draws of noise for each move", len(noises) / len(order), at_least=1, at_most=1),
        ],
        figure,
        data={"order": [float(mover == "d") for mover in order]},
    )  # fmt: skip


CLAIM = Claim(
    8,
    "algorithm_1",
    statement="A step is k moves of D on fresh noise and data, then one move of G on fresh noise.",
    formula="for k: D ascends on {z(1..m)}, {x(1..m)}; then G descends on {z(1..m)}",
    source="all notes; Goodfellow et al. 2014, Algorithm 1",
    method=f"The loop plays {STEPS} steps with k = {K}; order, noise and data are recorded.",
    show=show,
)
