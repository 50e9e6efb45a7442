"""Algorithm 1: who moves when, on what noise, and that nobody else does."""

import os
import signal
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gan_cli.data.base import Dataset
from gan_cli.data.batches import MemoryBatches
from gan_cli.errors import DivergedError
from gan_cli.games.base import Scalars, evaluating
from gan_cli.games.gan import GAN
from gan_cli.losses import NonSaturating
from gan_cli.noise import Normal
from gan_cli.schedules import Constant, LinearDecay, Schedule
from gan_cli.seeding import seed_global_streams
from gan_cli.spec import Batch, DataSpec
from gan_cli.system.stopping import StopRequest
from gan_cli.training.finite import Player, require_finite
from gan_cli.training.loop import Cadence, train
from gan_cli.training.state import TrainState
from gan_cli.training.turn import Freezable, Move, Turn, play

CPU = torch.device("cpu")


class Network(nn.Module):
    """Linear map with dropout, in a generator's and in a discriminator's shape."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, 5), nn.Dropout(0.5), nn.Linear(5, outputs))
        self.outputs = outputs

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        y: Tensor = self.layers(x)
        return y.squeeze(1) if self.outputs == 1 else y


class Spy(GAN):
    """Notes each call: whose turn, which data, and how many fakes were drawn."""

    def __init__(self) -> None:
        super().__init__(
            Network(3, 2), Network(2, 1), noise=Normal(3, std=1.0),
            loss=NonSaturating(d_weight=1.0), spec=DataSpec((2,), None),
        )  # fmt: skip
        self.calls: list[tuple[str, Tensor]] = []
        self.drawn: list[Tensor] = []
        self.seed_noise(0, device=CPU)

    def fakes(self, batch: Batch) -> Tensor:
        x = super().fakes(batch)
        self.drawn.append(x.detach())
        return x

    def d_loss(self, batch: Batch) -> tuple[Tensor, Scalars]:
        self.calls.append(("d", batch.x))
        return super().d_loss(batch)

    def g_loss(self, batch: Batch) -> tuple[Tensor, Scalars]:
        self.calls.append(("g", batch.x))
        return super().g_loss(batch)


class Notes:
    """A recorder that keeps what it gets."""

    def __init__(self) -> None:
        self.lines: dict[int, dict[str, float]] = {}
        self.samples: list[int] = []
        self.saves: list[int] = []

    def advance(self, step: int) -> None:
        pass

    def log(self, step: int, scalars: dict[str, float]) -> None:
        self.lines[step] = scalars

    def sample(self, step: int) -> dict[str, float]:
        self.samples.append(step)
        return {}

    def evaluate(self, step: int) -> dict[str, float]:
        return {}

    def save(self, step: int) -> None:
        self.saves.append(step)

    def is_over(self) -> bool:
        return False


def session(schedule: Schedule | None = None) -> TrainState:
    seed_global_streams(0)
    game = Spy()
    data = Dataset(torch.randn(40, 2), None, DataSpec((2,), None))
    optimizers: dict[Player, torch.optim.Optimizer] = {
        "d": torch.optim.Adam(game.discriminators.parameters(), lr=0.01),
        "g": torch.optim.Adam(game.generators.parameters(), lr=0.02),
    }
    for optimizer in optimizers.values():
        optimizer.param_groups[0]["initial_lr"] = optimizer.param_groups[0]["lr"]
    return TrainState(
        game=game,
        optimizers=optimizers,
        schedule=schedule or Constant(),
        batches=MemoryBatches(data, 8, seed=0, device=CPU),
        device=CPU,
    )


def run(s: TrainState, steps: int, *, k: int = 1, g_moves: int = 1, log: int = 1,
        stop: StopRequest | None = None,
        max_minutes: float | None = None) -> tuple[str, Notes]:  # fmt: skip
    notes = Notes()
    turns: dict[Player, Turn] = {"d": Turn(s.game, "d"), "g": Turn(s.game, "g")}
    reason = train(
        s,
        turns,
        notes,
        stop or StopRequest(),
        k=k,
        g_moves=g_moves,
        steps=steps,
        max_minutes=max_minutes,
        cadence=Cadence(log=log, sample=2, checkpoint=3),
        move=Move(),
    )
    return reason, notes


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in module.state_dict().items()}


def same(module: nn.Module, before: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


@pytest.mark.parametrize("player", ["d", "g"])
def test_a_move_changes_the_mover_alone(player: Player) -> None:
    s = session()
    mover, opponent = s.game.discriminators, s.game.generators
    if player == "g":
        mover, opponent = opponent, mover
    before = snapshot(mover), snapshot(opponent)
    scalars = play(
        Turn(s.game, player),
        s.optimizers[player],
        batch=next(s.batches),
        move=Move(),
        log_due=True,
    )
    assert not same(mover, before[0])
    assert same(opponent, before[1])
    assert all(p.grad is None for p in opponent.parameters())
    assert all(p.requires_grad for p in s.game.parameters())
    norm = torch.cat([p.grad.flatten() for p in mover.parameters()]).norm()  # type: ignore[union-attr]
    torch.testing.assert_close(scalars[f"grad_norm/{player}"], norm)
    assert not any(value.requires_grad for value in scalars.values())


def test_frozen_restores_what_it_found() -> None:
    network = Network(2, 2)
    network.layers[0].requires_grad_(False)
    before = [p.requires_grad for p in network.parameters()]
    with Freezable(network).frozen():
        assert not any(p.requires_grad for p in network.parameters())
    assert [p.requires_grad for p in network.parameters()] == before


@pytest.mark.parametrize(("k", "g_moves"), [(1, 1), (3, 1), (1, 5), (2, 3)])
def test_algorithm_1_order_and_fresh_noise(k: int, g_moves: int) -> None:
    s = session()
    _, notes = run(s, 2, k=k, g_moves=g_moves)
    game = s.game
    assert isinstance(game, Spy)
    assert [who for who, _ in game.calls] == (["d"] * k + ["g"] * g_moves) * 2
    reals = [tuple(x.flatten().tolist()) for _, x in game.calls]
    fresh = k + g_moves - 1  # a new batch each time, but G's first move takes that of D's last
    assert len(set(reals)) == 2 * fresh
    assert reals[k - 1] == reals[k]
    assert s.batches.next_batch == 2 * fresh
    noises = {tuple(x.flatten().tolist()) for x in game.drawn}
    assert len(noises) == 2 * (k + g_moves)  # and new noise for all
    assert game.moves == {"d": 2 * k, "g": 2 * g_moves}
    assert list(notes.lines) == [1, 2]


def test_a_line_is_of_the_last_move_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    s, losses = session(), []
    g_loss = s.game.g_loss

    def noted(batch: Batch) -> tuple[Tensor, Scalars]:
        loss, scalars = g_loss(batch)
        losses.append(loss.item())
        return loss, scalars

    monkeypatch.setattr(s.game, "g_loss", noted)
    _, notes = run(s, 1, g_moves=3)
    assert len(set(losses)) == 3
    assert notes.lines[1]["loss/g"] == losses[-1]


def test_cadence_and_keys() -> None:
    _, notes = run(session(), 7, log=2)
    assert list(notes.lines) == [2, 4, 6]
    assert notes.samples == [2, 4, 6]
    assert notes.saves == [3, 6]
    assert notes.lines[2].keys() == {
        "loss/d", "loss/g", "prob/real", "prob/fake", "value", "divergence/jsd_bound",
        "grad_norm/d", "grad_norm/g", "lr/d", "lr/g", "time", "images_per_s",
        "system/data_wait",
    }  # fmt: skip
    line = notes.lines[2]
    assert line["value"] == pytest.approx(-line["loss/d"], rel=1e-5)
    assert (line["lr/d"], line["lr/g"]) == (0.01, 0.02)


def test_schedule_reaches_both_optimizers() -> None:
    _, notes = run(session(LinearDecay(constant_steps=2, decay_steps=4)), 6)
    rates = [(line["lr/d"], line["lr/g"]) for line in notes.lines.values()]
    expected = [(0.01 * f, 0.02 * f) for f in (1, 1, 1, 0.75, 0.5, 0.25)]
    assert rates == [pytest.approx(pair) for pair in expected]


def test_nothing_depends_on_steps() -> None:
    whole = session()
    run(whole, 6)
    halves = session()
    run(halves, 3)
    state = halves.state_dict()
    torch.manual_seed(123)  # whatever happens between two processes
    resumed = session()
    torch.rand(5)
    resumed.load_state_dict(state)
    run(resumed, 6)
    for key, value in whole.game.state_dict().items():
        other = resumed.game.state_dict()[key]
        assert (
            torch.equal(value["rng"], other["rng"])
            if key == "_extra_state"
            else torch.equal(value, other)
        )


def test_stopping() -> None:
    stop = StopRequest()
    stop.signal_number = 15
    s = session()
    assert run(s, 5, stop=stop)[0] == "signal"
    assert s.step == 0
    assert (stop.exit_code, stop.name) == (143, "SIGTERM")
    assert run(s, 5, max_minutes=0.0)[0] == "time"
    assert run(s, 5)[0] == "done"
    assert s.step == 5


def test_an_ignored_hang_up_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.signal_number is None
            os.kill(os.getpid(), signal.SIGUSR1)
            assert (stop.exit_code, stop.name) == (138, "SIGUSR1")
    finally:
        signal.signal(signal.SIGHUP, before)


def test_divergence_stops_and_names_the_number() -> None:
    s = session()
    with torch.no_grad():
        next(s.game.generators.parameters()).fill_(float("nan"))
    with pytest.raises(DivergedError, match=r"step 1, in D's move: loss/d=nan.*G's weights"):
        run(s, 5)
    require_finite({"loss/d": 1.0}, 1)


def test_evaluating_restores_modes() -> None:
    network = Network(2, 2)
    network.layers[1].eval()
    with evaluating(network):
        assert not network.training
        assert not torch.is_grad_enabled()
    assert network.training
    assert not network.layers[1].training


def test_second_signal_interrupts(tmp_path: Path) -> None:
    stop = StopRequest()
    stop._note(2, None)
    assert stop.signal_number == 2
    stop._note(15, None)  # a sweep tells its jobs what the terminal has told them already
    assert stop.signal_number == 2
    with pytest.raises(KeyboardInterrupt):
        stop._note(2, None)


def test_losses_are_computed_in_full_precision_under_autocast() -> None:
    game = session().game
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, scalars = game.d_loss(Batch(torch.randn(64, 2), None))
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.detach(), -scalars["value"])
