"""DCGAN's shape rules, initialisation, norms and labels; conditional perceptrons."""

from typing import Any

import pytest
import torch
from torch import nn

from gan_cli.errors import SettingsError
from gan_cli.games.conditional import ConditionalGAN
from gan_cli.losses import NonSaturating
from gan_cli.networks import conditional
from gan_cli.networks.dcgan import Discriminator, Generator, halvings, nearest_sizes
from gan_cli.networks.filters import first_filters
from gan_cli.networks.mlp import Maxout
from gan_cli.noise import Normal
from gan_cli.spec import Batch, DataSpec
from gan_cli.training.turn import Freezable

CPU = torch.device("cpu")


def image(height: int, width: int, *, channels: int = 1, classes: int = 0) -> DataSpec:
    return DataSpec((channels, height, width), (-1.0, 1.0), classes)


def generator(spec: DataSpec, **changes: Any) -> Generator:
    settings = {
        "width": 4, "kernel_size": 4, "norm": "batch", "norm_affine": True,
        "spectral_norm": False, "hidden": None, "labels": "none",
    }  # fmt: skip
    return Generator(6, spec, **settings | changes)


def discriminator(spec: DataSpec, **changes: Any) -> Discriminator:
    settings = {
        "width": 4, "kernel_size": 4, "norm": "batch", "norm_affine": True,
        "spectral_norm": False, "hidden": None, "labels": "none",
    }  # fmt: skip
    return Discriminator(spec, **settings | changes)


@pytest.mark.parametrize("kernel_size", [4, 5])
@pytest.mark.parametrize(
    ("size", "count"),
    [((8, 8), 1), ((14, 14), 1), ((28, 28), 2), ((32, 32), 3), ((48, 48), 3), ((64, 64), 4),
     ((96, 96), 4), ((128, 128), 5), ((32, 48), 3), ((96, 64), 4), ((12, 40), 1)],
)  # fmt: skip
def test_sizes(size: tuple[int, int], count: int, kernel_size: int) -> None:
    spec = image(*size, channels=3)
    assert halvings(spec.shape) == count
    g, d = generator(spec, kernel_size=kernel_size), discriminator(spec, kernel_size=kernel_size)
    x = g(torch.randn(2, 6))
    assert x.shape == (2, 3, *size)
    assert d(x).shape == (2,)
    assert len(g.images) == len(d.images) == count


@pytest.mark.parametrize(
    ("size", "near"),
    [((30, 30), ["28", "32"]), ((7, 7), ["8"]), ((29, 64), ["[28,64]", "[32,64]"]),
     ((64, 65), ["64", "[64,80]"]), ((100, 100), ["96", "112"])],
)  # fmt: skip
def test_other_sizes_are_refused_with_the_nearest(size: tuple[int, int], near: list[str]) -> None:
    with pytest.raises(ValueError, match=r"data\.image_size=") as error:
        halvings((1, *size))
    assert str(error.value).endswith(", ".join(near))
    for text in near:  # and those work
        sides = [int(word) for word in text.strip("[]").split(",")]
        halvings((1, sides[0], sides[-1]))


def test_every_size_is_either_built_or_has_two_neighbours() -> None:
    for side in range(8, 300):
        try:
            assert 4 <= side >> halvings((1, side, side)) <= 7
        except ValueError:
            below, above = (int(text) for text in nearest_sizes(side, side))
            assert below < side < above


def test_the_64_pixel_network_is_that_of_pytorch_examples() -> None:
    spec = image(64, 64, channels=3)
    settings: dict[str, Any] = {
        "width": 64, "kernel_size": 4, "norm": "batch", "norm_affine": True,
        "spectral_norm": False, "hidden": None, "labels": "none",
    }  # fmt: skip
    g, d = Generator(100, spec, **settings), Discriminator(spec, **settings)
    # dcgan/main.py with nz 100, ngf = ndf = 64: its two networks' numbers of parameters.
    assert sum(p.numel() for p in g.parameters()) == 3_576_704
    assert sum(p.numel() for p in d.parameters()) == 2_765_568


def test_rules_of_the_paper() -> None:
    spec = image(32, 32)
    g, d = generator(spec, width=32), discriminator(spec, width=32)
    kinds = [type(part) for network in (g, d) for part in network.modules()]
    assert nn.MaxPool2d not in kinds
    assert nn.AvgPool2d not in kinds
    *hidden, last = g.images
    assert isinstance(last.norm, nn.Identity)  # type: ignore[union-attr]
    assert isinstance(last.activation, nn.Tanh)  # type: ignore[union-attr]
    assert all(isinstance(layer.norm, nn.BatchNorm2d) for layer in hidden)  # type: ignore[union-attr]
    first, *later = d.images
    assert isinstance(first.norm, nn.Identity)  # type: ignore[union-attr]
    assert all(isinstance(layer.norm, nn.BatchNorm2d) for layer in later)  # type: ignore[union-attr]
    weights = torch.cat([p.flatten() for n, p in g.named_parameters() if p.dim() > 1])
    assert weights.std().item() == pytest.approx(0.02, rel=0.05)
    assert weights.mean().item() == pytest.approx(0.0, abs=1e-3)
    gains = torch.cat([m.weight for m in g.modules() if isinstance(m, nn.BatchNorm2d)])
    assert gains.mean().item() == pytest.approx(1.0, abs=0.02)


def test_projection_to_the_base_is_the_papers_transposed_convolution() -> None:
    g = generator(image(28, 28)).double()
    z = torch.randn(3, 6, dtype=torch.float64)
    kernel = g.project.weight.view(-1, 7, 7, 6).permute(3, 0, 1, 2)  # (in, out, h, w)
    expected = nn.functional.conv_transpose2d(z[:, :, None, None], kernel)
    torch.testing.assert_close(g.project(z).view(3, -1, 7, 7), expected)


@pytest.mark.parametrize("norm", ["batch", "instance", "layer", "none"])
@pytest.mark.parametrize("hidden", [None, 9])
def test_norms_and_hidden_layers(norm: str, hidden: int | None) -> None:
    spec = image(16, 16)
    g, d = generator(spec, norm=norm, hidden=hidden), discriminator(spec, norm=norm, hidden=hidden)
    d(g(torch.randn(4, 6))).sum().backward()
    assert all(p.grad is not None for network in (g, d) for p in network.parameters())


@pytest.mark.parametrize(("kind", "pool"), [("max", nn.MaxPool2d), ("average", nn.AvgPool2d)])
def test_pooling_takes_the_place_of_strides(kind: str, pool: type[nn.Module]) -> None:
    spec = image(16, 16, classes=3)
    d = discriminator(spec, downsampling=kind, labels="every_layer", spectral_norm=True)
    assert [type(m) for m in d.modules()].count(pool) == len(d.images) == 2
    assert all(m.stride == (1, 1) for m in d.modules() if isinstance(m, nn.Conv2d))
    assert d(torch.randn(2, 1, 16, 16), torch.tensor([0, 2])).shape == (2,)
    with pytest.raises(SettingsError, match="downsampling=strided"):
        discriminator(spec, downsampling=kind, kernel_size=5)


def test_spectral_norm_bounds_every_layer() -> None:
    d = discriminator(image(16, 16), width=16, spectral_norm=True, norm="none")
    for _ in range(50):
        d(torch.randn(4, 1, 16, 16))
    for layer in (*d.images, d.judge):
        weight = layer.linear.weight.detach().flatten(1)  # type: ignore[union-attr]
        assert torch.linalg.matrix_norm(weight, ord=2).item() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("spectral_norm", [False, True])
def test_frozen_networks_keep_their_statistics(spectral_norm: bool) -> None:
    d = discriminator(image(16, 16), spectral_norm=spectral_norm)
    x = torch.randn(8, 1, 16, 16)
    d(x)
    before = {key: value.clone() for key, value in d.state_dict().items()}
    with Freezable(d).frozen():
        inside = d(x)
    assert all(torch.equal(value, before[key]) for key, value in d.state_dict().items())
    if not spectral_norm:
        assert torch.equal(inside, d(x))  # normalised by the batch, as when it moves itself
    else:
        d(x)
    assert any(not torch.equal(value, before[key]) for key, value in d.state_dict().items())


def test_looking_at_filters_changes_nothing() -> None:
    d = discriminator(image(16, 16), spectral_norm=True)
    d(torch.randn(4, 1, 16, 16))
    before = {key: value.clone() for key, value in d.state_dict().items()}
    assert first_filters(d, image(16, 16)) is not None
    assert all(torch.equal(value, before[key]) for key, value in d.state_dict().items())
    assert all(part.training for part in d.modules())


@pytest.mark.parametrize("joined", ["input", "every_layer", "projection"])
def test_labels_matter(joined: str) -> None:
    spec = image(16, 16, classes=3)
    d = discriminator(spec, labels=joined, norm="none")
    g = generator(spec, labels="every_layer" if joined == "projection" else joined, hidden=5)
    z, zero, one = torch.randn(2, 6), torch.tensor([0, 0]), torch.tensor([1, 1])
    g.eval()
    assert not torch.equal(g(z, zero), g(z, one))
    x = torch.randn(2, 1, 16, 16)
    assert not torch.equal(d(x, zero), d(x, one))


def test_labels_are_joined_as_planes_at_every_layer() -> None:
    spec = image(16, 16, classes=3)
    d = discriminator(spec, labels="every_layer", hidden=7)
    assert [layer.linear.in_channels for layer in d.images] == [1 + 3, 4 + 3]  # type: ignore[union-attr]
    assert d.vectors[0].linear.in_features == 8 * 4 * 4 + 3  # type: ignore[union-attr]
    assert d.judge.linear.in_features == 7 + 3  # type: ignore[union-attr]
    planes = d.images[0].labels(torch.zeros(1, 1, 2, 2), torch.tensor([1]))  # type: ignore[union-attr, operator]
    assert planes[0].flatten(1).tolist() == [[0] * 4, [0] * 4, [1] * 4, [0] * 4]


def test_data_without_labels_are_refused() -> None:
    for make in (generator, discriminator):
        with pytest.raises(ValueError, match="no labels to condition on"):
            make(image(16, 16), labels="input")
    with pytest.raises(ValueError, match="points"):
        generator(DataSpec((2,), None))


def perceptrons(spec: DataSpec) -> tuple[nn.Module, nn.Module]:
    common = {"maxout_pieces": 5, "joint_maxout_pieces": 4, "init_range": 0.05, "dropout": 0.5}
    g = conditional.Generator(
        100, spec, noise_hidden=200, label_hidden=1000, joint_hidden=[1200], activation="relu",
        **common | {"maxout_pieces": None, "joint_maxout_pieces": None},  # type: ignore[arg-type]
    )  # fmt: skip
    d = conditional.Discriminator(
        spec, data_hidden=240, label_hidden=50, joint_hidden=[240], activation="maxout",
        **common,  # type: ignore[arg-type]
    )  # fmt: skip
    return g, d


def test_perceptrons_are_those_of_the_paper() -> None:
    spec = DataSpec((1, 28, 28), (0.0, 1.0), 10)
    g, d = perceptrons(spec)
    linear = [(m.in_features, m.out_features) for m in g.modules() if isinstance(m, nn.Linear)]
    assert linear == [(100, 200), (10, 1000), (1200, 1200), (1200, 784)]
    maxout = [
        (m.linear.in_features, m.linear.out_features // m.pieces, m.pieces)
        for m in d.modules()
        if isinstance(m, Maxout)
    ]
    assert maxout == [(784, 240, 5), (10, 50, 5), (290, 240, 4)]
    labels = torch.tensor([3, 4])
    x = g(torch.rand(2, 100), labels)
    assert x.shape == (2, 1, 28, 28)
    assert x.min() >= 0
    assert d(x, labels).shape == (2,)


def test_filters_are_the_first_layer_without_labels() -> None:
    spec = image(16, 16, channels=3, classes=2)
    d = discriminator(spec, labels="every_layer")
    filters = first_filters(d, spec)
    assert filters is not None
    assert torch.equal(filters, d.images[0].linear.weight[:, :3])  # type: ignore[union-attr, index]
    _, perceptron = perceptrons(image(8, 8, classes=2))
    filters = first_filters(perceptron, image(8, 8, classes=2))
    assert filters is not None
    assert filters.shape == (1200, 1, 8, 8)
    assert first_filters(nn.Linear(2, 1), DataSpec((2,), None)) is None


class Judge(nn.Module):
    """D(x, y) = first number of x + 10 y, and remembers its labels."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.0))
        self.seen: list[torch.Tensor | None] = []

    def forward(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        self.seen.append(labels)
        assert labels is not None
        return self.weight * (x[:, 0] + 10.0 * labels)


class Constant(nn.Module):
    def forward(self, z: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        return z


def matching_game(classes: int, mismatch_weight: float) -> ConditionalGAN:
    game = ConditionalGAN(
        Constant(), Judge(), noise=Normal(2, std=1.0), loss=NonSaturating(d_weight=1.0),
        spec=DataSpec((2,), None, classes), mismatch_weight=mismatch_weight,
    )  # fmt: skip
    game.seed_noise(0, device=CPU)
    return game


def test_wrong_labels_are_wrong_and_all_equally_likely() -> None:
    game = matching_game(4, 1.0)
    labels = torch.arange(4).repeat(3000)
    wrong = game.wrong_labels(labels)
    assert (wrong != labels).all()
    counts = torch.zeros(4, 4)
    counts.index_put_((labels, wrong), torch.ones(len(labels)), accumulate=True)
    others = counts[~torch.eye(4, dtype=torch.bool)]
    assert (others - 1000).abs().max() < 150  # five standard deviations


def test_the_third_term() -> None:
    batch = Batch(torch.randn(5, 2), torch.tensor([0, 1, 0, 1, 1]))
    game, plain = matching_game(2, 0.5), matching_game(2, 0.0)
    (loss, scalars), (two_terms, without) = game.d_loss(batch), plain.d_loss(batch)
    judge = game.discriminator
    assert isinstance(judge, Judge)
    wrong = judge.seen[2]
    assert wrong is not None
    assert torch.equal(wrong, 1 - batch.labels)  # type: ignore[operator]
    logits = judge(batch.x, wrong)
    torch.testing.assert_close(loss - two_terms, 0.5 * nn.functional.softplus(logits).mean())
    torch.testing.assert_close(scalars["prob/mismatch"], torch.sigmoid(logits).mean().detach())
    assert "prob/mismatch" not in without
    assert scalars["value"] == without["value"]  # V has two terms


def test_one_class_has_no_wrong_label() -> None:
    with pytest.raises(ValueError, match="single class"):
        matching_game(1, 1.0)
    matching_game(1, 0.0)


def test_preview_has_one_row_a_class_with_shared_noise() -> None:
    game = matching_game(3, 0.0)
    game.fix_preview(seed=0)
    assert game.fixed_labels is not None
    rows = game.fixed_labels.view(3, -1)
    assert (rows == torch.arange(3)[:, None]).all()
    z = game.fixed_noise.view(3, -1, 2)
    assert torch.equal(z[0], z[1])
    preview = game.preview()
    assert torch.equal(preview.samples, game.fixed_noise)
    assert preview.columns == 10
