"""gan-sample, and `gan_cli.load` from Python: samples from a trained run."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_cli import rundir
from gan_cli.build import build_game, load_data, vet_targets
from gan_cli.device import resolve_device
from gan_cli.errors import UserError, list_problems
from gan_cli.games.gan import GAN
from gan_cli.pictures import draw, to_bytes, write_png
from gan_cli.resume import typed
from gan_cli.spec import DataSpec
from gan_cli.terminal import Terminal

MODES = ("grid", "images")


class CheckpointWarning(UserWarning):
    """A newer checkpoint could not be used."""


@dataclass(frozen=True)
class TrainedModel:
    """A generator as a checkpoint holds it.

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

    def sample(self, n: int, labels: Tensor | None = None, seed: int = 0) -> Tensor:
        """Draw n samples, float32 (n, *shape) on the CPU, in the data's range (`spec`).

        Args:
            n: how many, at least 1.
            labels: for conditional models.
            seed: equal seeds give equal samples.

        Raises:
            ValueError: n is below 1, or labels are given to a model without.
        """
        if n < 1:
            raise ValueError(f"n={n}: must be at least 1")
        if labels is not None:
            raise ValueError(f"labels: model={self.config['model']['name']} takes none")
        return self.game.sample(n, seed=seed).cpu()


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


def run(config: dict[str, Any]) -> int:
    """gan-sample: write what the config asks for, and say where.

    Raises:
        UserError: the run or a value is not usable, or the place cannot be written.
    """
    check(config)
    with warnings.catch_warnings(record=True) as passed_over:
        warnings.simplefilter("always", CheckpointWarning)
        model = load_run(
            config["run"], device=config["device"], trust_checkpoint=config["trust_checkpoint"]
        )
    for warning in passed_over:
        Terminal().say(f"note: {warning.message}")
    samples = model.sample(config["n"], seed=config["seed"])
    default = (
        model.directory
        / "samples"
        / f"{config['mode']}_step_{model.step:08d}_seed_{config['seed']}"
    )
    out = Path(config["out"]) if config["out"] else default
    try:
        if config["mode"] == "grid":
            written = write_grid(model, samples, out)
        else:
            written = write_images(model, samples, out)
    except OSError as error:
        raise UserError(f"out={out}: cannot be written ({error.strerror or error}).") from error
    text = f"{len(samples)} samples of step {model.step}, seed {config['seed']}: {written}"
    Terminal().say(text)
    return 0


def check(config: dict[str, Any]) -> None:
    """Find every problem of a sampling config.

    Raises:
        UserError: one message with all of them.
    """
    problems = []
    if config["mode"] not in MODES:
        problems.append(f"mode={config['mode']}: use {' or '.join(MODES)}")
    if config["n"] < 1:
        problems.append(f"n={config['n']}: must be at least 1")
    if config["seed"] < 0:
        problems.append(f"seed={config['seed']}: must be at least 0")
    try:
        resolve_device(config["device"])
    except ValueError as error:
        problems.append(str(error))
    if problems:
        raise UserError(list_problems(problems))


def write_grid(model: TrainedModel, samples: Tensor, out: Path) -> Path:
    """One picture of all samples; `.png` is added where it lacks."""
    if out.suffix.lower() in (".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff"):
        raise UserError(f"out={out}: pictures are written as .png; give {out.with_suffix('.png')}")
    if out.is_dir():
        raise UserError(f"out={out}: is a folder; mode=grid writes one file, like {out / 'x.png'}")
    path = out if out.suffix.lower() == ".png" else out.with_name(out.name + ".png")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Points are plotted over the real ones, which are drawn again from the run's seed.
    real = samples if model.spec.is_image else load_data(model.config).values
    assert isinstance(real, Tensor)
    write_png(path, draw(samples, model.spec, real=real[: len(samples)]))
    return path


def write_images(model: TrainedModel, samples: Tensor, out: Path) -> Path:
    """One picture a sample, at its own size, in a folder."""
    if not model.spec.is_image:
        raise UserError("mode=images: the run's data are points. Use mode=grid.")
    out.mkdir(parents=True, exist_ok=True)
    digits = len(str(len(samples) - 1))
    names = [f"{index:0{digits}d}.png" for index in range(len(samples))]
    others = sorted({path.name for path in out.iterdir()} - set(names))
    if others:
        raise UserError(f"out={out}: holds other files ({others[0]}, ...). Give an empty folder.")
    for name, image in zip(names, to_bytes(samples, model.spec), strict=True):
        gray = model.spec.shape[0] == 1
        write_png(out / name, image[0].numpy() if gray else image.permute(1, 2, 0).numpy())
    return out
