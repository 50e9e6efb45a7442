"""Train, study and teach generative adversarial networks from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gan_cli import aliases

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gan_cli.cli.fit import Run
    from gan_cli.loading import TrainedModel

__version__ = "0.1.0"

aliases.install()


def load(run: str | Path, *, device: str = "cpu", trust_checkpoint: bool = False) -> TrainedModel:
    """Load the newest good checkpoint of a run, ready to sample from.

    Args:
        run: a run directory, or one checkpoint file.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        trust_checkpoint: also import classes from outside gan_cli and torch that the
            checkpoint names.

    Raises:
        gan_cli.errors.UserError: `run` holds no checkpoint that can be used.
    """
    from gan_cli.loading import load_run

    return load_run(run, device=device, trust_checkpoint=trust_checkpoint)


def fit(overrides: Sequence[str] = (), *, show: bool = True) -> Run:
    """Train as gan-train does with these settings, from Python or a notebook.

    It prints what the command prints. Ctrl-C, or a notebook's stop button, ends training after the
    step and saves, as for the command; `run.finished` is then False.

    Args:
        overrides: settings as on the command line, like `["model=dcgan", "steps=1000"]`.
        show: in a notebook, show the newest picture of samples while it trains.

    Returns:
        The run: its `path`, its `metrics`, its `pictures`, and `load()` for the trained model.

    Raises:
        gan_cli.errors.UserError: a setting, the data or a checkpoint is at fault; says which.
        gan_cli.errors.GanTrainError: any other expected failure, like training that diverged.
    """
    from gan_cli.cli.fit import train_here

    return train_here(overrides, show=show)
