"""Adversarial losses as pairs of pure functions on D's outputs.

For the losses of the 2014 paper D's output is the logit l(x), so that D(x) = sigmoid(l(x)). With
log D = -softplus(-l) and log(1 - D) = -softplus(l) nothing overflows and no gradient is lost to
log(sigmoid). For the others D's output is a score without bounds.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, relu, softplus
from typing_extensions import override

from gan_cli.errors import Problem, SettingsError, require


class Loss(ABC):
    """What D and G minimise."""

    #: D's output is a log-odds, so probabilities and V(D,G) can be read from it.
    log_odds = False
    #: D aims at a number on real data, which may be smoothed.
    has_target = False
    #: G's loss compares generated with real data, so `g` is called with both.
    pairs = False

    @abstractmethod
    def d(self, real: Tensor, fake: Tensor) -> Tensor:
        """D's loss, a scalar, from its outputs on real and on generated data, each (m, ...)."""

    @abstractmethod
    def g(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """G's loss, a scalar, from D's outputs on generated data, (m, ...).

        Args:
            fake: D's outputs on generated data.
            real: those on real data, for losses that pair them; else None.
        """

    def d_rejects(self, wrong: Tensor, real: Tensor) -> Tensor:
        """D's loss on other data that it must not take for real, a scalar.

        Unless a subclass says otherwise, D treats them as it treats generated data.

        Args:
            wrong: D's outputs on them, (m, ...).
            real: D's outputs on real data, (m, ...), for losses that pair them.
        """
        return self.d(real, wrong)

    def output_scalars(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """What to log of D's outputs on real and on generated data, by log key."""
        if self.log_odds:
            return log_odds_scalars(real, fake)
        return {"score/real": real.mean(), "score/fake": fake.mean()}

    def smooth(self, target: float) -> None:
        """Let D aim at `target` instead of 1 on real data (one-sided label smoothing).

        Raises:
            SettingsError: this loss has no target.
        """
        advice = f"{type(self).__name__} has no target to smooth"
        raise SettingsError([Problem("target", target, advice)])


class TermwiseLoss(Loss):
    """Losses where D adds one term on real data and one on generated, times `d_weight`."""

    def __init__(self, *, d_weight: float) -> None:
        require((0 < d_weight < math.inf, "d_weight", d_weight, "must be positive and finite"))
        self.d_weight = d_weight

    @abstractmethod
    def real_term(self, real: Tensor) -> Tensor:
        """Mean loss of D's outputs on real data."""

    @abstractmethod
    def fake_term(self, fake: Tensor) -> Tensor:
        """Mean loss of D's outputs on generated data."""

    @override
    def d(self, real: Tensor, fake: Tensor) -> Tensor:
        """d_weight (real term + fake term)."""
        return self.d_weight * (self.real_term(real) + self.fake_term(fake))

    @override
    def d_rejects(self, wrong: Tensor, real: Tensor) -> Tensor:
        """As generated data."""
        return self.d_weight * self.fake_term(wrong)


class NonSaturating(TermwiseLoss):
    """D descends -V; G maximises log D(G(z)) (Goodfellow et al. 2014, end of section 3)."""

    log_odds = True
    has_target = True

    def __init__(self, *, d_weight: float) -> None:
        super().__init__(d_weight=d_weight)
        self.real_target = 1.0

    @override
    def smooth(self, target: float) -> None:
        """Real data count as real with probability `target` (Salimans et al. 2016, 3.4)."""
        self.real_target = target

    @override
    def real_term(self, real: Tensor) -> Tensor:
        """-E[t log D(x) + (1 - t) log(1 - D(x))], with target t = 1 unless smoothed."""
        loss = softplus(-real).mean()
        if self.real_target != 1.0:  # -log(1 - D) = -log D + l
            loss = loss + (1.0 - self.real_target) * real.mean()
        return loss

    @override
    def fake_term(self, fake: Tensor) -> Tensor:
        """-E[log(1 - D(G(z)))]."""
        return softplus(fake).mean()

    @override
    def g(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """-E[log D(G(z))]."""
        return softplus(-fake).mean()


class Minimax(NonSaturating):
    """Both play V itself; G minimises log(1 - D(G(z))), which saturates while D wins (eq. 1)."""

    @override
    def g(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """E[log(1 - D(G(z)))]."""
        return -softplus(fake).mean()


class LeastSquares(TermwiseLoss):
    """D's outputs aim at 1 and 0, G's at 1 (Mao et al. 2017, eq. 9, with b = c = 1, a = 0).

    The paper halves all terms. Zhu et al. 2017 halve D's loss alone: d_weight = 0.5.
    """

    has_target = True

    def __init__(self, *, d_weight: float, g_weight: float) -> None:
        super().__init__(d_weight=d_weight)
        require((0 < g_weight < math.inf, "g_weight", g_weight, "must be positive and finite"))
        self.g_weight = g_weight
        self.real_target = 1.0

    @override
    def smooth(self, target: float) -> None:
        """D aims at `target` on real data."""
        self.real_target = target

    @override
    def real_term(self, real: Tensor) -> Tensor:
        """E[(D(x) - t)^2], with target t = 1 unless smoothed."""
        return (real - self.real_target).square().mean()

    @override
    def fake_term(self, fake: Tensor) -> Tensor:
        """E[D(G(z))^2]."""
        return fake.square().mean()

    @override
    def g(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """g_weight E[(D(G(z)) - 1)^2]."""
        return self.g_weight * (fake - 1.0).square().mean()


class Hinge(TermwiseLoss):
    """D stops caring beyond a margin of 1 (Lim & Ye 2017; Miyato et al. 2018, eq. 16 and 17)."""

    @override
    def real_term(self, real: Tensor) -> Tensor:
        """E[max(0, 1 - D(x))]."""
        return relu(1.0 - real).mean()

    @override
    def fake_term(self, fake: Tensor) -> Tensor:
        """E[max(0, 1 + D(G(z)))]."""
        return relu(1.0 + fake).mean()

    @override
    def g(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """-E[D(G(z))]."""
        return -fake.mean()


class Wasserstein(TermwiseLoss):
    """-loss of D estimates the earth mover's distance if D is 1-Lipschitz (Arjovsky et al. 2017).

    D needs a bound: the gradient penalty, weight clipping or spectral norm.
    """

    @override
    def real_term(self, real: Tensor) -> Tensor:
        """-E[D(x)]."""
        return -real.mean()

    @override
    def fake_term(self, fake: Tensor) -> Tensor:
        """E[D(G(z))]."""
        return fake.mean()

    @override
    def d_rejects(self, wrong: Tensor, real: Tensor) -> Tensor:
        """E[D(wrong)] - E[D(x)]: only differences count, so D gains nothing by a mere shift."""
        return self.d(real, wrong)

    @override
    def output_scalars(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Scores, and E[D(x)] - E[D(G(z))]: at most D's largest slope times W1 (equation 2)."""
        estimate = real.mean() - fake.mean()
        return {**super().output_scalars(real, fake), "wasserstein/estimate": estimate}

    @override
    def g(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """-E[D(G(z))]."""
        return -fake.mean()


class Relativistic(Loss):
    """D decides which of a real and a generated datum is real (Jolicoeur-Martineau 2019, RpGAN).

    Each real datum of the batch is paired with one generated datum.
    """

    pairs = True

    @override
    def d(self, real: Tensor, fake: Tensor) -> Tensor:
        """-E[log sigmoid(D(x) - D(G(z)))]."""
        return softplus(fake - real).mean()

    @override
    def g(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """-E[log sigmoid(D(G(z)) - D(x))]."""
        assert real is not None
        return softplus(real - fake).mean()


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
