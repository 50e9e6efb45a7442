"""Holds exported files against the live model: what a fresh process makes of them."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan_cli.errors import GanTrainError
from gan_cli.exporting.network import Exported, Input, masks_of
from gan_cli.games.from_noise import FromNoise
from gan_cli.loading import TrainedModel
from gan_cli.seeding import generator_for

#: Largest difference, where the largest value of the live model is 1 or less; else times that.
TOLERANCE = 1e-4
BATCHES, SEEDS = (1, 7, 64), (0, 1)
#: Pixels of a batch to translate; larger batches have smaller images, which is the same graph.
MOST_PIXELS = 2**18
HALF = 0.5 / 255  # how far rounding to bytes may move a value

#: Runs `run` of the generate.py in a folder on stored inputs; nothing of gan_cli may be needed.
CHILD = """\
import importlib.util, json, sys
import numpy as np
folder, stored, results = sys.argv[1:]
sys.path[:] = [folder] + [path for path in sys.path if path not in ("", folder)]
sys.dont_write_bytecode = True
import generate
cases = np.load(stored)
outputs = {}
for case, network in json.loads(str(cases["cases"])).items():
    names = sorted((name for name in cases if name.startswith(case + "/")))
    outputs[case] = generate.run(network, *(cases[name] for name in names))
if "gan_cli" in sys.modules:
    sys.exit("gan_cli was imported")
np.savez(results, **outputs)
"""


@dataclass(frozen=True)
class Case:
    """What one call of an exported network must give.

    Attributes:
        exported: the network.
        inputs: of the call.
        expected: the live model's answer: images in [0, 1], points in their units.
    """

    exported: Exported
    inputs: list[np.ndarray]
    expected: np.ndarray


def cases_of(model: TrainedModel, networks: Sequence[Exported]) -> list[Case]:
    """Calls with all batch sizes and seeds; of translations one with other sides, too."""
    cases = []
    for exported in networks:
        first = exported.inputs[0]
        for seed in SEEDS:
            cases += [case_of(model, exported, n, seed, sides=sides_for(first, n)) for n in BATCHES]
        if first.multiple:
            height, width = first.shape[1:]
            sides = (height + first.multiple, width + 2 * first.multiple)
            cases.append(case_of(model, exported, 1, SEEDS[0], sides=sides))
    return cases


def sides_for(image: Input, n: int) -> tuple[int, int] | None:
    """Height and width of n images to translate; None: as they are, or there are no images."""
    if not image.multiple:
        return None
    height, width = image.shape[1:]
    share = min(1.0, math.sqrt(MOST_PIXELS / (n * height * width)))
    least = max(image.smallest, 2 * image.multiple)
    first, second = (
        max(int(side * share) // image.multiple * image.multiple, least) for side in (height, width)
    )
    return first, second


def case_of(
    model: TrainedModel,
    exported: Exported,
    n: int,
    seed: int,
    *,
    sides: tuple[int, int] | None = None,
) -> Case:
    """One call, and what the live model answers."""
    game = model.game
    if exported.source is not None:
        assert exported.direction is not None
        channels, *own = exported.source.shape
        shape = (n, channels, *(sides or own))
        image = torch.rand(shape, generator=generator_for(seed, "images to verify", n))
        y = model.translate(exported.source.from_unit(image), exported.direction)
        return Case(exported, [image.numpy()], unit(y, exported).numpy())
    assert isinstance(game, FromNoise)
    z = game.draw_noise(n, seed=seed)
    inputs = [z]
    if game.conditional:
        inputs.append(torch.arange(n) % game.spec.classes)
    inputs += masks_of(game, z)
    y = model.map_noise(z)
    return Case(exported, [each.cpu().numpy() for each in inputs], unit(y, exported).numpy())


def unit(y: Tensor, exported: Exported) -> Tensor:
    """Images in [0, 1]; points as they are."""
    return exported.target.to_unit(y) if exported.target.is_image else y


def largest_difference(folder: Path, cases: Sequence[Case]) -> float:
    """The largest difference between exported files and the live model.

    Bytes are compared with the live model before it rounds: what counts is by how much they lie
    beyond the half step that rounding may move them.

    Args:
        folder: that holds the files and generate.py.
        cases: to try.

    Raises:
        GanTrainError: the files cannot be run.
    """
    worst = 0.0
    for case, found in zip(cases, run_in_child(folder, cases), strict=True):
        if found.shape != case.expected.shape:
            raise GanTrainError(
                f"{folder.name}: {case.exported.name} gives {found.shape} in place of "
                f"{case.expected.shape}"
            )
        scale = max(1.0, float(np.abs(case.expected).max()))
        if case.exported.rounds:
            distance = np.abs(found.astype(np.float64) / 255 - case.expected.clip(0, 1)) - HALF
        else:
            distance = np.abs(found.astype(np.float64) - case.expected)
        if not np.isfinite(distance).all():
            return float("inf")
        worst = max(worst, float(distance.max()) / scale)
    return worst


def run_in_child(folder: Path, cases: Sequence[Case]) -> list[np.ndarray]:
    """What the files of a folder make of the cases, in a fresh Python process.

    Raises:
        GanTrainError: it failed.
    """
    with tempfile.TemporaryDirectory() as place:
        stored, results = Path(place, "inputs.npz"), Path(place, "outputs.npz")
        arrays = {
            f"{number:03d}/{position}": array
            for number, case in enumerate(cases)
            for position, array in enumerate(case.inputs)
        }
        names = {f"{number:03d}": case.exported.name for number, case in enumerate(cases)}
        np.savez(stored, allow_pickle=False, cases=np.array(json.dumps(names)), **arrays)
        command = [sys.executable, "-c", CHILD, str(folder), str(stored), str(results)]
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            reason = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
            raise GanTrainError(f"the exported files cannot be run: {reason[:500]}")
        with np.load(results) as outputs:
            return [outputs[name] for name in names]
