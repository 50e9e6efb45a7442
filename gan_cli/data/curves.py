"""Points on a curve in the plane: data without a density, which a GAN can fit all the same."""

from __future__ import annotations

import math
from typing import Literal

import torch
from typing_extensions import override

from gan_cli.data.base import Dataset, DataSource, Progress
from gan_cli.errors import require
from gan_cli.seeding import generator_for
from gan_cli.spec import DataSpec
from gan_cli.theory.curves import Polyline, circle, segment, spiral

Shape = Literal["circle", "segment", "spiral"]
TURNS = 2.0  # of a spiral, unless told
MOST_TURNS = 20.0  # more are too near each other for the curve's vertices


class OnCurve(DataSource):
    """A fixed draw of `samples` points, uniform in arc length, with noise of `std` about them."""

    def __init__(self, curve: Polyline, *, std: float, samples: int) -> None:
        require(
            (samples >= 1, "samples", samples, "must be at least 1"),
            (0 <= std < math.inf, "std", std, "must be 0 (points lie on the curve) or more"),
        )
        self.curve, self.std, self.samples = curve, std, samples

    @property
    @override
    def spec(self) -> DataSpec:
        """Points of the plane, unbounded, of one class."""
        return DataSpec((2,), None, classes=1)

    @override
    def load(self, *, seed: int, progress: Progress) -> Dataset:
        """Draw the points, float32 (samples, 2); the same for the same seed."""
        return self._draw(seed, "data")

    @override
    def load_test(self, *, seed: int, progress: Progress) -> Dataset:
        """As many points again."""
        return self._draw(seed, "test data")

    def _draw(self, seed: int, purpose: str) -> Dataset:
        generator = generator_for(seed, purpose)
        x = self.curve.sample(self.samples, generator=generator)
        x += self.std * torch.randn(x.shape, dtype=x.dtype, generator=generator)
        labels = torch.zeros(self.samples, dtype=torch.long)
        return Dataset(x.float(), labels, self.spec, curve=self.curve)


class Curve(OnCurve):
    """A circle, a segment or a spiral about the origin."""

    def __init__(
        self, *, shape: Shape, size: float, turns: float | None, std: float, samples: int
    ) -> None:
        """Make the curve.

        Args:
            shape: which.
            size: radius of the circle, half of the segment, radius at which the spiral ends.
            turns: of the spiral; None: 2.
            std: of the noise about the curve, in both coordinates.
            samples: points to draw.
        """
        require(
            (0 < size < math.inf, "size", size, "must be positive and finite"),
            (
                turns is None or shape == "spiral",
                "turns",
                turns,
                "only shape=spiral has turns; leave it null",
            ),
            (
                turns is None or 0 < turns <= MOST_TURNS,
                "turns",
                turns,
                f"must be positive, at most {MOST_TURNS:g}",
            ),
        )
        curves = {
            "circle": lambda: circle(size),
            "segment": lambda: segment((-size, 0.0), (size, 0.0)),
            "spiral": lambda: spiral(size, TURNS if turns is None else turns),
        }
        super().__init__(curves[shape](), std=std, samples=samples)


class ParallelLines(OnCurve):
    """Uniform on {distance} x [0, 1]: p_data of example 1 of Arjovsky et al. 2017.

    The example's generator is G(z) = (theta, z) with z uniform in [0, 1]. Where theta is not the
    distance, p_g and p_data lie on two lines that do not meet: JSD = log 2, however near they
    are, while the Wasserstein distance is |distance - theta|. (The paper has its data at 0.)
    """

    def __init__(self, *, distance: float, samples: int) -> None:
        """Make the line at x1 = distance, of which theta = 0 is that far away."""
        require((math.isfinite(distance), "distance", distance, "must be finite"))
        line = segment((distance, 0.0), (distance, 1.0))
        super().__init__(line, std=0.0, samples=samples)
