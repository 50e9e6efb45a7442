"""Pictures of samples: sheets of images, and plots of points beside the data."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gan_cli.files import replacing
from gan_cli.spec import DataSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Picture = np.ndarray  # uint8, (height, width, 3)

LONGEST_SIDE = 512  # ... but not beyond this
SHORT_SIDE = 48  # smaller images are enlarged, so that a person can see them
REAL, FAKE = "#9aa0a6", "#d1495b"


def draw(samples: Tensor, spec: DataSpec, *, real: Tensor) -> Picture:
    """A sheet of images, or points over real ones.

    Args:
        samples: generated data (n, *shape), in the data's range.
        spec: what the data is.
        real: real points to plot beside, (n, dim); not used for images.
    """
    if spec.is_image:
        return sheet(to_bytes(samples, spec))
    return plot_points(samples.cpu(), real.cpu())


def to_bytes(samples: Tensor, spec: DataSpec) -> Tensor:
    """Images in the data's range -> uint8 (n, 3, height, width) on the CPU."""
    assert spec.value_range is not None
    low, high = spec.value_range
    unit = (samples.float() - low) / (high - low)
    pixels = unit.mul(255).round_().clamp_(0, 255).to(torch.uint8).cpu()
    channels = pixels.shape[1]
    if channels == 1:
        return pixels.expand(-1, 3, -1, -1)
    return pixels[:, :3] if channels >= 3 else pixels[:, :1].expand(-1, 3, -1, -1)


def sheet(images: Tensor, *, columns: int | None = None, gap: int = 2) -> Picture:
    """Images (n, 3, height, width) on a near-square grid, row by row, on gray.

    Images with a side under 48 pixels are enlarged by a whole number, without smoothing.
    """
    short, long = sorted(images.shape[2:])
    zoom = max(1, min(math.ceil(SHORT_SIDE / short), LONGEST_SIDE // long))
    images = images.repeat_interleave(zoom, dim=2).repeat_interleave(zoom, dim=3)
    n, _, height, width = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    canvas = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 96, np.uint8)
    for index, image in enumerate(images.permute(0, 2, 3, 1).numpy()):
        top = gap + index // columns * (height + gap)
        left = gap + index % columns * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas


def plot_points(samples: Tensor, real: Tensor) -> Picture:
    """Histogram (1-D) or scatter (first two coordinates) of generated over real points."""
    # Figure without pyplot: no window system, no global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), dpi=100, layout="tight")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    if real.shape[1] == 1:
        _histograms(axes, samples, real)
    else:
        _scatter(axes, samples, real)
    axes.legend(loc="upper right", framealpha=0.5)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


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


def _scatter(axes: Axes, samples: Tensor, real: Tensor) -> None:
    low, high = _limits(real)
    # Real points are larger, so that they show around generated ones that lie on them.
    for points, size, color, label in ((real, 24, REAL, "real"), (samples, 3, FAKE, "generated")):
        axes.scatter(points[:, 0].numpy(), points[:, 1].numpy(), s=size, c=color, label=label)
    inside = ((samples[:, :2] >= low) & (samples[:, :2] <= high)).all(dim=1).sum().item()
    if inside < len(samples):
        axes.set_title(f"{len(samples) - inside} of {len(samples)} generated lie outside")
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_aspect("equal")


def _limits(real: Tensor) -> tuple[float, float]:
    """One range for all axes: the real data's, with a margin."""
    low, high = float(real[:, :2].min()), float(real[:, :2].max())
    margin = 0.25 * max(high - low, 1e-6)
    return low - margin, high + margin


def write_png(path: Path, picture: Picture) -> None:
    """Write a PNG, whole or not at all.

    Raises:
        OSError: it could not be written.
    """
    from PIL import Image

    with replacing(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")
