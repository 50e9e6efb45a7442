"""What the training loop asks of any game: two losses, a preview, and all that it remembers."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from gan_cli.games.describe import Preview, Roles, Use
from gan_cli.games.ema import Ema
from gan_cli.losses import Loss
from gan_cli.networks.abilities import StartsAtMean
from gan_cli.regularizers import (
    Critic,
    LabelSmoothing,
    Penalty,
    Regularizer,
    View,
    WeightClipping,
)
from gan_cli.seeding import generator_for
from gan_cli.spec import AnySpec, PairSpec
from gan_cli.system.ranks import ALONE, Ranks

__all__ = ["Game", "Preview", "Roles", "Scalars", "Use", "evaluating", "widened"]

Scalars = dict[str, Tensor]
AnyBatch = TypeVar("AnyBatch")
AVERAGE = "average."  # what the averaged weights' keys in a state dict begin with
NETWORKS = ("generator", "discriminator")  # what those of the players' weights begin with


class Game(nn.Module, ABC, Generic[AnyBatch]):
    """Generators against discriminators.

    The state dict holds everything learned or remembered: weights and their average, what the
    preview is made of, the number of moves, and the position of the game's own random stream.
    """

    rng: torch.Generator
    #: Printed at the end of training; None: no command knows such a game.
    use: ClassVar[Use | None] = None

    def __init__(self, *, loss: Loss, spec: AnySpec, regularizers: Sequence[Regularizer]) -> None:
        super().__init__()
        self.loss, self.spec = loss, spec
        #: The processes that play this game together.
        self.ranks = ALONE
        self.regularizers = regularizers
        self.penalties = [r for r in regularizers if isinstance(r, Penalty)]
        self.views = [r for r in regularizers if isinstance(r, View)]
        self.clippings = [r for r in regularizers if isinstance(r, WeightClipping)]
        for regularizer in regularizers:
            if isinstance(regularizer, LabelSmoothing):
                loss.smooth(regularizer.target)
        #: The newest value of each penalty, logged until the next one is due.
        self.last_penalties: Scalars = {}
        #: Values of this move, one for each micro-batch.
        self._penalties_of_move: dict[str, list[Tensor]] = {}
        #: Finished moves of each player.
        self.moves = {"d": 0, "g": 0}
        #: Moves that G makes in a step.
        self.g_moves = 1
        #: Whether a line of the log is due, for which D's outputs are described.
        self.log_due = True
        #: The average of the generators' weights; None: not kept.
        self.average: Ema | None = None

    @classmethod
    @abstractmethod
    def roles(cls, spec: AnySpec, *, noise_dim: int) -> Roles:
        """The networks to be made for data of `spec`.

        Raises:
            ValueError: the game cannot be played on such data.
        """

    @property
    @abstractmethod
    def generators(self) -> nn.Module:
        """All that moves in G's turn."""

    @property
    @abstractmethod
    def discriminators(self) -> nn.Module:
        """All that moves in D's turn."""

    @abstractmethod
    def d_loss(self, batch: AnyBatch) -> tuple[Tensor, Scalars]:
        """D's loss on real data and fresh fakes, and what to log of it (detached)."""

    @abstractmethod
    def g_loss(self, batch: AnyBatch) -> tuple[Tensor, Scalars]:
        """G's loss, and what to log of it (detached)."""

    @abstractmethod
    def fix_preview(self, *, seed: int, examples: tuple[Tensor, Tensor] | None) -> None:
        """Choose once what previews are made of; the same on every device.

        Args:
            seed: the run's.
            examples: images of both domains, for games between two; None: no preview will be
                asked for.
        """

    @abstractmethod
    def preview(self) -> Preview:
        """What the generators make of it now."""

    def check_shapes(self) -> None:
        """Raise ValueError if the networks do not fit each other and the data."""

    def start_at(self, mean: Callable[[], Tensor]) -> None:
        """Let generators that can start at the data's mean, which is computed if one asks for it.

        Args:
            mean: gives it in the data's range, of one datum's shape.
        """
        for network in self.generators.modules():
            if isinstance(network, StartsAtMean):
                network.start_at(mean)

    def join_passes(self) -> None:
        """Join forward passes of one network where that changes no result; else do nothing."""

    def augment(self, x: Tensor) -> Tensor:
        """What discriminators get of data: with augmentation and noise, if configured."""
        spec = self.spec.a if isinstance(self.spec, PairSpec) else self.spec
        step = self.moves["g"] // self.g_moves
        for view in self.views:
            x = view(x, step=step, generator=self.rng, value_range=spec.value_range)
        return x

    def output_scalars(self, real: Tensor, fake: Tensor) -> Scalars:
        """What to log of D's outputs (detached) on real and generated data, if a line is due."""
        if not self.log_due:
            return {}
        return self.loss.output_scalars(real, fake)

    def due_penalties(
        self, critic: Critic, real: Tensor, fake: Tensor, *, suffix: str = ""
    ) -> list[Tensor]:
        """The weighted penalties that are due on this move of D.

        Args:
            critic: a discriminator, with `augment`.
            real: real data.
            fake: generated data.
            suffix: of the key to log under, where there are several discriminators.
        """
        terms = []
        for penalty in self.penalties:
            if self.moves["d"] % penalty.interval == 0:
                # Second derivatives lose too much in 16 bits.
                with torch.autocast(real.device.type, enabled=False):
                    value = penalty(critic, real, widened(fake.detach()), generator=self.rng)
                key = f"penalty/{penalty.name}{suffix}"
                self._penalties_of_move.setdefault(key, []).append(value.detach())
                terms.append(penalty.weight * penalty.interval * value)
        return terms

    def join(self, ranks: Ranks) -> None:
        """Play together with other processes, each on its share of every batch."""
        self.ranks = ranks
        for regularizer in self.regularizers:
            regularizer.ranks = ranks

    def keep_average(self, *, decay: float, ramp_up: bool) -> None:
        """Keep an average of the generators' weights from now on.

        Raises:
            ValueError: no such decay.
        """
        self.average = Ema(self.generators, decay=decay, ramp_up=ramp_up)

    @property
    def generators_in_use(self) -> nn.Module:
        """The generators to draw samples with: the averaged ones, if kept."""
        return self.generators if self.average is None else self.average.module

    def after_move(self, player: str) -> Scalars:
        """Count, clip and average, once `player` ("d" or "g") has moved.

        Returns:
            What to log of the whole move: the newest penalties.
        """
        self.moves[player] += 1
        if player == "d":
            for clipping in self.clippings:
                clipping.clip(self.discriminators)
            for key, values in self._penalties_of_move.items():
                self.last_penalties[key] = torch.stack(values).mean()
            self._penalties_of_move.clear()
            return dict(self.last_penalties)
        if self.average is not None:
            self.average.update(self.generators)
        return {}

    def seed_noise(self, seed: int, *purpose: str | int, device: torch.device) -> None:
        """Start the game's random stream on `device` afresh."""
        self.rng = generator_for(seed, "noise", *purpose, device=device)

    def get_extra_state(self) -> dict[str, Any]:
        """What is no tensor of the networks: part of the state dict."""
        return {
            "rng": self.rng.get_state(),
            "device": self.rng.device.type,
            "moves": dict(self.moves),
            "penalties": dict(self.last_penalties),
        }

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Continue where `get_extra_state` left off.

        A stream of another kind of device cannot be continued: a new one is seeded from it.
        """
        self.moves = {player: int(state["moves"][player]) for player in ("d", "g")}
        device = self.rng.device
        penalties = {str(key): value.to(device) for key, value in state["penalties"].items()}
        if min(self.moves.values()) < 0 or any(value.dim() for value in penalties.values()):
            raise ValueError("moves or penalties are not numbers")
        self.last_penalties = penalties
        if state["device"] == device.type:
            self.rng.set_state(state["rng"].cpu())
        else:
            digest = hashlib.blake2b(state["rng"].numpy().tobytes(), digest_size=7).digest()
            self.rng.manual_seed(int.from_bytes(digest, "big"))

    def load_networks(self, state: dict[str, Any]) -> None:
        """Take the networks' weights and statistics from a state dict, and nothing else of it.

        An average that is kept begins with the one in the state dict, or else with the weights.

        Raises:
            ValueError: some are missing or of another shape; says which.
        """
        own = {key: value for key, value in self.state_dict().items() if key.startswith(NETWORKS)}
        different = [
            f"{key}: {tuple(state[key].shape) if key in state else 'missing'} there, "
            f"{tuple(value.shape)} here"
            for key, value in own.items()
            if key not in state or state[key].shape != value.shape
        ]
        if different:
            more = f"\n  ... and {len(different) - 6} more" if len(different) > 6 else ""
            raise ValueError("\n  ".join(different[:6]) + more)
        self.load_state_dict({key: state[key] for key in own}, strict=False)
        if self.average is not None:
            start = AVERAGE + "module."
            averages = {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}
            self.average.restart(self.generators.state_dict() | averages)


def widened(x: Tensor) -> Tensor:
    """Half precision -> float32, for sums that need it; others as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Dropout and batch statistics off and no gradients inside, as before afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes:
            part.training = mode
