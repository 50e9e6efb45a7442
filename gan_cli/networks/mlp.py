"""Multilayer perceptrons for G and D (Goodfellow et al. 2014, section 3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from gan_cli.errors import require
from gan_cli.networks.fourier import fourier_layers
from gan_cli.networks.lasting import give_keys, let_last
from gan_cli.spec import DataSpec

Activation = Literal["relu", "leaky_relu", "maxout", "tanh", "silu"]
LEAKY_SLOPE = 0.2  # Radford et al. 2015, section 3
MAXOUT_PIECES = 5  # the 2014 authors' MNIST configuration


class Maxout(nn.Module):
    """h_i(x) = max_j (w_ij . x + b_ij), j up to `pieces` (Goodfellow et al. 2013, eq. 1)."""

    def __init__(self, inputs: int, units: int, *, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces
        self.linear = nn.Linear(inputs, units * pieces)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs) -> (n, units)."""
        h: Tensor = self.linear(x).unflatten(1, (-1, self.pieces)).amax(dim=2)
        return h


def hidden_layers(
    inputs: int,
    *,
    hidden: Sequence[int],
    activation: Activation,
    maxout_pieces: int | None,
    dropout: float,
) -> list[nn.Module]:
    """Hidden layers of an MLP, each with its activation, then dropout if any.

    Raises:
        SettingsError: with every width, rate or option that makes no sense.
    """
    require(
        (all(width >= 1 for width in hidden), "hidden", list(hidden), "widths must be at least 1"),
        (0 <= dropout < 1, "dropout", dropout, "the share of units dropped must lie in [0, 1)"),
        (
            maxout_pieces is None or activation == "maxout",
            "maxout_pieces",
            maxout_pieces,
            "only activation=maxout uses it; leave it null",
        ),
        (
            maxout_pieces is None or maxout_pieces >= 2,
            "maxout_pieces",
            maxout_pieces,
            "must be at least 2",
        ),
    )
    layers: list[nn.Module] = []
    for width in hidden:
        if activation == "maxout":
            layers.append(Maxout(inputs, width, pieces=maxout_pieces or MAXOUT_PIECES))
        else:
            layers += [nn.Linear(inputs, width), activation_of(activation)]
        if dropout:
            layers.append(nn.Dropout(dropout))
        inputs = width
    return layers


def activation_of(name: Activation) -> nn.Module:
    """The function that follows a linear layer; `tanh` and `silu` are smooth."""
    if name == "leaky_relu":
        return nn.LeakyReLU(LEAKY_SLOPE)
    plain: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "silu": nn.SiLU}
    return plain[name]()


def activations_of(layers: nn.Sequential) -> list[nn.Module]:
    """The modules of a network without its output function that give hidden layers' values."""
    kinds = (nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.SiLU, Maxout)
    return [part for part in layers if isinstance(part, kinds)]


def initialise(network: nn.Module, init_range: float | None) -> None:
    """Draw weights from U(-init_range, init_range) and set biases to 0; None: keep PyTorch's.

    Raises:
        SettingsError: the range is not positive.
    """
    require(
        (
            init_range is None or 0 < init_range < math.inf,
            "init_range",
            init_range,
            "must be positive, or null for PyTorch's initialisation",
        )
    )
    if init_range is None:
        return
    for part in network.modules():
        if isinstance(part, nn.Linear):
            nn.init.uniform_(part.weight, -init_range, init_range)
            nn.init.zeros_(part.bias)


def output_activation(value_range: tuple[float, float] | None) -> nn.Module:
    """The function whose values fill the data's range: tanh, sigmoid, or none for points."""
    if value_range is None:
        return nn.Identity()
    return {(-1.0, 1.0): nn.Tanh, (0.0, 1.0): nn.Sigmoid}[value_range]()


class Generator(nn.Module):
    """G(z): R^noise_dim -> data of any shape."""

    def __init__(
        self,
        noise_dim: int,
        spec: DataSpec,
        *,
        hidden: Sequence[int],
        activation: Activation,
        maxout_pieces: int | None,
        dropout: float,
        dropout_in_sampling: bool = False,
        fourier_features: int = 0,
        fourier_scale: float = 1.0,
        init_range: float | None,
        output_bias: Literal["default", "marginals"],
    ) -> None:
        super().__init__()
        require(
            (
                output_bias == "default" or spec.is_image,
                "output_bias",
                output_bias,
                "only images have a range to take marginals in",
            )
        )
        first = fourier_layers(noise_dim, fourier_features, fourier_scale)
        inputs = fourier_features or noise_dim
        layers = hidden_layers(
            inputs,
            hidden=hidden,
            activation=activation,
            maxout_pieces=maxout_pieces,
            dropout=dropout,
        )
        last = hidden[-1] if hidden else inputs
        self.layers = nn.Sequential(
            *first, *layers, nn.Linear(last, spec.size), output_activation(spec.value_range)
        )
        self.shape, self.value_range = spec.shape, spec.value_range
        self.dropout_in_sampling = dropout_in_sampling
        if dropout_in_sampling:
            let_last(self.layers)
        #: Whether to set the output bias from the data's mean before training.
        self.from_marginals = output_bias == "marginals"
        initialise(self, init_range)

    def start_at(self, mean: Callable[[], Tensor]) -> None:
        """Start from the data's mean, which is computed only if the configuration asks for it."""
        if self.from_marginals:
            self.set_output_bias(mean())

    def set_output_bias(self, mean: Tensor) -> None:
        """Let G(z) start at the data's mean: invert the output function there.

        Args:
            mean: of the training data, in the data's range, of one datum's shape.
        """
        assert self.value_range is not None
        low, high = self.value_range
        probability = ((mean.double() - low) / (high - low)).clamp(1e-7, 1 - 1e-7).flatten()
        # sigmoid^-1 = logit; tanh(t) = 2 sigmoid(2 t) - 1, so tanh^-1 is half of it.
        bias = torch.logit(probability) * (1.0 if low == 0.0 else 0.5)
        last = self.layers[-2]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.bias.copy_(bias)

    def unit_layers(self) -> list[nn.Module]:
        """What gives the values of each hidden layer."""
        return activations_of(self.layers[:-1])

    @override
    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """(n, noise_dim) -> (n, *shape), in the data's range. Labels are ignored."""
        if self.dropout_in_sampling:
            give_keys(self.layers, z)
        x: Tensor = self.layers(z)
        return x.view(-1, *self.shape)


class Discriminator(nn.Module):
    """D(x): data of any shape -> logit of the probability that x is real."""

    def __init__(
        self,
        spec: DataSpec,
        *,
        hidden: Sequence[int],
        activation: Activation,
        maxout_pieces: int | None,
        dropout_input: float,
        dropout: float,
        fourier_features: int = 0,
        fourier_scale: float = 1.0,
        init_range: float | None,
    ) -> None:
        super().__init__()
        require(
            (
                0 <= dropout_input < 1,
                "dropout_input",
                dropout_input,
                "the share of inputs dropped must lie in [0, 1)",
            )
        )
        first = fourier_layers(spec.size, fourier_features, fourier_scale)
        inputs = fourier_features or spec.size
        layers = hidden_layers(
            inputs,
            hidden=hidden,
            activation=activation,
            maxout_pieces=maxout_pieces,
            dropout=dropout,
        )
        if dropout_input:
            first.insert(0, nn.Dropout(dropout_input))
        last = hidden[-1] if hidden else inputs
        self.layers = nn.Sequential(*first, *layers, nn.Linear(last, 1))
        initialise(self, init_range)

    def unit_layers(self) -> list[nn.Module]:
        """What gives the values of each hidden layer."""
        return activations_of(self.layers)

    @override
    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """(n, *shape) -> logits (n,). Labels are ignored."""
        logits: Tensor = self.layers(x.flatten(1))
        return logits.squeeze(1)
