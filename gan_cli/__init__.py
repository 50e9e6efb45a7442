"""Train, study and teach generative adversarial networks from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gan_cli import aliases

if TYPE_CHECKING:
    from pathlib import Path

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
