"""What gan-sample is asked for, and what a mode makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from gan_cli.errors import Problem, UserError
from gan_cli.evaluation.reference import Reference
from gan_cli.loading import TrainedModel, open_reference
from gan_cli.pictures import Picture
from gan_cli.spec import DataSpec
from gan_cli.system.terminal import Terminal

PER_LABEL = 10  # samples of each label, where n does not say
N = {"grid": 64, "sheet": 64, "images": 64, "array": 64, "interpolate": 8, "reconstruct": 8}
READ = 2000  # data that modes look at which need some


@dataclass(frozen=True)
class Drawn:
    """What a mode gives.

    Attributes:
        picture: to be written.
        notes: what to say beside it.
    """

    picture: Picture
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        model: the trained run.
        config: of gan-sample.
        labels: as numbers; None if the model takes none.
        terminal: for notes on data that are read.
    """

    model: TrainedModel
    config: dict[str, Any]
    labels: list[int] | None
    terminal: Terminal

    @property
    def spec(self) -> DataSpec:
        """What the samples are."""
        return self.model.sampler.spec

    @property
    def seeds(self) -> list[int]:
        """The seed, or the seeds, that samples are drawn with."""
        seed = self.config["seed"]
        return seed if isinstance(seed, list) else [seed]

    @property
    def n(self) -> int:
        """How many samples, or rows of an interpolation."""
        if self.config["n"] is not None:
            return int(self.config["n"])
        mode = self.config["mode"]
        if self.labels is None or mode == "reconstruct":
            return N[mode]
        return len(self.labels) * (1 if mode == "interpolate" else PER_LABEL)

    def in_rows(self, seed: int | None = None) -> tuple[Tensor, list[int] | None, int | None]:
        """Samples with those of one label side by side, their labels, and columns for a sheet.

        Args:
            seed: to draw them with; None: the first.
        """
        seed = self.seeds[0] if seed is None else seed
        if self.labels is None:
            return self.model.sample(self.n, seed=seed), None, None
        columns = self.n // len(self.labels) if self.n % len(self.labels) == 0 else None
        labels = self.labels_in_rows()
        numbers = torch.tensor(labels)
        return self.model.sample(self.n, numbers, seed=seed), labels, columns

    def labels_in_rows(self) -> list[int] | None:
        """The label of each of n samples, equal ones side by side; None: the model takes none."""
        if self.labels is None:
            return None
        return [self.labels[index * len(self.labels) // self.n] for index in range(self.n)]

    def noise(self, n: int) -> Tensor:
        """The z of the first n samples, (n, dim)."""
        return self.model.sampler.draw_noise(n, seed=self.seeds[0])

    def labels_in_turn(self, n: int) -> Tensor | None:
        """The labels asked for, one after the other, (n,) on the model's device; None: none."""
        if self.labels is None:
            return None
        numbers = torch.tensor(self.labels)[torch.arange(n) % len(self.labels)]
        return numbers.to(self.model.sampler.fixed_noise.device)

    def caption(self, index: int, label: int | None) -> str:
        """Number of a sample, and its label's name."""
        return str(index) if label is None else f"{index}: {self.spec.name_of(label)}"

    @cached_property
    def reference(self) -> Reference:
        """The run's real data, read where they lie now.

        Raises:
            UserError: they cannot be read.
        """
        return open_reference(
            {"n": READ, "inception": None, **self.config}, self.model, self.terminal
        )

    def require_classes(self, why: str) -> None:
        """Check that the run's data are images in classes, which a classifier can tell apart.

        Raises:
            UserError: they are not; says what needs them.
        """
        if self.spec.classes < 2:
            advice = f"{why} needs data in classes, and this run's have none"
            raise UserError(Problem("mode", self.config["mode"], advice))
