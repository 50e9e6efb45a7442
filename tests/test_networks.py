"""MLPs for any data: shapes, ranges, activations, dropout."""

import pytest
import torch
from torch import nn

from gan_cli.networks.mlp import Activation, Discriminator, Generator, Maxout
from gan_cli.spec import DataSpec

SHAPES = [(1, 28, 28), (3, 5, 9), (4, 1, 1), (1,), (2,), (50,)]


def make(spec: DataSpec, activation: Activation, dim: int = 3) -> tuple[Generator, Discriminator]:
    g = Generator(dim, spec, hidden=[8, 6], activation=activation, maxout_pieces=None, dropout=0.0)
    d = Discriminator(
        spec,
        hidden=[7],
        activation=activation,
        maxout_pieces=None,
        dropout_input=0.0,
        dropout=0.0,
    )
    return g, d


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "maxout"])
@pytest.mark.parametrize("shape", SHAPES)
def test_any_shape(shape: tuple[int, ...], activation: Activation) -> None:
    spec = DataSpec(shape, None)
    g, d = make(spec, activation)
    x = g(torch.randn(4, 3))
    assert x.shape == (4, *shape)
    assert d(x).shape == (4,)


@pytest.mark.parametrize(
    ("value_range", "last"), [((-1.0, 1.0), nn.Tanh), ((0.0, 1.0), nn.Sigmoid), (None, nn.Identity)]
)
def test_output_fills_the_datas_range(
    value_range: tuple[float, float] | None, last: type[nn.Module]
) -> None:
    g, _ = make(DataSpec((1, 4, 4), value_range), "relu")
    assert isinstance(g.layers[-1], last)
    x = g(1000 * torch.randn(200, 3))
    if value_range:
        assert (x.min().item(), x.max().item()) == pytest.approx(value_range, abs=1e-3)
    else:
        assert x.abs().max() > 1


def test_maxout_is_the_maximum_of_its_pieces() -> None:
    layer = Maxout(3, 2, pieces=4).double()
    x = torch.randn(5, 3, dtype=torch.float64)
    weight, bias = layer.linear.weight.view(2, 4, 3), layer.linear.bias.view(2, 4)
    expected = (torch.einsum("upi,ni->nup", weight, x) + bias).amax(dim=2)
    torch.testing.assert_close(layer(x), expected)


def test_no_hidden_layers_is_a_linear_map() -> None:
    d = Discriminator(
        DataSpec((2,), None),
        hidden=[],
        activation="relu",
        maxout_pieces=None,
        dropout_input=0.0,
        dropout=0.0,
    )
    x = torch.randn(6, 2)
    torch.testing.assert_close(d(x), d.layers[-1](x).squeeze(1))


def test_dropout_rates_stand_where_they_should() -> None:
    d = Discriminator(
        DataSpec((2,), None),
        hidden=[4, 4],
        activation="relu",
        maxout_pieces=None,
        dropout_input=0.2,
        dropout=0.5,
    )
    assert [m.p for m in d.layers if isinstance(m, nn.Dropout)] == [0.2, 0.5, 0.5]
    assert isinstance(d.layers[0], nn.Dropout)
    x = torch.ones(3, 2)
    assert torch.equal(d.eval()(x), d.eval()(x))


def test_all_problems_of_a_network_are_named() -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        Generator(
            2, DataSpec((2,), None), hidden=[4, 0], activation="relu", maxout_pieces=3, dropout=1.0
        )
    for word in ("hidden=[4, 0]", "maxout_pieces=3", "dropout=1.0"):
        assert word in str(error.value)
