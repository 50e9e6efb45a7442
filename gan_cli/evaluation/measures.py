"""How each metric is measured.

Every number comes with its standard error, `..._error`: over the data, over random subsets, or by
bootstrap. Nothing here draws from a run's own random streams, so evaluating changes no training.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gan_cli.data.base import PairDataset
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
from gan_cli.evaluation.subject import Found, Subject
from gan_cli.games.base import evaluating
from gan_cli.games.cyclegan import CycleGAN, Direction
from gan_cli.networks import dcgan
from gan_cli.pictures import Picture, sheet, to_bytes
from gan_cli.spec import DataSpec
from gan_cli.theory import measure as theory
from gan_cli.theory.pictures import draw_theory

VALIDATION = 1000  # images that choose the Parzen window's width, as in the authors' code
GENERATED = 50_000  # samples that the nearest-neighbour classifier knows (Radford et al. 2015)
LOOKED_UP = 1000  # samples whose nearest training datum is looked for ...
AMONG = 60_000  # ... among so many at most
COMPARED = 1000  # data whose pairwise distances are taken
LEARNT_FROM = 10_000  # training images that the linear classifier on D's features gets
GRID = 4  # D's features are pooled to so many rows and columns
SHOWN = 10  # samples in the picture of nearest neighbours
NEAREST = "nearest"  # the picture's name and folder


def mean(values: Tensor, key: str) -> dict[str, float]:
    """The mean of independent values, and its standard error."""
    values = values.double()
    error = values.std().item() / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return {key: values.mean().item(), f"{key}_error": error}


def share(hits: Tensor, key: str) -> dict[str, float]:
    """The share of hits, and its standard error."""
    found = hits.double().mean().item()
    return {key: found, f"{key}_error": share_error(found, len(hits))}


def share_error(found: float, n: int) -> float:
    """The standard error of a share found among n; none or all of n are not certain to be so.

    As of half a hit and half a miss more (Agresti & Coull 1998).
    """
    shrunk = (n * found + 0.5) / (n + 1)
    return math.sqrt(shrunk * (1 - shrunk) / (n + 1))


def measure_theory(subject: Subject) -> Found:
    """Divergences, D against D*, modes: see `gan_cli.theory.measure`."""
    known = theory.measurable(subject.game, subject.reference.dataset)
    assert known is not None
    found = theory.measure(*known, seed=subject.seed)
    return Found(found.scalars, {"theory": draw_theory(found, *known)})


def measure_parzen(subject: Subject) -> Found:
    """Log-likelihood of the test images, and that of as many training images as samples."""
    real, samples = subject.real, subject.samples[0]
    validation, test = sigma_and_test_data(subject)
    found = parzen(samples, validation=validation, test=test)

    def of_real() -> float:
        most = len(real.train) - VALIDATION  # the last may have chosen sigma
        others = real.sample(max(1, min(len(samples), most)))[0]
        return parzen(others, validation=validation, test=test).mean

    return Found(
        {
            "eval/parzen": found.mean,
            "eval/parzen_error": found.error,
            "eval/parzen_sigma": found.sigma,
            "eval/parzen_real": subject.reference.remember(f"parzen {subject.n}", of_real),
        }
    )


def sigma_and_test_data(subject: Subject) -> tuple[Tensor, Tensor]:
    """Images that choose the window's width, and others to judge by, in [0, 1].

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


def frechet(encoder: Callable[[Subject], Encoder], key: str) -> Callable[[Subject], Found]:
    """Fréchet distance to training data, and that of test data to them: what a perfect G gets."""

    def measure(subject: Subject) -> Found:
        features = encoder(subject)
        real, fake = subject.real.encoded(features, subject.n), subject.encoded(features)
        found = {key: frechet_distance(real, fake), f"{key}_error": frechet_error(real, fake)}
        if subject.real.test is not None:
            test = subject.real.encoded(features, subject.n, of_test=True)

            def of_test() -> float:
                return frechet_distance(real, test)

            found[f"{key}_real"] = subject.reference.remember(f"{key} {subject.n}", of_test)
        return Found(found)

    return measure


def kernel(encoder: Callable[[Subject], Encoder], key: str) -> Callable[[Subject], Found]:
    """Kernel distance to training data."""

    def measure(subject: Subject) -> Found:
        features = encoder(subject)
        real, fake = subject.real.encoded(features, subject.n), subject.encoded(features)
        value, error = kernel_distance(real, fake)
        return Found({key: value, f"{key}_error": error})

    return measure


def prdc(encoder: Callable[[Subject], Encoder], suffix: str) -> Callable[[Subject], Found]:
    """Precision, recall, density and coverage."""

    def measure(subject: Subject) -> Found:
        features = encoder(subject)
        real, fake = subject.real.encoded(features, subject.n), subject.encoded(features)
        found = {}
        values = neighbourhoods(real, fake)
        for key in ("precision", "recall", "coverage"):  # shares of a number of data
            count = len(fake) if key == "precision" else len(real)
            values[f"{key}_error"] = share_error(values[key], count)
        for key, value in values.items():
            name, _, is_error = key.partition("_")
            found[f"eval/{name}_{suffix}" + ("_error" if is_error else "")] = value
        return Found(found)

    return measure


def measure_label_agreement(subject: Subject) -> Found:
    """Share of samples that the classifier takes for the class that was asked for."""
    x, labels = subject.samples
    assert labels is not None
    judge = subject.real.classifier
    return Found(
        share(judge.predict(x) == labels, "eval/label_agreement")
        | {"eval/classifier_accuracy": judge.accuracy}
    )


def measure_nn_error(subject: Subject) -> Found:
    """Error on the test data of a nearest-neighbour classifier that knows 50,000 samples alone."""
    x, truth = subject.real.sample(len(subject.real.test or ()), of_test=True)
    assert truth is not None
    best = torch.full((len(x),), math.inf)
    guess = torch.zeros(len(x), dtype=torch.long)
    step = 5000
    for start in range(0, GENERATED, step):
        samples, labels = subject.draw(step, start)
        assert labels is not None
        distances, which = nearest(x, samples)
        closer = distances < best
        best = torch.where(closer, distances, best)
        guess = torch.where(closer, labels[which], guess)
    found = share(guess != truth, "eval/nn_error") | {"eval/nn_samples": float(GENERATED)}

    def of_real() -> float:
        known, labels = subject.real.sample(GENERATED)
        assert labels is not None
        return (labels[nearest(x, known)[1]] != truth).double().mean().item()

    found["eval/nn_error_real"] = subject.reference.remember("nn", of_real)
    return Found(found)


def measure_discriminator_features(subject: Subject) -> Found:
    """Test accuracy of a linear classifier on D's features (Radford et al. 2015, section 5.1)."""
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    real, gan = subject.real, subject.gan
    discriminator = gan.discriminator

    def features(x: Tensor) -> Tensor:
        device = gan.fixed_noise.device
        parts = x.split(500)
        return torch.cat(
            [pooled_features(discriminator, gan.spec.from_unit(part).to(device)) for part in parts]
        )

    x, labels = real.sample(LEARNT_FROM)
    test_x, test_labels = real.sample(len(real.test or ()), of_test=True)
    assert labels is not None
    assert test_labels is not None
    scaler = StandardScaler()
    known = scaler.fit_transform(features(x).numpy())
    machine = LinearSVC(C=0.001, dual=True, random_state=0, max_iter=2000)
    machine.fit(known, labels.numpy())
    guess = torch.from_numpy(machine.predict(scaler.transform(features(test_x).numpy())))
    return Found(
        share(guess == test_labels, "eval/discriminator_features")
        | {"eval/discriminator_features_trained_on": float(len(x))}
    )


def pooled_features(discriminator: nn.Module, x: Tensor) -> Tensor:
    """What D's convolutional layers make of images, max-pooled to 4x4, flattened and joined."""
    found: list[Tensor] = []

    def keep(_: nn.Module, __: object, output: Tensor) -> None:
        found.append(nn.functional.adaptive_max_pool2d(output, GRID).flatten(1).float().cpu())

    hooks = [layer.register_forward_hook(keep) for layer in convolutional_layers(discriminator)]
    try:
        with evaluating(discriminator):
            discriminator(x, None)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.cat(found, dim=1)


def convolutional_layers(discriminator: nn.Module) -> list[nn.Module]:
    """D's convolutional layers, each with its activation."""
    return list(discriminator.images) if isinstance(discriminator, dcgan.Discriminator) else []


def measure_diversity(subject: Subject) -> Found:
    """Mean pairwise distance of samples, beside that of training data."""
    found: dict[str, float] = {}
    for name, x in (
        ("fake", subject.samples[0][:COMPARED]),
        ("real", subject.real.sample(COMPARED)[0]),
    ):
        value, error = pairwise_distance(x)
        found |= {f"eval/diversity_{name}": value, f"eval/diversity_{name}_error": error}
    return Found(found)


def measure_nearest(subject: Subject) -> Found:
    """Distance of samples to the nearest training datum, beside that of test data; a picture.

    Samples much nearer than test data are copies of training data.
    """
    real, spec = subject.real, subject.gan.spec
    among = real.sample(AMONG)[0]
    samples = subject.samples[0][:LOOKED_UP]
    distances, which = nearest(samples, among)
    found = mean(distances, "eval/nearest_fake") | {"eval/nearest_among": float(len(among))}
    if real.test is not None:
        test = real.sample(LOOKED_UP, of_test=True)[0]
        distances_of_test = nearest(test, among)[0]
        found |= mean(distances_of_test, "eval/nearest_test")
    if not spec.is_image:
        return Found(found)
    return Found(found, {NEAREST: draw_nearest(samples, among, distances, which, spec)})


def draw_nearest(
    samples: Tensor, among: Tensor, distances: Tensor, which: Tensor, spec: DataSpec
) -> Picture:
    """The first samples above their nearest training images, then those nearest of all."""
    spec = DataSpec(spec.shape, (0.0, 1.0))
    closest = distances.argsort()[:SHOWN]
    rows, captions = [], []
    for chosen, name in ((torch.arange(min(SHOWN, len(samples))), "sample"), (closest, "closest")):
        rows += [samples[chosen], among[which[chosen]]]
        captions += [name] * len(chosen) + [f"{d:.2f}" for d in distances[chosen].tolist()]
    return sheet(to_bytes(torch.cat(rows), spec), columns=len(closest), captions=captions)


DIRECTIONS: tuple[tuple[Direction, str, str], ...] = (("a2b", "a", "b"), ("b2a", "b", "a"))
BACK: dict[Direction, Direction] = {"a2b": "b2a", "b2a": "a2b"}


def measure_cycle(subject: Subject) -> Found:
    """Mean of |F(G(a)) - a| and |G(F(b)) - b|, pixels in [0, 1], on unseen images if there are."""
    found: dict[str, float] = {}
    for direction, source, _ in DIRECTIONS:
        domain = subject.reference.domains[source]
        dataset = domain.train if domain.test is None else domain.test
        x = dataset.take(torch.arange(min(subject.n, len(dataset))))[0]
        rebuilt = translate(subject.cyclegan, translate(subject.cyclegan, x, direction),
                            BACK[direction])  # fmt: skip
        error = (dataset.spec.to_unit(rebuilt) - dataset.spec.to_unit(x)).abs()
        found |= mean(error.flatten(1).mean(dim=1), f"eval/cycle_{source}")
    return Found(found)


def translate(game: CycleGAN, x: Tensor, direction: Direction) -> Tensor:
    """Translated images on the CPU."""
    device = next(game.generators.parameters()).device
    return game.translate(x.to(device), direction).float().cpu()


def measure_translation(subject: Subject) -> Found:
    """Mean absolute difference to the truth, pixels in [0, 1], and label agreement, both ways.

    Beside them stands the error of leaving images as they are.
    """
    test = subject.reference.test
    assert isinstance(test, PairDataset)
    found: dict[str, float] = {}
    for direction, source, target in DIRECTIONS:
        given, truth = getattr(test, source), getattr(test, target)
        places = torch.arange(min(subject.n, len(given)))
        x, (y, labels) = given.take(places)[0], unit(truth, places)
        made = truth.spec.to_unit(translate(subject.cyclegan, x, direction))
        found |= mean((made - y).abs().flatten(1).mean(dim=1), f"eval/translation_{direction}")
        same = given.spec.to_unit(x).mean(dim=1, keepdim=True).expand_as(y)
        found[f"eval/identity_{direction}"] = (same - y).abs().mean().item()
        if labels is not None and truth.spec.classes > 1:
            judge = subject.reference.domains[target].classifier
            key = f"eval/label_agreement_{direction}"
            found |= share(judge.predict(made) == labels, key)
            found[f"eval/classifier_accuracy_{target}"] = judge.accuracy
    return Found(found)
