"""The modes of gan-sample, and the plain ones: sheets of samples, and ways between two z."""

from __future__ import annotations

from collections.abc import Callable

import torch

from gan_cli.data.base import Dataset
from gan_cli.noise import Uniform, interpolate
from gan_cli.pictures import draw, sheet, to_bytes
from gan_cli.sampling.arithmetic import arithmetic
from gan_cli.sampling.filters import filters
from gan_cli.sampling.inverting import inverted, reconstructed
from gan_cli.sampling.request import Drawn, Request

INTERPOLATIONS = ("linear", "spherical")
STEPS = 10  # images from one z to the other


def grid(request: Request) -> Drawn:
    """All samples; with labels, one row for each."""
    samples, labels, columns = request.in_rows()
    names = [] if labels is None or columns is None else labels[::columns]
    rows = [request.spec.name_of(label) for label in names]
    real = samples
    if not request.spec.is_image:  # plotted over real points, drawn again from the run's seed
        dataset = request.reference.dataset
        assert isinstance(dataset, Dataset)
        real = dataset.first(len(samples))
        samples = request.spec.standardised(samples)  # as networks see them, which `draw` takes
    return Drawn(draw(samples, request.spec, real=real, columns=columns, rows=rows))


def numbered(request: Request) -> Drawn:
    """All samples with their numbers, which `a`, `b` and `c` of mode=arithmetic take."""
    samples, labels, columns = request.in_rows()
    captions = [
        request.caption(index, None if labels is None else labels[index])
        for index in range(len(samples))
    ]
    return Drawn(sheet(to_bytes(samples, request.spec), columns=columns, captions=captions))


def interpolation(request: Request) -> Drawn:
    """Rows of samples on the way from one z to another; with labels, each row has one."""
    noise = request.model.sampler.noise
    kind = request.config["interpolation"]
    spherical = kind == "spherical" if kind else not isinstance(noise, Uniform)
    t = torch.linspace(0, 1, STEPS)
    ends = request.noise(2 * request.n).cpu()
    rows = [
        noise.onto_support(interpolate(ends[2 * row], ends[2 * row + 1], t, spherical=spherical))
        for row in range(request.n)
    ]
    labels = request.labels
    if labels is not None:
        labels = [labels[row % len(labels)] for row in range(request.n) for _ in range(STEPS)]
    numbers = None if labels is None else torch.tensor(labels)
    samples = request.model.map_noise(torch.cat(rows), numbers)
    return Drawn(sheet(to_bytes(samples, request.spec), columns=STEPS))


#: None: it writes no picture, but files of its own, by `gan_cli.sample`.
MODES: dict[str, Callable[[Request], Drawn] | None] = {
    "grid": grid,
    "sheet": numbered,
    "images": None,
    "array": None,
    "interpolate": interpolation,
    "arithmetic": arithmetic,
    "invert": inverted,
    "reconstruct": reconstructed,
    "filters": filters,
}
#: Those that points have, too.
FOR_POINTS = ("grid", "reconstruct", "array")
#: Those that draw samples of every label asked for.
FOR_EACH_LABEL = ("grid", "sheet", "images", "array", "interpolate")
