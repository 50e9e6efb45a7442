"""Discriminators for judging rather than playing: the players' own kinds, with settings of theirs.

No logit depends on the other data of its batch, so there is no batch norm.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from gan_cli.errors import SettingsError
from gan_cli.networks import conditional, dcgan, mlp
from gan_cli.spec import DataSpec


def perceptron(
    spec: DataSpec, *, hidden: Sequence[int], features: int = 0, scale: float = 1.0
) -> nn.Module:
    """A perceptron for data of any shape.

    Args:
        spec: of the data; with classes it sees labels too.
        hidden: units of each layer.
        features: Fourier features of the data that it sees in their place; 0: none.
        scale: how fast these are.

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
        fourier_features=features, fourier_scale=scale, init_range=None,
    )  # fmt: skip


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
