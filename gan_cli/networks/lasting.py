"""Dropout that stays on when samples are drawn, where it is part of G's noise.

In Isola et al. 2017, section 3.2, it is the only noise. A generator that was trained with dropout
may have learned to vary by it and to ignore z; without it, all its samples are the same.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from gan_cli.errors import Problem, SettingsError

GOLDEN = 0x9E3779B97F4A7C15 - 2**64  # an odd number whose multiples spread over 64 bits


class LastingDropout(nn.Module):
    """Dropout; in evaluation mode each mask is a function of the sample's key alone.

    So equal z give equal samples, whatever else is drawn with them and on every device.
    """

    def __init__(self, p: float, *, layer: int) -> None:
        """Drop each unit with probability p; `layer` makes this mask differ from other layers'."""
        super().__init__()
        self.dropout = nn.Dropout(p)
        self.layer = layer
        self.keys = torch.zeros(0, dtype=torch.int64)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """(n, units) -> (n, units)."""
        y: Tensor
        if self.training:
            y = self.dropout(x)
            return y
        y = x * self.kept(x).to(x.dtype) / (1.0 - self.dropout.p)
        return y

    def kept(self, x: Tensor) -> Tensor:
        """Which units of x, (n, units), evaluation mode keeps; true and false of the same shape."""
        units = torch.arange(x.shape[1], device=x.device)
        bits = mixed(mixed(self.keys + self.layer)[:, None] + units * GOLDEN)
        return (bits & (2**24 - 1)) >= self.dropout.p * 2**24


def mixed(bits: Tensor) -> Tensor:
    """64 bits, each of which depends on all bits of the input (Steele et al. 2014, SplitMix64)."""

    def with_shifted(x: Tensor, by: int) -> Tensor:
        shifted = (x >> by) & (2 ** (64 - by) - 1)  # PyTorch's shift repeats the sign
        return torch.bitwise_xor(x, shifted)

    bits = with_shifted(bits + GOLDEN, 30) * (0xBF58476D1CE4E5B9 - 2**64)
    bits = with_shifted(bits, 27) * (0x94D049BB133111EB - 2**64)
    return with_shifted(bits, 31)


def keys_of(z: Tensor) -> Tensor:
    """One number for each z, int64 (n,), a function of all its bits, (n, dim)."""
    bits = z.detach().to(torch.float32).contiguous().view(torch.int32).to(torch.int64)
    places = torch.arange(z.shape[1], device=z.device)
    return mixed(bits + mixed(places)).sum(dim=1)


def let_last(network: nn.Module) -> None:
    """Replace a network's dropout by lasting dropout.

    Raises:
        SettingsError: it has none.
    """
    layers = [name for name, part in network.named_modules() if type(part) is nn.Dropout]
    if not layers:
        advice = "there is no dropout. Set model.generator.dropout above 0"
        raise SettingsError([Problem("dropout_in_sampling", True, advice)])
    for number, name in enumerate(layers):
        dropout = network.get_submodule(name)
        assert isinstance(dropout, nn.Dropout)
        network.set_submodule(name, LastingDropout(dropout.p, layer=number))


def give_keys(network: nn.Module, z: Tensor) -> None:
    """Give lasting dropout the keys of the samples that are drawn next, from their z (n, dim)."""
    dropouts = [part for part in network.modules() if isinstance(part, LastingDropout)]
    if network.training or not dropouts:
        return
    keys = keys_of(z)
    for part in dropouts:
        part.keys = keys
