"""Which critics judge which data: perceptrons for points and features, DCGAN's D for images."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from gan_cli.evaluation.critics import Effort, Encode, Part
from gan_cli.evaluation.referee import Candidate
from gan_cli.networks.critics import OnAllScales, can_be_halved, convolutional, perceptron
from gan_cli.spec import DataSpec

HIDDEN = (64, 64)  # units of perceptrons for points ...
HIDDEN_OF_VECTORS = (128, 128)  # ... and for features
#: Fourier features show the critic of points in 1-D and 2-D structure of all sizes, from slow to
#: fast, in radians for a standard deviation of the data; in more dimensions there is no room.
FEATURES, SLOWEST, FASTEST, ROOM = 256, 0.5, 100.0, 2
MANY = 40_000  # data from which on no smoother critic is needed
POINTS = Effort(steps=500, batch=512, rate=3e-3, look_every=100)
VECTORS = Effort(steps=800, batch=256, rate=1e-3)
IMAGES = Effort(steps=800, batch=64, rate=1e-3, look_every=100)
WIDTH = 16  # channels of the first layer of DCGAN's D
COARSE = 8  # pixels of the longer side of images that are looked at from afar


def of_points(spec: DataSpec, fitted: Part) -> list[Candidate]:
    """A perceptron on coordinates of mean 0 and spread 1; where data are few, one more.

    The first learns fine structure, which takes many data; the other learns smooth differences
    from few. The part that stops both chooses.

    Args:
        spec: of the points; with classes if the critic shall see labels.
        fitted: what tells mean and spread.
    """
    smooth = partial(perceptron, spec, hidden=HIDDEN)
    fine = partial(
        OnAllScales, spec, hidden=HIDDEN, features=FEATURES, slowest=SLOWEST, fastest=FASTEST
    )
    kinds: list[Callable[[], nn.Module]] = [smooth]
    if spec.size <= ROOM and not spec.classes:
        kinds = [fine, smooth] if len(fitted.real) < MANY else [fine]
    return [Candidate(make, standardised(fitted), POINTS) for make in kinds]


def of_vectors(spec: DataSpec, fitted: Part) -> list[Candidate]:
    """A perceptron on features, or on coarse pixels."""
    make = partial(perceptron, spec, hidden=HIDDEN_OF_VECTORS)
    return [Candidate(make, standardised(fitted), VECTORS)]


def of_images(spec: DataSpec) -> list[Candidate]:
    """DCGAN's D on pixels, or a perceptron where the sides cannot be halved."""
    if not can_be_halved(spec):
        make = partial(perceptron, spec, hidden=HIDDEN_OF_VECTORS)
        return [Candidate(make, spec.from_bytes, VECTORS)]
    return [Candidate(partial(convolutional, spec, width=WIDTH), spec.from_bytes, IMAGES)]


def standardised(fitted: Part) -> Encode:
    """Subtract the mean of what a critic is fitted on, and divide by its standard deviation."""
    x = torch.cat([fitted.real, fitted.fake]).nan_to_num()
    mean, std = x.mean(dim=0), x.std(dim=0)
    std = torch.where(std > 1e-6 * std.max(), std, torch.ones_like(std))
    return lambda x: (x - mean.to(x.device)) / std.to(x.device)


def coarse(x: Tensor) -> Tensor:
    """Images seen from afar: means of areas, at most COARSE along a side; float32 (n, d)."""
    height, width = x.shape[2:]
    scale = min(1.0, COARSE / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    return torch.cat([adaptive_avg_pool2d(p.float() / 255, size) for p in x.split(4096)]).flatten(1)
