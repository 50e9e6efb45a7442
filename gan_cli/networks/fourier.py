"""Fourier features: a first layer with which perceptrons learn fast functions, too."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from typing_extensions import override

from gan_cli.errors import require


class FourierFeatures(nn.Module):
    """sqrt(2) cos(W x + b) for fixed random W and b (Rahimi & Recht 2007; Tancik et al. 2020).

    Perceptrons on raw coordinates learn slow functions long before fast ones; on these features,
    any as fast as `scale` allows.
    """

    frequencies: Tensor
    phases: Tensor

    def __init__(
        self, inputs: int, features: int, *, scale: float, slowest: float | None = None
    ) -> None:
        """Draw W from N(0, scale^2) and b from U(0, 2 pi).

        Args:
            inputs: numbers of a datum.
            features: of it.
            scale: how fast, in radians per unit of the inputs.
            slowest: draw the lengths of W's columns log-uniformly from here to `scale` instead.
        """
        super().__init__()
        frequencies = scale * torch.randn(inputs, features)
        if slowest is not None:
            lengths = slowest * (scale / slowest) ** torch.rand(features)
            frequencies = frequencies / frequencies.norm(dim=0) * lengths
        self.register_buffer("frequencies", frequencies)
        self.register_buffer("phases", 2 * math.pi * torch.rand(features))

    @override
    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs) -> (n, features)."""
        return math.sqrt(2) * torch.cos(x @ self.frequencies + self.phases)


def fourier_layers(inputs: int, features: int, scale: float) -> list[nn.Module]:
    """Fourier features as a network's first layer; none if `features` is 0.

    Raises:
        SettingsError: a number that makes no sense.
    """
    require(
        (features >= 0, "fourier_features", features, "must be at least 0 (none)"),
        (
            0 < scale < math.inf,
            "fourier_scale",
            scale,
            "must be positive, in radians for a unit of the input",
        ),
    )
    return [FourierFeatures(inputs, features, scale=scale)] if features else []
