"""Lower confidence bounds for the mean of bounded values, true for every n and any distribution.

Two are known to be tight where values vary little: the empirical Bernstein bound (Maurer & Pontil
2009, Theorem 4) and the bound by betting (Waudby-Smith & Ramdas 2024, section 4: hedged capital).
Both hold for independent values of one distribution, which nothing below needs to know.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LARGEST_BET = 0.75  # of all that could be lost at once, so that no bet ruins
BETS = 0.9  # share of delta that goes to the bound by betting, which is nearly always the higher
HALVINGS = 50  # of the interval that holds the bound: the last is below 1e-15 of the range


def lower_bound(values: Tensor, *, low: float, high: float, delta: float) -> float:
    """A number that the mean exceeds with probability 1 - delta: the higher of two such bounds.

    Both share delta, so that together they fail no more often than delta allows.

    Args:
        values: independent draws of one distribution, (n,).
        low: none can be smaller; the bound never is.
        high: none can be larger.
        delta: how often the bound may be wrong, above 0 and below 1.
    """
    if not len(values) or high <= low:
        return low
    scaled = ((values.double().cpu() - low) / (high - low)).clamp(0, 1)
    bound = max(betting(scaled, BETS * delta), bernstein(scaled, (1 - BETS) * delta))
    return low + (high - low) * bound


def bernstein(values: Tensor, delta: float) -> float:
    """Mean - sqrt(2 V log(2/delta) / n) - 7 log(2/delta) / (3 (n - 1)), V the sample variance.

    Args:
        values: in [0, 1], float64 (n,).
        delta: how often the bound may be wrong.
    """
    n = len(values)
    if n < 2:
        return 0.0
    log = math.log(2 / delta)
    slack = math.sqrt(2 * values.var().item() * log / n) + 7 * log / (3 * (n - 1))
    return max(0.0, values.mean().item() - slack)


def betting(values: Tensor, delta: float) -> float:
    """The largest m against which betting that the mean is higher has made 1/delta out of 1.

    If the mean is m, the capital K_t(m) = prod_i (1 + lambda_i (x_i - m)) is a fair game's for bets
    lambda_i that look at earlier values alone, and reaches 1/delta with probability delta at most
    (Ville's inequality). Bets are those of eq. 26 there: sqrt(2 log(1/delta) / (n V)), with V the
    variance so far, and at most LARGEST_BET / m.

    Args:
        values: in [0, 1], float64 (n,), in an order that does not go by their sizes.
        delta: how often the bound may be wrong.
    """
    bets, goal = _bets(values, delta), math.log(1 / delta)

    def disproved(m: float) -> bool:
        stakes = bets.clamp(max=LARGEST_BET / m) if m else bets
        return bool(torch.log1p(stakes * (values - m)).cumsum(0).max() >= goal)

    low, high = 0.0, 1.0  # the capital falls as m rises
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if disproved(middle) else (low, middle)
    return low


def _bets(values: Tensor, delta: float) -> Tensor:
    """Each bet, of the values before it and of one more that is 1/2 with a variance of 1/4."""
    n = len(values)
    counts = torch.arange(1, n + 1, dtype=torch.float64)
    means = (0.5 + values.cumsum(0)) / (counts + 1)
    variances = (0.25 + (values - means).square().cumsum(0)) / (counts + 1)
    before = torch.cat([variances.new_tensor([0.25]), variances[:-1]])
    return (2 * math.log(1 / delta) / (n * before)).sqrt()


def sign_test(right: int, wrong: int) -> float:
    """The probability of so many right out of right + wrong, or more, by tossing a coin."""
    from scipy.special import bdtrc

    return float(bdtrc(right - 1, right + wrong, 0.5))
