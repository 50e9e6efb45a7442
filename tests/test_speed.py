"""What makes training faster computes the same, exactly in float64."""

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan_cli.games.cyclegan import CycleGAN
from gan_cli.games.gan import GAN
from gan_cli.networks.layers import ResizeConvolution
from gan_cli.networks.resnet import ToImage
from gan_cli.networks.speed import CHANNELS_LAST, CpuInstanceNorm, is_rowwise, kind_of
from gan_cli.networks.windows import Convolution, TransposedConvolution, suits
from gan_cli.settings.build import build_state, load_data
from gan_cli.training.finite import FiniteGuard
from gan_cli.training.loop import one_step
from gan_cli.training.optimizers import light
from gan_cli.training.turn import Move, Turn
from tests.test_config import composed
from tests.test_cyclegan import folders
from tests.test_ranks import double

CPU = torch.device("cpu")
NO_DROPOUT = ("model.discriminator.dropout=0", "model.discriminator.dropout_input=0")
SMALL = ("data=digits", "data.batch_size=12", "data.image_size=8")
DOMAINS = (
    "data=digit_domains", "data.image_size=8", "model=cyclegan", "model.width=4",
    "model.generator.blocks=1", "model.discriminator.layers=1",
)  # fmt: skip
#: One of each game and network, with what draws random numbers on the way but dropout.
GAMES = {
    "vanilla": (*SMALL, *NO_DROPOUT, "regularizer=[gradient_penalty,instance_noise]", "k=2"),
    "sgd": (*SMALL, *NO_DROPOUT, "optimizer=sgd", "max_grad_norm=0.1", "ema.decay=0.5"),
    "mlp cgan": (
        *SMALL, "model=cgan", "model/backbone@model=mlp", "model.generator.dropout=0",
        "model.discriminator.dropout=0", "accumulate=2",
    ),
    "cgan without norm": (*SMALL, "model=cgan", "model.width=4", "model.norm=none"),
    "dcgan": (
        *SMALL, "model=dcgan", "model.width=4", "data.image_size=16", "regularizer=diffaugment",
    ),
    "penalised dcgan": (
        *SMALL, "model=dcgan", "model.width=4", "data.image_size=16", "model.norm=layer",
        "regularizer=[gradient_penalty,r1]", "loss=wasserstein",
    ),
    "nearest": (
        *SMALL, "model=dcgan", "model.width=4", "data.image_size=16",
        "model.generator.upsampling=nearest",
    ),
    "spectral": (
        *SMALL, "model=dcgan", "model.width=4", "model.norm=none", "model.spectral_norm=true",
    ),
    "cyclegan": (*DOMAINS, "data.batch_size=1"),
    "cyclegan with identity": (
        *DOMAINS, "data=unpaired_folders", "data.preprocess=resize", "data.root=photos",
        "data.batch_size=3", "model.identity_weight=0.5",
    ),
}  # fmt: skip


def after_one_step(*overrides: str) -> dict[str, Tensor]:
    """All gradients and weights after one step in float64."""
    config = composed(*overrides)
    session = build_state(config, load_data(config), CPU)
    session.game.double()
    turns: dict[Any, Turn] = {"d": Turn(session.game, "d"), "g": Turn(session.game, "g")}
    session.batches = map(double, session.batches)  # type: ignore[assignment]
    move = Move(micro_batches=config["accumulate"], max_grad_norm=config["max_grad_norm"])
    one_step(session, turns, k=config["k"], move=move, log_due=True, guard=FiniteGuard(CPU))
    found = {key: value.detach() for key, value in session.game.named_parameters()}
    for key, p in session.game.named_parameters():
        if p.grad is not None:
            found[f"gradient of {key}"] = p.grad
    return found


@pytest.mark.parametrize("name", GAMES)
def test_what_is_on_by_default_is_exact(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GAN_TRAIN_CACHE", str(tmp_path / "cache"))
    folders(Path("photos"), {"trainA": 5, "trainB": 3})
    torch.set_default_dtype(torch.float64)
    try:
        plain = after_one_step(*GAMES[name], "performance=plain")
        # As on a CPU for which all layouts pay.
        monkeypatch.setattr("gan_cli.networks.speed.kind_of", lambda _: "cpu with AMX")
        fast = after_one_step(*GAMES[name], "performance=auto")
    finally:
        torch.set_default_dtype(torch.float32)
    assert plain.keys() == fast.keys()
    for key, value in plain.items():
        assert (fast[key] - value).abs().max() <= 1e-12 * value.abs().max() + 1e-18, key


@pytest.mark.parametrize(
    ("overrides", "at_once"),
    [
        (SMALL, True),
        (("data=ring", "model.discriminator.fourier_features=8"), True),
        ((*SMALL, "model=cgan", "model.width=4", "model.norm=layer"), True),
        (
            (*SMALL, "model=dcgan", "model.width=4", "data.image_size=16"),
            False,
        ),  # normalises by the batch
        (GAMES["spectral"], False),  # each pass moves an estimate
        ((*SMALL, "performance=plain"), False),
    ],
)
def test_d_judges_at_once_where_each_datum_counts_for_itself(
    overrides: tuple[str, ...], at_once: bool
) -> None:
    config = composed(*overrides)
    game = build_state(config, load_data(config), CPU).game
    assert isinstance(game, GAN)
    assert game.in_one_pass is at_once


def test_generators_translate_at_once_where_each_image_counts_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAN_TRAIN_CACHE", str(tmp_path / "cache"))
    photos = folders(tmp_path / "photos", {"trainA": 5, "trainB": 3})
    for overrides, at_once in (
        (["data.channels_b=3"], True),
        (["data.channels_b=3", "performance=plain"], False),
        (["data.channels_b=1"], False),
    ):
        config = composed(
            "model=cyclegan", "model.width=4", "data=unpaired_folders", f"data.root='{photos}'",
            "data.image_size=16", "data.load_size=18", "model.discriminator.layers=1", *overrides,
        )  # fmt: skip
        game = build_state(config, load_data(config), CPU).game
        assert isinstance(game, CycleGAN)
        assert game.in_one_pass is at_once


def test_a_users_own_network_is_not_taken_for_rowwise() -> None:
    class Own(nn.Module):
        """Looks at the whole batch."""

    assert is_rowwise(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
    assert not is_rowwise(nn.Sequential(nn.Linear(2, 2), Own()))
    assert not is_rowwise(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))


@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
def test_folded_resize_convolution_is_exact(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    plain = ResizeConvolution(3, 2, bias=True).double()
    folded = copy.deepcopy(plain)
    folded.folded = True
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    results = []
    for layer in (plain, folded):
        given = x.clone().requires_grad_()
        y = layer(given)
        assert y.shape == (2, 2, 2 * size[0], 2 * size[1])
        (y * torch.arange(y.numel()).view_as(y)).sum().backward()
        results.append([y.detach(), given.grad, *(p.grad for p in layer.parameters())])
    for one, other in zip(*results, strict=True):
        assert (one - other).abs().max() <= 1e-12 * one.abs().max()
    assert plain.state_dict().keys() == {"convolution.weight", "convolution.bias"}


@pytest.mark.parametrize("bias", [True, False])
def test_convolution_to_an_image_in_blocks_is_exact(bias: bool) -> None:
    torch.manual_seed(0)
    plain = ToImage(5, 3, 7, bias=bias).double()
    blocked = copy.deepcopy(plain)
    blocked.blocked = True
    x = torch.randn(2, 5, 10, 14, dtype=torch.float64)
    results = []
    for layer in (plain, blocked):
        given = x.clone().requires_grad_()
        y = layer(given)
        (y * torch.arange(y.numel()).view_as(y)).sum().backward()
        results.append([y.detach(), given.grad, *(p.grad for p in layer.parameters())])
    for one, other in zip(*results, strict=True):
        assert one.shape == other.shape
        assert (one - other).abs().max() <= 1e-12 * one.abs().max()


@pytest.mark.parametrize("settings", [(4, 2, 1, 0), (5, 2, 2, 1), (4, 1, 1, 0), (3, 2, 0, 1)])
@pytest.mark.parametrize("bias", [True, False])
def test_convolutions_as_products_are_exact(
    settings: tuple[int, int, int, int], bias: bool
) -> None:
    kernel, stride, padding, further = settings
    torch.manual_seed(0)
    convolution = Convolution(3, 5, kernel, stride, padding, bias=bias)
    transposed = TransposedConvolution(3, 5, kernel, stride, padding, further, bias=bias)
    for plain in (convolution, transposed):
        plain.double().to(memory_format=torch.channels_last)
        quick = copy.deepcopy(plain)
        quick.as_product = True
        for shape in ((2, 3, 4, 4), (2, 3, 3, 5), (2, 3, 8, 7)):
            x = torch.randn(shape, dtype=torch.float64)
            results = []
            for layer in (plain, quick):
                given = x.clone().requires_grad_()
                y = layer(given)
                wanted = [given, *layer.parameters()]
                first = torch.autograd.grad(y.pow(3).sum(), wanted, create_graph=True)
                assert first[1].stride() == layer.weight.stride()
                second = torch.autograd.grad(first[0].pow(2).sum(), [given, layer.weight])
                results.append([y, *first, *second])
            for one, other in zip(*results, strict=True):
                assert one.shape == other.shape
                assert (one - other).abs().max() <= 1e-12 * one.abs().max()


def test_products_are_for_small_maps_and_weights_channels_last() -> None:
    layer = Convolution(3, 5, 4, 2, 1)
    assert not suits(layer.weight, 16)
    layer.to(memory_format=torch.channels_last)
    assert suits(layer.weight, 16)
    assert not suits(layer.weight, 17)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("n", [1, 3])
def test_images_are_normalised_as_by_pytorch(layout: torch.memory_format, n: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(n, 4, 5, 6, dtype=torch.float64)
    results = []
    for norm in (nn.InstanceNorm2d(4), CpuInstanceNorm(1e-5)):
        given = x.to(memory_format=layout).requires_grad_()
        y = norm(given)
        (y * torch.arange(y.numel()).view_as(y)).sum().backward()
        results.append([y.detach(), given.grad])
    for one, other in zip(*results, strict=True):
        assert (one - other).abs().max() <= 1e-12 * one.abs().max()


def test_optimizers_step_as_pytorchs_and_load_nothing_for_it() -> None:
    def trained(kind: Any, settings: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
        torch.manual_seed(0)
        weight, unused = nn.Parameter(torch.randn(5)), nn.Parameter(torch.ones(2))
        image = torch.randn(2, 3, 4, 5)
        kernel = nn.Parameter(image.to(memory_format=torch.channels_last))
        parameters = [weight, unused, kernel]
        optimizer = kind(parameters, lr=0.1, **settings)
        for _ in range(3):
            for _ in range(3):
                optimizer.zero_grad()
                (weight.square().sum() + (kernel**3 * image).sum()).backward()
                optimizer.step()
            again = kind(parameters, lr=0.1, **settings)
            again.load_state_dict(optimizer.state_dict())
            optimizer = again
        return torch.cat([weight.detach(), kernel.detach().flatten()]), optimizer.state_dict()

    adam = torch.optim.Adam
    for kind, settings in (
        (adam, {"fused": True, "betas": (0.5, 0.9), "weight_decay": 0.01}),
        (adam, {"fused": True, "maximize": True}),
        (adam, {"fused": True, "amsgrad": True}),
        (adam, {}),
        (torch.optim.SGD, {"momentum": 0.5}),
        (torch.optim.RMSprop, {}),
    ):
        own, own_state = trained(light(kind), settings)
        theirs, their_state = trained(kind, settings)
        assert torch.equal(own, theirs)
        assert own_state["param_groups"] == their_state["param_groups"]
        for number, memory in their_state["state"].items():
            torch.testing.assert_close(own_state["state"][number], memory, rtol=0, atol=0)
    # PyTorch's kernel goes by position in memory, so that this gradient would be taken for another.
    moved = []
    for layout in (torch.contiguous_format, torch.channels_last):
        weight = nn.Parameter(torch.ones(2, 3, 4, 5).to(memory_format=torch.channels_last))
        optimizer = light(adam)([weight], fused=True)
        for order in (torch.channels_last, layout):  # the first step is PyTorch's own
            weight.grad = torch.arange(120.0).view(2, 3, 4, 5).to(memory_format=order) - 60
            optimizer.step()
        moved.append(weight.detach())
    assert torch.equal(*moved)
    code = """
import sys, torch
from gan_cli.networks.windows import Convolution, TransposedConvolution, suits
from gan_cli.training.optimizers import light
w = torch.nn.Parameter(torch.ones(2))
o = light(torch.optim.Adam)([w], fused=True)
w.sum().backward(); o.step(); o.zero_grad(); o.load_state_dict(o.state_dict())
print([m for m in sys.modules if m.startswith("torch._dynamo")])
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_layouts_are_chosen_by_device_and_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"cpu", "cpu with AMX", "cuda"} == CHANNELS_LAST.keys()
    assert kind_of(torch.device("cuda")) == "cuda"
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    assert kind_of(CPU) == "cpu"
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    assert kind_of(CPU) == "cpu with AMX"
    monkeypatch.undo()
    config = composed("model=dcgan", "model.width=4", "data.image_size=16", "precision=bf16")
    for kind, is_last in (("cpu", False), ("cpu with AMX", True)):
        monkeypatch.setattr("gan_cli.networks.speed.kind_of", lambda _, kind=kind: kind)
        game = build_state(config, load_data(config), CPU).game
        weights = [p for p in game.parameters() if p.dim() == 4 and min(p.shape[:2]) > 1]
        assert weights
        for weight in weights:
            assert weight.is_contiguous(memory_format=torch.channels_last) is is_last
