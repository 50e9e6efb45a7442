"""Adversarial losses as pairs of pure functions on logits.

D's output is the logit l(x), so that D(x) = sigmoid(l(x)). With log D = -softplus(-l) and
log(1 - D) = -softplus(l) nothing overflows and no gradient is lost to log(sigmoid).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from gan_cli.errors import require


class Loss(ABC):
    """What D and G minimise."""

    #: D's output is a log-odds, so probabilities and V(D,G) can be read from it.
    log_odds: bool

    @abstractmethod
    def d(self, real: Tensor, fake: Tensor) -> Tensor:
        """D's loss, a scalar, from the logits of real and of generated data, each (m, ...)."""

    @abstractmethod
    def g(self, fake: Tensor) -> Tensor:
        """G's loss, a scalar, from the logits of generated data, (m, ...)."""


class NonSaturating(Loss):
    """D descends -V; G maximises log D(G(z)) (Goodfellow et al. 2014, end of section 3)."""

    log_odds = True

    def __init__(self, *, d_weight: float) -> None:
        require((0 < d_weight < math.inf, f"d_weight={d_weight}: must be positive and finite"))
        self.d_weight = d_weight

    def d(self, real: Tensor, fake: Tensor) -> Tensor:
        """-d_weight (E[log D(x)] + E[log(1 - D(G(z)))]) = -d_weight V(D,G)."""
        return self.d_weight * (softplus(-real).mean() + softplus(fake).mean())

    def g(self, fake: Tensor) -> Tensor:
        """-E[log D(G(z))]."""
        return softplus(-fake).mean()


class Minimax(NonSaturating):
    """Both play V itself; G minimises log(1 - D(G(z))), which saturates while D wins (eq. 1)."""

    def g(self, fake: Tensor) -> Tensor:
        """E[log(1 - D(G(z)))]."""
        return -softplus(fake).mean()


def value(real: Tensor, fake: Tensor) -> Tensor:
    """V(D,G) = E[log D(x)] + E[log(1 - D(G(z)))] in nats, at most 0 (eq. 1)."""
    return logsigmoid(real).mean() + logsigmoid(-fake).mean()


def jsd_bound(v: Tensor) -> Tensor:
    """(V + log 4) / 2 in nats: JSD(p_data || p_g) is at least this, for any D (Theorem 1)."""
    return (v + math.log(4.0)) / 2.0


def log_odds_scalars(real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    """Mean D(x), mean D(G(z)), V(D,G) and the JSD bound of one batch of logits."""
    v = value(real, fake)
    return {
        "prob/real": torch.sigmoid(real).mean(),
        "prob/fake": torch.sigmoid(fake).mean(),
        "value": v,
        "divergence/jsd_bound": jsd_bound(v),
    }
