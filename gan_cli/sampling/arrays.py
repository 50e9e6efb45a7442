"""Samples as an array in a file, in the data's own units and layout: what data=arrays reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan_cli.errors import Problem, UserError
from gan_cli.sampling.request import Request
from gan_cli.spec import DataSpec
from gan_cli.system.files import replacing

KINDS = (".npz", ".npy")


def write_array(request: Request, out: Path) -> tuple[Path, tuple[str, ...]]:
    """Write samples, and in an .npz the labels that they were asked for.

    Args:
        request: what to draw; samples of one label lie side by side.
        out: a file; `.npz` is added if it names no kind.

    Returns:
        What was written, and what to say of it.

    Raises:
        OSError: it cannot be written.
        UserError: it is a folder, or a file of another kind.
    """
    path = out if out.suffix else out.with_name(out.name + KINDS[0])
    if path.suffix.lower() not in KINDS:
        advice = f"mode=array writes .npz or .npy; give {path.with_suffix(KINDS[0])}"
        raise UserError(Problem("out", out, advice))
    if out.is_dir() or path.is_dir():
        advice = f"is a folder; mode=array writes one file, like {out / 'x.npz'}"
        raise UserError(Problem("out", out, advice))
    labels = request.labels_in_rows()
    samples = as_array(drawn(request, labels), request.spec)
    arrays = {"samples": samples}
    if labels is not None:
        arrays["labels"] = names_of(labels, request.spec)
    is_one = path.suffix.lower() == ".npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, temporary.open("wb") as file:
        if is_one:
            np.save(file, samples, allow_pickle=False)
        else:
            np.savez(file, allow_pickle=False, **arrays)
    holds = [f"{name}: {each.dtype}, {each.shape}" for name, each in arrays.items()]
    if is_one and labels is not None:
        return path, (holds[0], "labels are not in an .npy; an .npz holds them.")
    return path, tuple(holds)


def drawn(request: Request, labels: list[int] | None) -> Tensor:
    """The samples that other modes draw with the same seed, as networks see data."""
    game = request.model.sampler
    z = request.noise(request.n)
    numbers = None if labels is None else torch.tensor(labels, device=z.device)
    return game.map_noise(z, numbers).float().cpu()


def as_array(x: Tensor, spec: DataSpec) -> np.ndarray:
    """Samples in the data's own units.

    Args:
        x: as networks see data, (n, *shape).
        spec: of the data.

    Returns:
        Vectors (n, d), float32, or float64 if networks saw them standardised. Images (n, H, W),
        or (n, H, W, C) in colour: uint8, values 0..255, or float32 between the data's levels.
    """
    if not spec.is_image:
        return np.ascontiguousarray(spec.in_own_units(x).numpy())
    unit = spec.to_unit(x).clamp_(0, 1)
    if spec.levels is None:
        pixels = unit.mul_(255).round_().to(torch.uint8)
    else:
        low, high = spec.levels
        pixels = (unit.double() * (high - low) + low).float()
    images = pixels[:, 0] if spec.shape[0] == 1 else pixels.permute(0, 2, 3, 1)
    return np.ascontiguousarray(images.numpy())


def names_of(labels: list[int], spec: DataSpec) -> np.ndarray:
    """Labels as the data have them: whole numbers, or the names of their classes."""
    if not spec.class_names:
        return np.array(labels, np.int64)
    names = [spec.name_of(label) for label in labels]
    try:
        numbers = np.array([int(name) for name in names], np.int64)
    except (ValueError, OverflowError):
        return np.array(names)
    return numbers if list(map(str, numbers.tolist())) == names else np.array(names)
