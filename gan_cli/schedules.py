"""Schedules of learning rate and momentum: pure functions of the step, so nothing needs saving."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from typing_extensions import override

from gan_cli.errors import require


class Schedule(ABC):
    """Multiplies both learning rates, and may move the momentum."""

    #: Step from which on the learning rate is zero; None: never.
    last_step: int | None = None

    @abstractmethod
    def factor(self, step: int) -> float:
        """Factor in [0, 1] for the step that follows `step` finished ones."""

    def momentum(self, step: int, start: float) -> float:  # noqa: ARG002
        """Momentum for that step, of an optimizer that has one and began with `start`."""
        return start


class Constant(Schedule):
    """The learning rate stays."""

    @override
    def factor(self, step: int) -> float:
        """Always 1."""
        return 1.0


class _Decay(Schedule):
    """1 for `constant_steps`, then down to 0 over `decay_steps`."""

    def __init__(self, *, constant_steps: int, decay_steps: int) -> None:
        require(
            (constant_steps >= 0, "constant_steps", constant_steps, "must be 0 or more"),
            (decay_steps >= 1, "decay_steps", decay_steps, "must be at least 1"),
        )
        self.constant_steps, self.decay_steps = constant_steps, decay_steps
        self.last_step = constant_steps + decay_steps

    def fraction(self, step: int) -> float:
        """The part of the decay that is done, in [0, 1]."""
        return min(1.0, max(0.0, (step - self.constant_steps) / self.decay_steps))


class LinearDecay(_Decay):
    """Constant, then linear to 0 (Zhu et al. 2017, section 4)."""

    @override
    def factor(self, step: int) -> float:
        """1 - t, with t the fraction of the decay done."""
        return 1.0 - self.fraction(step)


class Cosine(_Decay):
    """Constant, then half a cosine to 0 (Loshchilov & Hutter 2017, eq. 5)."""

    @override
    def factor(self, step: int) -> float:
        """(1 + cos(pi t)) / 2, with t the fraction of the decay done."""
        return 0.5 * (1.0 + math.cos(math.pi * self.fraction(step)))


class ExponentialDecay(Schedule):
    """The 2014 authors' schedule: rate / decay^step down to a floor, momentum rising linearly."""

    def __init__(
        self, *, decay: float, min_factor: float, final_momentum: float | None, momentum_steps: int
    ) -> None:
        require(
            (decay > 1, "decay", decay, "the rate is divided by it in each step; must be above 1"),
            (0 <= min_factor <= 1, "min_factor", min_factor, "must lie in [0, 1]"),
            (
                final_momentum is None or 0 <= final_momentum < 1,
                "final_momentum",
                final_momentum,
                "must lie in [0, 1), or null to leave it",
            ),
            (momentum_steps >= 1, "momentum_steps", momentum_steps, "must be at least 1"),
        )
        self.decay, self.min_factor = decay, min_factor
        self.final_momentum, self.momentum_steps = final_momentum, momentum_steps

    @override
    def factor(self, step: int) -> float:
        """max(decay^-step, min_factor)."""
        return max(math.exp(-step * math.log(self.decay)), self.min_factor)

    @override
    def momentum(self, step: int, start: float) -> float:
        """From `start` linearly to `final_momentum` over `momentum_steps`."""
        if self.final_momentum is None:
            return start
        return start + (self.final_momentum - start) * min(1.0, step / self.momentum_steps)
