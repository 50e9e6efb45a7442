"""Pictures, or held-out data, through G: the z that comes nearest to each, and what is missing."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from gan_cli.data.base import Dataset
from gan_cli.data.files.decode import UnusableImageError
from gan_cli.data.files.framing import Framing, usual_reading
from gan_cli.errors import Problem, UserError
from gan_cli.evaluation.inversion import STARTS, STEPS, Inversion, invert
from gan_cli.pictures import Picture, sheet, to_bytes
from gan_cli.plots import new_figure, to_picture
from gan_cli.sampling.request import Drawn, Request
from gan_cli.seeding import derive_seed, generator_for
from gan_cli.spec import RGBA, DataSpec
from gan_cli.system.files import find_files

COLUMNS = 8
MOST_FILES = 256


def inverted(request: Request) -> Drawn:
    """Pictures of the user's beside what G makes of the z that was found for each."""
    x, names = read_pictures(request)
    result = find(request, x, labels_to_try(request, len(x)))
    listed = [
        f"{name}: {error:.4g}{of_label(request, result, index)}"
        for index, (name, error) in enumerate(zip(names, result.errors.tolist(), strict=True))
    ]
    return Drawn(picture_of(request.spec, [("x", x, result)]), (f"{unit_of(request)}:", *listed))


def reconstructed(request: Request) -> Drawn:
    """Data that training never saw, or pictures, beside G's own samples: both found again."""
    if request.config["input"] is not None:
        x, _ = read_pictures(request)
        labels, name = labels_to_try(request, len(x)), "pictures"
    else:
        x, labels = held_out(request)
        name = "held out"
    own_labels = request.labels_in_turn(len(x))
    own = request.model.sampler.map_noise(request.noise(len(x)), own_labels).float().cpu()
    found = find(request, x, labels)
    again = find(request, own, None if own_labels is None else own_labels[:, None].cpu())
    notes = [f"{unit_of(request)}, median and range:"]
    for what, result in ((name, found), ("own samples", again)):
        errors = result.errors
        low, high = errors.min().item(), errors.max().item()
        notes.append(f"{len(errors)} {what}: {errors.median():.4g} ({low:.4g} to {high:.4g})")
    sets = [(name, x, found), ("own", own, again)]
    if request.spec.is_image:
        return Drawn(picture_of(request.spec, sets), tuple(notes))
    units = request.spec.in_own_units
    shown = [(what, units(points), units(result.x)) for what, points, result in sets]
    return Drawn(points_of(shown), tuple(notes))


def unit_of(request: Request) -> str:
    """What errors are."""
    part = "pixel" if request.spec.is_image else "coordinate"
    return f"mean squared error of a {part}, in the data's range"


def find(request: Request, x: Tensor, labels: Tensor | None) -> Inversion:
    """Invert G for data, with the starts and steps asked for, from other z than samples have."""
    return invert(
        request.model.sampler,
        x,
        labels=labels,
        starts=request.config["starts"] or STARTS,
        steps=request.config["steps"] or STEPS,
        seed=derive_seed(request.seeds[0], "inversion"),
    )


def labels_to_try(request: Request, n: int) -> Tensor | None:
    """All labels asked for, for each of n data, (n, labels); None: the model takes none."""
    return None if request.labels is None else torch.tensor(request.labels).expand(n, -1)


def of_label(request: Request, result: Inversion, index: int) -> str:
    """With which label the best z was found, if several were tried."""
    if result.labels is None or len(request.labels or ()) < 2:
        return ""
    return f", label {request.spec.name_of(int(result.labels[index]))}"


def read_pictures(request: Request) -> tuple[Tensor, list[str]]:
    """`input=`, one picture or a folder of them, as the run's data are read; and their names.

    Returns:
        Images in the data's range, (n, *shape).

    Raises:
        UserError: the data are points, there are none or too many, or one cannot be read.
    """
    source = Path(request.config["input"])
    if not request.spec.is_image:
        advice = "the run's data are points, which are in no picture. Use mode=reconstruct alone"
        raise UserError(Problem("input", source, advice))
    if not source.exists():
        raise UserError(Problem("input", source, "no such file or folder"))
    files = find_files(source) if source.is_dir() else [source]
    if not 1 <= len(files) <= MOST_FILES:
        advice = f"has {len(files)} files; give a folder with 1 to {MOST_FILES} pictures"
        raise UserError(Problem("input", source, advice))
    data = request.model.config["data"]
    channels, *sides = request.spec.shape
    shape = Framing(
        channels=channels,
        image_size=sides,
        load_size=data.get("load_size"),
        resize=data.get("resize", "cover"),
        crop="center",
        flip=False,
        reading=usual_reading(data),
    ).shape
    images, problems = [], []
    for file in files:
        try:
            images.append(torch.from_numpy(shape.read(file)))
        except UnusableImageError as error:
            problems.append(Problem("input", file, f"cannot be used: {error}"))
    if problems:
        raise UserError(problems, where="the pictures")
    root = source if source.is_dir() else source.parent
    return request.spec.from_bytes(torch.stack(images)), [str(f.relative_to(root)) for f in files]


def held_out(request: Request) -> tuple[Tensor, Tensor | None]:
    """Data that training never saw, and for conditional models their own labels, (n, 1).

    Raises:
        UserError: there are none.
    """
    test = request.reference.test
    if test is None:
        advice = (
            "needs data that training never saw, and these have no test split, or its files are "
            "not there. Train with data.validation=N, which holds N out, or give pictures: "
            "input=FOLDER"
        )
        raise UserError(Problem("mode", "reconstruct", advice))
    assert isinstance(test, Dataset)
    order = torch.randperm(len(test), generator=generator_for(request.seeds[0], "held out"))
    asked, wanted = request.labels, request.config["n"]
    if wanted and wanted > len(test):
        raise UserError(Problem("n", wanted, f"there are {len(test)} data held out"))
    if asked is None or request.config["labels"] is None:
        x, labels = test.take(order[: request.n])
    else:
        assert test.labels is not None
        known = test.labels if test.rows is None else test.labels[test.rows]
        order = order[torch.isin(known[order], torch.tensor(asked))]
        if not len(order):
            raise UserError(Problem("labels", asked, "no held-out datum has one of these"))
        x, labels = test.take(order[: request.n])
    return x, None if asked is None or labels is None else labels[:, None]


def picture_of(spec: DataSpec, sets: list[tuple[str, Tensor, Inversion]]) -> Picture:
    """Rows of three: images, what was found for them, and the difference; errors below.

    All differences are brightened alike, until the largest of them is white.
    """
    low, high = spec.value_range or (0.0, 1.0)
    largest = max((x - result.x).abs().max().item() for _, x, result in sets)
    columns = COLUMNS if len(sets) > 1 else min(COLUMNS, len(sets[0][1]))
    blocks, captions, rows = [], [], []
    for name, x, result in sets:
        for part in torch.arange(len(x)).split(columns):
            difference = (x[part] - result.x[part]).abs() / max(largest, 1e-12)
            shown = spec.from_unit(difference)
            if spec.shape[0] == RGBA:
                shown[:, 3:] = high
            empty = torch.full((columns - len(part), *spec.shape), low)
            for images in (x[part], result.x[part], shown):
                blocks += [images, empty]
            errors = [f"{error:.2g}" for error in result.errors[part].tolist()]
            captions += [""] * 2 * columns + errors + [""] * len(empty)
            rows += [name, "G(z)", f"difference, {(high - low) / max(largest, 1e-12):.0f} times"]
    return sheet(to_bytes(torch.cat(blocks), spec), columns=columns, captions=captions, rows=rows)


def points_of(sets: list[tuple[str, Tensor, Tensor]]) -> Picture:
    """Points, each joined to G of the z found for it; on the line, G(z) over x."""
    figure = new_figure(4 * len(sets), 4.3)
    plots = figure.subplots(1, len(sets), squeeze=False)[0]
    for plot, (name, x, made) in zip(plots, sets, strict=True):
        if x.shape[1] == 1:
            plot.plot(x[:, 0], x[:, 0], color="#9aa0a6", label="x")
            plot.plot(x[:, 0], made[:, 0], "o", color="#d1495b", label="G(z)")
            plot.set_xlabel("x")
            plot.set_ylabel("G(z)")
        else:
            ends = zip(x[:, :2].tolist(), made[:, :2].tolist(), strict=True)
            for start, end in ends:
                plot.plot(*zip(start, end, strict=True), color="black", linewidth=0.8)
            plot.plot(x[:, 0], x[:, 1], "o", color="#9aa0a6", label="x")
            plot.plot(made[:, 0], made[:, 1], "x", color="#d1495b", label="G(z)")
            plot.set_xlabel("x1")
            plot.set_ylabel("x2")
        of = f" (2 of {x.shape[1]} coordinates)" if x.shape[1] > 2 else ""
        plot.set_title(f"{name}{of}", fontsize=10)
    figure.legend(*plots[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return to_picture(figure)
