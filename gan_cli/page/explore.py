"""The part of a report where the generator lives: what the page's scripts need of a run."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_cli.errors import UserError
from gan_cli.games.base import Game
from gan_cli.games.from_noise import FromNoise
from gan_cli.loading import load_run
from gan_cli.noise import Noise, Normal, Spherical, Uniform
from gan_cli.page.graph import Bits, export
from gan_cli.page.trace import UnknownLayer
from gan_cli.settings.build import make
from gan_cli.theory.density import GaussianMixture

FOLDER = Path(__file__).parent
#: What belongs into the page, in this order.
SCRIPTS: tuple[str, ...] = tuple(
    (FOLDER / "scripts" / "explore" / f"{name}.js").read_text(encoding="utf-8")
    for name in ("forward", "layers", "convolutions", "noise", "engine", "controls", "charts",
                 "pictures", "points", "figures", "explore")
)  # fmt: skip
STYLES = (FOLDER / "explore.css").read_text(encoding="utf-8")

MOST_WEIGHTS = 2_000_000  # of a network that lies in the page
MOST_PIXELS = 256 * 256  # of a sample

#: What a damaged or foreign checkpoint may raise, apart from what `load_run` says of it.
DAMAGE = (ValueError, TypeError, LookupError, AttributeError, RuntimeError, ArithmeticError,
          OSError, MemoryError, UserError)  # fmt: skip


class LeftOutError(Exception):
    """Why the generator does not lie in the page: a short sentence."""


@dataclass(frozen=True)
class Explorer:
    """The generator for a page.

    Attributes:
        payload: what `startExplorer(section, payload)` takes, ready for json.dumps; None: left out.
        reason: why it is left out, a short sentence; None: it is not.
    """

    payload: dict[str, Any] | None
    reason: str | None


def explorer(run: Path, *, bits: Bits = 16) -> Explorer:
    """Write down a run's generator, and what its samples are.

    Args:
        run: a run directory, or a checkpoint file. Only weights are loaded, nothing is trained.
        bits: of each weight, 16 or 32.

    Returns:
        The payload, or the reason why there is none. A damaged run is such a reason too.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of newer checkpoints that cannot be used
            model = load_run(run, device="cpu", trust_checkpoint=False)
    except DAMAGE:
        return Explorer(None, "The run holds no checkpoint that can be loaded.")
    try:
        game, spec = model.game, model.spec
        is_image = getattr(spec, "is_image", True)
        density = None if is_image else getattr(make(model.config, "data"), "density", None)
        return Explorer(payload_of(game, step=model.step, density=density, bits=bits), None)
    except LeftOutError as reason:
        return Explorer(None, str(reason))
    except DAMAGE:
        return Explorer(None, "The generator could not be read from the checkpoint.")


def payload_of(
    game: Game[Any], *, step: int, density: GaussianMixture | None = None, bits: Bits = 16
) -> dict[str, Any]:
    """What the page's scripts need of a game.

    Args:
        game: the networks, in evaluation mode.
        step: that they were trained to.
        density: of points, if it is known.
        bits: of each weight, 16 or 32.

    Raises:
        LeftOutError: there is a reason not to take it.
    """
    if not isinstance(game, FromNoise):
        raise LeftOutError("The model translates images, and draws nothing from noise.")
    spec = game.spec
    if not spec.is_image and spec.size > 2:
        raise LeftOutError(f"Points in {spec.size} dimensions have no picture.")
    if spec.mean:
        raise LeftOutError("The points are standardised, and the page draws them as networks see.")
    if spec.size > MOST_PIXELS * 3:
        raise LeftOutError(f"Samples of {spec.text} are too large to draw in a page.")
    conditional = bool(game.conditional)
    payload = {
        "step": step,
        "averaged": game.average is not None,
        "shape": list(spec.shape),
        "range": list(spec.value_range) if spec.value_range else None,
        "classes": [spec.name_of(label) for label in range(spec.classes)] if conditional else [],
        "noise": described(game.noise),
        "generator": written(game.generators_in_use, game, role="generator", bits=bits),
        "check": check_of(game),
        "discriminator": None,
        "without": None,
        "density": None,
    }
    if not spec.is_image:
        payload |= theory_of(game, density, bits=bits)
    return payload


def described(noise: Noise) -> dict[str, Any]:
    """The prior as the script draws it.

    Raises:
        LeftOutError: it is none of ours.
    """
    if type(noise) is Uniform:
        return {"kind": "uniform", "dim": noise.dim, "low": noise.low, "high": noise.high}
    if type(noise) is Normal:
        return {"kind": "normal", "dim": noise.dim, "std": noise.std}
    if type(noise) is Spherical:
        return {"kind": "spherical", "dim": noise.dim}
    raise LeftOutError(f"The page cannot draw noise of the class {type(noise).__name__}.")


def example(game: FromNoise, n: int) -> tuple[Tensor, Tensor | None]:
    """The first n z of seed 0, (n, dim), and labels in turn, (n,), if the model takes any."""
    z = game.draw_noise(n, seed=0).cpu()
    return z, torch.arange(n) % game.spec.classes if game.conditional else None


def written(network: nn.Module, game: FromNoise, *, role: str, bits: Bits) -> dict[str, Any]:
    """One of the game's networks as steps.

    Raises:
        LeftOutError: it is too large, or holds what a page cannot compute.
    """
    weights = sum(parameter.numel() for parameter in network.parameters())
    if weights > MOST_WEIGHTS:
        raise LeftOutError(
            f"The {role} has {weights:,} weights; a page holds {MOST_WEIGHTS:,} at most."
        )
    inputs, labels = example(game, 2)
    if role != "generator":
        inputs = torch.randn(2, *game.spec.shape, generator=torch.Generator().manual_seed(0))
    try:
        network_json = export(network, inputs, labels, bits=bits)
    except UnknownLayer as error:
        raise LeftOutError(f"The page does not know a layer of the {role}: {error}.") from error
    except ValueError as error:
        raise LeftOutError(f"The {role} cannot be written down: {error}.") from error
    return {**network_json, "weights": weights}


def check_of(game: FromNoise) -> dict[str, Any]:
    """Some z, their labels, and PyTorch's samples, which the page holds its own against."""
    z, labels = example(game, 4)
    x = game.map_noise(z, labels)
    return {
        "z": z.flatten().tolist(),
        "labels": None if labels is None else labels.tolist(),
        "x": [round(number, 6) for number in x.flatten().tolist()],
    }


def theory_of(game: FromNoise, density: GaussianMixture | None, *, bits: Bits) -> dict[str, Any]:
    """For points: p_data, if it is known, and D."""
    theory: dict[str, Any] = {}
    if isinstance(density, GaussianMixture):
        theory["density"] = {
            "means": density.means.tolist(),
            "stds": density.stds.tolist(),
            "weights": density.weights.tolist(),
        }
    try:
        theory["discriminator"] = judge_of(game, bits=bits)
    except LeftOutError as reason:
        theory["without"] = str(reason)
    return theory


def judge_of(game: FromNoise, *, bits: Bits) -> dict[str, Any]:
    """D as steps, and whether its outputs are log-odds.

    Raises:
        LeftOutError: there is none for single samples, or as for G.
    """
    judges = game.each_discriminator()
    if len(judges) != 1:
        raise LeftOutError("There are several discriminators.")
    try:
        judge = written(judges[0], game, role="discriminator", bits=bits)
    except DAMAGE as error:  # it may want several samples at once
        raise LeftOutError("The discriminator does not judge single samples.") from error
    if judge["size"] != 1:
        raise LeftOutError("The discriminator does not give one number for a sample.")
    return {**judge, "log_odds": bool(game.loss.log_odds)}
