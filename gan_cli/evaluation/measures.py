"""How each metric is measured.

Every number comes with its standard error, `..._error`: over the data, over random subsets, or by
bootstrap. Nothing here draws from a run's own random streams, so evaluating changes no training.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gan_cli.data.base import Dataset
from gan_cli.evaluation.encoders import Encoder
from gan_cli.evaluation.features import (
    frechet_distance,
    frechet_error,
    kernel_distance,
    nearest,
    neighbourhoods,
    pairwise_distance,
)
from gan_cli.evaluation.parzen import parzen
from gan_cli.evaluation.reference import unit
from gan_cli.evaluation.subject import Results, Subject
from gan_cli.pictures import Picture, sheet, titled, to_bytes
from gan_cli.spec import DataSpec
from gan_cli.theory import measure as theory
from gan_cli.theory.curves import Polyline
from gan_cli.theory.pictures import draw_curve, draw_theory

VALIDATION = 1000  # images that choose the Parzen window's width, as in the authors' code
LOOKED_UP = 1000  # samples whose nearest training datum is looked for ...
AMONG = 60_000  # ... among so many at most
COMPARED = 1000  # data whose pairwise distances are taken
SHOWN = 10  # samples in the picture of nearest neighbours
NEAREST = "nearest"  # the picture's name and folder
CURVE = "curve"  # likewise
LEAST_SHARE = 1 / 3  # of the samples that a piece of an arc should get, from which on it is covered


def mean(values: Tensor, key: str) -> dict[str, float]:
    """The mean of independent values, and its standard error."""
    values = values.double()
    error = values.std().item() / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return {key: values.mean().item(), f"{key}_error": error}


def share(hits: Tensor, key: str) -> dict[str, float]:
    """The share of hits, and its standard error."""
    value = hits.double().mean().item()
    return {key: value, f"{key}_error": share_error(value, len(hits))}


def share_error(value: float, n: int) -> float:
    """The standard error of a share of n; a share of none or all has one too.

    As of half a hit and half a miss more (Agresti & Coull 1998).
    """
    shrunk = (n * value + 0.5) / (n + 1)
    return math.sqrt(shrunk * (1 - shrunk) / (n + 1))


def measure_theory(subject: Subject) -> Results:
    """Divergences, D against D*, modes: see `gan_cli.theory.measure`."""
    known = theory.measurable(subject.game, subject.reference.dataset)
    assert known is not None
    game, density = known
    samples = theory.draws_for(density, in_training=subject.in_training)
    measured = theory.measure(game, density, samples=samples, seed=subject.seed)
    return Results(measured.scalars, {"theory": draw_theory(measured, *known)})


def measure_curve(subject: Subject) -> Results:
    """How near samples are to the curve of the data, which pieces they reach, and a picture."""
    dataset = subject.reference.dataset
    assert isinstance(dataset, Dataset)
    assert dataset.curve is not None
    curve, samples = dataset.curve, subject.samples[0]
    distances, positions = curve.nearest(samples)
    reached = pieces_reached(curve, positions)
    real, real_positions = curve.nearest(subject.real.sample(subject.n)[0])
    scalars = {
        **mean(distances, "eval/curve_distance"),
        "eval/curve_distance_real": real.mean().item(),
        "eval/curve_covered": reached.double().mean().item(),
        "eval/curve_covered_real": pieces_reached(curve, real_positions).double().mean().item(),
    }
    return Results(scalars, {CURVE: draw_curve(curve, samples, reached)})


def pieces_reached(curve: Polyline, positions: Tensor) -> Tensor:
    """Which pieces of the arc hold at least a third of what they should, bool (PIECES,)."""
    return curve.shares_of(positions) >= LEAST_SHARE


def measure_parzen(subject: Subject) -> Results:
    """Log-likelihood of the test images, and that of as many training images as samples."""
    real, samples = subject.real, subject.samples[0]
    validation, test = sigma_and_test_data(subject)
    estimate = parzen(samples, validation=validation, test=test)

    def of_real() -> float:
        most = len(real.train) - VALIDATION  # the last may have chosen sigma
        others = real.sample(max(1, min(len(samples), most)))[0]
        return parzen(others, validation=validation, test=test).mean

    return Results(
        {
            "eval/parzen": estimate.mean,
            "eval/parzen_error": estimate.error,
            "eval/parzen_sigma": estimate.sigma,
            "eval/parzen_real": subject.reference.remember(f"parzen {subject.n}", of_real),
        }
    )


def sigma_and_test_data(subject: Subject) -> tuple[Tensor, Tensor]:
    """Images that choose the window's width, and others to evaluate on, in [0, 1].

    Held-out images choose it; where there are none, training images that are no window's centre.
    Without a test split, held-out images are parted for both.
    """
    real, held_out = subject.real, subject.reference.validation
    test = real.sample(len(real.test or ()), of_test=True)[0]
    if held_out is None:
        return real.sample(len(real.train))[0][-min(VALIDATION, len(real.train) // 2) :], test
    if subject.reference.test_is_held_out:
        count = min(VALIDATION, len(test) // 2)
        return test[:count], test[count:]
    return unit(held_out, torch.arange(min(VALIDATION, len(held_out))))[0], test


def classifier(subject: Subject) -> Encoder:
    """The features of the data's own classifier."""
    return subject.real.classifier


def inception(subject: Subject) -> Encoder:
    """Inception's features."""
    return subject.reference.inception


def frechet(encoder: Callable[[Subject], Encoder], key: str) -> Callable[[Subject], Results]:
    """Fréchet distance to training data, and that of test data to them: what a perfect G gets."""

    def measure(subject: Subject) -> Results:
        features = encoder(subject)
        real, fake = subject.real.encoded(features, subject.n), subject.encoded(features)
        scalars = {key: frechet_distance(real, fake), f"{key}_error": frechet_error(real, fake)}
        if subject.real.test is not None:
            test = subject.real.encoded(features, subject.n, of_test=True)

            def of_test() -> float:
                return frechet_distance(real, test)

            scalars[f"{key}_real"] = subject.reference.remember(f"{key} {subject.n}", of_test)
        return Results(scalars)

    return measure


def kernel(encoder: Callable[[Subject], Encoder], key: str) -> Callable[[Subject], Results]:
    """Kernel distance to training data."""

    def measure(subject: Subject) -> Results:
        features = encoder(subject)
        real, fake = subject.real.encoded(features, subject.n), subject.encoded(features)
        value, error = kernel_distance(real, fake)
        return Results({key: value, f"{key}_error": error})

    return measure


def prdc(encoder: Callable[[Subject], Encoder], suffix: str) -> Callable[[Subject], Results]:
    """Precision, recall, density and coverage."""

    def measure(subject: Subject) -> Results:
        features = encoder(subject)
        real, fake = subject.real.encoded(features, subject.n), subject.encoded(features)
        scalars = {}
        values = neighbourhoods(real, fake)
        for key in ("precision", "recall", "coverage"):  # shares of a number of data
            count = len(fake) if key == "precision" else len(real)
            values[f"{key}_error"] = share_error(values[key], count)
        for key, value in values.items():
            name, _, is_error = key.partition("_")
            scalars[f"eval/{name}_{suffix}" + ("_error" if is_error else "")] = value
        return Results(scalars)

    return measure


def measure_diversity(subject: Subject) -> Results:
    """Mean pairwise distance of samples, beside that of training data."""
    scalars: dict[str, float] = {}
    for name, x in (
        ("fake", subject.samples[0][:COMPARED]),
        ("real", subject.real.sample(COMPARED)[0]),
    ):
        value, error = pairwise_distance(x)
        scalars |= {f"eval/diversity_{name}": value, f"eval/diversity_{name}_error": error}
    return Results(scalars)


def measure_nearest(subject: Subject) -> Results:
    """Distance of samples to the nearest training datum, beside that of test data; a picture.

    Samples much nearer than test data are copies of training data.
    """
    real, spec = subject.real, subject.sampler.spec
    among = real.sample(AMONG)[0]
    samples = subject.samples[0][:LOOKED_UP]
    distances, which = nearest(samples, among)
    scalars = mean(distances, "eval/nearest_fake") | {"eval/nearest_among": float(len(among))}
    if real.test is not None:
        test = real.sample(LOOKED_UP, of_test=True)[0]
        distances_of_test = nearest(test, among)[0]
        scalars |= mean(distances_of_test, "eval/nearest_test")
    if not spec.is_image:
        return Results(scalars)
    return Results(scalars, {NEAREST: draw_nearest(samples, among, distances, which, spec)})


def draw_nearest(
    samples: Tensor, among: Tensor, distances: Tensor, which: Tensor, spec: DataSpec
) -> Picture:
    """The first samples above their nearest training images, then those nearest of all."""
    spec = DataSpec(spec.shape, (0.0, 1.0))
    closest = distances.argsort()[:SHOWN]
    rows, captions = [], []
    for chosen in (torch.arange(min(SHOWN, len(samples))), closest):
        rows += [samples[chosen], among[which[chosen]]]
        captions += [""] * len(chosen) + [f"{d:.2f}" for d in distances[chosen].tolist()]
    below = "nearest training image"
    names = ["sample", below, f"closest of {len(samples)}", below]
    picture = sheet(
        to_bytes(torch.cat(rows), spec), columns=len(closest), captions=captions, rows=names
    )
    return titled(picture, "numbers: Euclidean distance of all pixels, from 0 (black) to 1 (white)")
