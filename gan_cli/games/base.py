"""What the training loop asks of any game: two losses, a preview, and all that it remembers."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from gan_cli.seeding import generator_for
from gan_cli.spec import Batch

Scalars = dict[str, Tensor]


class Game(nn.Module, ABC):
    """Generators against discriminators.

    The state dict holds everything learned or remembered: weights, fixed noise, and the
    position of the game's own random stream.
    """

    rng: torch.Generator

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
    def draw_fixed_noise(self, n: int, *, seed: int) -> None:
        """Draw the preview's noise once; the same on every device."""

    def seed_noise(self, seed: int, *purpose: str | int, device: torch.device) -> None:
        """Start the game's random stream on `device` afresh."""
        self.rng = generator_for(seed, "noise", *purpose, device=device)

    def get_extra_state(self) -> dict[str, Any]:
        """Position of the random stream, part of the state dict."""
        return {"rng": self.rng.get_state(), "device": self.rng.device.type}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Continue the random stream where `get_extra_state` left it.

        A stream of another kind of device cannot be continued: a new one is seeded from it.
        """
        if state["device"] == self.rng.device.type:
            self.rng.set_state(state["rng"].cpu())
        else:
            digest = hashlib.blake2b(state["rng"].numpy().tobytes(), digest_size=7).digest()
            self.rng.manual_seed(int.from_bytes(digest, "big"))

    def load_networks(self, state: dict[str, Any]) -> None:
        """Take the networks' weights and statistics from a state dict, and nothing else of it.

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


def is_of_network(key: str) -> bool:
    """Whether a state dict's key belongs to a network rather than to the game itself."""
    return key not in ("_extra_state", "fixed_noise")


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
