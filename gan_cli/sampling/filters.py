"""What hidden units do: in D, what excites them; in G, which class they draw."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_cli.data.base import Dataset
from gan_cli.errors import Problem, UserError
from gan_cli.evaluation.units import Exciting, UnitsOfG, exciting
from gan_cli.networks.abilities import HasUnits
from gan_cli.pictures import Picture, sheet, to_bytes
from gan_cli.sampling.request import READ, Drawn, Request
from gan_cli.seeding import generator_for
from gan_cli.spec import DataSpec

NETWORKS = ("discriminator", "generator")
UNITS = 8  # of D
MOST = 9  # data for each of them, as in figure 5 of Radford et al. 2015
PART_OF_G = 16  # one in so many of G's units is switched off
SHOWN = 8  # samples of a class


def network_of(request: Request) -> str:
    """Whose units are asked for."""
    return request.config["network"] or NETWORKS[0]


def filters(request: Request) -> Drawn:
    """The chosen network's units."""
    if network_of(request) == "generator":
        return of_generator(request)
    return of_discriminator(request)


def of_discriminator(request: Request) -> Drawn:
    """For each unit the data that excite it most, as far as it sees, and what of them does."""
    game, spec = request.model.sampler, request.spec
    layer, place = layer_of(request, game.discriminator, deepest=True)
    x, labels = real_data(request)
    device = game.fixed_noise.device
    of_device = None if labels is None or not game.conditional else labels.to(device)
    asked = request.config["n"]
    units = asked or UNITS
    rows = exciting(game.discriminator, layer, x.to(device), of_device, units=units, most=MOST)
    if asked and len(rows) < asked:
        raise UserError(Problem("n", asked, f"layer {place} has {len(rows)} units"))
    picture = picture_of(rows, spec)
    height, width = rows[0].patches.shape[2:]
    note = (
        f"layer {place} of D: each unit sees {height}x{width} pixels. Of {len(x):,} training data, "
        f"those that excite it most; below each, what of it does so (guided backpropagation, "
        "mid-gray is 0)"
    )
    return Drawn(picture, (note,))


def picture_of(units: list[Exciting], spec: DataSpec, *, most: int = MOST) -> Picture:
    """A row of data for each unit, as far as it sees them, above a row of guided gradients.

    Args:
        units: what excites them.
        spec: what the data are.
        most: data for each.
    """
    images, names = [], []
    for unit in units:
        images += [to_bytes(unit.patches[:most], spec), drawn(unit.gradients[:most])]
        names += [f"unit {unit.unit}", "excited by"]
    columns = min(most, len(units[0].patches))
    return sheet(torch.cat(images), columns=columns, rows=names)


def of_generator(request: Request) -> Drawn:
    """For each class, samples with and without the units that are on in it more than elsewhere."""
    request.require_classes("network=generator")
    game, spec = request.model.sampler, request.spec
    layer, place = layer_of(request, game.generators_in_use, deepest=False)
    units = UnitsOfG(game, layer)
    count = request.config["n"] or max(1, units.count // PART_OF_G)
    if count > units.count:
        raise UserError(Problem("n", count, f"layer {place} has {units.count} units"))
    z, labels = request.noise(READ), request.labels_in_turn(READ)
    classes = classes_of(request, game.map_noise(z, labels))
    half = torch.arange(READ) < READ // 2  # chosen on one half, measured on the other
    per_class = units.of_classes(
        z[half], classes[half], None if labels is None else labels[half], among=spec.classes
    )
    images, names, notes, rare = [], [], [], []
    for number in classes.unique().tolist():
        chosen = per_class[number].topk(count).indices
        of_class = ((classes == number) & ~half).nonzero()[:, 0]
        if len(of_class) < SHOWN:
            rare.append(spec.name_of(number))
            continue
        of_labels = None if labels is None else labels[of_class]
        without = units.without(chosen, z[of_class], of_labels)
        kept = (classes_of(request, without) == number).double().mean().item()
        name = spec.name_of(number)
        notes.append(f"class {name}: {kept:.0%} of its samples are left without its units")
        some = slice(0, SHOWN)
        with_them = game.map_noise(
            z[of_class[some]], None if of_labels is None else of_labels[some]
        )
        images += [to_bytes(with_them, spec), to_bytes(without[some], spec)]
        names += [name, f"{name} without"]
    if not images:
        advice = f"the classifier sees no class in {SHOWN} samples or more: train for longer"
        raise UserError(Problem("mode", "filters", advice))
    picture = sheet(torch.cat(images), columns=SHOWN, rows=names)
    note = f"layer {place} of G: {count} of {units.count:,} units are switched off for each class"
    rare += [spec.name_of(number) for number in range(spec.classes) if number not in classes]
    if rare:
        notes.append(f"too few samples, so left out: {', '.join(rare)}")
    return Drawn(picture, (note, *notes))


def layer_of(
    request: Request, network: torch.nn.Module, *, deepest: bool
) -> tuple[torch.nn.Module, int]:
    """The layer asked for, and its number from 1; else the last or the first one.

    Raises:
        UserError: the network names no layers, or has none of this number.
    """
    layers = list(network.unit_layers()) if isinstance(network, HasUnits) else []
    if not layers:
        advice = f"this run's {network_of(request)} names no hidden layers to look into"
        raise UserError(Problem("mode", "filters", advice))
    number = request.config["layer"] or (len(layers) if deepest else 1)
    if number > len(layers):
        advice = f"the {network_of(request)} has hidden layers 1 to {len(layers)}"
        raise UserError(Problem("layer", number, advice))
    return layers[number - 1], number


def real_data(request: Request) -> tuple[Tensor, Tensor | None]:
    """Training data chosen by the seed, of the labels asked for if any, in the data's range."""
    dataset = request.reference.dataset
    assert isinstance(dataset, Dataset)
    order = torch.randperm(len(dataset), generator=generator_for(request.seeds[0], "filters"))
    x, labels = dataset.take(order[:READ])
    if request.config["labels"] is not None and labels is not None:
        asked = torch.isin(labels, torch.tensor(request.labels))
        x, labels = x[asked], labels[asked]
        if not len(x):
            raise UserError(Problem("labels", request.config["labels"], "no datum has these"))
    return x, labels


def classes_of(request: Request, samples: Tensor) -> Tensor:
    """What a classifier of the run's data takes samples for, (n,)."""
    return request.reference.real.classifier.predict(request.spec.to_unit(samples))


def drawn(gradients: Tensor) -> Tensor:
    """Gradients (n, C, h, w) as uint8 images, each on its own scale; 0 is mid-gray."""
    colours = gradients[:, :3]
    largest = colours.abs().amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-12)
    return to_bytes(colours / largest, DataSpec(tuple(colours.shape[1:]), (-1.0, 1.0)))
