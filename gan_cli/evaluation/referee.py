"""A certified distance of p_g from p_data: Theorem 1 of Goodfellow et al. (2014), read backwards.

V(D, G) <= -log 4 + 2 JSD(p_data || p_g) for every D, so any critic that is fixed before it sees the
judged data gives JSD >= (V(D, G) + log 4) / 2, on average over them. A confidence bound for that
mean makes it certain but for 5 %: a weak critic gives a small number, never a false alarm.

The judged part is judged once, by one critic. All else may choose the critic. It learns from the
run's own training data: G may know them by heart, and then the critic takes copies for real, which
costs height of the bound, but no truth. In return all that training never saw is left for stopping
(a fifth) and for judging (the rest). A critic fitted on held-out data would see less, or leave less
to judge: the bound's slack falls with the square root of what is judged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from gan_cli.evaluation.critics import (
    Critic,
    Effort,
    Encode,
    Part,
    calibrate,
    ends,
    fit,
    terms,
)
from gan_cli.seeding import derive_seed
from gan_cli.theory.confidence import lower_bound, sign_test

DELTA = 0.05  # how often each bound may be wrong


@dataclass(frozen=True)
class Candidate:
    """A kind of critic: how its network is made, what it sees, and how hard it tries."""

    make: Callable[[], nn.Module]
    encode: Encode
    effort: Effort

    def hurried(self) -> Candidate:
        """The same with a quarter of the steps: training waits for it."""
        return replace(self, effort=replace(self.effort, steps=self.effort.steps // 4))


@dataclass(frozen=True)
class Verdict:
    """What one critic says of the judged data.

    Attributes:
        values: of each judged datum, with the mean (V + log 4) / 2; float64 (n,), in nats.
        leads: likewise the share of right answers less that of wrong ones on its samples, which on
            average is P(D > 1/2) - Q(D > 1/2); float64 (n,), from -1 to 1.
        jsd_at_least: in nats, from 0 to log 2; the JSD is less in 5 % of all cases at most.
        tv_at_least: likewise of the total variation, from 0 to 1.
        p: of the test whether D > 1/2 tells real from generated.
        accuracy: of D > 1/2 on both kinds.
    """

    values: Tensor
    leads: Tensor
    jsd_at_least: float
    tv_at_least: float
    p: float
    accuracy: float


def referee(
    candidates: list[Candidate],
    fitted: Part,
    stop: Part,
    judged: Part,
    *,
    seed: int,
    device: torch.device,
) -> Verdict:
    """Fit a critic of each kind, let `stop` choose, and judge.

    PyTorch's own random streams are left as they were.

    Args:
        candidates: kinds of critics.
        fitted: what they are fitted on.
        stop: what stops them, calibrates them and chooses among them.
        judged: independent of both, and looked at once.
        seed: of weights and batches.
        device: where critics run.
    """  # fmt: skip
    critics = []
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for number, candidate in enumerate(candidates):
            torch.manual_seed(derive_seed(seed, "referee", "weights", number))
            critic = Critic(candidate.make(), candidate.encode, device=device)
            fit(critic, fitted, stop, effort=candidate.effort, seed=seed)
            calibrate(critic, stop, judged=len(judged.real), delta=DELTA)
            critics.append(critic)
    best = max(critics, key=lambda critic: terms(*both(critic, stop)).mean().item())
    return verdict(best, judged)


def both(critic: Critic, part: Part) -> tuple[Tensor, Tensor]:
    """Logits of real data (n,), and of generated ones (k n,)."""
    return critic.logits(part.real, part.labels), critic.logits(part.fake, part.labels_of_fake)


def verdict(critic: Critic, judged: Part) -> Verdict:
    """What a critic that is fixed by now says.

    A real datum and its samples make one value, so that one bound covers both terms of V. The total
    variation is at least P(D > 1/2) - Q(D > 1/2). If p_g = p_data, D is right about both of a pair
    as often as wrong about both, which makes the two-sample test by a classifier (Lopez-Paz & Oquab
    2017) exact for any number of data.
    """
    real, fake = both(critic, judged)
    values, (low, high) = terms(real, fake), ends(critic.clip)
    jsd = lower_bound(values, low=low, high=high, delta=DELTA)
    hits, alarms = (real > 0).double(), (fake > 0).double().view(-1, len(real))
    leads = hits - alarms.mean(dim=0)
    tv = lower_bound(leads, low=-1.0, high=1.0, delta=DELTA)
    right, wrong = hits > alarms[0], hits < alarms[0]
    accuracy = (hits.mean() + 1 - alarms.mean()).item() / 2
    p = sign_test(int(right.sum()), int(wrong.sum()))
    return Verdict(values, leads, max(0.0, jsd), max(0.0, tv), p, accuracy)
