"""Pictures of claims: one figure, named axes, a legend that covers nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gan_cli.pictures import Picture
from gan_cli.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gan_cli.theory.density import GaussianMixture
    from gan_cli.theory.measure import Theory

DATA, MODEL, THEORY, THIRD = "#7f868c", "#d1495b", "#2b6cb0", "#3f9b6b"


def axes(x: str, y: str, *, title: str = "") -> tuple[Figure, Axes]:
    """A figure with one set of axes, named."""
    figure = new_figure(6.4, 3.8)
    plot = figure.add_subplot()
    name(plot, x, y, title=title)
    return figure, plot


def several(count: int, *, width: float = 3.2, height: float = 3.2) -> tuple[Figure, list[Axes]]:
    """A figure with so many sets of axes side by side."""
    figure = new_figure(width * count, height)
    plots = figure.subplots(1, count, squeeze=False)[0]
    return figure, list(plots)


def name(plot: Axes, x: str, y: str, *, title: str = "") -> None:
    """Name the axes."""
    plot.set_xlabel(x)
    plot.set_ylabel(y)
    if title:
        plot.set_title(title, fontsize=10)


def densities(plot: Axes, theory: Theory, density: GaussianMixture) -> None:
    """p_data on the line, and p_g as the histogram that divergences are taken from."""
    x = theory.cells.centres[:, 0]
    plot.plot(x, density.log_prob(x[:, None]).exp(), color=DATA, label="p_data")
    edges, area = theory.cells.edges[0].numpy(), theory.cells.area
    plot.stairs(theory.p_g[:-1].numpy() / area, edges, color=MODEL, label="p_g")


def legend(figure: Figure, *, columns: int = 3) -> None:
    """One legend for all axes, above them, at most `columns` wide; equal labels once."""
    found: dict[str, Artist] = {}
    for plot in figure.axes:
        for handle, label in zip(*plot.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    for fewer in range(columns, 0, -1):
        made = figure.legend(
            list(found.values()), list(found), loc="outside upper center", ncols=fewer
        )
        if fewer == 1 or made.get_window_extent().width <= figure.bbox.width:
            return
        made.remove()


def show_picture(plot: Axes, picture: Picture, caption: str) -> None:
    """A sheet of images with a caption below it, no axes."""
    plot.imshow(picture)
    plot.set_xticks([])
    plot.set_yticks([])
    name(plot, caption, "")
