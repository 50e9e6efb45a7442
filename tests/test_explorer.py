"""The generator in a report: what is written down of it, and that a browser computes the same."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gan_cli import load
from gan_cli.games.from_noise import FromNoise
from gan_cli.page.explore import MOST_WEIGHTS, SCRIPTS, STYLES, explorer
from gan_cli.page.functions import RULES
from gan_cli.page.graph import encoded, export
from gan_cli.page.trace import UnknownLayer
from tests.conftest import Cli
from tests.pages import Browser, chromium, minimal

TINY = ["steps=6", "data.batch_size=16", "sample_every=0", "eval_every=0", "threads=1", "name=run"]
DIGITS, RING = "data=digits", "data=ring"

#: Arguments of gan-train, by what they try.
VANILLA = {
    "relu": [DIGITS],
    "leaky, average": [DIGITS, "model.generator.activation=leaky_relu", "ema.decay=0.9"],
    "maxout, [0,1]": [DIGITS, "model.generator.activation=maxout", "data.pixel_range=[0,1]"],
    "tanh, dropout": [DIGITS, "model.generator.activation=tanh", "model.generator.dropout=0.5"],
    "silu, uniform": [DIGITS, "model.generator.activation=silu", "noise=uniform"],
    "dropout in sampling": [
        DIGITS, "model.generator.dropout=0.3", "model.generator.dropout_in_sampling=true",
    ],
    "fourier, spherical": [DIGITS, "model.generator.fourier_features=64", "noise=spherical"],
    "no hidden layer": [DIGITS, "model.generator.hidden=[]", "noise.dim=3"],
    "line": ["data=mixture_1d", "noise.dim=1"],
    "plane": [RING, "noise.dim=2", "model.discriminator.fourier_features=32"],
    "line, maxout D": ["data=gaussian", "model.discriminator.activation=maxout",
                       "model.discriminator.dropout=0.5", "model.discriminator.dropout_input=0.2"],
}  # fmt: skip
SMALL = ["model.width=8"]
CONVOLUTIONS = {
    "8": ["model=dcgan", DIGITS],
    "28": ["model=dcgan", DIGITS, "data.image_size=28", *SMALL],
    "32, nearest": ["model=dcgan", DIGITS, "data.image_size=32", *SMALL,
                    "model.generator.upsampling=nearest"],
    "16x24, kernel 5": ["model=dcgan", DIGITS, "data.image_size=[16,24]", *SMALL,
                        "model.generator.kernel_size=5"],
    "28x56, nearest, plain": ["model=dcgan", DIGITS, "data.image_size=[28,56]", *SMALL,
                              "model.generator.upsampling=nearest", "performance=plain"],
    "instance, hidden": ["model=dcgan", DIGITS, "model.norm=instance", "model.generator.hidden=12"],
    "layer, plain gains": ["model=dcgan", DIGITS, "model.norm=layer", "ema.decay=0.9",
                           "model.generator.norm_affine=false"],
    "none, spectral": ["model=dcgan", DIGITS, "model.norm=none", *SMALL,
                       "model.generator.spectral_norm=true"],
    "batch, hidden, plain gains": ["model=dcgan", DIGITS, "model.generator.hidden=12",
                                   "model.generator.norm_affine=false", "performance=plain"],
}  # fmt: skip
CONDITIONAL = {
    "every layer": ["model=cgan", DIGITS],
    "input, projection, hidden": ["model=cgan", DIGITS, "model.generator.labels=input",
                                  "model.discriminator.labels=projection",
                                  "model.generator.hidden=12", "ema.decay=0.9"],
    "28, nearest": ["model=cgan", DIGITS, "data.image_size=28", *SMALL,
                    "model.generator.upsampling=nearest"],
    "perceptrons": ["model=cgan", DIGITS, "model.backbone=mlp"],
    "maxout": ["model=cgan", DIGITS, "model.backbone=mlp", "model.generator.activation=maxout",
               "model.generator.maxout_pieces=3", "model.generator.joint_maxout_pieces=2",
               "model.generator.noise_hidden=40", "model.generator.label_hidden=20",
               "model.generator.joint_hidden=[30,30]"],
    "perceptrons, dropout": ["model=cgan", DIGITS, "model.backbone=mlp",
                             "model.generator.dropout=0.5",
                             "model.generator.dropout_in_sampling=true",
                             "model.generator.joint_hidden=[100]"],
    "points": ["model=cgan", RING, "model.backbone=mlp"],
}  # fmt: skip
CASES = [
    pytest.param(arguments, id=f"{family}: {name}")
    for family, cases in (("v", VANILLA), ("conv", CONVOLUTIONS), ("c", CONDITIONAL))
    for name, arguments in cases.items()
]


def train(cli: Cli, *arguments: str) -> Path:
    done = cli(*TINY, *arguments)
    assert done.code == 0, done.err
    return Path("outputs/run")


def payload_of(run: Path, bits: Any = 16) -> dict[str, Any]:
    written = explorer(run, bits=bits)
    assert written.reason is None, written.reason
    assert written.payload is not None
    json.dumps(written.payload, allow_nan=False)
    return written.payload


def game_of(run: Path) -> FromNoise:
    game = load(run).game
    assert isinstance(game, FromNoise)
    return game


def drawn(game: FromNoise, n: int = 64) -> tuple[Tensor, Tensor | None]:
    z = game.draw_noise(n, seed=3)
    return z, torch.arange(n) % game.spec.classes if game.conditional else None


def names(payload: dict[str, Any], network: str = "generator") -> list[str]:
    return [step["name"] for step in payload[network]["steps"]]


# What is written down.


def test_steps_of_a_perceptron(cli: Cli) -> None:
    payload = payload_of(train(cli, DIGITS, "model.generator.hidden=[20]"))
    assert names(payload) == ["linear", "relu", "linear", "tanh"]
    assert payload["generator"]["weights"] == 64 * 20 + 20 + 20 * 64 + 64
    assert [step["inputs"] for step in payload["generator"]["steps"]] == [[0], [2], [3], [4]]
    assert payload["shape"] == [1, 8, 8]
    assert payload["range"] == [-1.0, 1.0]
    assert payload["noise"] == {"kind": "normal", "dim": 64, "std": 1.0}
    assert payload["discriminator"] is payload["density"] is None
    assert payload["classes"] == []
    assert payload["step"] == 6


def test_batch_norm_becomes_scale_and_shift(cli: Cli) -> None:
    payload = payload_of(train(cli, "model=dcgan", DIGITS, *SMALL))
    assert names(payload) == ["linear", "affine", "relu", "deconv", "tanh"]
    scales = payload["generator"]["steps"][1]["scale"]
    assert scales["bits"] == 32
    numbers = np.frombuffer(base64.b64decode(scales["data"]), "<f4")
    assert len(set(numbers)) > 1, "running statistics differ by channel"


def test_dropout_is_a_step_only_where_samples_have_it(cli: Cli) -> None:
    plain = payload_of(train(cli, DIGITS, "model.generator.dropout=0.5"))
    assert "drop" not in names(plain)


def test_averaged_weights_are_taken(cli: Cli) -> None:
    run = train(cli, DIGITS, "ema.decay=0.9")
    payload, game = payload_of(run, 32), game_of(run)
    assert payload["averaged"] is True
    stored = np.frombuffer(
        base64.b64decode(payload["generator"]["steps"][0]["weight"]["data"]), "<f4"
    )
    average, own = (
        next(network.parameters()).detach().flatten().numpy()
        for network in (game.generators_in_use, game.generators)
    )
    assert np.array_equal(stored, average)
    assert not np.array_equal(stored, own)


def test_conditional_models_name_their_classes(cli: Cli) -> None:
    payload = payload_of(train(cli, "model=cgan", DIGITS, *SMALL))
    assert payload["classes"] == [str(label) for label in range(10)]
    assert payload["check"]["labels"] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("arguments", "noise"),
    [
        (["noise=uniform"], {"kind": "uniform", "dim": 4, "low": -1.0, "high": 1.0}),
        (["noise=spherical"], {"kind": "spherical", "dim": 4}),
        (["noise.std=2"], {"kind": "normal", "dim": 4, "std": 2.0}),
    ],
)
def test_noise(cli: Cli, arguments: list[str], noise: dict[str, Any]) -> None:
    assert payload_of(train(cli, DIGITS, "noise.dim=4", *arguments))["noise"] == noise


def test_points_bring_density_and_d(cli: Cli) -> None:
    payload = payload_of(train(cli, RING))
    assert len(payload["density"]["means"]) == len(payload["density"]["stds"]) == 8
    assert payload["range"] is None
    assert payload["discriminator"]["log_odds"] is True
    assert payload["discriminator"]["size"] == 1
    assert payload["discriminator"]["input"] == 2


def test_scores_are_no_probabilities(cli: Cli) -> None:
    payload = payload_of(train(cli, "data=gaussian", "loss=least_squares"))
    assert payload["discriminator"]["log_odds"] is False


def test_a_large_d_is_left_out_alone(cli: Cli) -> None:
    payload = payload_of(train(cli, RING, "model.discriminator.hidden=[2000,1200]"))
    assert payload["discriminator"] is None
    assert payload["without"].startswith("The discriminator has 2,408")


# Reasons to leave it out.


def reason(run: Path) -> str:
    written = explorer(run)
    assert written.payload is None
    assert written.reason is not None
    assert written.reason.endswith(".")
    return written.reason


def test_too_many_weights(cli: Cli) -> None:
    run = train(cli, DIGITS, "model.generator.hidden=[1500,1300]")
    assert reason(run).endswith(f"weights; a page holds {MOST_WEIGHTS:,} at most.")


def test_points_in_many_dimensions(cli: Cli) -> None:
    assert reason(train(cli, "data=gaussian", "data.dim=5")) == (
        "Points in 5 dimensions have no picture."
    )


def test_translation(cli: Cli) -> None:
    run = train(cli, "model=cyclegan", "model.width=4", "data.image_size=32", "steps=1")
    assert reason(run).startswith("The model translates images")


def test_damage(cli: Cli, tmp_path: Path) -> None:
    nothing = "The run holds no checkpoint that can be loaded."
    assert reason(tmp_path / "nowhere") == nothing
    assert reason(tmp_path) == nothing
    run = train(cli, DIGITS)
    for file in (run / "checkpoints").glob("*.pt"):
        file.write_bytes(file.read_bytes()[:1000])
    assert reason(run) == nothing


class Folding(nn.Module):
    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return torch.cumsum(x, dim=1)


class Deciding(nn.Module):
    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return torch.tanh(x) if x[0, 0] > 0 else torch.cos(x)


class Remembering(nn.Module):
    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return torch.tanh(x) + torch.tensor(x.tolist())


class Constant(nn.Module):
    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return torch.ones(1, 2)


@pytest.mark.parametrize("network", [Folding(), Deciding(), Remembering(), Constant()])
def test_unknown_layers_are_refused(network: nn.Module) -> None:
    x = torch.tensor([[1.0, 2.0], [-1.0, 3.0]])
    with pytest.raises(UnknownLayer):
        export(network, x, None, bits=16)


def test_an_unknown_layer_is_a_reason(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    run = train(cli, DIGITS)
    monkeypatch.delitem(RULES, "relu")
    assert reason(run) == (
        "The page does not know a layer of the generator: relu is not among the functions of a "
        "page."
    )


def test_weights_must_be_finite() -> None:
    network = nn.Linear(2, 2)
    with torch.no_grad():
        network.weight[0, 0] = torch.nan

    class Alone(nn.Module):
        def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
            y: Tensor = network(x)
            return y

    with pytest.raises(ValueError, match="not finite"):
        export(Alone(), torch.randn(2, 2), None, bits=16)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_sixteen_bits_keep_rows(scale: float) -> None:
    weight = scale * torch.randn(5, 300) * torch.tensor([[1e-3], [1.0], [10.0], [0.0], [1e3]])
    stored = encoded(weight, 16)
    numbers = np.frombuffer(base64.b64decode(stored["data"]), "<i2").reshape(5, 300)
    scales = np.frombuffer(base64.b64decode(stored["scales"]), "<f4")
    error = np.abs(numbers * scales[:, None] - weight.numpy())
    assert (error <= weight.abs().amax(dim=1, keepdim=True).numpy() / 65000).all()


def test_exporting_changes_nothing(cli: Cli) -> None:
    game = game_of(train(cli, "model=dcgan", DIGITS, *SMALL))
    network = game.generators_in_use
    before = copy.deepcopy(network.state_dict())
    stream = torch.get_rng_state()
    export(network, game.draw_noise(2, seed=0), None, bits=16)
    assert torch.equal(stream, torch.get_rng_state())
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert not any(part._forward_hooks for part in network.modules())


def test_scripts_do_nothing_that_a_strict_page_refuses() -> None:
    text = "\n".join(SCRIPTS) + STYLES
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                 "new Function", "import(", "http:", "https:", "</script", "url("):  # fmt: skip
        assert word not in text, word
    assert all(script.startswith('"use strict";') for script in SCRIPTS)
    assert all(len(script.splitlines()) < 300 for script in SCRIPTS)


# In a browser.


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("pages")) as opened:
        yield opened


COMPUTE = (
    "const [network, x, labels] = arguments;"
    "return Array.from(ganForward(ganPrepare(payload[network]), Float32Array.from(x), labels));"
)


def difference(
    browser: Browser, network: str, inputs: Tensor, y: Tensor | None, x: Tensor
) -> float:
    """The largest difference of the page's outputs from PyTorch's."""
    labels = None if y is None else y.tolist()
    outputs = browser.run(COMPUTE, network, inputs.flatten().tolist(), labels)
    assert len(outputs) == x.numel()
    return float((torch.tensor(outputs) - x.flatten()).abs().max())


@pytest.mark.browser
@pytest.mark.parametrize("arguments", CASES)
def test_a_browser_computes_the_same(cli: Cli, browser: Browser, arguments: list[str]) -> None:
    run = train(cli, *arguments)
    game = game_of(run)
    z, y = drawn(game)
    x = game.map_noise(z, y)
    low, high = game.spec.value_range or (float(x.min()), float(x.max()))
    for bits, most in ((16, 1e-3), (32, 1e-4)):
        payload = payload_of(run, bits)
        browser.open(minimal(payload, after=""))
        assert difference(browser, "generator", z, y, x) < most * (high - low)
        if game.spec.is_image:
            continue
        with torch.no_grad():
            logits = game.eval().discriminator(x, y)
        scale = float(logits.max() - logits.min())
        assert difference(browser, "discriminator", x, y, logits) < most * scale
    assert not browser.complaints()


SPEED = (
    "const net = ganPrepare(payload.generator); const n = arguments[0];"
    "const z = ganDraw(payload.noise, 1, 0, n); ganForward(net, z, null);"
    "const start = performance.now(); ganForward(net, z, null);"
    "return 1000 * n / (performance.now() - start);"
)


@pytest.mark.browser
@pytest.mark.parametrize(
    ("arguments", "least", "n"),
    [
        ([DIGITS], 30, 200),
        ([DIGITS, "data.image_size=28"], 30, 200),
        (["model=dcgan", DIGITS, "data.image_size=28", "steps=1"], 5, 20),
    ],
)
def test_speed(
    cli: Cli,
    browser: Browser,
    record_property: Callable[[str, object], None],
    arguments: list[str],
    least: int,
    n: int,
) -> None:
    browser.open(minimal(payload_of(train(cli, *arguments)), after=""))
    rate = browser.run(SPEED, n)
    record_property("pictures_per_second", round(rate))
    assert rate > least


@pytest.mark.browser
def test_the_noise_of_the_page(cli: Cli, browser: Browser) -> None:
    browser.open(minimal({}, after=""))
    for noise, mean, spread in (
        ({"kind": "normal", "dim": 4, "std": 2.0}, 0.0, 2.0),
        ({"kind": "uniform", "dim": 4, "low": 0.0, "high": 1.0}, 0.5, 12**-0.5),
        ({"kind": "spherical", "dim": 4}, 0.0, 0.5),
    ):
        z = np.array(browser.run("return Array.from(ganDraw(arguments[0], 5, 0, 5000))", noise))
        assert abs(z.mean() - mean) < 0.03 * spread
        assert abs(z.std() / spread - 1) < 0.02
        later = browser.run("return Array.from(ganDraw(arguments[0], 5, 7, 1))", noise)
        assert later == z.reshape(-1, 4)[7].tolist(), "a sample does not depend on the others"
        if noise["kind"] == "spherical":
            assert np.allclose(np.linalg.norm(z.reshape(-1, 4), axis=1), 1, atol=1e-6)
