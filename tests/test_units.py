"""Hidden units: drawn back to pixels, chosen by class, switched off; and mode=filters."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gan_cli.claims.lab import Given, Lab
from gan_cli.cli import commands
from gan_cli.evaluation.units import DrawnBack, UnitsOfG, exciting, within
from gan_cli.networks.abilities import HasUnits
from tests.conftest import Cli, Result

TINY = ["steps=2", "data.batch_size=8", "sample_every=0"]


class Columns(nn.Module):
    """A D whose units each see 2x2 pixels: unit 0 their left column, unit 1 minus their right."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 2, 2, stride=2, bias=False)
        with torch.no_grad():
            left, right = torch.tensor([[1.0, 0], [1, 0]]), torch.tensor([[0.0, -1], [0, -1]])
            self.convolution.weight.copy_(torch.stack([left, right])[:, None])
        self.layer = nn.Sequential(self.convolution, nn.ReLU())

    def unit_layers(self) -> list[nn.Module]:
        return [self.layer]

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        del labels
        return self.layer(x).sum(dim=(1, 2, 3))


def test_a_unit_is_drawn_back_as_its_filter() -> None:
    network = Columns()
    x = torch.zeros(12, 1, 8, 8)
    x[3, 0, 2:4, 4:6] = 5  # excites unit 0 at row 1, column 2
    x[7, 0, 6:8, 0:2] = 4
    x[8, 0, 0:2, 0:2] = -3  # excites unit 1
    rows = exciting(network, network.layer, x, None, units=2, most=1)
    by_unit = {row.unit: row for row in rows}
    assert by_unit[0].data.tolist() == [3]
    assert by_unit[0].values.tolist() == [10]
    assert torch.equal(by_unit[0].patches, torch.full((1, 1, 2, 2), 5.0))
    assert torch.equal(by_unit[0].gradients[0, 0], torch.tensor([[1.0, 0], [1, 0]]))
    assert by_unit[1].data.tolist() == [8]
    assert torch.equal(by_unit[1].gradients[0, 0], torch.tensor([[0.0, -1], [0, -1]]))


def test_guided_gradients_keep_what_excites() -> None:
    """Two layers: h = relu(x), then relu(h0 - h1). Plain gradients have -1; guided ones have 0."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.ReLU(), nn.ReLU()

        def unit_layers(self) -> list[nn.Module]:
            return [self.first, self.second]

        def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
            del labels
            h = self.first(x.flatten(1))
            return self.second(h[:, :1] - h[:, 1:2])[:, 0]

    x = torch.tensor([[3.0, 1.0]]).view(1, 1, 1, 2)
    network = Two()
    back = DrawnBack(network, network.second, x, None)
    plain = back.gradients(x, None, lambda y: y.sum(), guided=False)
    guided = back.gradients(x, None, lambda y: y.sum(), guided=True)
    assert plain.flatten().tolist() == [1, -1]
    assert guided.flatten().tolist() == [1, 0]


def test_windows_stay_inside_the_image() -> None:
    assert within(0, 4, 6, 16) == slice(0, 6)  # cut off above
    assert within(12, 16, 6, 16) == slice(10, 16)
    assert within(5, 11, 6, 16) == slice(5, 11)


def test_what_a_convolutional_unit_sees(tmp_path: Path) -> None:
    keys = ("model=dcgan", "data=digits", "data.image_size=16", "model.width=4")
    game = Lab(tmp_path).experiment(*keys).game
    x = torch.rand(8, 1, 16, 16) * 2 - 1
    first, second = game.discriminator.unit_layers()
    assert DrawnBack(game.discriminator, first, x, None).window == (4, 4)
    assert DrawnBack(game.discriminator, second, x, None).window == (10, 10)


@pytest.mark.parametrize(
    "overrides",
    [
        ("model=dcgan", "data.image_size=16", "model.width=2"),
        ("model=vanilla",),
        ("model=vanilla", "model.generator.activation=tanh"),
        ("model=cgan", "model.width=2"),
        ("model=cgan", "model/backbone@model=mlp"),
    ],
)
def test_networks_name_their_units(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    """Each hidden layer: what it gives is what the next one gets, and z or x decides it."""
    game = Lab(tmp_path).experiment("data=digits", "performance=plain", *overrides).game
    labels = torch.arange(4) if game.conditional else None
    z = game.draw_noise(4, seed=0)
    samples = game.map_noise(z, labels)
    for network, given in ((game.generator, z), (game.discriminator, samples)):
        assert isinstance(network, HasUnits)
        assert network.unit_layers()
        before = network.eval()(given, labels)
        for layer in network.unit_layers():
            seen: list[Tensor] = []

            def silence(_: object, __: object, output: Tensor, seen: list[Tensor] = seen) -> Tensor:
                seen.append(output)
                return torch.zeros_like(output)

            handle = layer.register_forward_hook(silence)
            assert not torch.equal(network(given, labels), before)
            handle.remove()
            assert not torch.equal(seen[0][0], seen[0][1])


class Units(nn.Module):
    """G(z) = h: the units are the sample."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Identity()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        del labels
        return self.layer(z)


def test_units_of_a_class_and_samples_without_them(tmp_path: Path) -> None:
    generator = Units()
    game = Lab(tmp_path).game(
        generator, Given(lambda x: x.sum(dim=1)), "data=ring", "noise.dim=2", "noise=normal"
    )
    units = UnitsOfG(game, generator.layer)
    assert units.shape == (2,)
    z = game.draw_noise(2000, seed=0)
    classes = (z[:, 1] > 0).long()
    found = units.of_classes(z, classes, among=3)
    # E[z | z > 0] - E[z | z < 0] = 2 sqrt(2 / pi) standard deviations
    expected = [[0, -1.596], [0, 1.596], [0, 0]]
    torch.testing.assert_close(found, torch.tensor(expected), atol=0.1, rtol=0)
    without = units.without(torch.tensor([1]), z)
    assert torch.equal(without, z * torch.tensor([1.0, 0.0]))
    assert torch.equal(game.map_noise(z), z)


def sample(cli: Cli, run: str, *arguments: str) -> Result:
    return cli(f"run=outputs/{run}", *arguments, app=commands.SAMPLE)


def test_mode_filters(cli: Cli) -> None:
    run = [*TINY, "name=d", "model=dcgan", "data.image_size=16", "model.width=4"]
    assert cli(*run).code == 0
    for more in (["layer=1", "n=2"], ["network=generator", "n=3"], []):
        result = sample(cli, "d", "mode=filters", *more)
        assert result.code == 0, result.err
    assert "each unit sees 10x10 pixels" in result.out
    assert cli(*TINY, "name=c", "model=cgan", "model.backbone=mlp").code == 0
    result = sample(cli, "c", "mode=filters", "labels=[3,4]")
    assert result.code == 0, result.err
    assert sample(cli, "c", "mode=filters", "network=generator").code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mode=filters", "layer=9"], "the discriminator has hidden layers 1 to"),
        (["mode=filters", "layer=0"], "layers count from 1"),
        (["mode=filters", "network=generater"], "Did you mean generator?"),
        (["mode=filters", "network=generator", "n=99999"], "n=99999: layer 1 has 240 units"),
        (["layer=1"], "only mode=filters uses it"),
        (["attribute=slant"], "only mode=arithmetic uses it"),
        (["mode=arithmetic", "attribute=slope"], "use slant, stroke"),
    ],
)
def test_mistakes_have_one_message(cli: Cli, arguments: list[str], words: str) -> None:
    assert cli(*TINY, "name=v", "model.generator.hidden=[240]").code == 0
    result = sample(cli, "v", *arguments)
    assert result.code == 2
    assert words in result.err


def test_arithmetic_with_a_measured_attribute(cli: Cli) -> None:
    assert cli(*TINY, "name=v", "noise.dim=5").code == 0
    result = sample(cli, "v", "mode=arithmetic", "attribute=slant", "out=x")
    assert result.code == 0, result.err
    assert "slant in pixels to the right for each pixel up: " in result.out
    given = sample(cli, "v", "mode=arithmetic", "attribute=stroke", "a=[0]", "b=[0]", "c=[5]")
    value = given.out.split("stroke in pixels wide: ")[1].split()[0]
    assert f"G(mean c) {value}" in given.out  # a - b + c = c
