"""Bounds hold as often as they say, whatever is drawn, and use that values vary little."""

import math

import pytest
import torch
from torch import Tensor

from gan_cli.theory.confidence import bernstein, betting, lower_bound, sign_test

DELTA, TIMES = 0.05, 300


def draws(kind: str, n: int, generator: torch.Generator) -> tuple[Tensor, float]:
    """Values in [0, 1] and their true mean."""
    uniform = torch.rand(n, dtype=torch.float64, generator=generator)
    if kind == "uniform":
        return uniform, 0.5
    if kind == "skewed":  # the square of the square: mean 1/5
        return uniform.pow(4), 0.2
    if kind == "narrow":
        return 0.5 + 0.02 * (uniform - 0.5), 0.5
    share = float(kind)
    return (uniform < share).double(), share


@pytest.mark.parametrize("kind", ["0.002", "0.01", "0.5", "0.99", "uniform", "skewed", "narrow"])
@pytest.mark.parametrize("n", [20, 300])
def test_bounds_hold_as_often_as_they_say(kind: str, n: int) -> None:
    generator = torch.Generator().manual_seed(0)
    wrong = dict.fromkeys(("bernstein", "betting", "both"), 0)
    for _ in range(TIMES):
        values, mean = draws(kind, n, generator)
        wrong["bernstein"] += bernstein(values, DELTA) > mean
        wrong["betting"] += betting(values, DELTA) > mean
        wrong["both"] += lower_bound(values, low=0.0, high=1.0, delta=DELTA) > mean
    # Three standard errors above 5 % would be 26; these bounds are wrong less often.
    assert max(wrong.values()) <= DELTA * TIMES


def test_small_variance_makes_them_tighter_than_hoeffdings() -> None:
    generator = torch.Generator().manual_seed(1)
    for kind in ("narrow", "0.01", "0.99"):
        values, mean = draws(kind, 5000, generator)
        hoeffding = math.sqrt(math.log(1 / DELTA) / (2 * len(values)))
        plain = max(0.0, values.mean().item() - hoeffding)
        assert plain < bernstein(values, DELTA) < mean
        assert mean - betting(values, DELTA) < 0.5 * (mean - plain)


def test_bounds_come_near_to_the_central_limit() -> None:
    """No bound can be much tighter than 1.645 standard errors; betting is near that."""
    values, _ = draws("uniform", 10_000, torch.Generator().manual_seed(2))
    slack = values.mean().item() - lower_bound(values, low=0.0, high=1.0, delta=DELTA)
    assert 1.645 < slack / (values.std().item() / math.sqrt(len(values))) < 2.8


def test_bounds_of_other_ranges() -> None:
    values = 3 + 4 * torch.rand(500, generator=torch.Generator().manual_seed(3))
    unit = lower_bound((values - 3) / 4, low=0.0, high=1.0, delta=DELTA)
    assert lower_bound(values, low=3.0, high=7.0, delta=DELTA) == pytest.approx(3 + 4 * unit)
    assert lower_bound(values[:0], low=3.0, high=7.0, delta=DELTA) == 3.0
    assert lower_bound(values[:1], low=3.0, high=7.0, delta=DELTA) >= 3.0


def test_equal_values_and_the_ends() -> None:
    ones, zeros = torch.ones(1000), torch.zeros(1000)
    assert 0.99 < lower_bound(ones, low=0.0, high=1.0, delta=DELTA) < 1.0
    assert lower_bound(zeros, low=0.0, high=1.0, delta=DELTA) == 0.0


def test_the_sign_test_is_the_binomial_one() -> None:
    assert sign_test(0, 0) == 1.0
    assert sign_test(3, 0) == pytest.approx(1 / 8)
    assert sign_test(2, 1) == pytest.approx(4 / 8)
    assert sign_test(0, 3) == 1.0
