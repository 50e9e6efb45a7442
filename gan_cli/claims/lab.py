"""Where experiments are made, out of the product's own games, losses, loop and metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from gan_cli.claims.runs import RUNS, place_of, train_run
from gan_cli.data.base import Dataset, DataSource
from gan_cli.evaluation.reference import Reference, at_hand
from gan_cli.evaluation.registry import measure
from gan_cli.evaluation.subject import Results, Subject
from gan_cli.games.from_noise import FromNoise
from gan_cli.loading import TrainedModel, load_run
from gan_cli.runs.directory import is_run
from gan_cli.seeding import derive_seed, generator_for
from gan_cli.settings.build import build_optimizer, build_state, load_data, make
from gan_cli.settings.check import check
from gan_cli.settings.compose import compose_config
from gan_cli.system.precision import set_up_torch
from gan_cli.theory.density import GaussianMixture
from gan_cli.theory.measure import Theory
from gan_cli.theory.measure import measure as measure_theory
from gan_cli.training.finite import Player
from gan_cli.training.loop import draw, one_step
from gan_cli.training.state import TrainState
from gan_cli.training.turn import Move, Turn, play

CPU = torch.device("cpu")


class Experiment:
    """A game that is played step by step, and looked at in between."""

    def __init__(self, state: TrainState, dataset: Dataset, *, k: int, g_moves: int = 1) -> None:
        self.state, self.dataset = state, dataset
        self.k, self.g_moves = k, g_moves
        self.turns: dict[Player, Turn] = {p: Turn(state.game, p) for p in ("d", "g")}

    @property
    def game(self) -> FromNoise:
        """The game."""
        return cast("FromNoise", self.state.game)

    @property
    def density(self) -> GaussianMixture:
        """p_data."""
        assert self.dataset.density is not None
        return self.dataset.density

    @property
    def discriminator(self) -> nn.Module:
        """D."""
        return self.game.discriminator

    def play(
        self, steps: int, *, every: int = 0, look: Callable[[int], object] | None = None
    ) -> dict[str, float]:
        """Play Algorithm 1 for so many steps.

        Args:
            steps: of k moves by D, then one by G, or g_moves.
            every: how many steps lie between two looks; 0: none.
            look: called with the step.

        Returns:
            What the last step logs.
        """
        scalars: dict[str, Tensor] = {}
        for number in range(1, steps + 1):
            log_due = number == steps
            scalars, _ = one_step(
                self.state,
                self.turns,
                k=self.k,
                g_moves=self.g_moves,
                move=Move(),
                log_due=log_due,
            )
            if look is not None and every and number % every == 0:
                look(self.state.step)
        return {key: float(value) for key, value in scalars.items()}

    def play_d(self, moves: int) -> None:
        """Let D alone move so often, while G stays as it is."""
        for _ in range(moves):
            batch = draw(self.state.batches)
            optimizer = self.state.optimizers["d"]
            play(self.turns["d"], optimizer, batch=batch, move=Move(), log_due=False)

    def theory(self, samples: int) -> Theory:
        """How far p_g is from p_data, by so many samples, and what D is beside D*."""
        return measure_theory(self.game, self.density, refit=False, samples=samples)

    def samples(self, n: int, *, seed: int = 0) -> Tensor:
        """Draw G(z), float32 (n, *shape), from a stream of its own."""
        return self.game.map_noise(self.game.draw_noise(n, seed=seed)).float()


class Lab:
    """Seeds, files and shortcuts for all claims.

    Attributes:
        folder: for runs that claims share.
        seed: of everything.
        fast: take fewer steps: tests see that an experiment works, not that the claim holds.
    """

    def __init__(self, folder: Path, *, seed: int = 0, fast: bool = False) -> None:
        self.folder, self.seed, self.fast = folder, seed, fast
        self._configs: dict[tuple[str, ...], dict[str, Any]] = {}
        self._trained: dict[str, TrainedModel] = {}
        self._references: dict[str, Reference] = {}

    def steps(self, usual: int, *, fast: int) -> int:
        """How many steps, samples or repetitions to take."""
        return fast if self.fast else usual

    def generator(self, *purpose: str) -> torch.Generator:
        """A random stream for one purpose."""
        return generator_for(self.seed, "claims", *purpose)

    def seed_for(self, *purpose: str) -> int:
        """A seed for one purpose."""
        return derive_seed(self.seed, "claims", *purpose)

    def config(self, *overrides: str) -> dict[str, Any]:
        """A checked config, as gan-train composes it."""
        if overrides not in self._configs:
            config = compose_config([*overrides, f"seed={self.seed}", "device=cpu", "threads=1"])
            check(config, trusted=True)
            self._configs[overrides] = config
        return self._configs[overrides]

    def game(self, generator: nn.Module, discriminator: nn.Module, *overrides: str) -> FromNoise:
        """The product's game with players made by hand, whose every move would be logged."""
        config = self.config(*overrides)
        parts = {
            "generator": generator,
            "discriminator": discriminator,
            "noise": make(config, "noise"),
            "loss": make(config, "loss"),
            "spec": cast("DataSource", make(config, "data")).spec,
            "regularizers": [],
        }
        game = cast("FromNoise", make(config, "model", supplied=parts))
        game.fix_preview(seed=self.seed)
        game.seed_noise(self.seed, device=CPU)
        game.log_due = True
        return game

    def trained(self, name: str) -> TrainedModel:
        """A run that claims share, as `gan_cli.load` gives it; trained first if need be."""
        if name not in self._trained:
            place = place_of(name, self.folder)
            if not is_run(place):
                train_run(name, str(self.folder), self.seed, self.fast)
            set_up_torch(CPU, threads=1, precision="fp32", deterministic=False)
            self._trained[name] = load_run(place, device="cpu", trust_checkpoint=False)
        return self._trained[name]

    @staticmethod
    def overrides(name: str) -> tuple[str, ...]:
        """What such a run was configured with."""
        return RUNS[name].overrides

    def reference(self, name: str) -> Reference:
        """The data of such a run, and a classifier of them."""
        if name not in self._references:
            config = self.trained(name).config
            dataset = at_hand(load_data(config), 0, quiet)
            self._references[name] = Reference(
                config, dataset, device=CPU, inception=None, progress=quiet
            )
        return self._references[name]

    def subject(self, name: str, *, n: int) -> Subject:
        """Such a run as gan-evaluate looks at it, with n samples."""
        reference = self.reference(name)
        return Subject(self.trained(name).game, reference, n=n, seed=self.seed)

    def measured(self, name: str, *metrics: str, n: int) -> Results:
        """What gan-evaluate measures of such a run."""
        return measure(self.subject(name, n=n), metrics)

    def experiment(
        self,
        *overrides: str,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
    ) -> Experiment:
        """A game at step 0, built as gan-train builds it.

        Args:
            *overrides: of the config.
            generator: in place of the configured one, made by hand.
            discriminator: likewise.
        """
        config = self.config(*overrides)
        set_up_torch(CPU, threads=1, precision="fp32", deterministic=False)
        dataset = load_data(config)
        assert isinstance(dataset, Dataset)
        state = build_state(config, dataset, CPU)
        game = cast("FromNoise", state.game)
        players: dict[Player, nn.Module | None] = {"g": generator, "d": discriminator}
        for player, by_hand in players.items():
            if by_hand is None:
                continue
            setattr(game, {"g": "generator", "d": "discriminator"}[player], by_hand)
            if parameters := list(by_hand.parameters()):
                state.optimizers[player] = build_optimizer(config, player, parameters)
        if generator is not None and config["ema"]["decay"]:
            game.keep_average(**config["ema"])
        return Experiment(state, dataset, k=config["k"], g_moves=config["g_moves"])


def quiet(*_: object) -> None:
    """Progress that nobody watches."""


class Given(nn.Module):
    """A player made by hand: any function of x or z."""

    def __init__(self, function: Callable[..., Tensor], parameters: Sequence[float] = ()) -> None:
        """Keep the function of x or z, and what it takes beside it: parameters to be trained."""
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(torch.tensor(w)) for w in parameters)
        self.function = function

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """The function's value."""
        value: Tensor = self.function(x, *self.weights)
        return value
