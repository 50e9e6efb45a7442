"""The metrics by name: for which models and data each is meant, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gan_cli.errors import Problem, UserError, choice_problems
from gan_cli.evaluation.copies import measure_copies, too_few_held_out
from gan_cli.evaluation.label_measures import (
    measure_discriminator_features,
    measure_label_agreement,
    measure_nn_error,
)
from gan_cli.evaluation.measures import (
    classifier,
    frechet,
    inception,
    kernel,
    measure_curve,
    measure_diversity,
    measure_nearest,
    measure_parzen,
    measure_theory,
    prdc,
)
from gan_cli.evaluation.nash import measure_nash_gap
from gan_cli.evaluation.referee_measures import (
    RANKING,
    measure_referee,
    no_held_out,
    prepare_map,
)
from gan_cli.evaluation.reference import Reference
from gan_cli.evaluation.subject import Results, Subject
from gan_cli.evaluation.suited import (
    Unsuited,
    first_of,
    no_convolutions,
    no_curve,
    no_density,
    no_labels,
    no_test_data,
    no_truth,
    no_value,
    not_conditional,
    not_for_inception,
    not_from_noise,
    not_images,
    not_translating,
    too_few,
    too_few_for_fid,
)
from gan_cli.evaluation.translation_measures import measure_cycle, measure_translation
from gan_cli.system.stopping import polled


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        measure: how.
        unsuited: why it cannot be measured of a subject, and what to use instead; None: it can.
        says: what it is, in a line.
        costly: takes long, and so is measured in training only if asked for by name.
        prepare: gets what it needs beside the model.
        keys: of a costly metric, what can be a run's objective; below `eval/`.
        keys_afterwards: what only gan-evaluate measures.
    """

    measure: Callable[[Subject], Results]
    unsuited: Unsuited
    says: str
    costly: bool = False
    prepare: Callable[[Reference], object] = lambda _: None
    keys: tuple[str, ...] = ()
    keys_afterwards: tuple[str, ...] = ()


def classifier_of_data(reference: Reference) -> object:
    """Train, or fetch, the classifier of the data."""
    return reference.real.classifier


def classifiers_of_domains(reference: Reference) -> object:
    """Those of both domains, where they have classes."""
    domains = reference.domains.values()
    return [domain.classifier for domain in domains if domain.train.spec.classes > 1]


def inception_network(reference: Reference) -> object:
    """Load Inception."""
    return reference.inception


CLASSIFIED = first_of(not_from_noise, not_images, no_labels, too_few)
SEEN = first_of(not_from_noise, not_images, not_for_inception, too_few)

METRICS: dict[str, Metric] = {
    "theory": Metric(
        measure_theory,
        first_of(not_from_noise, no_density),
        "divergences of p_g from a known p_data, D against D*, modes",
    ),
    "curve": Metric(
        measure_curve,
        first_of(not_from_noise, no_curve),
        "distance of samples to the curve of the data, and how much of it they cover",
    ),
    "nash_gap": Metric(
        measure_nash_gap,
        first_of(not_from_noise, no_value, no_test_data),
        "what D or G could still gain alone, as far as retraining finds it",
        costly=True,
        keys=("nash_gap",),
    ),
    "referee": Metric(
        measure_referee,
        no_held_out,
        "how far p_g is from p_data at least, certified on held-out data by a fresh critic",
        costly=True,
        prepare=prepare_map,
        keys=RANKING,
        keys_afterwards=tuple(f"{key}_pixels" for key in RANKING),
    ),
    "parzen": Metric(
        measure_parzen,
        first_of(not_from_noise, not_images, no_test_data),
        "log-likelihood of test images under a Parzen window on samples, as in 2014",
    ),
    "frechet_classifier": Metric(
        frechet(classifier, "eval/frechet_classifier"),
        CLASSIFIED,
        "Frechet distance on features of a classifier of these data: no FID",
        prepare=classifier_of_data,
    ),
    "kernel_classifier": Metric(
        kernel(classifier, "eval/kernel_classifier"),
        CLASSIFIED,
        "kernel distance on the same",
        prepare=classifier_of_data,
    ),
    "prdc_classifier": Metric(
        prdc(classifier, "classifier"),
        CLASSIFIED,
        "precision, recall, density, coverage there",
        prepare=classifier_of_data,
    ),
    "fid": Metric(
        frechet(inception, "eval/fid"),
        first_of(SEEN, too_few_for_fid),
        "Frechet Inception distance",
        costly=True,
        keys=("fid",),
        prepare=inception_network,
    ),
    "kid": Metric(
        kernel(inception, "eval/kid"),
        SEEN,
        "kernel Inception distance",
        costly=True,
        keys=("kid",),
        prepare=inception_network,
    ),
    "prdc_inception": Metric(
        prdc(inception, "inception"),
        SEEN,
        "precision, ... on Inception's features",
        costly=True,
        keys=tuple(f"{k}_inception" for k in ("precision", "recall", "density", "coverage")),
        prepare=inception_network,
    ),
    "label_agreement": Metric(
        measure_label_agreement,
        first_of(CLASSIFIED, not_conditional),
        "share of samples that the classifier takes for what was asked for",
        prepare=classifier_of_data,
    ),
    "nn_error": Metric(
        measure_nn_error,
        first_of(CLASSIFIED, not_conditional, no_test_data),
        "test error of a nearest-neighbour classifier fitted on 50,000 samples",
        costly=True,
        keys=("nn_error",),
    ),
    "discriminator_features": Metric(
        measure_discriminator_features,
        first_of(not_from_noise, not_images, no_convolutions, no_labels, no_test_data),
        "test accuracy of a linear classifier on D's features",
        costly=True,
        keys=("discriminator_features",),
    ),
    "diversity": Metric(
        measure_diversity, not_from_noise, "mean pairwise distance, of samples and of data"
    ),
    "nearest": Metric(
        measure_nearest,
        not_from_noise,
        "distance to the nearest training datum, and a picture",
    ),
    "copies": Metric(
        measure_copies,
        first_of(not_from_noise, no_test_data, too_few_held_out),
        "share of samples that copy training data, a test with a p-value, and a picture",
        costly=True,
        keys=("copies",),
    ),
    "cycle": Metric(measure_cycle, not_translating, "error of translating there and back"),
    "translation": Metric(
        measure_translation,
        first_of(not_translating, no_truth),
        "error of translating, and label agreement, where the truth is known",
        prepare=classifiers_of_domains,
    ),
}


def choose(
    names: str | Sequence[str] | None, subject: Subject, *, key: str, training: bool
) -> list[str]:
    """The metrics to measure.

    Args:
        names: asked for, one or several; None: all that suit.
        subject: the model and its data.
        key: the config key of `names`, for messages.
        training: leave costly ones out unless they are asked for.

    Raises:
        UserError: a name does not exist, or does not suit; all in one message.
    """
    if names is None:
        return [
            name
            for name, metric in METRICS.items()
            if not (training and metric.costly) and metric.unsuited(subject) is None
        ]
    names = [names] if isinstance(names, str) else names
    problems: list[Problem] = []
    for name in names:
        problems += choice_problems(key, name, list(METRICS))
        if name in METRICS and (reason := METRICS[name].unsuited(subject)):
            problems.append(Problem(key, name, reason + instead(subject)))
    if problems:
        raise UserError(problems)
    return list(dict.fromkeys(names))


def instead(subject: Subject) -> str:
    """Which metrics do suit a model and its data, for a message on one that does not."""
    suited = [name for name, metric in METRICS.items() if metric.unsuited(subject) is None]
    return f". These suit: {', '.join(suited)}" if suited else ""


def measure(subject: Subject, names: Sequence[str]) -> Results:
    """Measure all metrics named."""
    results = Results()
    for name in polled(names):
        one = METRICS[name].measure(subject)
        results.scalars |= one.scalars
        results.pictures |= one.pictures
    # A KL divergence may be infinite, which ends no training and fits into no JSON.
    results.scalars = {k: value for k, value in results.scalars.items() if math.isfinite(value)}
    return results
