"""Figure 1 of the 2014 paper, drawn from a game as it is: p_data, p_g, D, D* and the map z -> x."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gan_cli.games.from_noise import FromNoise
from gan_cli.pictures import Picture, opened_png
from gan_cli.plots import new_figure, to_picture
from gan_cli.seeding import generator_for
from gan_cli.system.files import replacing
from gan_cli.theory.curves import Polyline
from gan_cli.theory.density import GaussianMixture
from gan_cli.theory.measure import Theory, logits_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ARROWS = 40  # from z to G(z)
POINTS = 2000  # samples in a 2-D picture
MOST_FRAMES, FRAME_MS, LAST_FRAME_MS = 120, 120, 2000
LONGEST_SIDE = 1024  # of an animation, in pixels
ANIMATION = "training.gif"


def draw_theory(theory: Theory, game: FromNoise, density: GaussianMixture) -> Picture:
    """Figure 1 for points on the line; for the plane, samples over p_data with D's contours."""
    draw = _figure_1 if density.means.shape[1] == 1 else _plane
    return draw(theory, game, density)


def _figure_1(theory: Theory, game: FromNoise, density: GaussianMixture) -> Picture:
    """Densities above, D and D* over them (right axis), and below the map z -> x = G(z)."""
    figure = new_figure(7, 6)
    above, below = figure.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1], "hspace": 0.05}
    )
    x = theory.cells.centres
    edges, area = theory.cells.edges[0].numpy(), theory.cells.area
    above.plot(x, density.log_prob(x).exp(), "k:", label="p_data")
    above.stairs(theory.p_g[:-1].numpy() / area, edges, color="tab:green", label="p_g")
    above.set_ylabel("density")
    above.set_ylim(bottom=0)
    right = above.twinx()
    right.set_ylim(0, 1)
    right.set_ylabel("D(x)")
    mass = theory.p_data + theory.p_g
    held = mass[:-1] > 1e-6
    best = torch.where(held, theory.p_data[:-1] / mass[:-1], torch.nan)
    right.plot(x, best, color="tab:orange", linewidth=1, label="D*")
    if game.loss.log_odds:
        logits = logits_of(game.discriminator, x.float().to(game.fixed_noise.device))
        right.plot(x, torch.sigmoid(logits), "b--", label="D")
    right.axhline(0.5, color="gray", linewidth=0.5)
    handles, labels = above.get_legend_handles_labels()
    more, names = right.get_legend_handles_labels()
    figure.legend(
        [*handles, *more], [*labels, *names], loc="outside upper center", ncols=4, frameon=False
    )
    _arrows(below, game, edges)
    jsd, floor = theory.scalars["divergence/jsd"], theory.scalars["divergence/jsd_floor"]
    above.set_title(f"JSD {jsd:.4f} nats (of as many real draws: {floor:.4f})", fontsize=10)
    return to_picture(figure)


def _arrows(axes: Axes, game: FromNoise, edges: np.ndarray) -> None:
    """Lines from z, spread over its prior, to G(z); of more dimensions, z has no place to stand."""
    low, high = float(edges[0]), float(edges[-1])
    z = game.noise.sample(ARROWS * 50, generator=generator_for(0, "arrows"))
    order = z[:, 0].argsort()
    z = z[order][25::50]
    x = game.map_noise(z.to(game.fixed_noise.device)).float().cpu()[:, 0].numpy()
    spread = np.ptp(z[:, 0].numpy()) or 1.0
    starts = low + (z[:, 0].numpy() - z[:, 0].min().item()) / spread * (high - low)
    for start, end in zip(starts, x, strict=True):
        axes.annotate(
            "", (end, 1), (start, 0), arrowprops={"arrowstyle": "->", "color": "gray", "lw": 0.7}
        )
    axes.set_xlim(low, high)
    axes.set_ylim(0, 1)
    first = "" if z.shape[1] == 1 else " (first coordinate)"
    axes.set_yticks([0, 1], [f"z{first}", "x"])
    axes.set_xlabel("x = G(z)")


def _plane(theory: Theory, game: FromNoise, density: GaussianMixture) -> Picture:
    """Samples over p_data's contours, with the line D = 1/2 and D's value as shade."""
    figure = new_figure(6, 6)
    axes = figure.subplots()
    side = 160
    xs, ys = (np.linspace(*ends, side) for ends in _limits(theory, density))
    points = torch.cartesian_prod(torch.from_numpy(xs), torch.from_numpy(ys))
    if game.loss.log_odds:
        logits = logits_of(game.discriminator, points.float().to(game.fixed_noise.device))
        shade = torch.sigmoid(logits).view(side, side).T
        image: Any = axes.contourf(
            xs, ys, shade, levels=np.linspace(0, 1, 11), cmap="RdBu", alpha=0.5
        )
        figure.colorbar(image, label="D(x)", shrink=0.8)
        axes.contour(xs, ys, shade, levels=[0.5], colors="k", linewidths=0.5)
    _contours(axes, density, xs, ys, points)
    x = theory.samples[:POINTS]
    axes.scatter(x[:, 0], x[:, 1], s=2, color="tab:green", label="samples")
    axes.set_xlabel("x1")
    axes.set_ylabel("x2")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    axes.set_xlim(xs[0], xs[-1])
    axes.set_ylim(ys[0], ys[-1])
    axes.set_aspect("equal")
    covered, total = theory.scalars["modes/covered"], theory.scalars["modes/total"]
    good = theory.scalars["modes/high_quality"]
    axes.set_title(
        f"{covered:.0f} of {total:.0f} modes, {good:.0%} of samples near one", fontsize=10
    )
    return to_picture(figure)


def _limits(theory: Theory, density: GaussianMixture) -> list[tuple[float, float]]:
    """The range of each axis: that of the cells, and all modes with three standard deviations."""
    reach = 3.5 * density.stds
    limits = []
    for axis, edges in enumerate(theory.cells.edges):
        centres = density.means[:, axis]
        low = min(float(edges[0]), float((centres - reach).min()))
        high = max(float(edges[-1]), float((centres + reach).max()))
        limits.append((low, high))
    return limits


def _contours(
    axes: Axes, density: GaussianMixture, xs: np.ndarray, ys: np.ndarray, points: Tensor
) -> None:
    """Circles of three standard deviations where modes are narrow, else p_data's contours."""
    if density.stds.max() < (xs[-1] - xs[0]) / 40:
        modes = zip(density.means.tolist(), density.stds.tolist(), strict=True)
        for index, (mean, std) in enumerate(modes):
            label = None if index else "p_data, to 3 standard deviations"
            angles = np.linspace(0, 2 * np.pi, 40)
            axes.plot(
                mean[0] + 3 * std * np.cos(angles),
                mean[1] + 3 * std * np.sin(angles),
                "k",
                lw=0.8,
                label=label,
            )
        return
    values = density.log_prob(points).exp().view(len(xs), len(ys)).T
    axes.contour(xs, ys, values, colors="k", linewidths=0.6)


def draw_curve(curve: Polyline, samples: Tensor, reached: Tensor) -> Picture:
    """Samples over the curve of the data, on which the pieces that too few of them reach are red.

    Args:
        curve: of the data.
        samples: float32 (n, 2).
        reached: which pieces of equal length hold enough of them, bool (pieces,).
    """
    figure = new_figure(6, 6)
    axes = figure.subplots()
    x = samples[:POINTS]
    axes.scatter(x[:, 0], x[:, 1], s=2, color="tab:green", label="samples")
    ends = torch.linspace(0, curve.length, len(reached) + 1, dtype=torch.float64)
    for is_reached, color, label in ((True, "black", "curve"), (False, "red", "missed")):
        for piece in torch.nonzero(reached == is_reached).flatten().tolist():
            line = curve.at(torch.linspace(ends[piece], ends[piece + 1], 20, dtype=torch.float64))
            width = 0.8 if is_reached else 4
            axes.plot(*line.T, color=color, lw=width, alpha=0.6, solid_capstyle="butt")
        axes.plot([], [], color=color, label=label)
    low, high = curve.vertices.amin(dim=0), curve.vertices.amax(dim=0)
    margin = 0.25 * float((high - low).max())
    axes.set_xlim(float(low[0]) - margin, float(high[0]) + margin)
    axes.set_ylim(float(low[1]) - margin, float(high[1]) + margin)
    axes.set_xlabel("x1")
    axes.set_ylabel("x2")
    axes.set_aspect("equal")
    axes.set_title(
        f"{int(reached.sum())} of {len(reached)} pieces of the curve covered", fontsize=10
    )
    figure.legend(loc="outside lower center", ncols=3)
    return to_picture(figure)


def animate(folder: Path) -> Path | None:
    """Join the pictures in a folder into training.gif; None if there are fewer than two.

    Raises:
        OSError, ValueError: a picture is damaged, or the file cannot be written.
    """
    files = sorted(folder.glob("step_*.png"))
    if len(files) < 2:
        return None
    step = -(-len(files) // MOST_FRAMES)
    chosen = [*files[:-1:step], files[-1]]
    frames = []
    for file in chosen:
        with opened_png(file) as image:
            image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
            frames.append(image.convert("P", palette=Image.Palette.ADAPTIVE))
    path = folder / ANIMATION
    times = [FRAME_MS] * (len(frames) - 1) + [LAST_FRAME_MS]
    with replacing(path) as temporary, temporary.open("wb") as output:
        frames[0].save(
            output, format="GIF", save_all=True, append_images=frames[1:], duration=times, loop=0
        )
    return path
