"""Training stops at the first loss that is not finite, and no weight moves after it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from gan_cli.errors import DivergedError
from gan_cli.games.base import Game, Scalars
from gan_cli.system.ranks import ALONE, Ranks

Player = Literal["d", "g"]
#: Keys of a line that show how training went.
TRAINING_KEYS = ("loss/", "grad_norm/", "penalty/")
#: A step and its numbers.
Line = tuple[int, Mapping[str, float]]


@dataclass(frozen=True)
class NonFiniteMove:
    """The first move whose loss was not finite."""

    player: Player
    step: int
    scalars: dict[str, float]


class FiniteGuard:
    """Notes the first loss that is not finite, and lets no weight move after it.

    On a GPU all of this stays there, and fused optimizers read the flag there, so that no step
    waits for the host; the host asks when a line is due. Other optimizers go on until then, and
    spoil weights that are not saved any more. On the CPU asking costs nothing.
    """

    def __init__(self, device: torch.device, *, on_device: bool | None = None) -> None:
        self.on_device = device.type != "cpu" if on_device is None else on_device
        #: 1 from the first loss on that is not finite, else 0.
        self.flag = torch.zeros((), device=device)
        self._first: NonFiniteMove | None = None
        self._when = torch.zeros((), dtype=torch.int64, device=device)
        self._values: dict[Player, tuple[list[str], Tensor]] = {}

    def check(self, player: Player, step: int, loss: Tensor, scalars: Scalars) -> None:
        """Check a move's loss before it is acted on, and keep its terms."""
        scalars = {key: value for key, value in scalars.items() if key.startswith("loss/")}
        if not self.on_device:
            if self._first is None and not math.isfinite(loss.item()):
                self._first = NonFiniteMove(player, step, to_numbers(scalars))
                self.flag.fill_(1.0)
            return
        tripped = self.flag > 0
        code = 2 * step + (player == "g")
        self._when = torch.where(tripped, self._when, code)
        values = torch.stack([value.float() for value in scalars.values()])
        if player in self._values:
            values = torch.where(tripped, self._values[player][1], values)
        self._values[player] = list(scalars), values
        self.flag = torch.maximum(self.flag, (~torch.isfinite(loss.detach())).float())

    def lets_step(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether `optimizer` may step; one that reads the flag on its device always may."""
        if not self.on_device:
            return self._first is None
        if all(group.get("fused") for group in optimizer.param_groups):
            optimizer.found_inf = self.flag  # type: ignore[attr-defined]
        return True

    def first(self) -> NonFiniteMove | None:
        """The first move whose loss was not finite; the host waits for the device."""
        if self.on_device and self._first is None and self.flag.item():
            step, is_g = divmod(int(self._when.item()), 2)
            player: Player = "g" if is_g else "d"
            keys, values = self._values[player]
            scalars = dict(zip(keys, values.tolist(), strict=True))
            self._first = NonFiniteMove(player, step, scalars)
        return self._first

    def require_finite(self, game: Game[Any], last: Line = (0, {})) -> None:
        """Stop if a loss was not finite.

        Weights move only in their player's turn, and nothing has moved since: if some are not
        finite now, then a gradient in that player's move before was not.

        Raises:
            DivergedError: with the step, the player, the terms and the `last` finite line.
        """
        first = self.first()
        if first is None:
            return
        causes = [
            f" {name}'s weights were not finite any more, so the gradient of its move before "
            "was not."
            for name, side in (("D", game.discriminators), ("G", game.generators))
            if not all(torch.isfinite(p).all() for p in side.parameters())
        ]
        raise DivergedError(
            f"training diverged at step {first.step}, in {first.player.upper()}'s move: "
            f"{non_finite_values(first.scalars) or 'its loss is not finite'}.{''.join(causes)}"
            f"{last_finite_values(last)}"
        )


def require_finite(line: Mapping[str, float], step: int, last: Line = (0, {})) -> None:
    """Stop at numbers that are not finite, naming them.

    Raises:
        DivergedError: with the step, the keys and the `last` finite line.
    """
    if any(not math.isfinite(value) for value in line.values()):
        values = non_finite_values(line)
        raise DivergedError(
            f"training diverged at step {step}: {values}.{last_finite_values(last)}"
        )


def non_finite_values(line: Mapping[str, float]) -> str:
    """The numbers of a line that are not finite, the first three in full."""
    values = [f"{key}={value}" for key, value in line.items() if not math.isfinite(value)]
    return ", ".join(values[:3]) + (f" and {len(values) - 3} more" if len(values) > 3 else "")


def last_finite_values(last: Line) -> str:
    """The last finite numbers, in a sentence of their own."""
    step, line = last
    words = [f"{key}={line[key]:.4g}" for key in sorted(line) if key.startswith(TRAINING_KEYS)]
    return f" Last finite numbers, of step {step}: {', '.join(words)}." if words else ""


def to_numbers(scalars: Scalars, ranks: Ranks = ALONE) -> dict[str, float]:
    """Bring scalars from the device, all in one transfer: their means over all processes."""
    values = torch.stack([value.float() for value in scalars.values()])
    return dict(zip(scalars, ranks.mean(values).tolist(), strict=True))
