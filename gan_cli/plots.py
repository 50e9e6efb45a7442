"""Plots of points beside the data, and what draws all plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REAL, FAKE = "#9aa0a6", "#d1495b"
UNEQUAL = 8  # times as wide: ranges that need axes of their own
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
    """Histograms (1-D) or scatters of real and of generated points."""
    if real.shape[1] > 2:
        return plot_components(samples, real)
    if real.shape[1] == 1:
        figure = _figure_with_margins(5, 5, left=0.14, right=0.97, bottom=0.1, top=0.92)
        axes = figure.add_subplot()
        axes.ticklabel_format(scilimits=SHORT)
        _histograms(axes, samples, real)
        figure.legend(*axes.get_legend_handles_labels(), loc="upper center", ncols=2)
        return to_picture(figure)
    figure = _figure_with_margins(8, 4.3, left=0.08, right=0.99, bottom=0.11, top=0.93)
    left, right = figure.subplots(1, 2, sharey=True)
    _scatter(left, real, _limits_of_each(real), color=REAL, label="real")
    _scatter(right, samples, _limits_of_each(real), color=FAKE, label="generated")
    return to_picture(figure)


def plot_components(samples: Tensor, real: Tensor) -> np.ndarray:
    """Points in more than two dimensions, on the two directions in which real ones spread most.

    Args:
        samples: generated points, float32 (n, d), d > 2.
        real: real points, float32 (m, d).
    """
    center = real.mean(dim=0)
    centered = (real - center).double()
    with torch.random.fork_rng(devices=[]):  # the algorithm draws; the run's stream is its own
        torch.manual_seed(0)
        _, spread, directions = torch.pca_lowrank(centered, q=min(2, *real.shape), niter=4)
    total = centered.square().sum().clamp_min(1e-300)
    share = float(spread.square().sum() / total)
    if directions.shape[1] < 2:  # a single point
        directions = torch.eye(real.shape[1], 2, dtype=torch.float64)
    # A direction and its opposite are equally good: take the one whose largest entry is positive.
    largest = directions.gather(0, directions.abs().argmax(dim=0, keepdim=True))
    directions = directions * torch.where(largest < 0, -1.0, 1.0)
    fake, true = (samples - center).double() @ directions, centered @ directions
    figure = _figure_with_margins(8, 4.6, left=0.08, right=0.99, bottom=0.11, top=0.87)
    of = f"principal components 1 and 2 of the real data in {real.shape[1]} dimensions"
    figure.suptitle(f"{of}: {100 * share:.0f} % of their variance", fontsize=10)
    left, right = figure.subplots(1, 2, sharey=True)
    limits = _limits_of_each(true)
    for axes, points, color, label in (
        (left, true, REAL, "real"),
        (right, fake, FAKE, "generated"),
    ):
        _scatter(axes, points, limits, color=color, label=label)
        axes.set_xlabel("component 1")
        axes.set_ylabel("component 2")
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
    axes: Axes, points: Tensor, limits: list[tuple[float, float]], *, color: str, label: str
) -> None:
    """Points of the plane, and in the title how many lie outside the axes."""
    low, high = (torch.tensor(ends, dtype=points.dtype) for ends in zip(*limits, strict=True))
    axes.scatter(points[:, 0].numpy(), points[:, 1].numpy(), s=3, c=color)
    inside = ((points >= low) & (points <= high)).all(dim=1).sum().item()
    outside = f", {len(points) - inside} of them outside" if inside < len(points) else ""
    axes.set_title(f"{len(points)} {label}{outside}", fontsize=10)
    axes.set_xlim(*limits[0])
    axes.set_ylim(*limits[1])
    axes.set_xlabel("x1")
    axes.set_ylabel("x2")
    axes.ticklabel_format(scilimits=SHORT)
    if limits[0] == limits[1]:
        axes.set_aspect("equal")


def _limits(real: Tensor) -> tuple[float, float]:
    """The real data's range, with a margin."""
    low, high = float(real.min()), float(real.max())
    margin = 0.25 * max(high - low, 1e-6, 1e-6 * abs(high))
    return low - margin, high + margin


def _limits_of_each(real: Tensor) -> list[tuple[float, float]]:
    """One range for both axes of the plane; each its own where one would hide the other."""
    each = [_limits(column) for column in real.T]
    both = _limits(real)
    narrowest = min(high - low for low, high in each)
    return each if narrowest * UNEQUAL < both[1] - both[0] else [both, both]
