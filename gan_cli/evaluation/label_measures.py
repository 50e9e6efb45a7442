"""Metrics that go by labels: does a sample show what was asked for, what can be learnt from it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gan_cli.evaluation.features import nearest
from gan_cli.evaluation.measures import share
from gan_cli.evaluation.subject import Results, Subject
from gan_cli.games.base import evaluating
from gan_cli.networks.abilities import HasFeatureLayers
from gan_cli.system.stopping import polled

GENERATED = 50_000  # samples that the nearest-neighbour classifier knows (Radford et al. 2015)
LEARNT_FROM = 10_000  # training images that the linear classifier on D's features gets
GRID = 4  # D's features are pooled to so many rows and columns


def measure_label_agreement(subject: Subject) -> Results:
    """Share of samples that the classifier takes for the class that was asked for."""
    x, labels = subject.samples
    assert labels is not None
    classifier = subject.real.classifier
    return Results(
        share(classifier.predict(x) == labels, "eval/label_agreement")
        | {"eval/classifier_accuracy": classifier.accuracy}
    )


def measure_nn_error(subject: Subject) -> Results:
    """Error on the test data of a nearest-neighbour classifier that knows 50,000 samples alone."""
    x, truth = subject.real.sample(len(subject.real.test or ()), of_test=True)
    assert truth is not None
    best = torch.full((len(x),), math.inf)
    guess = torch.zeros(len(x), dtype=torch.long)
    step = 5000
    for start in polled(range(0, GENERATED, step)):
        samples, labels = subject.draw(step, start)
        assert labels is not None
        distances, which = nearest(x, samples)
        closer = distances < best
        best = torch.where(closer, distances, best)
        guess = torch.where(closer, labels[which], guess)
    scalars = share(guess != truth, "eval/nn_error") | {"eval/nn_samples": float(GENERATED)}

    def of_real() -> float:
        known, labels = subject.real.sample(GENERATED)
        assert labels is not None
        return (labels[nearest(x, known)[1]] != truth).double().mean().item()

    scalars["eval/nn_error_real"] = subject.reference.remember("nn", of_real)
    return Results(scalars)


def measure_discriminator_features(subject: Subject) -> Results:
    """Test accuracy of a linear classifier on D's features (Radford et al. 2015, section 5.1)."""
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    real, game = subject.real, subject.sampler
    discriminator = game.discriminator

    def features(x: Tensor) -> Tensor:
        device = game.fixed_noise.device
        parts = polled(x.split(500))
        return torch.cat(
            [pooled_features(discriminator, game.spec.from_unit(part).to(device)) for part in parts]
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
    return Results(
        share(guess == test_labels, "eval/discriminator_features")
        | {"eval/discriminator_features_trained_on": float(len(x))}
    )


def pooled_features(discriminator: nn.Module, x: Tensor) -> Tensor:
    """What D's convolutional layers make of images, max-pooled to 4x4, flattened and joined."""
    assert isinstance(discriminator, HasFeatureLayers)
    features: list[Tensor] = []

    def keep(_: nn.Module, __: object, output: Tensor) -> None:
        features.append(nn.functional.adaptive_max_pool2d(output, GRID).flatten(1).float().cpu())

    layers = discriminator.feature_layers()
    hooks = [layer.register_forward_hook(keep) for layer in layers]
    try:
        with evaluating(discriminator):
            discriminator(x, None)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.cat(features, dim=1)
