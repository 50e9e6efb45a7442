"""The state of training, and how it is stored and restored."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gan_cli.data.batches import AnyBatches
from gan_cli.games.base import AVERAGE, Game
from gan_cli.schedules import Schedule
from gan_cli.seeding import derive_seed, global_streams, restore_global_streams
from gan_cli.system.ranks import Ranks
from gan_cli.training.finite import Player


@dataclass(kw_only=True)
class TrainState:
    """All that training changes: what a checkpoint stores and a resumed run continues from.

    With several processes, `state_dict` holds what all have in common, as rank 0 has it, and under
    `ranks` what each has for itself: random streams, and what its game remembers.
    """

    game: Game[Any]
    optimizers: dict[Player, torch.optim.Optimizer]
    schedule: Schedule
    batches: AnyBatches
    device: torch.device
    seed: int = 0
    step: int = 0
    seconds: float = 0.0
    _since: float = field(default_factory=time.monotonic)

    def state_dict(self) -> dict[str, Any]:
        """Everything, as plain values and tensors; all processes must ask for it together."""
        ranks = self.game.ranks
        of_ranks = {} if ranks.alone else {"ranks": ranks.gather(self.state_of_rank())}
        return of_ranks | {
            "step": self.step,
            "seconds": self.elapsed(),
            "game": self.game.state_dict(),
            "optimizers": {key: opt.state_dict() for key, opt in self.optimizers.items()},
            "batches": self.batches.state_dict(),
            "streams": global_streams(self.device),
        }

    def state_of_rank(self) -> dict[str, Any]:
        """What this process has for itself, on the CPU."""
        weights = dict(self.game.named_parameters())
        remembered = {
            key: value.cpu() if isinstance(value, Tensor) else value
            for key, value in self.game.state_dict().items()
            if key not in weights and not key.startswith(AVERAGE)
        }
        return {"game": remembered, "streams": global_streams(self.device)}

    def load_state_of_rank(self, states: list[dict[str, Any]]) -> None:
        """Restore what this process had, if there were as many; else start streams of its own."""
        ranks = self.game.ranks
        if len(states) == ranks.world and not ranks.alone:
            state = states[ranks.rank]
            self.game.load_state_dict(state["game"], strict=False)
            restore_global_streams(state["streams"], self.device)
        elif not ranks.is_first:
            torch.manual_seed(derive_seed(self.seed, "rank", ranks.rank, self.step))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken.

        Raises:
            RuntimeError: the networks are not those of the state.
            ValueError: a number in it makes no sense.
        """
        self.game.load_state_dict(state["game"])
        for key, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][key])
            require_shapes(optimizer)
            lay_out_as_weights(optimizer)
        self.batches.load_state_dict(state["batches"])
        restore_global_streams(state["streams"], self.device)
        self.step, self.seconds = int(state["step"]), float(state["seconds"])
        if self.step < 0 or not 0 <= self.seconds < 1e12:
            raise ValueError(f"step={self.step}, seconds={self.seconds}")
        self.load_state_of_rank(state.get("ranks", []))
        self._since = time.monotonic()

    def elapsed(self) -> float:
        """Seconds of training, summed over resumptions."""
        return self.seconds + time.monotonic() - self._since

    def start_clock(self) -> None:
        """Count training time from now."""
        self._since = time.monotonic()

    def join(self, ranks: Ranks) -> None:
        """Train together with other processes, whose dropout differs."""
        self.game.join(ranks)
        if not ranks.is_first:
            torch.manual_seed(derive_seed(self.seed, "rank", ranks.rank))

    def rates(self) -> dict[str, float]:
        """The learning rates of the last step."""
        return {f"lr/{key}": opt.param_groups[0]["lr"] for key, opt in self.optimizers.items()}

    def set_rates(self) -> None:
        """Set learning rate and momentum of both players for the step that comes."""
        factor = self.schedule.factor(self.step)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
                if "momentum" in group:
                    group["momentum"] = self.schedule.momentum(self.step, group["initial_momentum"])


def require_shapes(optimizer: torch.optim.Optimizer) -> None:
    """Reject state of other shapes than the weights: a fused kernel would write past its end.

    Raises:
        ValueError: with both shapes.
    """
    for parameter, memory in optimizer.state.items():
        for name, value in memory.items():
            if isinstance(value, Tensor) and value.dim() and value.shape != parameter.shape:
                raise ValueError(
                    f"{name} of the optimizer is {tuple(value.shape)}, "
                    f"but its weight {tuple(parameter.shape)}"
                )


def lay_out_as_weights(optimizer: torch.optim.Optimizer) -> None:
    """Order the optimizer's memory as its weights are: fused kernels go by position alone.

    On another device, or in another version, weights may lie in another order than when saved.
    """
    for parameter, memory in optimizer.state.items():
        for name, value in memory.items():
            if isinstance(value, Tensor) and value.dim() and value.stride() != parameter.stride():
                memory[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
