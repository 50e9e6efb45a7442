"""Convolutional G and D after the rules of DCGAN (Radford et al. 2015, section 3), any size.

No pooling and no fully connected hidden layer: D halves the image with strided convolutions until
its shorter side has 4 to 7 pixels, G doubles from there. Normalisation everywhere but at G's
output and D's input, ReLU in G, LeakyReLU 0.2 in D, weights N(0, 0.02), no biases where there is
normalisation (nor, as in the authors' code, in the first and last layers). With labels, the network
is conditional: one-hot vectors are joined to vectors, constant planes to images.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv_transpose2d, interpolate, one_hot
from torch.nn.utils.parametrizations import spectral_norm as divide_by_spectral_norm
from typing_extensions import override

from gan_cli.errors import Problem, Rule, SettingsError, require
from gan_cli.networks.mlp import LEAKY_SLOPE, output_activation
from gan_cli.networks.windows import Convolution, TransposedConvolution
from gan_cli.spec import DataSpec

Norm = Literal["batch", "instance", "layer", "none"]
#: Where labels are joined: nowhere, at the input, or at every layer.
Joined = Literal["none", "input", "every_layer"]
#: How G doubles an image: by transposed convolutions, or copies of each pixel and a convolution.
Upsampling = Literal["transposed", "nearest"]

SMALLEST, LARGEST = 4, 7  # pixels of the shorter side where D stops halving
INIT_STD = 0.02  # section 3: "zero-centered Normal distribution with standard deviation 0.02"
MOST_WIDTHS = 8  # the channels double with each halving, up to this multiple of `width`


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
    found: list[str] = []
    bases = [b << n for n in range(1, 11) for b in range(SMALLEST, LARGEST + 1) if b << n <= most]
    for side in (max((b for b in bases if b <= short), default=None),
                 min((b for b in bases if b >= short), default=None)):  # fmt: skip
        if side is None:
            continue
        count = halvings((1, side, side))
        others = {side} if short == long else {long >> count << count, -(-long >> count) << count}
        for other in sorted(max(side, other) for other in others):
            pair = (side, other) if height <= width else (other, side)
            found.append(f"[{pair[0]},{pair[1]}]" if pair[0] != pair[1] else str(side))
    return list(dict.fromkeys(found))


def normalisation(norm: Norm, channels: int, *, affine: bool, vector: bool = False) -> nn.Module:
    """The layer that `norm` names, for images or for vectors.

    Vectors have no pixels for instance norm to average over, so layer norm takes its place there.
    """
    if norm == "none":
        return nn.Identity()
    if norm == "batch":
        kind = nn.BatchNorm1d if vector else nn.BatchNorm2d
        return kind(channels, affine=affine)
    if norm == "instance" and not vector:
        return nn.InstanceNorm2d(channels, affine=affine)
    return nn.GroupNorm(1, channels, affine=affine)  # layer norm over channels and pixels


@torch.no_grad()
def initialise(network: nn.Module) -> None:
    """Weights N(0, 0.02), gains N(1, 0.02) as in the authors' code, biases 0."""
    for part in network.modules():
        if isinstance(part, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.Embedding):
            nn.init.normal_(part.weight, 0.0, INIT_STD)
        elif isinstance(gain := getattr(part, "weight", None), nn.Parameter):
            nn.init.normal_(gain, 1.0, INIT_STD)
        if isinstance(bias := getattr(part, "bias", None), nn.Parameter):
            nn.init.zeros_(bias)


def bound_weights(network: nn.Module) -> None:
    """Divide each layer's weight by its spectral norm (Miyato et al. 2018, eq. 8)."""
    for part in list(network.modules()):
        if isinstance(part, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.Embedding):
            divide_by_spectral_norm(part)


def halve(inputs: int, outputs: int, kernel_size: int, *, bias: bool) -> nn.Conv2d:
    """A convolution that exactly halves both sides."""
    padding = (kernel_size - 1) // 2
    return Convolution(inputs, outputs, kernel_size, stride=2, padding=padding, bias=bias)


def double(inputs: int, outputs: int, kernel_size: int, *, bias: bool) -> nn.ConvTranspose2d:
    """A transposed convolution that exactly doubles both sides."""
    return TransposedConvolution(
        inputs,
        outputs,
        kernel_size,
        stride=2,
        padding=(kernel_size - 1) // 2,
        output_padding=kernel_size % 2,
        bias=bias,
    )


class ResizeConvolution(nn.Module):
    """Each pixel becomes four alike, then a 3x3 convolution (Odena et al. 2016): no checkerboards.

    Folded, both are one transposed convolution of 4x4, stride 2, whose weights are sums of the 3x3:
    the same function of the same weights, with 16 products for each input pixel instead of 36.
    """

    spread: Tensor

    def __init__(self, inputs: int, outputs: int, *, bias: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)
        self.folded = False
        # Which of three weights in a row meet at each of the four places of the transposed kernel;
        # for both dimensions, (9, 16).
        row = torch.tensor([[0.0, 0, 1, 1], [0, 1, 1, 0], [1, 1, 0, 0]])
        self.register_buffer("spread", torch.kron(row, row), persistent=False)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, H, W) -> (n, outputs, 2H, 2W)."""
        convolution = self.convolution
        if not self.folded:
            y: Tensor = convolution(interpolate(x, scale_factor=2.0))
            return y
        outputs, inputs = convolution.weight.shape[:2]
        weight = (convolution.weight.reshape(-1, 9) @ self.spread).view(outputs, inputs, 4, 4)
        return conv_transpose2d(x, weight.transpose(0, 1), convolution.bias, stride=2, padding=1)


def layer_rules(width: int, kernel_size: int, hidden: int | None) -> list[Rule]:
    """What the numbers of both networks must be."""
    return [
        (width >= 1, "width", width, "must be at least 1"),
        (kernel_size in (4, 5), "kernel_size", kernel_size, "4, or 5 as in the authors' code"),
        (hidden is None or hidden >= 2, "hidden", hidden, "must be at least 2, or null for none"),
    ]


def require_labels(labels: str, spec: DataSpec) -> None:
    """Check that the data have the labels that a network is conditioned on.

    Raises:
        SettingsError: they have none.
    """
    if labels != "none" and not spec.classes:
        advice = (
            "have no labels to condition on. Use data with classes (data=image_folder: one "
            "sub-folder for each; data=celeba: data.attribute), or model=dcgan or vanilla"
        )
        raise SettingsError([Problem.about("data", advice, is_full=True)])


class Labels(nn.Module):
    """Joins labels to what a layer gets, as one-hot numbers or planes."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    @override
    def extra_repr(self) -> str:
        """How many numbers or planes are joined."""
        return f"{self.classes}"

    @override
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """(n, c) or (n, c, h, w) -> c + classes."""
        code = one_hot(labels, self.classes).to(x.dtype)
        if x.dim() == 4:
            code = code[:, :, None, None].expand(-1, -1, *x.shape[2:])
        return torch.cat([x, code], dim=1)


class Layer(nn.Module):
    """Labels joined if wanted, a linear map, normalisation, activation."""

    def __init__(
        self, linear: nn.Module, norm: nn.Module, activation: nn.Module, *, classes: int
    ) -> None:
        super().__init__()
        self.labels = Labels(classes) if classes else None
        self.linear, self.norm, self.activation = linear, norm, activation

    @override
    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """(n, ...) -> (n, ...)."""
        if self.labels is not None:
            assert labels is not None, "a conditional network needs labels"
            x = self.labels(x, labels)
        y: Tensor = self.activation(self.norm(self.linear(x)))
        return y


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
        require(
            *layer_rules(width, kernel_size, hidden),
            (
                kernel_size == 4 or upsampling == "transposed",
                "kernel_size",
                kernel_size,
                f"upsampling={upsampling} has 3x3 convolutions; leave "
                "it at 4, or use upsampling=transposed",
            ),
        )
        require_labels(labels, spec)
        self.conditional = labels != "none"
        count = halvings(spec.shape)
        channels, height, width_px = spec.shape
        self.base = (height >> count, width_px >> count)
        widths = [width * min(2**i, MOST_WIDTHS) for i in reversed(range(count))]
        joined = {"none": (0, 0), "input": (spec.classes, 0), "every_layer": (spec.classes,) * 2}
        first_classes, later_classes = joined[labels]

        def doubling(inputs: int, outputs: int) -> nn.Module:
            if upsampling == "nearest":
                return ResizeConvolution(inputs, outputs, bias=bias)
            return double(inputs, outputs, kernel_size, bias=bias)

        def layer(linear: nn.Module, units: int, classes: int, *, vector: bool) -> Layer:
            scale = normalisation(norm, units, affine=norm_affine, vector=vector)
            return Layer(linear, scale, nn.ReLU(), classes=classes)

        bias = norm == "none"
        inputs, classes = noise_dim, first_classes
        self.vectors = nn.ModuleList()
        if hidden is not None:
            linear = nn.Linear(inputs + classes, hidden, bias=bias)
            self.vectors.append(layer(linear, hidden, classes, vector=True))
            inputs, classes = hidden, later_classes
        area = self.base[0] * self.base[1]
        self.labels = Labels(classes) if classes else None
        # One pixel's transposed convolution to the whole base, written as the product it is.
        self.project = nn.Linear(inputs + classes, widths[0] * area, bias=bias)
        # Batch norm by channel; the authors' MNIST code normalises each unit here.
        self.first = Layer(
            nn.Identity(),
            normalisation(norm, widths[0], affine=norm_affine),
            nn.ReLU(),
            classes=0,
        )
        self.images = nn.ModuleList(
            layer(
                doubling(wide + later_classes, narrow),
                narrow,
                later_classes,
                vector=False,
            )
            for wide, narrow in pairwise(widths)
        )
        self.images.append(
            Layer(
                doubling(widths[-1] + later_classes, channels),
                nn.Identity(),
                output_activation(spec.value_range),
                classes=later_classes,
            )
        )
        initialise(self)
        if spectral_norm:
            bound_weights(self)

    @override
    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """(n, noise_dim) -> (n, C, H, W), in the data's range."""
        x: Tensor = z
        for layer in self.vectors:
            x = layer(x, labels)
        x = self.project(x if self.labels is None else self.labels(x, labels))
        x = self.first(x.view(len(x), -1, *self.base), labels)
        for layer in self.images:
            x = layer(x, labels)
        return x


class Discriminator(nn.Module):
    """D(x): by strided convolutions from an image to one logit."""

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
    ) -> None:
        super().__init__()
        require(*layer_rules(width, kernel_size, hidden))
        require_labels(labels, spec)
        self.conditional = labels != "none"
        count = halvings(spec.shape)
        channels, height, width_px = spec.shape
        area = (height >> count) * (width_px >> count)
        widths = [channels, *(width * min(2**i, MOST_WIDTHS) for i in range(count))]
        first_classes = spec.classes if labels in ("input", "every_layer") else 0
        later_classes = spec.classes if labels == "every_layer" else 0

        def scale(units: int, *, vector: bool = False) -> nn.Module:
            return normalisation(norm, units, affine=norm_affine, vector=vector)

        bias = norm == "none"
        self.images = nn.ModuleList()
        for index in range(count):
            inputs, units = widths[index], widths[index + 1]
            classes = later_classes if index else first_classes
            linear = halve(inputs + classes, units, kernel_size, bias=bias)
            norm_layer = scale(units) if index else nn.Identity()
            self.images.append(
                Layer(linear, norm_layer, nn.LeakyReLU(LEAKY_SLOPE), classes=classes)
            )
        features = widths[-1] * area
        self.vectors = nn.ModuleList()
        if hidden is not None:
            self.vectors.append(
                Layer(
                    nn.Linear(features + later_classes, hidden, bias=bias),
                    scale(hidden, vector=True),
                    nn.LeakyReLU(LEAKY_SLOPE),
                    classes=later_classes,
                )
            )
            features = hidden
        self.judge = Layer(
            nn.Linear(features + later_classes, 1, bias=bias),
            nn.Identity(),
            nn.Identity(),
            classes=later_classes,
        )
        self.embed = nn.Embedding(spec.classes, features) if labels == "projection" else None
        initialise(self)
        if spectral_norm:
            bound_weights(self)

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
