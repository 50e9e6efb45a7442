"""Why a metric does not suit a model or its data.

Which others do suit is for `registry.choose` to say, which knows all of them.
"""

from __future__ import annotations

from collections.abc import Callable

from gan_cli.data.base import PairDataset
from gan_cli.evaluation.encoders import INCEPTION_FEATURES, INCEPTION_SIDE, inception_problem
from gan_cli.evaluation.subject import Subject
from gan_cli.games.from_noise import FromNoise
from gan_cli.games.translating import Translating
from gan_cli.networks.abilities import HasFeatureLayers
from gan_cli.theory import measure as theory

FEWEST = 100  # samples or real data below which a distance of distributions says nothing
#: Says why a metric does not suit, or None.
Unsuited = Callable[[Subject], str | None]


def first_of(*reasons: Unsuited) -> Unsuited:
    """The first reason that holds."""

    def unsuited(subject: Subject) -> str | None:
        return next((text for reason in reasons if (text := reason(subject))), None)

    return unsuited


def not_from_noise(subject: Subject) -> str | None:
    """For models that draw samples."""
    if isinstance(subject.game, FromNoise):
        return None
    return "the model draws no samples from noise"


def not_translating(subject: Subject) -> str | None:
    """For models that translate."""
    return None if isinstance(subject.game, Translating) else "only for models that translate"


def not_images(subject: Subject) -> str | None:
    """For images."""
    return None if subject.sampler.spec.is_image else "only for images"


def no_test_data(subject: Subject) -> str | None:
    """For data of which training leaves some out."""
    if subject.reference.test is not None:
        return None
    return (
        "the data have no test split, or its files are not there; train with data.validation=N, "
        "which holds N out"
    )


def no_labels(subject: Subject) -> str | None:
    """For data in classes."""
    if subject.sampler.spec.classes > 1:
        return None
    return "the data have no classes to tell apart"


def not_conditional(subject: Subject) -> str | None:
    """For conditional models."""
    return None if subject.sampler.conditional else "only for models that are asked for labels"


def too_few(subject: Subject) -> str | None:
    """For at least FEWEST data."""
    have = min(subject.n, len(subject.reference.dataset))
    if have >= FEWEST:
        return None
    asked = "" if subject.n > have else f" Give n={FEWEST} or more"
    return f"{have} data are too few for features of a network; at least {FEWEST}.{asked}"


def no_density(subject: Subject) -> str | None:
    """For points whose p_data is known."""
    known = theory.measurable(subject.game, subject.reference.dataset)
    if known is not None:
        return None
    if getattr(subject.reference.dataset, "curve", None) is not None:
        return "points on a curve have no density in the plane, or none in closed form; use curve"
    return "p_data is not known, or not in 1 or 2 dimensions; use data=mixture_1d, ring or grid"


def no_value(subject: Subject) -> str | None:
    """For games that are played for V, by one D."""
    if len(subject.sampler.each_discriminator()) > 1:
        return "the gap is that of one G and one D"
    if subject.game.loss.log_odds:
        return None
    return "this loss is not V(D,G); train with loss=minimax or loss=non_saturating"


def no_curve(subject: Subject) -> str | None:
    """For points on a known curve."""
    if getattr(subject.reference.dataset, "curve", None) is not None:
        return None
    return "the data lie on no known curve; use data=curve or data=parallel_lines"


def no_convolutions(subject: Subject) -> str | None:
    """For D's with convolutional layers."""
    has_layers = isinstance(subject.sampler.discriminator, HasFeatureLayers)
    if has_layers and not subject.sampler.conditional:
        return None
    return "only for models whose D has convolutional layers and sees no labels"


def not_for_inception(subject: Subject) -> str | None:
    """For colour photos, where Inception can be had."""
    channels, *sides = subject.sampler.spec.shape
    if channels != 3:
        return f"Inception knows colour photos, not {channels}-channel images"
    if min(sides) < INCEPTION_SIDE:
        return f"Inception makes nothing of {min(sides)} pixels, enlarged to 299"
    weights = subject.reference.inception_weights
    if weights is None:
        return "needs inception=FILE, the network's weights, or inception=download"
    problem = inception_problem(weights)
    return None if problem is None else str(problem)


def too_few_for_fid(subject: Subject) -> str | None:
    """For as many data as features."""
    have = min(subject.n, len(subject.reference.dataset))
    if have >= INCEPTION_FEATURES:
        return None
    return (
        f"{have} data give no covariance of {INCEPTION_FEATURES} features, and numbers that "
        "nobody can compare; use 10,000 or more"
    )


def no_truth(subject: Subject) -> str | None:
    """For domains whose true translations are known."""
    test = subject.reference.test
    if isinstance(test, PairDataset) and test.paired:
        return None
    return "nobody knows the true translations of these data; data=digit_domains has them"
