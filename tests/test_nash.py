"""The duality gap: 0 at the equilibrium, what a player gains elsewhere, and nothing is moved."""

import json
import math
from pathlib import Path

import pytest
import torch

from gan_cli.claims.lab import Given, Lab
from gan_cli.cli import commands
from gan_cli.evaluation.nash import Effort, Gap, duality_gap
from gan_cli.games.from_noise import FromNoise
from tests.conftest import Cli

EFFORT = Effort(200, 256, 2e-2)


def game_of(mean: float, slope: float) -> FromNoise:
    """G(z) = mean + z, D's logit slope x; the data are N(0, 1)."""
    return Lab(Path()).experiment(
        "data=gaussian", "data.mean=0", "data.std=1", "noise.dim=1",
        generator=Given(lambda z, t: t + z, [mean]),
        discriminator=Given(lambda x, w: w * x[:, 0], [slope]),
    ).game  # fmt: skip


def gap_of(game: FromNoise, *, refit: bool) -> Gap:
    draws = torch.Generator().manual_seed(0)
    train, fresh = (torch.randn(20_000, 1, generator=draws) for _ in range(2))
    return duality_gap(game, (train, None), (fresh, None), effort=EFFORT, seed=0, refit=refit)


def test_there_is_no_gap_at_the_equilibrium() -> None:
    gap = gap_of(game_of(0.0, 0.0), refit=False)
    assert abs(gap.gap) < 0.003
    assert gap.by_d == pytest.approx(-math.log(4), abs=0.003)


def test_the_gap_is_what_both_players_gain() -> None:
    """Against D = 1/2 G gains nothing; D gains 2 JSD, as a linear logit is the best for shifts."""
    gap = gap_of(game_of(1.0, 0.0), refit=False)
    x = torch.linspace(-10, 11, 200_001, dtype=torch.float64)
    p, q = (torch.exp(-((x - mean) ** 2) / 2) / math.sqrt(2 * math.pi) for mean in (0, 1))
    best = p / (p + q)
    value = torch.trapezoid(p * best.log() + q * torch.log1p(-best), x).item()
    assert gap.by_g == pytest.approx(-math.log(4), abs=1e-6)
    # This D has no bias, so it comes to the best slope at most; V of the best is the limit.
    assert -math.log(4) + 0.01 < gap.by_d < value + 4 * gap.error
    assert gap.gap > 10 * gap.error


def test_the_game_stays_as_it_is() -> None:
    game = game_of(1.0, 0.3)
    before = {key: value.clone() for key, value in game.state_dict().items()
              if isinstance(value, torch.Tensor)}  # fmt: skip
    gap_of(game, refit=True)
    for key, value in before.items():
        assert torch.equal(game.state_dict()[key], value)
    assert all(p.requires_grad and p.grad is None for p in game.parameters())


@pytest.mark.parametrize(
    "model",
    [["data=ring", "noise.dim=2"],
     ["model=cgan", "model.width=4", "data.validation=100"]],
    ids=["points", "labelled images"],
)  # fmt: skip
def test_the_metric(cli: Cli, model: list[str]) -> None:
    short = ["steps=2", "sample_every=0", "eval_every=0", "name=run"]
    assert cli(*model, *short).code == 0
    result = cli("run=outputs/run", "metrics=[nash_gap]", "n=200", app=commands.EVALUATE)
    assert result.code == 0
    values = json.loads(Path("outputs/run/evaluation.json").read_text())
    assert values["eval/nash_gap"] > 5 * values["eval/nash_gap_error"] > 0


@pytest.mark.parametrize(
    ("model", "said"),
    [(["data=ring", "loss=hinge"], "loss=minimax"),
     (["model=dcgan", "model.width=4"], "data.validation")],
)  # fmt: skip
def test_where_there_is_no_gap_to_measure(cli: Cli, model: list[str], said: str) -> None:
    short = ["steps=1", "sample_every=0", "eval_every=0", "name=run"]
    assert cli(*model, *short).code == 0
    result = cli("run=outputs/run", "metrics=nash_gap", app=commands.EVALUATE)
    assert result.code == 2
    assert said in result.err
