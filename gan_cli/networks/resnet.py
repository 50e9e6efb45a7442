"""CycleGAN's networks (Zhu et al. 2017, section 7): residual generators, patch discriminators.

In the paper's notation G is c7s1-64, d128, d256, R256 (6 or 9 times), u128, u64, c7s1-3, and D is
C64-C128-C256-C512 with a last convolution to one number for each patch of 70x70 pixels. Instance
norm without learned parameters; weights N(0, 0.02).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, pixel_shuffle
from typing_extensions import override

from gan_cli.errors import Problem, require
from gan_cli.networks.layers import MOST_WIDTHS, bound_weights, initialise, normalisation
from gan_cli.networks.mlp import LEAKY_SLOPE, output_activation
from gan_cli.spec import DataSpec

MULTIPLE, SMALLEST = 4, 8  # sides: halved twice, and large enough to be reflected
MOST_BLOCKS, MOST_LAYERS = 256, 10
LARGE = 256  # pixels of the longer side from which on the paper uses 9 blocks

Norm = Literal["instance", "none"]


def normed(convolution: nn.Module, channels: int, *, norm: Norm) -> list[nn.Module]:
    """A convolution to `channels`, normalisation and ReLU."""
    return [convolution, normalisation(norm, channels, affine=False), nn.ReLU(inplace=False)]


class Residual(nn.Module):
    """R: two 3x3 convolutions, whose result is added to the input."""

    def __init__(self, channels: int, *, norm: Norm) -> None:
        super().__init__()
        bias = norm == "none"
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            *normed(nn.Conv2d(channels, channels, 3, bias=bias), channels, norm=norm),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            normalisation(norm, channels, affine=False),
        )

    @override
    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) -> the same."""
        y: Tensor = x + self.layers(x)
        return y


class ToImage(nn.Conv2d):
    """A convolution to few channels, without padding, where both sides of the result are even.

    `blocked` computes 2x2 pixels at once: a convolution of stride 2 to four times the channels,
    with the kernel at four places in one that is larger by 1. The same sums, and no more
    parameters; but CPUs compute 16 channels in the time of one.
    """

    blocked = False

    @override
    def forward(self, x: Tensor) -> Tensor:
        """(n, C, H, W) -> (n, C', H - k + 1, W - k + 1)."""
        if not self.blocked:
            return super().forward(x)
        shifted = [pad(self.weight, (dx, 1 - dx, dy, 1 - dy)) for dy in (0, 1) for dx in (0, 1)]
        weight = torch.stack(shifted, dim=1).flatten(0, 1)
        bias = None if self.bias is None else self.bias.repeat_interleave(4)
        return pixel_shuffle(conv2d(x, weight, bias, stride=2), 2)


class Generator(nn.Module):
    """G: an image of one domain -> one of the other, of the same size."""

    side_multiple, smallest_side = MULTIPLE, SMALLEST

    def __init__(
        self,
        source: DataSpec,
        target: DataSpec,
        *,
        width: int,
        blocks: int | Literal["auto"],
        norm: Norm,
    ) -> None:
        super().__init__()
        height, breadth = source.shape[1:]
        advice = (
            f"must be multiples of {MULTIPLE}, at least {SMALLEST}. The nearest that work: "
            f"[{nearest_multiple(height)},{nearest_multiple(breadth)}]"
        )
        require(
            (width >= 1, "width", width, "must be at least 1"),
            (
                blocks == "auto" or 0 <= blocks <= MOST_BLOCKS,
                "blocks",
                blocks,
                f"must lie between 0 and {MOST_BLOCKS}, or be auto "
                f"(6 below {LARGE} pixels, else 9)",
            ),
            (
                all(side % MULTIPLE == 0 and side >= SMALLEST for side in (height, breadth)),
                Problem("data.image_size", [height, breadth], advice, is_full=True),
            ),
        )
        count = (9 if max(height, breadth) >= LARGE else 6) if blocks == "auto" else blocks
        bias = norm == "none"
        first = nn.Conv2d(source.shape[0], width, 7, bias=bias)
        layers = [nn.ReflectionPad2d(3), *normed(first, width, norm=norm)]
        for wide in (width, 2 * width):
            halving = nn.Conv2d(wide, 2 * wide, 3, stride=2, padding=1, bias=bias)
            layers += normed(halving, 2 * wide, norm=norm)
        layers += [Residual(4 * width, norm=norm) for _ in range(count)]
        for wide in (4 * width, 2 * width):
            doubling = nn.ConvTranspose2d(
                wide, wide // 2, 3, stride=2, padding=1, output_padding=1, bias=bias
            )
            layers += normed(doubling, wide // 2, norm=norm)
        layers += [
            nn.ReflectionPad2d(3),
            ToImage(width, target.shape[0], 7),
            output_activation(target.value_range),
        ]
        self.layers = nn.Sequential(*layers)
        initialise(self)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """(n, C, H, W) in the source's range -> (n, C', H, W) in the target's; sides: 4, 8, ..."""
        y: Tensor = self.layers(x)
        return y


def nearest_multiple(side: int) -> int:
    """The allowed side that is nearest to `side`."""
    return max(SMALLEST, round(side / MULTIPLE) * MULTIPLE)


class Discriminator(nn.Module):
    """D: one logit for each patch of an image.

    With `layers` = 3 a patch has 70x70 pixels, with 1 it has 16x16, with 2 34x34, with 4 142x142;
    with 0 D judges single pixels by 1x1 convolutions (Isola et al. 2017, section 6.1.2).
    """

    def __init__(
        self, spec: DataSpec, *, width: int, layers: int, norm: Norm, spectral_norm: bool
    ) -> None:
        super().__init__()
        channels, height, breadth = spec.shape
        smallest = smallest_side(min(layers, MOST_LAYERS))
        require(
            (width >= 1, "width", width, "must be at least 1"),
            (
                0 <= layers <= MOST_LAYERS,
                "layers",
                layers,
                f"must lie between 0 (single pixels) and {MOST_LAYERS}; 3 is the paper's",
            ),
            (
                min(height, breadth) >= smallest,
                "layers",
                layers,
                f"needs images of {smallest} pixels or more, but they are "
                f"{height}x{breadth}. Use fewer layers",
            ),
        )
        bias = norm == "none"
        self.layers = nn.Sequential()

        def add(inputs: int, outputs: int, kernel: int, stride: int, *, normed: bool) -> None:
            padding = 1 if kernel > 1 else 0
            self.layers.append(
                nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=bias or not normed)
            )
            if normed:
                self.layers.append(normalisation(norm, outputs, affine=False))
            self.layers.append(nn.LeakyReLU(LEAKY_SLOPE, inplace=False))

        kernel = 4 if layers else 1
        add(channels, width, kernel, 2 if layers else 1, normed=False)
        inputs = width
        for index in range(1, layers + 1 if layers else 2):
            outputs = width * min(2**index, MOST_WIDTHS)
            stride = 2 if index < layers else 1
            add(inputs, outputs, kernel, stride, normed=True)
            inputs = outputs
        self.layers.append(nn.Conv2d(inputs, 1, kernel, padding=1 if layers else 0))
        initialise(self)
        if spectral_norm:
            bound_weights(self)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """(n, C, H, W) -> logits (n, 1, h, w), one for each patch."""
        logits: Tensor = self.layers(x)
        return logits


def smallest_side(layers: int) -> int:
    """The least side at which every normalised map of a patch discriminator has several pixels."""
    return 3 * 2**layers if layers else 2
