"""Curves in the plane: what lies on them is degenerate, and has no density there.

"They can represent very sharp, even degenerate distributions" (Goodfellow et al. 2014, section 6).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

VERTICES = 4097  # of a curve: its bends are then off by less than a millionth of its size
PIECES = 50  # that an arc is cut into, to see which of them samples reach
CHUNK = 4096  # points whose nearest vertex is looked for at once


class Polyline:
    """A curve as straight pieces between vertices, with a position s on it, 0 <= s <= length."""

    def __init__(self, vertices: Tensor) -> None:
        """Keep the vertices, (V, 2), in their order; float64."""
        self.vertices = vertices.double()
        lengths = self.vertices.diff(dim=0).norm(dim=1)
        self.starts = torch.cat([lengths.new_zeros(1), lengths.cumsum(dim=0)])

    @property
    def length(self) -> float:
        """Of the whole arc."""
        return self.starts[-1].item()

    def at(self, s: Tensor) -> Tensor:
        """The points at positions s, (n,) -> float64 (n, 2)."""
        piece = torch.searchsorted(self.starts, s.double(), right=True) - 1
        piece = piece.clamp(0, len(self.vertices) - 2)
        start, end = self.vertices[piece], self.vertices[piece + 1]
        share = (s - self.starts[piece]) / (self.starts[piece + 1] - self.starts[piece])
        return start + share[:, None] * (end - start)

    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Draw n points uniform in arc length, float64 (n, 2)."""
        return self.at(torch.rand(n, dtype=torch.float64, generator=generator) * self.length)

    def nearest(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Distance of each x, (n, 2), to the curve, and the position nearest to it; float64 (n,).

        The nearest vertex is looked for first, then the nearest point of the two pieces that
        meet there.
        """
        parts = [self._nearest(part) for part in x.cpu().double().split(CHUNK)]
        return torch.cat([d for d, _ in parts]), torch.cat([s for _, s in parts])

    def _nearest(self, x: Tensor) -> tuple[Tensor, Tensor]:
        vertex = torch.cdist(x, self.vertices).argmin(dim=1)
        distances, positions = [], []
        for offset in (-1, 0):
            piece = (vertex + offset).clamp(0, len(self.vertices) - 2)
            start, step = self.vertices[piece], self.vertices[piece + 1] - self.vertices[piece]
            length = step.norm(dim=1)
            along = ((x - start) * step).sum(dim=1) / length.square()
            share = along.clamp(0, 1)
            distances.append((start + share[:, None] * step - x).norm(dim=1))
            positions.append(self.starts[piece] + share * length)
        both = torch.stack(distances)
        best, which = both.min(dim=0)
        return best, torch.stack(positions).gather(0, which[None])[0]

    def shares(self, x: Tensor, *, pieces: int = PIECES) -> Tensor:
        """Of each of so many equal pieces of the arc, the share of x that lies nearest to it.

        Returns:
            float64 (pieces,), in units of what a piece should get, so that uniform points give 1.
        """
        return self.shares_of(self.nearest(x)[1], pieces=pieces)

    def shares_of(self, positions: Tensor, *, pieces: int = PIECES) -> Tensor:
        """The same for positions on the arc, (n,)."""
        piece = (positions / self.length * pieces).long().clamp(0, pieces - 1)
        return torch.bincount(piece, minlength=pieces).double() * pieces / len(positions)


def circle(radius: float) -> Polyline:
    """About the origin, from its rightmost point on."""
    angles = torch.linspace(0, 2 * math.pi, VERTICES, dtype=torch.float64)
    return Polyline(radius * torch.stack([angles.cos(), angles.sin()], dim=1))


def segment(start: tuple[float, float], end: tuple[float, float]) -> Polyline:
    """The straight line between two points."""
    return Polyline(torch.tensor([start, end], dtype=torch.float64))


def spiral(radius: float, turns: float) -> Polyline:
    """Of Archimedes, from the origin to `radius`: the distance from it grows with the angle."""
    share = torch.linspace(0, 1, VERTICES, dtype=torch.float64)
    angles = 2 * math.pi * turns * share
    return Polyline(radius * share[:, None] * torch.stack([angles.cos(), angles.sin()], dim=1))
