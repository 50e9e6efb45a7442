"""The noise prior p_z: what G's input z is drawn from (Goodfellow et al. 2014, section 3)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor
from typing_extensions import override

from gan_cli.errors import Rule, require


class Noise(ABC):
    """A prior over z in R^dim."""

    def __init__(self, dim: int, *rules: Rule) -> None:
        """Keep `dim`, after checking it together with the rules of a subclass."""
        require((dim >= 1, "dim", dim, "the noise needs at least one dimension"), *rules)
        self.dim = dim

    @abstractmethod
    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Draw z, (n, dim), float32, on the generator's device."""

    def in_numpy(self, n: str) -> str:
        """The draw of z, (n, dim), as an expression of NumPy; `rng` is its random generator.

        Args:
            n: the expression for n.

        Raises:
            NotImplementedError: the class does not say.
        """
        raise NotImplementedError(f"{type(self).__name__}.in_numpy")

    def onto_support(self, z: Tensor) -> Tensor:
        """Move combined draws, (n, dim), to where draws lie; here, every z in R^dim is possible."""
        return z

    def nearest(self, z: Tensor) -> Tensor:
        """The points of the prior's support, (n, dim), that are nearest to z."""
        return self.onto_support(z)


class Normal(Noise):
    """z ~ N(0, std^2 I)."""

    def __init__(self, dim: int, *, std: float) -> None:
        super().__init__(dim, (0 < std < math.inf, "std", std, "must be positive and finite"))
        self.std = float(std)

    @override
    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Draw z, shape (n, dim)."""
        z = torch.randn(n, self.dim, generator=generator, device=generator.device)
        return z.mul_(self.std)

    @override
    def in_numpy(self, n: str) -> str:
        """N(0, std^2)."""
        return f"rng.normal(0.0, {self.std}, ({n}, {self.dim}))"


class Uniform(Noise):
    """z ~ U(low, high)^dim."""

    def __init__(self, dim: int, *, low: float, high: float) -> None:
        super().__init__(
            dim,
            (math.isfinite(low), "low", low, "must be finite"),
            (math.isfinite(high), "high", high, "must be finite"),
            (low < high, "low", low, f"must lie below high={high}"),
        )
        self.low, self.high = float(low), float(high)

    @override
    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Draw z, shape (n, dim), in [low, high)."""
        z = torch.rand(n, self.dim, generator=generator, device=generator.device)
        return z.mul_(self.high - self.low).add_(self.low)

    @override
    def in_numpy(self, n: str) -> str:
        """U(low, high)."""
        return f"rng.uniform({self.low}, {self.high}, ({n}, {self.dim}))"

    @override
    def nearest(self, z: Tensor) -> Tensor:
        """Cut each coordinate off at the bounds."""
        return z.clamp(self.low, self.high)


class Spherical(Noise):
    """z uniform on the unit sphere: a normal draw divided by its length. For dim=1 just +-1."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)

    @override
    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Draw z, shape (n, dim), each row of Euclidean norm 1."""
        z = torch.randn(n, self.dim, generator=generator, device=generator.device)
        return z.div_(z.norm(dim=1, keepdim=True).clamp_min_(1e-12))

    @override
    def in_numpy(self, n: str) -> str:
        """A normal draw divided by its length."""
        draw = f"rng.normal(size=({n}, {self.dim}))"
        return f"((z := {draw}) / np.linalg.norm(z, axis=1, keepdims=True))"

    @override
    def onto_support(self, z: Tensor) -> Tensor:
        """Divide each row by its length."""
        length: Tensor = z.norm(dim=1, keepdim=True)
        return z / length.clamp_min(1e-12)


def interpolate(a: Tensor, b: Tensor, t: Tensor, *, spherical: bool) -> Tensor:
    """Points between a (t = 0) and b (t = 1), (len(t), dim).

    Args:
        a: one z, (dim,).
        b: another, (dim,).
        t: fractions in [0, 1].
        spherical: along a great circle (White 2016, eq. 1), where |z| stays typical of a normal
            prior; else along the straight line.
    """
    t = t[:, None]
    if not spherical:
        return (1 - t) * a + t * b
    cosine = torch.dot(a / a.norm(), b / b.norm()).clamp(-1, 1)
    angle = torch.arccos(cosine)
    if torch.sin(angle) < 1e-6:  # the same direction, or opposite ones: no great circle is meant
        return (1 - t) * a + t * b
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)
