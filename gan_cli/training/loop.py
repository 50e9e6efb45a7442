"""The alternating D/G loop (Goodfellow et al. 2014, Algorithm 1), for any game.

It owns order, k, freezing, backward, step and cadence, and knows no model, config or format.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils.parametrizations import _SpectralNorm

from gan_cli.data.batches import AnyBatches
from gan_cli.errors import DivergedError
from gan_cli.games.base import AVERAGE, Game, Scalars
from gan_cli.schedules import Schedule
from gan_cli.seeding import derive_seed, global_streams, restore_global_streams
from gan_cli.spec import Batch, PairBatch
from gan_cli.system.ranks import ALONE, Ranks
from gan_cli.system.stopping import StopRequest

Player = Literal["d", "g"]
#: Keys of a line that tell how training stood.
TELLING = ("loss/", "grad_norm/", "penalty/")


class Freezable:
    """The parts of a network that hold still while its opponent moves, found once."""

    def __init__(self, network: nn.Module) -> None:
        parts = list(network.modules())
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.norms = [m for m in parts if isinstance(m, _NormBase) and m.track_running_stats]
        self.spectral = [m for m in parts if isinstance(m, _SpectralNorm)]

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Nothing of it moves inside: no gradients for its weights, no new running statistics.

        Its batch norm still normalises by the batch, as the papers' code does, but its running
        averages, and the vectors of its spectral norm, are left to its own moves.
        """
        spectral = [part for part in self.spectral if part.training]
        for p in self.parameters:
            p.requires_grad_(False)
        for norm in self.norms:
            norm.track_running_stats = False
        for part in spectral:
            part.training = False
        try:
            yield
        finally:
            for p in self.parameters:
                p.requires_grad_(True)
            for norm in self.norms:
                norm.track_running_stats = True
            for part in spectral:
                part.training = True


class Turn(nn.Module):
    """One player's move as one module forward: one region to compile, one forward a backward."""

    def __init__(self, game: Game[Any], player: Player) -> None:
        super().__init__()
        self.game, self.player = game, player
        self.mover = game.discriminators if player == "d" else game.generators
        self.opponent = Freezable(game.generators if player == "d" else game.discriminators)
        self.parameters_moved = [p for p in self.mover.parameters() if p.requires_grad]
        #: This turn, with gradients exchanged between processes; in a list, or it would be a
        #: part of itself.
        self._joint: list[DistributedDataParallel] = []
        self._in_graphs = False

    def compile_for(self, device: torch.device, *, parts: int) -> None:
        """Compile the move; on CUDA it is replayed as graphs, which spares most launches.

        What cannot be compiled runs as it is, with a warning from PyTorch.

        Args:
            device: where the game is played.
            parts: of a batch; with several, one would write over what the game keeps of another.
        """
        torch._dynamo.config.suppress_errors = True
        self._in_graphs = device.type == "cuda" and parts == 1
        self.compile(mode="reduce-overhead" if self._in_graphs else "default")

    def join(self, ranks: Ranks) -> None:
        """Let backward leave the mean of all processes' gradients.

        Running averages of batch norm are each process's own: nothing in training reads them, and
        those of rank 0 are the ones that are saved.
        """
        if ranks.alone:
            return
        device = self.parameters_moved[0].device
        # Only the mover's gradients are exchanged, and no buffers, not even at the start, as
        # broadcast_buffers alone promises; PyTorch 2.15 would have it renamed.
        with self.opponent.frozen(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`broadcast_buffers`", FutureWarning)
            self._joint = [
                DistributedDataParallel(
                    self,
                    device_ids=[device] if device.type == "cuda" else None,
                    broadcast_buffers=False,
                )
            ]

    def play(self, part: Batch | PairBatch, *, is_last: bool) -> tuple[Tensor, Scalars]:
        """The loss of one part of the batch; only behind the last one are gradients exchanged."""
        if self._in_graphs:
            torch.compiler.cudagraph_mark_step_begin()
        for joint in self._joint:
            joint.require_backward_grad_sync = is_last
        play: nn.Module = self._joint[0] if self._joint else self
        loss, scalars = play(part)
        if self._in_graphs:  # the next replay writes where this one's results lie
            scalars = {key: value.clone() for key, value in scalars.items()}
        return loss, scalars

    def forward(self, batch: Batch | PairBatch) -> tuple[Tensor, Scalars]:
        """The mover's loss and its scalars."""
        return self.game.d_loss(batch) if self.player == "d" else self.game.g_loss(batch)


@dataclass(frozen=True, kw_only=True)
class Move:
    """How every move is made.

    Attributes:
        autocast: precision of the forward pass.
        parts: pieces of the batch whose gradients are added up before the step.
        max_grad_norm: longer gradients are scaled down to this length; None: none are.
    """

    autocast: AbstractContextManager[Any] = field(default_factory=nullcontext)
    parts: int = 1
    max_grad_norm: float | None = None


@dataclass(frozen=True)
class Broken:
    """The first move whose loss was not finite."""

    player: Player
    step: int
    scalars: dict[str, float]


class Watch:
    """Notes the first loss that is not finite, and lets no weight move after it.

    On a GPU all of this stays there, and fused optimizers read the flag there, so that no step
    waits for the host; it asks when a line is due. Other optimizers go on until then, and spoil
    weights that are not saved any more. On the CPU asking costs nothing.
    """

    def __init__(self, device: torch.device, *, on_device: bool | None = None) -> None:
        self.on_device = device.type != "cpu" if on_device is None else on_device
        #: 1 from the first loss on that is not finite, else 0.
        self.flag = torch.zeros((), device=device)
        self._first: Broken | None = None
        self._when = torch.zeros((), dtype=torch.int64, device=device)
        self._values: dict[Player, tuple[list[str], Tensor]] = {}

    def see(self, player: Player, step: int, loss: Tensor, scalars: Scalars) -> None:
        """Look at a move's loss before it is acted on, and keep its terms."""
        scalars = {key: value for key, value in scalars.items() if key.startswith("loss/")}
        if not self.on_device:
            if self._first is None and not math.isfinite(loss.item()):
                self._first = Broken(player, step, to_numbers(scalars))
                self.flag.fill_(1.0)
            return
        tripped = self.flag > 0
        code = 2 * step + (player == "g")
        self._when = torch.where(tripped, self._when, code)
        values = torch.stack([value.float() for value in scalars.values()])
        if player in self._values:
            values = torch.where(tripped, self._values[player][1], values)
        self._values[player] = list(scalars), values
        self.flag = torch.maximum(self.flag, (~torch.isfinite(loss.detach())).float())

    def lets_move(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether `optimizer` may step; one that reads the flag on its device always may."""
        if not self.on_device:
            return self._first is None
        if all(group.get("fused") for group in optimizer.param_groups):
            optimizer.found_inf = self.flag  # type: ignore[attr-defined]
        return True

    def first(self) -> Broken | None:
        """The first move whose loss was not finite; the host waits for the device."""
        if self.on_device and self._first is None and self.flag.item():
            step, is_g = divmod(int(self._when.item()), 2)
            player: Player = "g" if is_g else "d"
            keys, values = self._values[player]
            self._first = Broken(player, step, dict(zip(keys, values.tolist(), strict=True)))
        return self._first


def play(
    turn: Turn,
    optimizer: torch.optim.Optimizer,
    *,
    batch: Batch | PairBatch,
    move: Move,
    measure: bool,
    watch: Watch | None = None,
    step: int = 0,
) -> Scalars:
    """One move: forward, backward, step. The only place that steps an optimizer.

    Args:
        turn: the mover's turn; only its weights change, the opponent's are frozen meanwhile.
        optimizer: of the mover.
        batch: real data.
        move: how.
        measure: also compute the gradient norm and what D's outputs tell, for a line that is due.
        watch: keeps everything as it is from the first loss on that is not finite.
        step: the step that the move is part of, for `watch`.

    Returns:
        Detached scalars, left on the device: means over the batch's parts.
    """
    for p in turn.parameters_moved:
        p.grad = None
    turn.game.telling = measure
    found: list[Scalars] = []
    with turn.opponent.frozen():
        parts: Sequence[Batch | PairBatch] = batch.split(move.parts)
        for number, part in enumerate(parts, start=1):
            with move.autocast:
                loss, scalars = turn.play(part, is_last=number == len(parts))
            if watch is not None:
                watch.see(turn.player, step, turn.game.ranks.mean(loss.detach()), scalars)
            (loss / move.parts if move.parts > 1 else loss).backward()
            found.append(scalars)
    scalars = mean_of(found)
    if measure or move.max_grad_norm is not None:
        gradients = [p.grad for p in turn.parameters_moved if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        scalars[f"grad_norm/{turn.player}"] = norm
        if move.max_grad_norm is not None:
            nn.utils.clip_grads_with_norm_(turn.parameters_moved, move.max_grad_norm, norm)
    if watch is None or watch.lets_move(optimizer):
        optimizer.step()
    return scalars | turn.game.after_move(turn.player)


def mean_of(found: list[Scalars]) -> Scalars:
    """Mean of each scalar over parts of equal size."""
    if len(found) == 1:
        return found[0]
    return {key: torch.stack([part[key] for part in found]).mean() for key in found[0]}


def is_due(every: int, step: int) -> bool:
    """Whether `step` is one of every `every` steps; 0: never."""
    return every > 0 and step % every == 0


@dataclass(frozen=True, kw_only=True)
class Cadence:
    """When to do what, in steps; 0: never. Checkpoints are also due after some minutes."""

    log: int
    sample: int
    checkpoint: int
    evaluate: int = 0
    checkpoint_minutes: float | None = None


class Observer(Protocol):
    """What the loop reports to."""

    def advance(self, step: int) -> None:
        """One more step is done."""

    def log(self, step: int, scalars: dict[str, float]) -> None:
        """A line of numbers is due."""

    def sample(self, step: int) -> dict[str, float]:
        """A picture is due; gives numbers about it for the log."""

    def evaluate(self, step: int) -> dict[str, float]:
        """An evaluation is due; gives its numbers for the log."""

    def save(self, step: int) -> None:
        """A checkpoint is due."""


@dataclass(kw_only=True)
class Session:
    """All that training changes: what a checkpoint stores and a resumed run takes up.

    Of several processes, the state holds what all have in common as rank 0 has it, and under
    `ranks` what each has for itself: random streams, and what its game remembers.
    """

    game: Game[Any]
    optimizers: dict[Player, torch.optim.Optimizer]
    schedule: Schedule
    batches: AnyBatches
    device: torch.device
    seed: int = 0
    step: int = 0
    seconds: float = 0.0
    _since: float = field(default_factory=time.monotonic)

    def state_dict(self) -> dict[str, Any]:
        """Everything, as plain values and tensors; all processes must ask for it together."""
        ranks = self.game.ranks
        own = {} if ranks.alone else {"ranks": ranks.gather(self.own_state())}
        return own | {
            "step": self.step,
            "seconds": self.elapsed(),
            "game": self.game.state_dict(),
            "optimizers": {key: opt.state_dict() for key, opt in self.optimizers.items()},
            "batches": self.batches.state_dict(),
            "streams": global_streams(self.device),
        }

    def own_state(self) -> dict[str, Any]:
        """What this process has for itself, on the CPU."""
        weights = dict(self.game.named_parameters())
        remembered = {
            key: value.cpu() if isinstance(value, Tensor) else value
            for key, value in self.game.state_dict().items()
            if key not in weights and not key.startswith(AVERAGE)
        }
        return {"game": remembered, "streams": global_streams(self.device)}

    def load_own_state(self, states: list[dict[str, Any]]) -> None:
        """Take up what this process had, if there were as many; else streams of its own."""
        ranks = self.game.ranks
        if len(states) == ranks.world and not ranks.alone:
            own = states[ranks.rank]
            self.game.load_state_dict(own["game"], strict=False)
            restore_global_streams(own["streams"], self.device)
        elif not ranks.is_first:
            torch.manual_seed(derive_seed(self.seed, "rank", ranks.rank, self.step))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken.

        Raises:
            RuntimeError: the networks are not those of the state.
            ValueError: a number in it makes no sense.
        """
        self.game.load_state_dict(state["game"])
        for key, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][key])
            require_fitting(optimizer)
            lay_out_as_weights(optimizer)
        self.batches.load_state_dict(state["batches"])
        restore_global_streams(state["streams"], self.device)
        self.step, self.seconds = int(state["step"]), float(state["seconds"])
        if self.step < 0 or not 0 <= self.seconds < 1e12:
            raise ValueError(f"step={self.step}, seconds={self.seconds}")
        self.load_own_state(state.get("ranks", []))
        self._since = time.monotonic()

    def elapsed(self) -> float:
        """Seconds of training, summed over resumptions."""
        return self.seconds + time.monotonic() - self._since

    def start_clock(self) -> None:
        """Count training time from now."""
        self._since = time.monotonic()

    def join(self, ranks: Ranks) -> None:
        """Train together with other processes, whose dropout differs."""
        self.game.join(ranks)
        if not ranks.is_first:
            torch.manual_seed(derive_seed(self.seed, "rank", ranks.rank))

    def rates(self) -> dict[str, float]:
        """The learning rates of the last step."""
        return {f"lr/{key}": opt.param_groups[0]["lr"] for key, opt in self.optimizers.items()}

    def set_rates(self) -> None:
        """Set learning rate and momentum of both players for the step that comes."""
        factor = self.schedule.factor(self.step)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
                if "momentum" in group:
                    group["momentum"] = self.schedule.momentum(self.step, group["initial_momentum"])


def require_fitting(optimizer: torch.optim.Optimizer) -> None:
    """Refuse state of other shapes than the weights: a fused kernel would write past its end.

    Raises:
        ValueError: with both shapes.
    """
    for parameter, memory in optimizer.state.items():
        for name, value in memory.items():
            if isinstance(value, Tensor) and value.dim() and value.shape != parameter.shape:
                raise ValueError(
                    f"{name} of the optimizer is {tuple(value.shape)}, "
                    f"but its weight {tuple(parameter.shape)}"
                )


def lay_out_as_weights(optimizer: torch.optim.Optimizer) -> None:
    """Order the optimizer's memory as its weights are: fused kernels go by position alone.

    On another device, or in another version, weights may lie in another order than when saved.
    """
    for parameter, memory in optimizer.state.items():
        for name, value in memory.items():
            if isinstance(value, Tensor) and value.dim() and value.stride() != parameter.stride():
                memory[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


Reason = Literal["done", "time", "signal"]


def train(
    session: Session,
    turns: dict[Player, Turn],
    observer: Observer,
    stop: StopRequest,
    *,
    k: int,
    steps: int,
    max_minutes: float | None,
    cadence: Cadence,
    move: Move,
) -> Reason:
    """Train until `steps`, the time or a signal says stop; nothing in it depends on `steps`.

    Raises:
        DivergedError: a loss or a logged number is not finite; nothing is saved after it.
    """
    game, ranks = session.game, session.game.ranks
    session.start_clock()
    watch = Watch(session.device)
    deadline = math.inf if max_minutes is None else time.monotonic() + 60 * max_minutes
    logged_at = saved_at = time.monotonic()
    images, waited = 0, 0.0
    last: tuple[int, dict[str, float]] = (session.step, {})

    reason: Reason = "done"
    while session.step < steps:
        # All processes stop at the same step, whichever was told to.
        told, late = ranks.largest([stop.signal_number or 0, time.monotonic() >= deadline])
        if told:
            stop.signal_number = int(told)
            reason = "signal"
            break
        if late:
            reason = "time"
            break
        due = is_due(cadence.log, session.step + 1)
        scalars, seconds = one_step(session, turns, k=k, move=move, measure=due, watch=watch)
        step = session.step
        waited += seconds
        images += k * session.batches.images_per_batch

        observer.advance(step)
        now = time.monotonic()
        saving = is_due(cadence.checkpoint, step)
        if cadence.checkpoint_minutes is not None:
            (old,) = ranks.largest([now - saved_at >= 60 * cadence.checkpoint_minutes])
            saving = saving or bool(old)
        looking = is_due(cadence.sample, step) or is_due(cadence.evaluate, step)
        line: dict[str, float] = {}
        if not watch.on_device or due or saving or looking:
            require_sound(watch, game, last)
        if due:
            line = to_numbers(scalars, ranks)
            line |= session.rates()
            span = now - logged_at
            line |= {"time": session.elapsed(), "images_per_s": images / span}
            line |= {"system/data_wait": waited / span}
            require_finite(line, step, last)  # before pictures are made of it
            last, logged_at, images, waited = (step, line), now, 0, 0.0
        line |= look(observer, cadence, step)
        require_finite(line, step, last)
        if line:
            observer.log(step, line)
        if saving:
            observer.save(step)
            saved_at = time.monotonic()
    require_sound(watch, game, last)
    return reason


def one_step(
    session: Session,
    turns: dict[Player, Turn],
    *,
    k: int,
    move: Move,
    measure: bool,
    watch: Watch,
) -> tuple[Scalars, float]:
    """Algorithm 1, once: k moves by D, then one by G. What to log, and seconds waited for data."""
    session.set_rates()
    waited = 0.0
    how: dict[str, Any] = {
        "move": move,
        "measure": measure,
        "watch": watch,
        "step": session.step + 1,
    }
    for _ in range(k):
        asked = time.perf_counter()
        batch = draw(session.batches)
        waited += time.perf_counter() - asked
        scalars = play(turns["d"], session.optimizers["d"], batch=batch, **how)
    scalars |= play(turns["g"], session.optimizers["g"], batch=batch, **how)
    session.step += 1
    return scalars, waited


def look(observer: Observer, cadence: Cadence, step: int) -> dict[str, float]:
    """Pictures and evaluations that are due, and their numbers."""
    found: dict[str, float] = {}
    if is_due(cadence.sample, step):
        found |= observer.sample(step)
    if is_due(cadence.evaluate, step):
        found |= observer.evaluate(step)
    return found


def draw(batches: AnyBatches) -> Batch | PairBatch:
    """The next batch."""
    return next(batches)  # type: ignore[return-value]


def to_numbers(scalars: Scalars, ranks: Ranks = ALONE) -> dict[str, float]:
    """Bring scalars from the device, all in one transfer: their means over all processes."""
    values = torch.stack([value.float() for value in scalars.values()])
    return dict(zip(scalars, ranks.mean(values).tolist(), strict=True))


def require_finite(
    line: dict[str, float], step: int, last: tuple[int, dict[str, float]] = (0, {})
) -> None:
    """Stop at numbers that are not finite, naming them.

    Raises:
        DivergedError: with the step, the keys and the `last` finite line.
    """
    if any(not math.isfinite(value) for value in line.values()):
        raise DivergedError(f"training diverged at step {step}: {broken(line)}.{finite(last)}")


def require_sound(
    watch: Watch, game: Game[Any], last: tuple[int, dict[str, float]] = (0, {})
) -> None:
    """Stop if a loss was not finite.

    Weights move only in their player's turn, and nothing has moved since: if some are not finite
    now, then a gradient in that player's move before was not.

    Raises:
        DivergedError: with the step, the player, the terms and the `last` finite line.
    """
    first = watch.first()
    if first is None:
        return
    causes = [
        f" {name}'s weights were not finite any more, so the gradient of its move before was not."
        for name, side in (("D", game.discriminators), ("G", game.generators))
        if not all(torch.isfinite(p).all() for p in side.parameters())
    ]
    raise DivergedError(
        f"training diverged at step {first.step}, in {first.player.upper()}'s move: "
        f"{broken(first.scalars) or 'its loss is not finite'}.{''.join(causes)}{finite(last)}"
    )


def broken(line: dict[str, float]) -> str:
    """The numbers of a line that are not finite, the first three in full."""
    found = [f"{key}={value}" for key, value in line.items() if not math.isfinite(value)]
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")


def finite(last: tuple[int, dict[str, float]]) -> str:
    """The last finite numbers, in a sentence of their own."""
    step, line = last
    words = [f"{key}={line[key]:.4g}" for key in sorted(line) if key.startswith(TELLING)]
    return f" Last finite numbers, of step {step}: {', '.join(words)}." if words else ""
