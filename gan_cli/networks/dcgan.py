"""Convolutional G and D after the rules of DCGAN (Radford et al. 2015, section 3), any size.

No pooling and no fully connected hidden layer: D halves the image with strided convolutions until
its shorter side has 4 to 7 pixels, G doubles from there. Normalisation everywhere but at G's
output and D's input, ReLU in G, LeakyReLU 0.2 in D, weights N(0, 0.02), no biases where there is
normalisation (nor, as in the authors' code, in the first and last layers). With labels, the network
is conditional: one-hot vectors are joined to vectors, constant planes to images.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn
from typing_extensions import override

from gan_cli.errors import Problem, Rule, SettingsError, require
from gan_cli.networks.layers import (
    Downsampling,
    Labels,
    Layer,
    Norm,
    ResizeConvolution,
    Style,
    Upsampling,
    bound_weights,
    channel_counts,
    double,
    halve,
    initialise,
    require_labels,
)
from gan_cli.networks.mlp import LEAKY_SLOPE, output_activation
from gan_cli.spec import DataSpec

__all__ = ["Discriminator", "Generator", "ResizeConvolution", "halvings", "nearest_sizes"]

#: Where labels are joined: nowhere, at the input, or at every layer.
Joined = Literal["none", "input", "every_layer"]

SMALLEST, LARGEST = 4, 7  # pixels of the shorter side where D stops halving


def halvings(shape: tuple[int, ...]) -> int:
    """How often an image (C, H, W) is halved until its shorter side has 4 to 7 pixels.

    Raises:
        SettingsError: not an image, or a side cannot be halved so often; names sizes that can.
    """
    if len(shape) != 3:
        advice = "are points, but these networks are for images. Use model=vanilla"
        raise SettingsError([Problem.about("data", advice, is_full=True)])
    _, height, width = shape
    count = 0
    while min(height, width) >> count > LARGEST:
        count += 1
    divides = height % 2**count == 0 and width % 2**count == 0
    if not (count and divides and min(height, width) >> count >= SMALLEST):
        size = [height, width] if height != width else height
        advice = (
            "must halve evenly, once or more, until the shorter side has "
            f"{SMALLEST} to {LARGEST} pixels. The nearest that work: "
            f"{', '.join(nearest_sizes(height, width))}"
        )
        raise SettingsError([Problem("data.image_size", size, advice, is_full=True)])
    return count


def nearest_sizes(height: int, width: int, *, most: int = 4096) -> list[str]:
    """The largest sizes below and the smallest above that `halvings` allows, as one types them."""
    short, long = sorted((height, width))
    sizes: list[str] = []
    bases = [b << n for n in range(1, 11) for b in range(SMALLEST, LARGEST + 1) if b << n <= most]
    for side in (max((b for b in bases if b <= short), default=None),
                 min((b for b in bases if b >= short), default=None)):  # fmt: skip
        if side is None:
            continue
        count = halvings((1, side, side))
        others = {side} if short == long else {long >> count << count, -(-long >> count) << count}
        for other in sorted(max(side, other) for other in others):
            pair = (side, other) if height <= width else (other, side)
            sizes.append(f"[{pair[0]},{pair[1]}]" if pair[0] != pair[1] else str(side))
    return list(dict.fromkeys(sizes))


def layer_rules(
    width: int, kernel_size: int, *, hidden: int | None, sampling: str, usual: str
) -> list[Rule]:
    """What the settings of both networks must be.

    Args:
        width: as a constructor takes it.
        kernel_size: likewise.
        hidden: likewise.
        sampling: the key and value that say how sides are doubled or halved.
        usual: those with which the kernel has a size.
    """
    return [
        (width >= 1, "width", width, "must be at least 1"),
        (kernel_size in (4, 5), "kernel_size", kernel_size, "4, or 5 as in the authors' code"),
        (hidden is None or hidden >= 2, "hidden", hidden, "must be at least 2, or null for none"),
        (
            kernel_size == 4 or sampling == usual,
            "kernel_size",
            kernel_size,
            f"{sampling} has 3x3 convolutions; leave it at 4, or use {usual}",
        ),
    ]


def label_counts(labels: str, classes: int) -> tuple[int, int]:
    """How many labels are joined in the first layer, and in each later one."""
    first = classes if labels in ("input", "every_layer") else 0
    return first, classes if labels == "every_layer" else 0


class Generator(nn.Module):
    """G(z): from a vector, by transposed convolutions, to an image in the data's range."""

    def __init__(
        self,
        noise_dim: int,
        spec: DataSpec,
        *,
        width: int,
        kernel_size: int,
        norm: Norm,
        norm_affine: bool,
        spectral_norm: bool,
        hidden: int | None,
        labels: Joined,
        upsampling: Upsampling = "transposed",
    ) -> None:
        super().__init__()
        sampling, usual = f"upsampling={upsampling}", "upsampling=transposed"
        require(*layer_rules(width, kernel_size, hidden=hidden, sampling=sampling, usual=usual))
        require_labels(labels, spec)
        self.conditional = labels != "none"
        count = halvings(spec.shape)
        channels, height, breadth = spec.shape
        self.base = (height >> count, breadth >> count)
        widths = channel_counts(width, count)[::-1]
        style = Style(norm, norm_affine, nn.ReLU)
        classes, later_classes = label_counts(labels, spec.classes)
        inputs = noise_dim
        self.vectors = nn.ModuleList()
        if hidden is not None:
            self.vectors.append(style.dense(inputs, hidden, classes=classes))
            inputs, classes = hidden, later_classes
        self.labels = Labels(classes) if classes else None
        # One pixel's transposed convolution to the whole base, written as the product it is.
        area = self.base[0] * self.base[1]
        self.project = nn.Linear(inputs + classes, widths[0] * area, bias=style.bias)
        # Batch norm by channel; the authors' MNIST code normalises each unit here.
        self.first = style.layer(nn.Identity(), widths[0], classes=0)
        classes = later_classes
        doubling = partial(double, kernel_size=kernel_size, bias=style.bias, upsampling=upsampling)
        self.images = nn.ModuleList(
            style.layer(doubling(wide + classes, narrow), narrow, classes=classes)
            for wide, narrow in pairwise(widths)
        )
        linear = doubling(widths[-1] + classes, channels)
        output = output_activation(spec.value_range)
        self.images.append(Layer(linear, nn.Identity(), output, classes=classes))
        initialise(self)
        if spectral_norm:
            bound_weights(self)

    def unit_layers(self) -> list[nn.Module]:
        """The hidden layers, each with its activation, from z to the image."""
        return [*self.vectors, self.first, *self.images[:-1]]

    @override
    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """(n, noise_dim) -> (n, C, H, W), in the data's range."""
        x: Tensor = z
        for layer in self.vectors:
            x = layer(x, labels)
        x = self.project(x if self.labels is None else self.labels(x, labels))
        x = self.first(x.unflatten(1, (-1, *self.base)), labels)
        for layer in self.images:
            x = layer(x, labels)
        return x


class Discriminator(nn.Module):
    """D(x): by convolutions, strided unless they shall pool, from an image to one logit."""

    def __init__(
        self,
        spec: DataSpec,
        *,
        width: int,
        kernel_size: int,
        norm: Norm,
        norm_affine: bool,
        spectral_norm: bool,
        hidden: int | None,
        labels: Literal["none", "input", "every_layer", "projection"],
        downsampling: Downsampling = "strided",
    ) -> None:
        super().__init__()
        sampling, usual = f"downsampling={downsampling}", "downsampling=strided"
        require(*layer_rules(width, kernel_size, hidden=hidden, sampling=sampling, usual=usual))
        require_labels(labels, spec)
        self.conditional = labels != "none"
        count = halvings(spec.shape)
        channels, height, breadth = spec.shape
        style = Style(norm, norm_affine, partial(nn.LeakyReLU, LEAKY_SLOPE))
        classes, later_classes = label_counts(labels, spec.classes)
        self.images = nn.ModuleList()
        halving = partial(
            halve, kernel_size=kernel_size, bias=style.bias, downsampling=downsampling
        )
        for inputs, units in pairwise([channels, *channel_counts(width, count)]):
            linear = halving(inputs + classes, units)
            self.images.append(
                style.layer(linear, units, classes=classes, normed=len(self.images) > 0)
            )
            classes = later_classes
        features = units * (height >> count) * (breadth >> count)
        self.vectors = nn.ModuleList()
        if hidden is not None:
            self.vectors.append(style.dense(features, hidden, classes=classes))
            features = hidden
        to_logit = nn.Linear(features + classes, 1, bias=style.bias)
        self.judge = Layer(to_logit, nn.Identity(), nn.Identity(), classes=classes)
        self.embed = nn.Embedding(spec.classes, features) if labels == "projection" else None
        initialise(self)
        if spectral_norm:
            bound_weights(self)

    def feature_layers(self) -> list[nn.Module]:
        """The convolutional layers, each with its activation."""
        return list(self.images)

    def unit_layers(self) -> list[nn.Module]:
        """The hidden layers, each with its activation, from the image to the logit."""
        return [*self.images, *self.vectors]

    @override
    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """(n, C, H, W) -> logits (n,)."""
        for layer in self.images:
            x = layer(x, labels)
        x = x.flatten(1)
        for layer in self.vectors:
            x = layer(x, labels)
        logits: Tensor = self.judge(x, labels).squeeze(1)
        if self.embed is not None:  # Miyato & Koyama 2018, eq. 3: psi(f) + <V y, f>
            logits = logits + (self.embed(labels) * x).sum(dim=1)
        return logits
