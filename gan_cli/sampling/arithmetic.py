"""Vector arithmetic: mean(z_a) - mean(z_b) + mean(z_c) (Radford et al. 2015, section 6.3.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_cli.errors import Problem, UserError
from gan_cli.evaluation.attributes import ATTRIBUTES, extremes
from gan_cli.pictures import sheet, to_bytes
from gan_cli.sampling.request import Drawn, Request

NEIGHBOUR_RANGE = 0.25  # Radford et al. 2015, section 6.3.2: uniform noise of +-0.25
ARITHMETIC = {"a": [0, 1, 2], "b": [3, 4, 5], "c": [6, 7, 8]}  # averages of three, as in the paper
MEASURED = 1000  # samples whose attribute is measured to choose from


def arithmetic(request: Request) -> Drawn:
    """G of mean(z_a) - mean(z_b) + mean(z_c), with what went into it, and its neighbours.

    Three rows show the samples a, b, c and what G makes of each mean; then come the result and
    what lies near it (Radford et al. 2015, figure 7). A conditional model draws all for one label,
    the first if none is given.
    """
    if request.config["labels"] is not None and request.labels and len(request.labels) > 1:
        raise UserError(Problem("labels", request.labels, "mode=arithmetic takes one label"))
    attribute = request.config["attribute"]
    default = chosen_by(attribute, request) if attribute else ARITHMETIC
    chosen = {key: request.config[key] or default[key] for key in ARITHMETIC}
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
    samples = request.model.map_noise(noise.onto_support(torch.cat(rows)), label_of(request))
    picture = sheet(to_bytes(samples, request.spec), columns=columns, captions=captions)
    if not attribute:
        return Drawn(picture)
    means_only = noise.onto_support(torch.stack([*means.values(), result]))
    made = request.model.map_noise(means_only, label_of(request))
    return Drawn(picture, (said(attribute, made, request),))


def label_of(request: Request) -> Tensor | None:
    """The one label that all samples are drawn for."""
    return None if request.labels is None else torch.tensor(request.labels[:1])


def chosen_by(attribute: str, request: Request) -> dict[str, list[int]]:
    """Samples that have an attribute (a), that lack it (b), and others that lack it (c).

    Args:
        attribute: one of ATTRIBUTES.
        request: whose samples they are.
    """
    samples = request.model.map_noise(request.noise(MEASURED).cpu(), label_of(request))
    values = ATTRIBUTES[attribute][0](request.spec.to_unit(samples))
    has, lacks = (part.tolist() for part in extremes(values))
    return {"a": has[:3], "b": lacks[:3], "c": lacks[3:6]}


def said(attribute: str, made: Tensor, request: Request) -> str:
    """The attribute of G of each mean and of the result, (4, *shape), in words."""
    measure, unit = ATTRIBUTES[attribute]
    a, b, c, result = measure(request.spec.to_unit(made)).tolist()
    return (
        f"{attribute} in {unit}: {result:.2f} of G(a - b + c); "
        f"of G(mean a) {a:.2f}, G(mean b) {b:.2f}, G(mean c) {c:.2f}"
    )
