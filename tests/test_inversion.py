"""z from x: closed forms, the prior's support, labels; and the modes invert and reconstruct."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from gan_cli.claims.lab import Given, Lab
from gan_cli.cli import commands
from gan_cli.evaluation.inversion import invert
from gan_cli.games.from_noise import FromNoise
from gan_cli.noise import Normal, Spherical, Uniform
from tests.conftest import Cli, Result

TINY = ["steps=2", "data.batch_size=8", "sample_every=0"]
QUICK = ["starts=2", "steps=3"]
LINE = torch.tensor([[0.6, 0.8]])  # G's image: a line through 0 in the plane


def game_of(folder: Path, generator: nn.Module, *overrides: str) -> FromNoise:
    discriminator = Given(lambda x: x.sum(dim=1))
    return Lab(folder).game(generator, discriminator, "data=ring", *overrides)


def test_the_nearest_point_of_the_image_is_found(tmp_path: Path) -> None:
    game = game_of(tmp_path, Given(lambda z: z @ LINE), "noise=normal", "noise.dim=1")
    x = torch.tensor([[0.6, 0.8], [0.8, -0.6], [2.0, 1.0]])
    result = invert(game, x, starts=3, steps=300)
    z = x @ LINE[0]  # the orthogonal projection
    torch.testing.assert_close(result.z[:, 0], z, atol=1e-3, rtol=0)
    error = (x - z[:, None] * LINE).square().mean(dim=1)
    torch.testing.assert_close(result.errors, error, atol=1e-5, rtol=0)
    torch.testing.assert_close(result.x, result.z @ LINE)
    assert result.all_z.shape == (3, 3, 1)
    assert torch.equal(result.errors, result.all_errors.min(dim=1).values)
    assert result.labels is None
    again = invert(game, x, starts=3, steps=300)
    assert torch.equal(again.z, result.z)


@pytest.mark.parametrize("noise", ["uniform", "spherical"])
def test_z_stays_where_the_prior_lies(tmp_path: Path, noise: str) -> None:
    game = game_of(tmp_path, Given(lambda z: 2 * z), f"noise={noise}", "noise.dim=2")
    x = torch.tensor([[6.0, 0.0], [0.0, -6.0], [1.0, 1.0]])  # two are out of reach
    result = invert(game, x, starts=4, steps=200)
    if noise == "uniform":
        expected = (x / 2).clamp(-1, 1)
        assert result.all_z.abs().max() <= 1
    else:
        expected = x / x.norm(dim=1, keepdim=True)
        torch.testing.assert_close(result.all_z.norm(dim=2), torch.ones(3, 4))
    torch.testing.assert_close(result.z, expected, atol=0.01, rtol=0)


def test_nearest_points_of_priors() -> None:
    z = torch.tensor([[3.0, -4.0]])
    assert torch.equal(Normal(2, std=1.0).nearest(z), z)
    assert torch.equal(Uniform(2, low=-1, high=2).nearest(z), torch.tensor([[2.0, -1.0]]))
    torch.testing.assert_close(Spherical(2).nearest(z), torch.tensor([[0.6, -0.8]]))


class Labelled(nn.Module):
    """Each label has a square of the plane of its own, 10 apart."""

    conditional = True

    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(1))

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return z + 10 * labels[:, None] + self.offset


def test_the_best_label_is_found(tmp_path: Path) -> None:
    game = game_of(tmp_path, Labelled(), "model=cgan", "model/backbone@model=mlp", "noise=uniform",
                   "noise.dim=2")  # fmt: skip
    x = torch.tensor([[20.5, 19.5], [0.0, 0.3]])
    result = invert(game, x, labels=torch.tensor([[0, 1, 2], [0, 1, 2]]), starts=2, steps=100)
    assert result.labels is not None
    assert result.labels.tolist() == [2, 0]
    torch.testing.assert_close(result.z, torch.tensor([[0.5, -0.5], [0.0, 0.3]]), atol=0.01, rtol=0)
    assert result.all_errors.shape == (2, 6)


def test_training_mode_and_gradients_are_left_as_they_were(tmp_path: Path) -> None:
    experiment = Lab(tmp_path).experiment("data=ring", "noise.dim=2")
    game = experiment.game.train()
    invert(game, torch.zeros(1, 2), starts=1, steps=2)
    assert game.generator.training
    assert all(p.grad is None and p.requires_grad for p in game.generator.parameters())


def sample(cli: Cli, run: str, *arguments: str) -> Result:
    return cli(f"run=outputs/{run}", *arguments, app=commands.SAMPLE)


def test_a_sample_is_found_again_in_its_file(cli: Cli) -> None:
    assert cli(*TINY, "name=v", "noise.dim=5").code == 0
    assert sample(cli, "v", "mode=images", "n=3", "out=x").code == 0
    found = sample(cli, "v", "mode=invert", "input=x", "out=y")
    assert found.code == 0, found.err
    lines = found.out.splitlines()
    errors = [float(line.split(": ")[1]) for line in lines if line.startswith(("0.", "1.", "2."))]
    assert len(errors) == 3
    # Rounding to bytes alone costs up to (1/255)^2.
    assert max(errors) < 1e-4
    assert Path("y.png").is_file()
    assert sample(cli, "v", "mode=invert", "input=x/0.png", *QUICK).code == 0


def test_reconstruction_takes_held_out_data_or_pictures(cli: Cli) -> None:
    assert cli(*TINY, "name=v", "noise.dim=5", "data.validation=20").code == 0
    result = sample(cli, "v", "mode=reconstruct", "n=4", *QUICK)
    assert result.code == 0, result.err
    assert "4 held out: " in result.out
    assert "4 own samples: " in result.out
    Path("x").mkdir()
    for name in ("a.jpg", "b.png"):
        Image.fromarray(np.zeros((30, 20, 3), np.uint8)).save(f"x/{name}")
    result = sample(cli, "v", "mode=reconstruct", "input=x", *QUICK)
    assert "2 pictures: " in result.out
    assert cli(*TINY, "name=r", "data=ring").code == 0
    result = sample(cli, "r", "mode=reconstruct", "n=5", *QUICK)
    assert result.code == 0, result.err
    assert "5 held out" in result.out


def test_labels_of_conditional_models(cli: Cli) -> None:
    keys = ["model=cgan", "model.width=2", "noise.dim=5", "data.validation=50"]
    assert cli(*TINY, "name=c", *keys).code == 0
    assert sample(cli, "c", "mode=images", "labels=3", "n=2", "out=x").code == 0
    result = sample(cli, "c", "mode=invert", "input=x/3", "steps=60", "starts=2")
    assert result.code == 0, result.err
    assert result.out.count(", label ") == 2
    result = sample(cli, "c", "mode=invert", "input=x/3", "labels=3", *QUICK)
    assert ", label" not in result.out
    result = sample(cli, "c", "mode=reconstruct", "labels=[3,5]", "n=6", *QUICK)
    assert result.code == 0, result.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mode=invert"], "input=null: mode=invert needs a picture, or a folder of pictures"),
        (["mode=reconstruct"], "Train with data.validation=N, which holds N out"),
        (["mode=invert", "input=nothing"], "input=nothing: no such file"),
        (["mode=invert", "input=text"], "input=text/a.txt: cannot be used"),
        (["mode=invert", "input=empty"], "has 0 files"),
        (["mode=invert", "input=text", "n=3"], "all pictures of input are taken"),
        (["input=text"], "only mode=invert and mode=reconstruct use it"),
        (["starts=3"], "only mode=invert and mode=reconstruct use it"),
        (["mode=reconstruct", "starts=0"], "starts=0: must lie between 1 and"),
        (["mode=invert", "input=text", "data.root=x"], "only mode=reconstruct and mode=filters"),
        (["mode=reconstruct", "input=text", "data.root=x"], "the pictures of input are taken"),
    ],
)
def test_mistakes_have_one_message(cli: Cli, arguments: list[str], words: str) -> None:
    assert cli(*TINY, "name=v", "noise.dim=5").code == 0
    Path("empty").mkdir()
    Path("text").mkdir()
    Path("text/a.txt").write_text("no picture")
    result = sample(cli, "v", *arguments)
    assert result.code == 2
    assert words in result.err
    assert "Traceback" not in result.err


def test_a_model_that_translates_has_no_z(cli: Cli) -> None:
    assert cli("experiment=cyclegan_digits", "steps=1", "model.width=2", "name=t").code == 0
    for mode in ("invert", "reconstruct", "filters"):
        more = ["input=."] if mode == "invert" else []
        result = sample(cli, "t", f"mode={mode}", *more)
        assert result.code == 2
        assert "draws no samples" in result.err
