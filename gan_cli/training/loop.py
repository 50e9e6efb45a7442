"""The alternating D/G loop (Goodfellow et al. 2014, Algorithm 1), for any game.

It owns order, k and cadence, and knows no model, config or format.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from gan_cli.data.batches import AnyBatches
from gan_cli.games.base import Scalars
from gan_cli.spec import Batch, PairBatch
from gan_cli.system.stopping import StopRequest
from gan_cli.training.finite import FiniteGuard, Line, Player, require_finite, to_numbers
from gan_cli.training.state import TrainState
from gan_cli.training.turn import Move, Turn, play

Reason = Literal["done", "patience", "time", "signal"]


def one_step(
    state: TrainState,
    turns: dict[Player, Turn],
    *,
    k: int,
    g_moves: int = 1,
    move: Move,
    log_due: bool,
    guard: FiniteGuard | None = None,
) -> tuple[Scalars, float]:
    """Algorithm 1, once. What to log, and how many seconds were spent waiting for data.

    G's first move goes by the data of D's last one, each further one by a fresh batch. What is
    logged is of the last move of each.
    """
    state.set_rates()
    data = TimedDraws(state.batches)
    how: dict[str, Any] = {"move": move, "log_due": log_due, "guard": guard, "step": state.step + 1}
    for _ in range(k):  # k moves by D ...
        batch = data.draw()
        scalars = play(turns["d"], state.optimizers["d"], batch=batch, **how)
    for number in range(g_moves):  # ... then one by G, or more
        batch = data.draw() if number else batch
        of_g = play(turns["g"], state.optimizers["g"], batch=batch, **how)
    state.step += 1
    return scalars | of_g, data.waited


def train(
    state: TrainState,
    turns: dict[Player, Turn],
    recorder: Recorder,
    stop: StopRequest,
    *,
    k: int,
    g_moves: int = 1,
    steps: int,
    max_minutes: float | None,
    cadence: Cadence,
    move: Move,
) -> Reason:
    """Train until `steps`, the recorder, the time or a signal says stop.

    Nothing in it depends on `steps`.

    Raises:
        DivergedError: a loss or a logged number is not finite; nothing is saved after it.
    """
    state.start_clock()
    guard = FiniteGuard(state.device)
    due = DueRecords(state, recorder, cadence, guard)
    deadline = math.inf if max_minutes is None else time.monotonic() + 60 * max_minutes
    reason: Reason | None = None
    while state.step < steps:
        reason = reason_to_stop(state, stop, deadline, is_over=recorder.is_over())
        if reason:
            break
        log_due = due.log_is_next()
        scalars, waited = one_step(
            state, turns, k=k, g_moves=g_moves, move=move, log_due=log_due, guard=guard
        )
        due.record(scalars, images=k * state.batches.images_per_batch, waited=waited)
    guard.require_finite(state.game, due.last_line)
    return reason or "done"


def draw(batches: AnyBatches) -> Batch | PairBatch:
    """The next batch."""
    return next(batches)  # type: ignore[return-value]


@dataclass
class TimedDraws:
    """Draws batches, and adds up how many seconds that took."""

    batches: AnyBatches
    waited: float = 0.0

    def draw(self) -> Batch | PairBatch:
        """The next batch."""
        asked = time.perf_counter()
        batch = draw(self.batches)
        self.waited += time.perf_counter() - asked
        return batch


def reason_to_stop(
    state: TrainState, stop: StopRequest, deadline: float, *, is_over: bool = False
) -> Reason | None:
    """Why to stop before the next step; all processes stop at the same one, whichever was asked."""
    signal_number, is_over_anywhere, is_late = state.game.ranks.largest(
        [stop.signal_number or 0, is_over, time.monotonic() >= deadline]
    )
    if signal_number:
        stop.signal_number = int(signal_number)
        return "signal"
    if is_over_anywhere:
        return "patience"
    return "time" if is_late else None


@dataclass(frozen=True, kw_only=True)
class Cadence:
    """When to do what, in steps; 0: never. Checkpoints are also due after some minutes."""

    log: int
    sample: int
    checkpoint: int
    evaluate: int = 0
    checkpoint_minutes: float | None = None


def is_due(every: int, step: int) -> bool:
    """Whether `step` is one of every `every` steps; 0: never."""
    return every > 0 and step % every == 0


class Recorder(Protocol):
    """What the loop reports to; every process has one, as they enter exchanges together."""

    def advance(self, step: int) -> None:
        """One more step is done."""

    def log(self, step: int, scalars: dict[str, float]) -> None:
        """A line of numbers is due."""

    def sample(self, step: int) -> dict[str, float]:
        """A picture is due; returns numbers about it for the log."""

    def evaluate(self, step: int) -> dict[str, float]:
        """An evaluation is due; returns its numbers for the log."""

    def save(self, step: int) -> None:
        """A checkpoint is due."""

    def is_over(self) -> bool:
        """Whether evaluations say that more steps are of no use."""


@dataclass
class DueRecords:
    """After each step, hands to the recorder what is due.

    Attributes:
        state: of training.
        recorder: what it is handed to.
        cadence: when.
        guard: checked before anything is written.
        last_line: the newest finite line, for the message if the next one is not.
    """

    state: TrainState
    recorder: Recorder
    cadence: Cadence
    guard: FiniteGuard
    last_line: Line = (0, {})
    _logged_at: float = field(default_factory=time.monotonic)
    _saved_at: float = field(default_factory=time.monotonic)
    _images: int = 0
    _waited: float = 0.0

    def __post_init__(self) -> None:
        self.last_line = self.state.step, {}

    def log_is_next(self) -> bool:
        """Whether a line is due after the step that comes."""
        return is_due(self.cadence.log, self.state.step + 1)

    def record(self, scalars: Scalars, *, images: int, waited: float) -> None:
        """Log, draw, evaluate and save what is due after the step that was just made.

        Args:
            scalars: of the step, on the device.
            images: real ones that D saw in it.
            waited: seconds that it waited for data.
        """
        step, cadence = self.state.step, self.cadence
        self._waited += waited
        self._images += images
        self.recorder.advance(step)
        now = time.monotonic()
        log_due, save_due = is_due(cadence.log, step), self._save_is_due(now)
        look_due = is_due(cadence.sample, step) or is_due(cadence.evaluate, step)
        if not self.guard.on_device or log_due or save_due or look_due:
            self.guard.require_finite(self.state.game, self.last_line)
        line: dict[str, float] = {}
        if log_due:
            line = self._line(scalars, now)
            require_finite(line, step, self.last_line)  # before pictures are made of it
            self.last_line = step, line
            self._logged_at, self._images, self._waited = now, 0, 0.0
        if is_due(cadence.sample, step):
            line |= self.recorder.sample(step)
        if is_due(cadence.evaluate, step):
            line |= self.recorder.evaluate(step)
        require_finite(line, step, self.last_line)
        if line:
            self.recorder.log(step, line)
        if save_due:
            self.recorder.save(step)
            self._saved_at = time.monotonic()

    def _save_is_due(self, now: float) -> bool:
        """Whether a checkpoint is due, by steps or because the last one is old."""
        minutes = self.cadence.checkpoint_minutes
        is_old = 0.0
        if minutes is not None:
            (is_old,) = self.state.game.ranks.largest([now - self._saved_at >= 60 * minutes])
        return is_due(self.cadence.checkpoint, self.state.step) or bool(is_old)

    def _line(self, scalars: Scalars, now: float) -> dict[str, float]:
        """The numbers of a step, with learning rates and pace."""
        span = now - self._logged_at
        return (
            to_numbers(scalars, self.state.game.ranks)
            | self.state.rates()
            | {"time": self.state.elapsed(), "images_per_s": self._images / span}
            | {"system/data_wait": self._waited / span}
        )
