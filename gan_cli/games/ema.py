"""An exponential moving average of G's weights, whose samples are steadier than G's own."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gan_cli.errors import require

RUNNING = ("running_mean", "running_var")


class Ema(nn.Module):
    """average <- d average + (1 - d) weights after each step (Yazici et al. 2019, eq. 4).

    Batch norm's running statistics are averaged as weights are; other buffers are copied.

    With `ramp_up`, d = min(decay, (1 + t) / (10 + t)) after t steps, so that the first weights
    are soon forgotten.
    """

    def __init__(self, source: nn.Module, *, decay: float, ramp_up: bool) -> None:
        super().__init__()
        require((0 < decay < 1, "decay", decay, "must lie between 0 and 1, or 0 for none"))
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
        averages: list[Tensor] = list(self.module.parameters())
        values: list[Tensor] = list(source.parameters())
        named = zip(self.module.named_buffers(), source.buffers(), strict=True)
        for (name, average), value in named:
            if name.endswith(RUNNING):
                averages.append(average)
                values.append(value)
            else:  # counters, and the vectors of spectral norm, whose length must stay 1
                average.copy_(value)
        torch._foreach_lerp_(averages, values, 1.0 - decay)

    def get_extra_state(self) -> int:
        """How often it was updated."""
        return self.updates

    def set_extra_state(self, state: int) -> None:
        """Go on counting."""
        self.updates = int(state)
