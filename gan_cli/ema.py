"""An exponential moving average of G's weights, whose samples are steadier than G's own."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gan_cli.errors import require


class Ema(nn.Module):
    """average <- d average + (1 - d) weights after each step (Yazici et al. 2019, eq. 4).

    With `ramp_up`, d = min(decay, (1 + t) / (10 + t)) after t steps, so that the first weights
    are soon forgotten. Batch norm's running statistics are averaged as weights are.
    """

    def __init__(self, source: nn.Module, *, decay: float, ramp_up: bool) -> None:
        super().__init__()
        require((0 < decay < 1, f"decay={decay}: must lie between 0 and 1, or 0 for none"))
        self.decay, self.ramp_up = decay, ramp_up
        self.module = copy.deepcopy(source).requires_grad_(False)
        self.updates = 0

    def restart(self, weights: Mapping[str, Tensor]) -> None:
        """Begin anew from a state dict of the source."""
        self.module.load_state_dict(weights)
        self.updates = 0

    @torch.no_grad()
    def update(self, source: nn.Module) -> None:
        """Move the average towards the weights of `source`."""
        self.updates += 1
        decay = self.decay
        if self.ramp_up:
            decay = min(decay, (1 + self.updates) / (10 + self.updates))
        averages: list[Tensor] = []
        values: list[Tensor] = []
        for average, value in zip(state(self.module), state(source), strict=True):
            if average.is_floating_point():
                averages.append(average)
                values.append(value)
            else:
                average.copy_(value)
        torch._foreach_lerp_(averages, values, 1.0 - decay)

    def get_extra_state(self) -> int:
        """How often it was updated."""
        return self.updates

    def set_extra_state(self, state: int) -> None:
        """Go on counting."""
        self.updates = state


def state(module: nn.Module) -> list[Tensor]:
    """Weights and buffers, in order."""
    return [*module.parameters(), *module.buffers()]
