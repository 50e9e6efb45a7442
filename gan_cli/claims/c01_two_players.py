"""Two players, and each move changes its own player only.

A GAN is a game. G turns noise z into a datum G(z), D looks at data and says how likely it takes
them for real. They are trained in turns. D's loss depends on G too, and G's on D, so gradients
flow through both networks in every move. But a move may only change the player who makes it: if
D's move also moved G, G would be pushed to be caught.

So we play two moves of each, and count which tensors hold other numbers afterwards: weights, and
the running averages of batch norm, which move with every batch that passes if nobody stops them.
"""

from __future__ import annotations

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import MODEL, THEORY, axes, legend
from gan_cli.claims.lab import Lab
from gan_cli.training.finite import Player
from gan_cli.training.loop import draw
from gan_cli.training.turn import Move, play


def show(lab: Lab) -> Outcome:
    """Play two moves of each player, and see what has changed."""
    experiment = lab.experiment("data=digits", "data.image_size=16", "model=dcgan", "model.width=8")
    state = experiment.state
    networks = {"d": state.game.discriminators, "g": state.game.generators}
    changed: dict[tuple[str, str], int] = {}
    moves: tuple[Player, ...] = ("d", "g", "d", "g")  # twice: the second time, both have gradients
    for mover in moves:
        before = {
            owner: [tensor.clone() for tensor in network.state_dict().values()]
            for owner, network in networks.items()
        }
        batch = draw(state.batches)
        play(
            experiment.turns[mover],
            state.optimizers[mover],
            batch=batch,
            move=Move(),
            log_due=False,
        )
        for owner, network in networks.items():
            after = network.state_dict().values()
            count = sum(not a.equal(b) for a, b in zip(after, before[owner], strict=True))
            changed[mover, owner] = max(count, changed.get((mover, owner), 0))
    figure, plot = axes("move", "tensors that changed")
    for owner, label, color in (("d", "of D", THEORY), ("g", "of G", MODEL)):
        shift = -0.2 if owner == "d" else 0.2
        heights = [changed["d", owner], changed["g", owner]]
        plot.bar([shift, 1 + shift], heights, width=0.4, label=label, color=color)
    plot.set_xticks([0, 1], ["D's move", "G's move"])
    legend(figure)
    return Outcome(
        [
            Check("tensors of G that D's move changed", changed["d", "g"], at_most=0),
            Check("tensors of D that G's move changed", changed["g", "d"], at_most=0),
            Check("tensors of D that D's move changed", changed["d", "d"], at_least=1),
            Check("tensors of G that G's move changed", changed["g", "g"], at_least=1),
        ],
        figure,
        data={f"{m}'s move on {o}": [count] for (m, o), count in changed.items()},
    )


CLAIM = Claim(
    1,
    "two_players",
    statement="G makes data from noise, D compares, and each move changes its own player only.",
    formula="theta_d <- theta_d + rate * grad_d V(D,G);  theta_g <- theta_g - rate * grad_g V(D,G)",
    source="notes 000 and 003; Goodfellow et al. 2014, section 3",
    method="Two moves of a DCGAN's players on digits; all tensors are compared before and after.",
    show=show,
)
