"""Learning-rate schedules: pure functions of the step, so nothing needs saving or replaying."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from gan_cli.errors import require


class Schedule(ABC):
    """Multiplies both learning rates."""

    #: Step from which on the learning rate is zero; None: never.
    last_step: int | None = None

    @abstractmethod
    def factor(self, step: int) -> float:
        """Factor in [0, 1] for the step that follows `step` finished ones."""


class Constant(Schedule):
    """The learning rate stays."""

    def factor(self, step: int) -> float:  # noqa: ARG002
        """Always 1."""
        return 1.0


class _Decay(Schedule):
    """1 for `constant_steps`, then down to 0 over `decay_steps`."""

    def __init__(self, *, constant_steps: int, decay_steps: int) -> None:
        require(
            (constant_steps >= 0, f"constant_steps={constant_steps}: must be 0 or more"),
            (decay_steps >= 1, f"decay_steps={decay_steps}: must be at least 1"),
        )
        self.constant_steps, self.decay_steps = constant_steps, decay_steps
        self.last_step = constant_steps + decay_steps

    def fraction(self, step: int) -> float:
        """How much of the decay lies behind, in [0, 1]."""
        return min(1.0, max(0.0, (step - self.constant_steps) / self.decay_steps))


class LinearDecay(_Decay):
    """Constant, then linear to 0 (Zhu et al. 2017, section 4)."""

    def factor(self, step: int) -> float:
        """1 - t, with t the fraction of the decay done."""
        return 1.0 - self.fraction(step)


class Cosine(_Decay):
    """Constant, then half a cosine to 0 (Loshchilov & Hutter 2017, eq. 5)."""

    def factor(self, step: int) -> float:
        """(1 + cos(pi t)) / 2, with t the fraction of the decay done."""
        return 0.5 * (1.0 + math.cos(math.pi * self.fraction(step)))
