"""Plots of points beside the data, and what draws all plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REAL, FAKE = "#9aa0a6", "#d1495b"
SHORT = (-3, 4)  # powers of ten that axes write out


def new_figure(width: float, height: float) -> Figure:
    """An empty figure in inches, without pyplot: no window system, no global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=100, layout="constrained")


def to_picture(figure: Figure) -> np.ndarray:
    """Draw a figure: uint8, (height, width, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def plot_points(samples: Tensor, real: Tensor) -> np.ndarray:
    """Histograms (1-D), or scatters (first two coordinates), of real and of generated points."""
    if real.shape[1] == 1:
        figure = _figure_with_margins(5, 5, left=0.14, right=0.97, bottom=0.1, top=0.92)
        axes = figure.add_subplot()
        axes.ticklabel_format(scilimits=SHORT)
        _histograms(axes, samples, real)
        figure.legend(*axes.get_legend_handles_labels(), loc="upper center", ncols=2)
        return to_picture(figure)
    figure = _figure_with_margins(8, 4.3, left=0.08, right=0.99, bottom=0.11, top=0.93)
    left, right = figure.subplots(1, 2, sharey=True)
    _scatter(left, real, _limits(real), color=REAL, label="real")
    _scatter(right, samples, _limits(real), color=FAKE, label="generated")
    return to_picture(figure)


def _figure_with_margins(width: float, height: float, **shares: float) -> Figure:
    """As `new_figure`, with axes placed by hand: to look for the best place takes longer than all.

    Args:
        width: in inches.
        height: in inches.
        **shares: of width and height, where axes begin and end.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100)
    figure.subplots_adjust(**shares, wspace=0.08)
    return figure


def _histograms(axes: Axes, samples: Tensor, real: Tensor) -> None:
    edges = np.linspace(*_limits(real), 101)
    # Heights by hand: samples that all lie outside the range must not divide by zero.
    for points, filled, color, label in (
        (real, True, REAL, "real"),
        (samples, False, FAKE, "generated"),
    ):
        counts, _ = np.histogram(points[:, 0].numpy(), edges)
        heights = counts / (len(points) * np.diff(edges))
        axes.stairs(heights, edges, fill=filled, color=color, label=label)
    axes.set_xlabel("x")
    axes.set_ylabel("density")


def _scatter(
    axes: Axes, points: Tensor, limits: tuple[float, float], *, color: str, label: str
) -> None:
    """The first two coordinates of points, and in the title how many lie outside the axes."""
    low, high = limits
    axes.scatter(points[:, 0].numpy(), points[:, 1].numpy(), s=3, c=color)
    inside = ((points[:, :2] >= low) & (points[:, :2] <= high)).all(dim=1).sum().item()
    outside = f", {len(points) - inside} of them outside" if inside < len(points) else ""
    of = "" if points.shape[1] == 2 else f" (2 of {points.shape[1]} coordinates)"
    axes.set_title(f"{len(points)} {label}{of}{outside}", fontsize=10)
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_xlabel("x1")
    axes.set_ylabel("x2")
    axes.ticklabel_format(scilimits=SHORT)
    axes.set_aspect("equal")


def _limits(real: Tensor) -> tuple[float, float]:
    """One range for all axes: the real data's, with a margin."""
    low, high = float(real[:, :2].min()), float(real[:, :2].max())
    margin = 0.25 * max(high - low, 1e-6)
    return low - margin, high + margin
