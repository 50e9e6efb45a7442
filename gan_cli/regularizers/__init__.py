"""What keeps D in bounds: gradient penalties, clipping, smoothing, noise and augmentation.

Each is a small object of its own, and they compose. Configs name them `gan_cli.regularizers.NAME`.
"""

from gan_cli.regularizers.base import Critic, Penalty, Regularizer, ValueRange, View
from gan_cli.regularizers.bounds import R1, R2, GradientPenalty, LabelSmoothing, WeightClipping
from gan_cli.regularizers.combinations import (
    chosen_names,
    conflicts,
    has_batch_norm,
    has_spectral_norm,
    is_unbounded,
)
from gan_cli.regularizers.views import DiffAugment, InstanceNoise

__all__ = [
    "R1",
    "R2",
    "Critic",
    "DiffAugment",
    "GradientPenalty",
    "InstanceNoise",
    "LabelSmoothing",
    "Penalty",
    "Regularizer",
    "ValueRange",
    "View",
    "WeightClipping",
    "chosen_names",
    "conflicts",
    "has_batch_norm",
    "has_spectral_norm",
    "is_unbounded",
]
