"""Conditional multilayer perceptrons (Mirza & Osindero 2014, section 4.1): G(z|y) and D(x|y).

One layer takes the noise or data, another the label; then both are joined.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from typing_extensions import override

from gan_cli.errors import require
from gan_cli.networks.lasting import give_keys, let_last
from gan_cli.networks.layers import require_labels
from gan_cli.networks.mlp import (
    Activation,
    activations_of,
    hidden_layers,
    initialise,
    output_activation,
)
from gan_cli.spec import DataSpec


class Joint(nn.Module):
    """A perceptron over two inputs: one layer for each alone, then layers over both."""

    def __init__(
        self,
        inputs: int,
        classes: int,
        outputs: int,
        *,
        hidden: int,
        label_hidden: int,
        joint_hidden: Sequence[int],
        activation: Activation,
        maxout_pieces: int | None,
        joint_maxout_pieces: int | None,
        dropout: float,
    ) -> None:
        super().__init__()
        require(
            (hidden >= 1, "hidden", hidden, "must be at least 1"),
            (label_hidden >= 1, "label_hidden", label_hidden, "must be at least 1"),
        )

        def layers(size: int, widths: Sequence[int], pieces: int | None) -> list[nn.Module]:
            return hidden_layers(
                size, hidden=widths, activation=activation, maxout_pieces=pieces, dropout=dropout
            )

        self.classes = classes
        self.of_input = nn.Sequential(*layers(inputs, [hidden], maxout_pieces))
        self.of_label = nn.Sequential(*layers(classes, [label_hidden], maxout_pieces))
        both = hidden + label_hidden
        self.of_both = nn.Sequential(
            *layers(both, joint_hidden, joint_maxout_pieces),
            nn.Linear(joint_hidden[-1] if joint_hidden else both, outputs),
        )

    def unit_layers(self) -> list[nn.Module]:
        """What gives the values of each hidden layer that sees the input."""
        return [*activations_of(self.of_input), *activations_of(self.of_both)]

    @override
    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """(n, inputs) and (n,) -> (n, outputs)."""
        assert labels is not None, "a conditional network needs labels"
        code = one_hot(labels, self.classes).to(x.dtype)
        y: Tensor = self.of_both(torch.cat([self.of_input(x), self.of_label(code)], dim=1))
        return y


class Generator(nn.Module):
    """G(z|y): noise and label -> data of any shape."""

    def __init__(
        self,
        noise_dim: int,
        spec: DataSpec,
        *,
        noise_hidden: int,
        label_hidden: int,
        joint_hidden: Sequence[int],
        activation: Activation,
        maxout_pieces: int | None,
        joint_maxout_pieces: int | None,
        dropout: float,
        dropout_in_sampling: bool = False,
        init_range: float | None,
    ) -> None:
        super().__init__()
        require_labels("input", spec)
        self.joint = Joint(
            noise_dim,
            spec.classes,
            spec.size,
            hidden=noise_hidden,
            label_hidden=label_hidden,
            joint_hidden=joint_hidden,
            activation=activation,
            maxout_pieces=maxout_pieces,
            joint_maxout_pieces=joint_maxout_pieces,
            dropout=dropout,
        )
        self.output = output_activation(spec.value_range)
        self.shape = spec.shape
        self.dropout_in_sampling = dropout_in_sampling
        if dropout_in_sampling:
            let_last(self.joint)
        initialise(self, init_range)

    def unit_layers(self) -> list[nn.Module]:
        """What gives the values of each hidden layer that sees more than the label."""
        return self.joint.unit_layers()

    @override
    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """(n, noise_dim) and (n,) -> (n, *shape), in the data's range."""
        if self.dropout_in_sampling:
            give_keys(self.joint, z)
        x: Tensor = self.output(self.joint(z, labels))
        return x.view(-1, *self.shape)


class Discriminator(nn.Module):
    """D(x|y): datum and label -> logit of the probability that x is real and belongs to y."""

    def __init__(
        self,
        spec: DataSpec,
        *,
        data_hidden: int,
        label_hidden: int,
        joint_hidden: Sequence[int],
        activation: Activation,
        maxout_pieces: int | None,
        joint_maxout_pieces: int | None,
        dropout: float,
        init_range: float | None,
    ) -> None:
        super().__init__()
        require_labels("input", spec)
        self.joint = Joint(
            spec.size,
            spec.classes,
            1,
            hidden=data_hidden,
            label_hidden=label_hidden,
            joint_hidden=joint_hidden,
            activation=activation,
            maxout_pieces=maxout_pieces,
            joint_maxout_pieces=joint_maxout_pieces,
            dropout=dropout,
        )
        initialise(self, init_range)

    def unit_layers(self) -> list[nn.Module]:
        """What gives the values of each hidden layer that sees more than the label."""
        return self.joint.unit_layers()

    @override
    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """(n, *shape) and (n,) -> logits (n,)."""
        logits: Tensor = self.joint(x.flatten(1), labels)
        return logits.squeeze(1)
