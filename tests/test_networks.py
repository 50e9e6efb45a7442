"""MLPs for any data: shapes, ranges, activations, dropout."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import nn

from gan_cli.networks.fourier import FourierFeatures
from gan_cli.networks.lasting import LastingDropout, keys_of
from gan_cli.networks.mlp import Activation, Discriminator, Generator, Maxout
from gan_cli.networks.speed import CpuDropout, CpuInstanceNorm, speed_up
from gan_cli.spec import DataSpec

SHAPES = [(1, 28, 28), (3, 5, 9), (4, 1, 1), (1,), (2,), (50,)]


def generator(dim: int, spec: DataSpec, **changes: Any) -> Generator:
    settings = {
        "hidden": [8, 6],
        "activation": "relu",
        "maxout_pieces": None,
        "dropout": 0.0,
        "init_range": None,
        "output_bias": "default",
    }
    return Generator(dim, spec, **settings | changes)


def discriminator(spec: DataSpec, **changes: Any) -> Discriminator:
    settings = {
        "hidden": [7],
        "activation": "relu",
        "maxout_pieces": None,
        "dropout_input": 0.0,
        "dropout": 0.0,
        "init_range": None,
    }
    return Discriminator(spec, **settings | changes)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "maxout", "tanh", "silu"])
@pytest.mark.parametrize("shape", SHAPES)
def test_any_shape(shape: tuple[int, ...], activation: Activation) -> None:
    spec = DataSpec(shape, None)
    g, d = generator(3, spec, activation=activation), discriminator(spec, activation=activation)
    x = g(torch.randn(4, 3))
    assert x.shape == (4, *shape)
    assert d(x).shape == (4,)


@pytest.mark.parametrize(
    ("value_range", "last"), [((-1.0, 1.0), nn.Tanh), ((0.0, 1.0), nn.Sigmoid), (None, nn.Identity)]
)
def test_output_fills_the_datas_range(
    value_range: tuple[float, float] | None, last: type[nn.Module]
) -> None:
    g = generator(3, DataSpec((1, 4, 4), value_range))
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
    d = discriminator(DataSpec((2,), None), hidden=[])
    x = torch.randn(6, 2)
    torch.testing.assert_close(d(x), d.layers[-1](x).squeeze(1))


def test_dropout_rates_stand_where_they_should() -> None:
    d = discriminator(DataSpec((2,), None), hidden=[4, 4], dropout_input=0.2, dropout=0.5)
    assert [m.p for m in d.layers if isinstance(m, nn.Dropout)] == [0.2, 0.5, 0.5]
    assert isinstance(d.layers[0], nn.Dropout)
    x = torch.ones(3, 2)
    assert torch.equal(d.eval()(x), d.eval()(x))


def test_all_problems_of_a_network_are_named() -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        generator(2, DataSpec((2,), None), hidden=[4, 0], maxout_pieces=3, dropout=1.0)
    for word in ("hidden=[4,0]", "maxout_pieces=3", "dropout=1.0"):
        assert word in str(error.value)


def test_init_range_bounds_weights_and_zeroes_biases() -> None:
    d = discriminator(DataSpec((30,), None), activation="maxout", hidden=[40], init_range=0.005)
    for name, p in d.named_parameters():
        if name.endswith("bias"):
            assert (p == 0).all()
        else:
            assert 0.0045 < p.abs().max() <= 0.005
    with pytest.raises(ValueError, match=r"init_range=0"):
        discriminator(DataSpec((2,), None), init_range=0.0)


@pytest.mark.parametrize("value_range", [(0.0, 1.0), (-1.0, 1.0)])
def test_output_bias_from_marginals_starts_at_the_mean(value_range: tuple[float, float]) -> None:
    low, high = value_range
    g = generator(3, DataSpec((1, 2, 2), value_range), output_bias="marginals", init_range=1e-9)
    assert g.from_marginals
    mean = torch.tensor([low, 0.3, 0.6, high]).view(1, 2, 2)
    g.set_output_bias(mean)
    x = g(torch.randn(5, 3))
    torch.testing.assert_close(x, mean.expand(5, 1, 2, 2), atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="output_bias=marginals"):
        generator(3, DataSpec((2,), None), output_bias="marginals")


@pytest.mark.parametrize("n", [1, 3])
def test_fast_instance_norm_is_exact(n: int) -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(2, 3, 3), nn.InstanceNorm2d(3), nn.ReLU()).double()
    fast = copy.deepcopy(plain)
    speed_up(fast, torch.device("cpu"))
    assert type(fast[1]) is CpuInstanceNorm
    x = torch.randn(n, 2, 7, 6, dtype=torch.float64)
    target = torch.randn(n, 3, 5, 4, dtype=torch.float64)
    gradients = []
    for network in (plain, fast):
        given = x.clone().requires_grad_()
        (network(given) * target).sum().backward()
        gradients.append([given.grad, *(p.grad for p in network.parameters())])
    torch.testing.assert_close(fast(x), plain(x), rtol=0, atol=1e-12)
    for one, other in zip(*gradients, strict=True):
        assert one is not None
        assert other is not None
        assert (one - other).abs().max() <= 1e-12 * one.abs().max() + 1e-15


@pytest.mark.parametrize("p", [0.5, 0.2, 0.05])
def test_fast_dropout_has_dropouts_distribution(p: float) -> None:
    torch.manual_seed(0)
    drop = CpuDropout(p)
    x = torch.ones(1001, 999, dtype=torch.float64)
    y = drop(x)
    kept = y != 0
    assert kept.double().mean().item() == pytest.approx(1 - p, abs=4e-3)
    assert y[kept].unique().tolist() == pytest.approx([1 / (1 - p)], rel=1e-4)
    assert y.mean().item() == pytest.approx(1.0, abs=4e-3)
    flat = kept.flatten().double()
    for lane in range(4):  # one word decides on four neighbours: none may differ or be bound
        assert flat[lane::4].mean().item() == pytest.approx(1 - p, abs=6e-3)
        both = (flat[lane:-8:4] * flat[lane + 1 : -7 : 4]).mean().item()
        assert both == pytest.approx((1 - p) ** 2, abs=8e-3)


def test_fast_dropout_gradient_and_evaluation() -> None:
    drop, x = CpuDropout(0.5), torch.randn(7, 5, requires_grad=True)
    y = drop(x)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.where(y == 0, 0.0, 2.0))
    torch.manual_seed(3)
    first = drop(x)
    torch.manual_seed(3)
    assert torch.equal(first, drop(x))
    assert drop.eval()(x) is x


def test_speed_up_exchanges_dropout_and_keeps_parameters() -> None:
    d = discriminator(DataSpec((2,), None), hidden=[4, 4], dropout_input=0.2, dropout=0.5)
    before = d.state_dict()
    speed_up(d, torch.device("cuda"))
    assert not any(isinstance(part, CpuDropout) for part in d.modules())
    speed_up(d, torch.device("cpu"))
    assert [part.p for part in d.modules() if isinstance(part, CpuDropout)] == [0.2, 0.5, 0.5]
    assert not any(type(part) is nn.Dropout for part in d.modules())
    assert all(torch.equal(value, before[key]) for key, value in d.state_dict().items())


def test_fourier_features_let_a_perceptron_follow_fast_functions() -> None:
    """A step's width far below a unit: without them, hundreds of moves see nothing of it."""
    x = torch.linspace(-3, 3, 512)[:, None]
    target = torch.sign(torch.sin(12 * x[:, 0]))

    def error(**changes: Any) -> float:
        torch.manual_seed(0)
        d = discriminator(DataSpec((1,), None), hidden=[64], activation="tanh", **changes)
        optimizer = torch.optim.Adam(d.parameters(), lr=0.005)
        for _ in range(300):
            optimizer.zero_grad()
            loss = (d(x) - target).square().mean()
            loss.backward()
            optimizer.step()
        return loss.item()

    assert error() > 0.8
    assert error(fourier_features=64, fourier_scale=8.0) < 0.3
    layer = discriminator(DataSpec((2,), None), fourier_features=2000, fourier_scale=3.0).layers[0]
    assert isinstance(layer, FourierFeatures)
    # For any x and y, the features' inner product is the Gaussian kernel of their distance.
    a, b = torch.tensor([[0.1, 0.2]]), torch.tensor([[0.3, -0.1]])
    kernel = (layer(a) * layer(b)).mean().item()
    assert kernel == pytest.approx(math.exp(-(3.0**2) * 0.13 / 2), abs=0.08)


@pytest.mark.parametrize(
    "changes", [{"fourier_features": -1}, {"fourier_scale": 0.0}, {"fourier_scale": math.inf}]
)
def test_fourier_features_that_make_no_sense(changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        discriminator(DataSpec((2,), None), **changes)


def test_lasting_dropout_is_noise_of_its_own_and_a_function_of_z() -> None:
    torch.manual_seed(0)
    spec = DataSpec((2000,), None)
    g = generator(3, spec, hidden=[2000, 2000], dropout=0.3, dropout_in_sampling=True).eval()
    z = torch.randn(40, 3)
    x = g(z)
    torch.testing.assert_close(g(z[:7]), x[:7])  # whatever else is drawn with them
    torch.testing.assert_close(g(z.flip(0)).flip(0), x)
    layers = [part for part in g.modules() if isinstance(part, LastingDropout)]
    ones = torch.ones(40, 2000)
    masks = [layer(ones) for layer in layers]
    assert len(masks) == 2
    for mask in masks:
        assert mask.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
        assert (mask > 0).double().mean().item() == pytest.approx(0.7, abs=0.01)
        kept = (mask > 0).double()
        rows = torch.corrcoef(kept) - torch.eye(40)  # samples, and then units, are independent
        assert rows.abs().max() < 0.12
        neighbours = torch.stack([kept[:, :-1].flatten(), kept[:, 1:].flatten()])
        assert torch.corrcoef(neighbours)[0, 1].abs() < 0.02
    assert torch.corrcoef(torch.stack([m.flatten() for m in masks]))[0, 1].abs() < 0.02
    with pytest.raises(ValueError, match="dropout_in_sampling=true: there is no dropout"):
        generator(3, spec, dropout_in_sampling=True)


def test_lasting_dropout_trains_as_dropout() -> None:
    layer = LastingDropout(0.5, layer=0)
    x = torch.ones(1000, 10)
    assert not torch.equal(layer(x), layer(x))
    speed_up(layer, torch.device("cpu"))
    assert isinstance(layer.dropout, CpuDropout)
    assert layer(x).mean().item() == pytest.approx(1.0, abs=0.1)
    layer.eval()
    layer.keys = keys_of(torch.randn(1000, 3))
    assert layer(x).mean().item() == pytest.approx(1.0, abs=0.05)
