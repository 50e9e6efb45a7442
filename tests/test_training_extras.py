"""Averaged weights, accumulated gradients, clipped gradients, and what composes with what."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan_cli.errors import UserError
from gan_cli.games.base import Scalars
from gan_cli.games.ema import Ema
from gan_cli.games.gan import GAN
from gan_cli.losses import NonSaturating
from gan_cli.noise import Normal
from gan_cli.settings.build import build_state, load_data
from gan_cli.settings.check import check
from gan_cli.settings.schema import groups
from gan_cli.settings.targets import places
from gan_cli.spec import Batch, DataSpec
from gan_cli.training.finite import Player
from gan_cli.training.turn import Move, Turn, play
from tests.conftest import Cli
from tests.test_config import composed
from tests.test_resume import SETTINGS, assert_same_run

CPU = torch.device("cpu")


@pytest.mark.parametrize("ramp_up", [False, True])
def test_average_is_the_closed_form(ramp_up: bool) -> None:
    source = nn.Sequential(nn.Linear(2, 2, bias=False), nn.BatchNorm1d(2)).double()
    ema = Ema(source, decay=0.9, ramp_up=ramp_up)
    expected = source[0].weight.detach().clone()
    for t in range(1, 6):
        with torch.no_grad():
            source[0].weight.normal_()
        source(torch.randn(4, 2).double())
        ema.update(source)
        decay = min(0.9, (1 + t) / (10 + t)) if ramp_up else 0.9
        expected = decay * expected + (1 - decay) * source[0].weight.detach()
    torch.testing.assert_close(ema.module[0].weight, expected)  # type: ignore[index]
    assert not any(p.requires_grad for p in ema.parameters())
    assert ema.module[1].num_batches_tracked == 5  # type: ignore[index]
    assert 0 < (ema.module[1].running_mean - source[1].running_mean).abs().max() < 1  # type: ignore[index, operator]
    with pytest.raises(ValueError, match="decay=1"):
        Ema(source, decay=1.0, ramp_up=False)


class Quadratic(GAN):
    """D's loss is the mean of (w - x)^2: its gradient is linear in the batch."""

    def __init__(self) -> None:
        networks = (nn.Linear(1, 1, bias=False).double() for _ in range(2))
        loss, spec = NonSaturating(d_weight=1.0), DataSpec((1,), None)
        super().__init__(*networks, noise=Normal(1, std=1.0), loss=loss, spec=spec)

    def d_loss(self, batch: Batch) -> tuple[Tensor, Scalars]:
        loss = (self.discriminator.weight - batch.x).square().mean()  # type: ignore[operator]
        return loss, {"loss/d": loss.detach()}


def one_move(move: Move) -> tuple[float, Scalars]:
    torch.manual_seed(0)
    game = Quadratic()
    optimizer = torch.optim.SGD(game.discriminators.parameters(), lr=0.1)
    batch = Batch(torch.arange(12.0).double().view(12, 1), torch.arange(12))
    scalars = play(Turn(game, "d"), optimizer, batch=batch, move=move, log_due=True)
    assert game.moves == {"d": 1, "g": 0}
    return next(game.discriminators.parameters()).item(), scalars


@pytest.mark.parametrize("parts", [2, 3, 12])
def test_accumulated_gradients_are_the_whole_batchs(parts: int) -> None:
    (whole, scalars), (parted, of_parts) = one_move(Move()), one_move(Move(micro_batches=parts))
    assert parted == pytest.approx(whole, rel=1e-12)
    for key, value in scalars.items():
        torch.testing.assert_close(of_parts[key], value)


def test_gradients_are_clipped_after_they_are_measured() -> None:
    free, scalars = one_move(Move())
    norm = scalars["grad_norm/d"].item()
    clipped, of_clipped = one_move(Move(max_grad_norm=norm / 4))
    start, _ = one_move(Move(max_grad_norm=1e-300))
    assert of_clipped["grad_norm/d"].item() == pytest.approx(norm)
    assert clipped - start == pytest.approx((free - start) / 4, rel=1e-5)
    assert one_move(Move(max_grad_norm=2 * norm))[0] == free


NETWORKS = {
    "vanilla": ["model=vanilla", "model.generator.hidden=[8]", "model.discriminator.hidden=[8]"],
    "dcgan": ["model=dcgan", "model.width=2"],
    "cgan-conv": ["model=cgan", "model.width=2"],
    "projection": [
        "model=cgan", "model.width=2", "model.discriminator.labels=projection",
        "model.spectral_norm=true", "model.norm=layer",
    ],
    "cgan-mlp": ["model=cgan", "model/backbone@model=mlp"],
}  # fmt: skip
REGULARIZERS = ["", *groups()["regularizer"], "r1,r2", "diffaugment,instance_noise,r1"]


@pytest.fixture(scope="module")
def digits() -> Any:
    return load_data(composed("data.image_size=16"))


def refused(config: dict[str, Any]) -> str | None:
    """Why a config is refused; None if it is not."""
    try:
        check(config, trusted=True)
    except UserError as error:
        return str(error)
    return None


def makes_no_sense(network: str, loss: str, chosen: list[str]) -> bool:
    """Penalties with batch norm, clipping with spectral norm, smoothing without a target."""
    penalties = {"gradient_penalty", "r1", "r2"} & set(chosen)
    return (
        (bool(penalties) and network in ("dcgan", "cgan-conv"))
        or ("weight_clipping" in chosen and network == "projection")
        or ("label_smoothing" in chosen and loss in ("hinge", "wasserstein", "relativistic"))
    )


@pytest.mark.parametrize("regularizer", REGULARIZERS)
@pytest.mark.parametrize("loss", groups()["loss"])
@pytest.mark.parametrize("network", NETWORKS)
def test_all_pairs_train_or_are_refused_with_a_sentence(
    network: str, loss: str, regularizer: str, digits: Any
) -> None:
    config = composed(*NETWORKS[network], f"loss={loss}", "data.batch_size=8", "data.image_size=16")
    config["regularizer"] = composed(f"regularizer=[{regularizer}]")["regularizer"]
    refusal = refused(config)
    assert (refusal is not None) == makes_no_sense(network, loss, regularizer.split(","))
    if refusal is not None:
        assert refusal.startswith("regularizer")
        assert len(refusal) > 60
        return
    session = build_state(config, digits, CPU)
    game = session.game
    players: tuple[Player, ...] = ("d", "g")
    turns = {player: Turn(game, player) for player in players}
    opponents = {"d": game.generators, "g": game.discriminators}
    for _ in range(2):
        batch = next(session.batches)
        for player in players:
            mover, opponent = turns[player].parameters_moved, opponents[player]
            before = [p.detach().clone() for p in mover]
            statistics = {key: value.clone() for key, value in opponent.state_dict().items()}
            scalars = play(
                turns[player], session.optimizers[player], batch=batch,
                move=Move(), log_due=True,
            )  # fmt: skip
            assert all(torch.isfinite(value) for value in scalars.values())
            assert any(not torch.equal(p, old) for p, old in zip(mover, before, strict=True))
            for key, value in opponent.state_dict().items():
                assert torch.equal(value, statistics[key]), f"{player}'s move changed {key}"


def test_penalties_are_lazy_and_logged_in_between() -> None:
    config = composed("regularizer=r1", "regularizer.r1.interval=3", "data.batch_size=8")
    session = build_state(config, load_data(config), CPU)
    turn, seen = Turn(session.game, "d"), []
    for _ in range(7):
        scalars = play(
            turn, session.optimizers["d"],
            batch=next(session.batches), move=Move(), log_due=False,
        )  # fmt: skip
        seen.append(scalars["penalty/r1"].item())
    assert seen[0] == seen[1] == seen[2]
    assert seen[3] == seen[4] == seen[5]
    assert len({seen[0], seen[3], seen[6]}) == 3


def test_a_lazy_penalty_weighs_as_much_as_an_eager_one() -> None:
    still = ["model.discriminator.dropout=0", "model.discriminator.dropout_input=0"]
    config = composed("regularizer=r1", "regularizer.r1.interval=3", "data.batch_size=8", *still)
    session = build_state(config, load_data(config), CPU)
    game, batch = session.game, next(session.batches)
    position, losses = game.rng.get_state(), []
    for moves in (0, 1, 2, 3):
        game.rng.set_state(position)
        game.moves["d"] = moves
        losses.append(game.d_loss(batch)[0].item())
    assert losses[1] == losses[2] < losses[0] == losses[3]
    (first, _) = game._penalties_of_move["penalty/r1"]
    assert losses[0] - losses[1] == pytest.approx(3 * 10.0 * first.item(), rel=1e-4)


EXTRAS = [
    "regularizer=[diffaugment,instance_noise,r1]", "regularizer.r1.interval=3", "ema.decay=0.9",
    "accumulate=2", "max_grad_norm=1.0", "data.batch_size=20", "optimizer.lr_d=0.0004",
]  # fmt: skip


@pytest.mark.parametrize(
    "model", [["model=dcgan"], ["model=cgan", "model.spectral_norm=true", "sample_every=1"]]
)
def test_exact_resume_with_everything_on(cli: Cli, model: list[str]) -> None:
    base = [text for text in SETTINGS if "discriminator" not in text and "batch_size" not in text]
    base += [*model, "model.width=4", *EXTRAS]
    assert cli(*base, "steps=14", "name=whole").code == 0
    assert cli(*base, "steps=7", "name=halves").code == 0
    result = cli("resume=outputs/halves", "steps=14")
    assert result.code == 0
    assert "may differ" not in result.out
    assert_same_run(Path("outputs/whole"), Path("outputs/halves"))


def test_places_include_each_regularizer() -> None:
    found = places(composed("regularizer=[r1,instance_noise]"))
    assert {"regularizer.r1", "regularizer.instance_noise"} < set(found)
    config = composed("regularizer=r1")
    config["regularizer"]["r1"]["_target_"] = "gan_cli.losses.Hinge"
    with pytest.raises(UserError, match=r"regularizer\.r1\._target_"):
        check(config, trusted=True)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["accumulate=5"], "accumulate=5: data.batch_size=64 does not divide"),
        (["ema.decay=1.5"], "ema.decay=1.5"),
        (["max_grad_norm=0"], "max_grad_norm=0"),
        (["regularizer=r1", "regularizer.r1.weight=-1"], "regularizer.r1.weight=-1"),
        (["model=dcgan", "data.image_size=30"], "data.image_size=30: must halve evenly"),
        (["model=dcgan", "data=ring"], "data: are points"),
        (["model=cgan", "model.mismatch_weight=-1"], "model.mismatch_weight=-1"),
        (["model=cgan", "model/backbone@model=mlp", "data=gaussian"], "single class"),
        (
            ["model=dcgan", "data.image_size=16", "regularizer=gradient_penalty"],
            "model.discriminator.norm=layer",
        ),
        (["loss=hinge", "regularizer=label_smoothing"], "Hinge has no target to smooth"),
        (["regularizer=[weight_clipping,r1]", "model=vanilla"], "Use one of them"),
        (["data=ring", "regularizer=diffaugment"], "the data are points"),
        (["compile=true", "regularizer=r2"], "no second derivatives"),
        (["model=cgan", "data=celeba"], "data.attribute"),
        (["model=dcgan", "data.batch_size=4", "accumulate=4"], "one datum at a time"),
    ],
)
def test_bad_combinations_have_one_message(overrides: list[str], words: str) -> None:
    with pytest.raises(UserError) as error:
        check(composed(*overrides), trusted=True)
    assert words in str(error.value)
    assert str(error.value).count("data.image_size=30: must") <= 1  # G and D say it together


def test_a_loose_critic_is_noted() -> None:
    assert any("nothing bounds" in n for n in check(composed("loss=wasserstein"), trusted=True))
