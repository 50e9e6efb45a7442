"""Expectations by numeric integration, to hold draws against, and the errors of draws."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

POINTS, REACH = 200_001, 12.0  # of the trapezoid rule, over so many standard deviations


def expectation(f: Callable[[Tensor], Tensor], *, mean: float = 0.0, std: float = 1.0) -> float:
    """E[f(x)] for x ~ N(mean, std^2), in float64; f takes and gives (n,)."""
    u = torch.linspace(-REACH, REACH, POINTS, dtype=torch.float64)
    density = torch.exp(-u.square() / 2) / math.sqrt(2 * math.pi)
    return torch.trapezoid(density * f(mean + std * u), u).item()


def variance(f: Callable[[Tensor], Tensor], *, mean: float = 0.0, std: float = 1.0) -> float:
    """Var[f(x)] for x ~ N(mean, std^2)."""
    first = expectation(f, mean=mean, std=std)
    return expectation(lambda x: (f(x) - first).square(), mean=mean, std=std)


def standard_error(values: Tensor) -> float:
    """Of the mean of independent values, (n,)."""
    error: float = (values.double().std() / len(values) ** 0.5).item()
    return error
