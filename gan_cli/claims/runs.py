"""Runs that claims look at: trained once, by gan-train itself, and left beside the results."""

from __future__ import annotations

import io
import shutil
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from gan_cli.runs.directory import is_run
from gan_cli.settings.compose import compose_config
from gan_cli.train import run

FOLDER = "runs"  # of all of them, in that of the results


@dataclass(frozen=True)
class Recipe:
    """What gan-train is given.

    Attributes:
        overrides: of the config.
        steps: so many.
        fast: so many where only the experiment is tried.
    """

    overrides: tuple[str, ...]
    steps: int
    fast: int = 3


PHOTOS = ("data.image_size=16", "data.validation=300", "model.width=32", "data.batch_size=64")
CONVOLUTIONAL = ("model=dcgan", "data=digits", *PHOTOS)
CLASSES = ("model=cgan", "data=digits", "data.validation=300", "model.width=32",
           "data.batch_size=64")  # fmt: skip
DOMAINS = ("experiment=cyclegan_digits", "data.batch_size=4", "schedule.constant_steps=750",
           "schedule.decay_steps=750")  # fmt: skip

RUNS = {
    "digits": Recipe(CONVOLUTIONAL, 1500),
    "digits_pooled": Recipe(
        (*CONVOLUTIONAL, "model.discriminator.downsampling=max", "model.discriminator.hidden=128",
         "model.generator.hidden=128"), 1500,
    ),
    "digits_unnormalised": Recipe((*CONVOLUTIONAL, "model.norm=none"), 1500),
    "classes": Recipe(CLASSES, 1500),
    "classes_unmatched": Recipe((*CLASSES, "model.mismatch_weight=0"), 1500),
    "domains": Recipe(DOMAINS, 1500),
    "domains_without_cycle": Recipe(
        (*DOMAINS, "model.cycle_weight_a=0", "model.cycle_weight_b=0"), 1500
    ),
    "domains_log": Recipe((*DOMAINS, "loss=non_saturating"), 1500),
}  # fmt: skip


def place_of(name: str, folder: Path) -> Path:
    """The run directory."""
    return folder / FOLDER / name


def train_run(name: str, folder: str, seed: int, fast: bool) -> float:
    """Train anew; also in a process of its own.

    Args:
        name: of RUNS.
        folder: of all results.
        seed: of the run.
        fast: few steps.

    Returns:
        Seconds.

    Raises:
        GanTrainError: as gan-train does.
        KeyboardInterrupt: a signal ended it.
    """
    began, recipe, place = time.monotonic(), RUNS[name], place_of(name, Path(folder))
    if is_run(place):  # of an earlier call, perhaps by another version
        shutil.rmtree(place)
    steps = recipe.fast if fast else recipe.steps
    config = compose_config(
        [*recipe.overrides, f"steps={steps}", f"seed={seed}", "device=cpu", "threads=1"]
    )
    config |= {"output_dir": str(place.parent), "name": name, "report": not fast}
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        code = run(config, [])
    if code:
        raise KeyboardInterrupt
    return time.monotonic() - began
