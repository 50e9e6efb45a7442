"""Layers that convolutional networks share: normalisation, resizing, labels, initial weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv_transpose2d, interpolate, one_hot
from torch.nn.utils.parametrizations import spectral_norm as divide_by_spectral_norm
from typing_extensions import override

from gan_cli.errors import Problem, SettingsError
from gan_cli.networks.windows import Convolution, TransposedConvolution
from gan_cli.spec import DataSpec

Norm = Literal["batch", "instance", "layer", "none"]
#: How an image is doubled: by transposed convolutions, or copies of each pixel and a convolution.
Upsampling = Literal["transposed", "nearest"]
Downsampling = Literal["strided", "average", "max"]

INIT_STD = 0.02  # Radford et al. 2015, section 3: "standard deviation 0.02"
MOST_WIDTHS = 8  # the channels double with each halving, up to this multiple of `width`


def channel_counts(width: int, count: int) -> list[int]:
    """Channels after each of `count` halvings of an image."""
    return [width * min(2**i, MOST_WIDTHS) for i in range(count)]


def normalisation(norm: Norm, channels: int, *, affine: bool, vector: bool = False) -> nn.Module:
    """The layer that `norm` names, for images (n, C, H, W) or for vectors (n, C).

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


def halve(
    inputs: int, outputs: int, *, kernel_size: int, bias: bool, downsampling: Downsampling
) -> nn.Module:
    """A layer that exactly halves both sides."""
    if downsampling != "strided":
        pool = nn.AvgPool2d(2) if downsampling == "average" else nn.MaxPool2d(2)
        return nn.Sequential(Convolution(inputs, outputs, 3, padding=1, bias=bias), pool)
    padding = (kernel_size - 1) // 2
    return Convolution(inputs, outputs, kernel_size, stride=2, padding=padding, bias=bias)


def double(
    inputs: int, outputs: int, *, kernel_size: int, bias: bool, upsampling: Upsampling
) -> nn.Module:
    """A layer that exactly doubles both sides."""
    if upsampling == "nearest":
        return ResizeConvolution(inputs, outputs, bias=bias)
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
    """Four copies of each pixel, then a 3x3 convolution: no checkerboards (Odena et al. 2016).

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
    """Joins labels to the inputs of a layer, as one-hot numbers or planes."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    @override
    def extra_repr(self) -> str:
        """How many numbers or planes are joined."""
        return f"{self.classes}"

    @override
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """(n, c) or (n, c, h, w), and labels (n,) -> the same with c + classes."""
        code = one_hot(labels, self.classes).to(x.dtype)
        if x.dim() == 4:
            code = code[:, :, None, None].expand(-1, -1, *x.shape[2:])
        return torch.cat([x, code], dim=1)


class Layer(nn.Module):
    """Joins labels if there are any; then a linear map, normalisation and activation."""

    def __init__(
        self, linear: nn.Module, norm: nn.Module, activation: nn.Module, *, classes: int
    ) -> None:
        super().__init__()
        self.labels = Labels(classes) if classes else None
        self.linear, self.norm, self.activation = linear, norm, activation

    @override
    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """(n, ...) and, if `classes` is not 0, labels (n,) -> (n, ...)."""
        if self.labels is not None:
            assert labels is not None, "a conditional network needs labels"
            x = self.labels(x, labels)
        y: Tensor = self.activation(self.norm(self.linear(x)))
        return y


@dataclass(frozen=True)
class Style:
    """What the layers of one network have in common.

    Attributes:
        norm: kind of normalisation.
        norm_affine: it has learned gains and biases.
        activation: makes the function that follows it.
    """

    norm: Norm
    norm_affine: bool
    activation: Callable[[], nn.Module]

    @property
    def bias(self) -> bool:
        """Whether linear maps have biases, which normalisation would take away again."""
        return self.norm == "none"

    def layer(
        self,
        linear: nn.Module,
        units: int,
        *,
        classes: int,
        vector: bool = False,
        normed: bool = True,
    ) -> Layer:
        """A linear map with the label join, normalisation and activation of this network.

        Args:
            linear: the map; its inputs count the joined labels.
            units: channels of its result.
            classes: labels to join; 0: none.
            vector: the result is a vector, not an image.
            normed: with normalisation, if this network has any.
        """
        kind = self.norm if normed else "none"
        norm = normalisation(kind, units, affine=self.norm_affine, vector=vector)
        return Layer(linear, norm, self.activation(), classes=classes)

    def dense(self, inputs: int, units: int, *, classes: int) -> Layer:
        """A fully connected layer, (n, inputs) -> (n, units)."""
        linear = nn.Linear(inputs + classes, units, bias=self.bias)
        return self.layer(linear, units, classes=classes, vector=True)
