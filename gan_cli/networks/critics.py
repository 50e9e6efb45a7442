"""Discriminators for judging rather than playing: the players' own kinds, with settings of theirs.

No logit depends on the other data of its batch, so there is no batch norm.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from typing_extensions import override

from gan_cli.errors import SettingsError
from gan_cli.networks import conditional, dcgan, mlp
from gan_cli.spec import DataSpec


def perceptron(spec: DataSpec, *, hidden: Sequence[int]) -> nn.Module:
    """A perceptron for data of any shape.

    Args:
        spec: of the data; with classes it sees labels too.
        hidden: units of each layer.

    Returns:
        Data (n, *shape), and labels (n,) if the spec has classes -> logits (n,).
    """
    if spec.classes:
        return conditional.Discriminator(
            spec, data_hidden=hidden[0], label_hidden=hidden[0], joint_hidden=hidden[1:],
            activation="silu", maxout_pieces=None, joint_maxout_pieces=None, dropout=0.0,
            init_range=None,
        )  # fmt: skip
    return mlp.Discriminator(
        spec, hidden=hidden, activation="silu", maxout_pieces=None, dropout_input=0.0, dropout=0.0,
        init_range=None,
    )  # fmt: skip


class OnAllScales(nn.Module):
    """A perceptron that sees points, and Fourier features of them from slow to fast."""

    def __init__(
        self,
        spec: DataSpec,
        *,
        hidden: Sequence[int],
        features: int,
        slowest: float,
        fastest: float,
    ) -> None:
        """Draw the features.

        Args:
            spec: of points of mean 0 and spread 1, without classes.
            hidden: units of each layer.
            features: as many.
            slowest: in radians per unit.
            fastest: likewise.
        """
        super().__init__()
        self.features = mlp.FourierFeatures(spec.size, features, scale=fastest, slowest=slowest)
        self.rest = perceptron(DataSpec((spec.size + features,), None), hidden=hidden)

    @override
    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Points (n, d) -> logits (n,)."""
        logits: Tensor = self.rest(torch.cat([x, self.features(x)], dim=1), labels)
        return logits


def convolutional(spec: DataSpec, *, width: int) -> nn.Module:
    """DCGAN's D with layer norm; labels, if the spec has classes, as projections.

    Args:
        spec: of images that can be halved, see `can_be_halved`.
        width: channels of the first layer.

    Returns:
        Images (n, C, H, W) and labels (n,) -> logits (n,).
    """
    return dcgan.Discriminator(
        spec, width=width, kernel_size=4, norm="layer", norm_affine=True, spectral_norm=False,
        hidden=None, labels="projection" if spec.classes else "none",
    )  # fmt: skip


def can_be_halved(spec: DataSpec) -> bool:
    """Whether `convolutional` can look at such data."""
    try:
        dcgan.halvings(spec.shape)
    except SettingsError:
        return False
    return True
