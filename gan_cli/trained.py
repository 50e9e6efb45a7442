"""`gan_cli.load`: the generators of a trained run, ready for use."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_cli import rundir
from gan_cli.build import build_game, vet_targets
from gan_cli.device import resolve_device
from gan_cli.errors import UserError, nearest
from gan_cli.games.gan import GAN
from gan_cli.resume import typed
from gan_cli.spec import DataSpec

#: One label or several, by number or name.
Labels = int | str | Sequence[int | str] | Tensor


class CheckpointWarning(UserWarning):
    """A newer checkpoint could not be used."""


@dataclass(frozen=True)
class TrainedModel:
    """A generator as a checkpoint holds it; with its averaged weights, if the run kept them.

    Attributes:
        game: the networks, in evaluation mode.
        spec: what their data are.
        step: finished steps.
        config: what was trained.
        directory: the run directory.
    """

    game: GAN
    spec: DataSpec
    step: int
    config: dict[str, Any]
    directory: Path

    def sample(self, n: int, labels: Labels | None = None, seed: int = 0) -> Tensor:
        """Draw n samples, float32 (n, *shape) on the CPU, in the data's range (`spec`).

        Args:
            n: how many, at least 1.
            labels: for conditional models, numbers or names: one for all samples, or several that
                are gone through again and again; None: all classes in turn.
            seed: equal seeds give equal samples; sample i does not depend on n.

        Raises:
            ValueError: n is below 1, a label does not exist, or the model takes none.
        """
        if n < 1:
            raise ValueError(f"n={n}: must be at least 1")
        return self.map_noise(self.game.draw_noise(n, seed=seed), labels)

    def map_noise(self, z: Tensor, labels: Labels | None = None) -> Tensor:
        """G(z), float32 (n, *shape) on the CPU, for z of your own, (n, dim); labels as above.

        Raises:
            ValueError: z is of another dimension, or as for `sample`.
        """
        dim = self.game.noise.dim
        if z.dim() != 2 or z.shape[1] != dim:
            raise ValueError(f"z: is {tuple(z.shape)}, but must be (n, {dim})")
        numbers = self.label_numbers(labels)
        y = None
        if numbers is not None:
            y = torch.tensor(numbers)[torch.arange(len(z)) % len(numbers)]
        device = self.game.fixed_noise.device
        return self.game.map_noise(z.to(device), None if y is None else y.to(device)).cpu()

    def label_numbers(self, labels: Labels | None) -> list[int] | None:
        """Labels as numbers; None if the model takes none.

        Raises:
            ValueError: a label does not exist, or labels are given to a model that takes none.
        """
        if not self.game.conditional:
            if labels is not None:
                raise ValueError(
                    f"labels={labels}: model={self.config['model']['name']} takes none"
                )
            return None
        if labels is None:
            return list(range(self.spec.classes))
        if isinstance(labels, Tensor):
            labels = labels.flatten().tolist()
        several = [labels] if isinstance(labels, int | str) else list(labels)
        if not several:
            raise ValueError("labels=[]: name at least one")
        return [self._label_number(label) for label in several]

    def _label_number(self, label: int | str) -> int:
        classes, names = self.spec.classes, list(self.spec.class_names)
        if label in names:
            return names.index(str(label))
        if isinstance(label, int) and not isinstance(label, bool) and 0 <= label < classes:
            return label
        match = nearest(str(label), names)
        hint = f", or names: {', '.join(names[:20])}" if names else ""
        raise ValueError(
            f"labels={label}: there are 0 to {classes - 1}{hint}"
            + (f". Did you mean {match}?" if match else "")
        )


def load_run(run: str | Path, *, device: str, trust_checkpoint: bool) -> TrainedModel:
    """See `gan_cli.load`."""
    path, state, messages = rundir.read_checkpoint(Path(run), key="run")
    for message in messages:
        warnings.warn(message, CheckpointWarning, stacklevel=3)
    directory = path
    if path.is_file():
        folder = path.resolve().parent
        directory = folder.parent if rundir.is_run(folder.parent) else folder
    config = typed(state["config"], path)
    vet_targets(config, trusted=trust_checkpoint)
    try:
        spec = DataSpec(**state["spec"])
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers are theirs
            game = build_game(config, spec, resolve_device(device))
        game.load_networks(state["session"]["game"])
    except (ValueError, TypeError, LookupError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"run={run}: does not fit its own config ({reason}).") from error
    if not isinstance(game, GAN):
        raise UserError(f"run={run}: {type(game).__name__} does not sample from noise.")
    return TrainedModel(game.eval(), spec, state["step"], config, directory)
