"""What each mode of gan-sample draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gan_cli.data.base import Dataset
from gan_cli.errors import Problem, UserError
from gan_cli.loading import TrainedModel
from gan_cli.noise import Uniform, interpolate
from gan_cli.pictures import Picture, draw, sheet, to_bytes
from gan_cli.settings.build import load_data
from gan_cli.settings.trust import load_without_download, require_known_places
from gan_cli.spec import DataSpec

PER_LABEL = 10  # samples of each label, where n does not say
N = {"grid": 64, "sheet": 64, "images": 64, "interpolate": 8, "arithmetic": 9}
INTERPOLATIONS = ("linear", "spherical")
STEPS = 10  # images from one z to the other
NEIGHBOUR_RANGE = 0.25  # Radford et al. 2015, section 6.3.2: uniform noise of +-0.25
ARITHMETIC = {"a": [0, 1, 2], "b": [3, 4, 5], "c": [6, 7, 8]}  # averages of three, as in the paper


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        model: the trained run.
        config: of gan-sample.
        labels: as numbers; None if the model takes none.
    """

    model: TrainedModel
    config: dict[str, Any]
    labels: list[int] | None

    @property
    def spec(self) -> DataSpec:
        """What the samples are."""
        return self.model.sampler.spec

    @property
    def seeds(self) -> list[int]:
        """The seed, or the seeds, that samples are drawn with."""
        seed = self.config["seed"]
        return seed if isinstance(seed, list) else [seed]

    @property
    def n(self) -> int:
        """How many samples, or rows of an interpolation."""
        if self.config["n"] is not None:
            return int(self.config["n"])
        if self.labels is None:
            return N[self.config["mode"]]
        return len(self.labels) * (1 if self.config["mode"] == "interpolate" else PER_LABEL)

    def in_rows(self, seed: int | None = None) -> tuple[Tensor, list[int] | None, int | None]:
        """Samples with those of one label side by side, their labels, and columns for a sheet.

        Args:
            seed: to draw them with; None: the first.
        """
        seed = self.seeds[0] if seed is None else seed
        if self.labels is None:
            return self.model.sample(self.n, seed=seed), None, None
        columns = self.n // len(self.labels) if self.n % len(self.labels) == 0 else None
        labels = [self.labels[index * len(self.labels) // self.n] for index in range(self.n)]
        numbers = torch.tensor(labels)
        return self.model.sample(self.n, numbers, seed=seed), labels, columns

    def noise(self, n: int) -> Tensor:
        """The z of the first n samples, (n, dim)."""
        return self.model.sampler.draw_noise(n, seed=self.seeds[0])

    def caption(self, index: int, label: int | None) -> str:
        """Number of a sample, and its label's name."""
        return str(index) if label is None else f"{index}: {self.spec.name_of(label)}"


def grid(request: Request) -> Picture:
    """All samples; with labels, one row for each."""
    samples, labels, columns = request.in_rows()
    names = [] if labels is None or columns is None else labels[::columns]
    rows = [request.spec.name_of(label) for label in names]
    real = samples
    if not request.spec.is_image:  # plotted over real points, drawn again from the run's seed
        config = request.model.config
        if request.config["trust_checkpoint"]:
            dataset = load_data(config)
        else:
            require_known_places(config)
            dataset = load_without_download(config)
        assert isinstance(dataset, Dataset)
        real = dataset.first(len(samples))
    return draw(samples, request.spec, real=real, columns=columns, rows=rows)


def numbered(request: Request) -> Picture:
    """All samples with their numbers, which `a`, `b` and `c` of mode=arithmetic take."""
    samples, labels, columns = request.in_rows()
    captions = [
        request.caption(index, None if labels is None else labels[index])
        for index in range(len(samples))
    ]
    return sheet(to_bytes(samples, request.spec), columns=columns, captions=captions)


def interpolation(request: Request) -> Picture:
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
    return sheet(to_bytes(samples, request.spec), columns=STEPS)


def arithmetic(request: Request) -> Picture:
    """G of mean(z_a) - mean(z_b) + mean(z_c), with what went into it, and its neighbours.

    Three rows show the samples a, b, c and what G makes of each mean; then come the result and
    what lies near it (Radford et al. 2015, figure 7). A conditional model draws all for one label,
    the first if none is given.
    """
    if request.config["labels"] is not None and request.labels and len(request.labels) > 1:
        raise UserError(Problem("labels", request.labels, "mode=arithmetic takes one label"))
    chosen = {key: request.config[key] or default for key, default in ARITHMETIC.items()}
    noise = request.model.sampler.noise
    z = request.noise(1 + max(index for indices in chosen.values() for index in indices)).cpu()
    means = {key: z[indices].mean(dim=0) for key, indices in chosen.items()}
    result = means["a"] - means["b"] + means["c"]
    columns = 1 + max(map(len, chosen.values()))
    rows, captions = [], []
    for key, indices in chosen.items():
        rows += [z[indices], means[key].expand(columns - len(indices), -1)]
        captions += [f"{key}: {index}" for index in indices]
        captions += [f"mean {key}"] * (columns - len(indices))
    neighbours = 2 * columns - 1  # two rows with the result
    near = torch.rand(neighbours, noise.dim, generator=torch.Generator().manual_seed(0))
    near = result + (2 * near - 1) * NEIGHBOUR_RANGE
    rows += [result[None], near]
    captions += ["a - b + c", *["near it"] * neighbours]
    labels = None if request.labels is None else torch.tensor(request.labels[:1])
    samples = request.model.map_noise(noise.onto_support(torch.cat(rows)), labels)
    return sheet(to_bytes(samples, request.spec), columns=columns, captions=captions)


MODES: dict[str, Callable[[Request], Picture] | None] = {
    "grid": grid,
    "sheet": numbered,
    "images": None,
    "interpolate": interpolation,
    "arithmetic": arithmetic,
}
