"""What the training loop asks of any game: two losses, a preview, and all that it remembers."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from gan_cli.ema import Ema
from gan_cli.seeding import generator_for
from gan_cli.spec import Batch, DataSpec

Scalars = dict[str, Tensor]
AVERAGE = "average."  # what the averaged weights' keys in a state dict begin with


class Game(nn.Module, ABC):
    """Generators against discriminators.

    The state dict holds everything learned or remembered: weights and their average, fixed
    noise, the number of moves, and the position of the game's own random stream.
    """

    rng: torch.Generator
    spec: DataSpec
    #: Columns of the preview's sheet; None: as many as rows.
    preview_columns: int | None = None

    def __init__(self) -> None:
        super().__init__()
        #: Finished moves of each player.
        self.moves = {"d": 0, "g": 0}
        #: The average of the generators' weights; None: not kept.
        self.average: Ema | None = None

    @property
    @abstractmethod
    def generators(self) -> nn.Module:
        """All that moves in G's turn."""

    @property
    @abstractmethod
    def discriminators(self) -> nn.Module:
        """All that moves in D's turn."""

    @abstractmethod
    def d_loss(self, batch: Batch) -> tuple[Tensor, Scalars]:
        """D's loss on real data and fresh fakes, and what to log of it (detached)."""

    @abstractmethod
    def g_loss(self, batch: Batch) -> tuple[Tensor, Scalars]:
        """G's loss on fresh noise, and what to log of it (detached)."""

    @abstractmethod
    def preview(self) -> Tensor:
        """Samples from the fixed noise, (n, *shape): the same z every time, to compare steps."""

    @abstractmethod
    def check_shapes(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError if the networks do not fit each other and data of `shape`."""

    @abstractmethod
    def draw_fixed_noise(self, *, seed: int) -> None:
        """Draw the preview's noise once; the same on every device."""

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

    def after_move(self, player: str) -> None:
        """What follows once `player` ("d" or "g") has moved."""
        self.moves[player] += 1
        if player == "g" and self.average is not None:
            self.average.update(self.generators)

    def seed_noise(self, seed: int, *purpose: str | int, device: torch.device) -> None:
        """Start the game's random stream on `device` afresh."""
        self.rng = generator_for(seed, "noise", *purpose, device=device)

    def get_extra_state(self) -> dict[str, Any]:
        """Moves, and position of the random stream: part of the state dict."""
        state = {"rng": self.rng.get_state(), "device": self.rng.device.type}
        return state | {"moves": dict(self.moves)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Continue the random stream where `get_extra_state` left it.

        A stream of another kind of device cannot be continued: a new one is seeded from it.
        """
        self.moves = {player: int(state["moves"][player]) for player in ("d", "g")}
        if state["device"] == self.rng.device.type:
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
        own = {key: value for key, value in self.state_dict().items() if is_of_network(key)}
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


def is_of_network(key: str) -> bool:
    """Whether a state dict's key belongs to a network that plays, not to the game itself."""
    return key not in ("_extra_state", "fixed_noise", "fixed_labels") and not key.startswith(
        AVERAGE
    )


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
