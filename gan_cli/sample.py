"""gan-sample: pictures from a trained run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_cli.data.base import Dataset
from gan_cli.errors import Problem, SettingsError, UserError, choice_problems
from gan_cli.loading import TrainedModel, open_run
from gan_cli.noise import Uniform, interpolate
from gan_cli.pictures import Picture, draw, sheet, to_bytes, write_png
from gan_cli.runs.directory import is_run, require_contained
from gan_cli.settings.build import load_data
from gan_cli.settings.trust import load_without_download, require_known_places
from gan_cli.settings.values import seed_problems
from gan_cli.spec import DataSpec
from gan_cli.system.device import device_problems
from gan_cli.system.terminal import Terminal

PER_LABEL = 10  # samples of each label, where n does not say
N = {"grid": 64, "sheet": 64, "images": 64, "interpolate": 8, "arithmetic": 9}
INTERPOLATIONS = ("linear", "spherical")
STEPS = 10  # images from one z to the other
NEIGHBOUR_RANGE = 0.25  # Radford et al. 2015, section 6.3.2: uniform noise of +-0.25
MOST_INDEX = 1_000_000
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
    samples, _, columns = request.in_rows()
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
    return draw(samples, request.spec, real=real, columns=columns)


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


def run(config: dict[str, Any], from_command_line: list[str]) -> int:  # noqa: ARG001
    """gan-sample: write what the config asks for, and say where.

    Args:
        config: resolved, plain containers.
        from_command_line: the keys that the command line names; unused here.

    Raises:
        UserError: the run or a value is not usable, or the place cannot be written.
    """
    if problems := config_problems(config):
        raise UserError(problems)
    terminal = Terminal()
    model = open_run(config, terminal)
    try:
        request = Request(model, config, model.label_numbers(config["labels"]))
    except SettingsError as error:
        raise UserError(error.problems) from error
    except ValueError as error:
        raise UserError(str(error)) from error
    mode = config["mode"]
    asked = config["labels"]
    if isinstance(asked, list) and mode != "arithmetic" and request.n < len(asked):
        raise UserError(Problem("n", request.n, f"is fewer than the {len(asked)} labels asked for"))
    if mode != "grid" and not request.spec.is_image:
        raise UserError(Problem("mode", mode, "the run's data are points. Use mode=grid."))
    seeds = "-".join(map(str, request.seeds))
    default = model.directory / "samples" / f"{mode}_step_{model.step:08d}_seed_{seeds}"
    out = Path(config["out"]) if config["out"] else default
    if not config["out"] and is_run(model.directory):
        require_contained(model.directory)
    make = MODES[mode]
    try:
        if make is None:
            written = write_images(request, out)
        else:
            written = place_for(out, mode)
            write_png(written, make(request))
    except OSError as error:
        reason = f"cannot be written ({error.strerror or error})."
        raise UserError(Problem("out", out, reason)) from error
    average = "" if model.game.average is None else ", averaged weights"
    seeds = ", ".join(map(str, request.seeds))
    terminal.say(f"{mode} of step {model.step}, seed {seeds}{average}: {written}")
    return 0


def config_problems(config: dict[str, Any]) -> list[Problem]:
    """Every problem of a sampling config."""
    mode, kind, labels, n = (config[key] for key in ("mode", "interpolation", "labels", "n"))
    problems = choice_problems("mode", mode, list(MODES))
    if kind is not None:
        problems += choice_problems("interpolation", kind, INTERPOLATIONS)
    if n is not None and not 1 <= n <= MOST_INDEX:
        problems.append(Problem("n", n, f"must lie between 1 and {MOST_INDEX}"))
    if n is not None and mode == "arithmetic":
        problems.append(Problem("n", n, "mode=arithmetic takes a, b and c instead"))
    if kind is not None and mode in MODES and mode != "interpolate":
        problems.append(Problem("interpolation", kind, "only mode=interpolate uses it"))
    if not (
        labels is None
        or is_label(labels)
        or (isinstance(labels, list) and labels and all(map(is_listed, labels)))
    ):
        problems.append(Problem("labels", labels, "give one label, or a list like [0,1]"))
    for key in ARITHMETIC:
        problems += index_problems(key, config[key], mode)
    problems += seed_problems(config["seed"], may_be_list=mode not in MODES or mode == "images")
    return problems + device_problems(config["device"])


def is_label(value: object) -> bool:
    """A number or a name, which YAML may read as another type: a folder can be called 0.5."""
    return isinstance(value, int | float | str)


def is_listed(value: object) -> bool:
    """A label in a list, where null is the name of a folder."""
    return value is None or is_label(value)


def index_problems(key: str, indices: Any, mode: str) -> list[Problem]:
    """What is wrong with one of mode=arithmetic's lists."""
    if indices is None:
        return []
    if mode != "arithmetic":
        return [Problem(key, indices, "only mode=arithmetic uses it")]
    if not indices or not all(0 <= index <= MOST_INDEX for index in indices):
        return [
            Problem(key, indices, "give numbers of samples, as mode=sheet shows them, like [0,1,2]")
        ]
    return []


def place_for(out: Path, mode: str) -> Path:
    """Where one picture goes; `.png` is added if it is missing.

    Raises:
        UserError: it is a folder, or a picture of another format.
    """
    if out.suffix.lower() in (".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff"):
        advice = f"pictures are written as .png; give {out.with_suffix('.png')}"
        raise UserError(Problem("out", out, advice))
    if out.is_dir():
        advice = f"is a folder; mode={mode} writes one file, like {out / 'x.png'}"
        raise UserError(Problem("out", out, advice))
    path = out if out.suffix.lower() == ".png" else out.with_name(out.name + ".png")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write_images(request: Request, out: Path) -> Path:
    """One picture a sample, at its own size, in a folder; with labels, in one folder for each.

    The names of several seeds' pictures say the seed.
    """
    spec = request.spec
    images: dict[str, Tensor] = {}
    for seed in request.seeds:
        samples, labels, _ = request.in_rows(seed)
        digits = len(str(len(samples) - 1))
        prefix = f"seed_{seed}_" if len(request.seeds) > 1 else ""
        for index, image in enumerate(to_bytes(samples, spec)):
            folder = "" if labels is None else f"{spec.name_of(labels[index])}/"
            images[f"{folder}{prefix}{index:0{digits}d}.png"] = image
    out.mkdir(parents=True, exist_ok=True)
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    others = sorted(files - images.keys())
    if others:
        advice = f"holds other files ({others[0]}, ...). Give an empty folder."
        raise UserError(Problem("out", out, advice))
    for name, image in images.items():
        gray = spec.shape[0] == 1
        (out / name).parent.mkdir(exist_ok=True)
        write_png(out / name, image[0].numpy() if gray else image.permute(1, 2, 0).numpy())
    return out
