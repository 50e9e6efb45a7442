"""Devices by name: `auto`, `cpu`, `cuda`, `cuda:N`, `mps`."""

from __future__ import annotations

import re

import torch


def resolve_device(name: str, *, local: int | None = None) -> torch.device:
    """The device a name stands for; `auto` takes CUDA, then MPS, then the CPU.

    Args:
        name: as configured.
        local: number of this process among those on this machine, which get a GPU each.

    Raises:
        ValueError: no such name, or no such device here.
    """
    if local and (name == "cuda" or (name == "auto" and torch.cuda.is_available())):
        return numbered(name, local)
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    if name == "mps":
        if not torch.backends.mps.is_available():
            raise ValueError("device=mps: this machine or this PyTorch has no MPS. Use device=cpu")
        return torch.device("mps")
    match = re.fullmatch(r"cuda(?::(\d+))?", name)
    if match is None:
        raise ValueError(f"device={name}: use auto, cpu, cuda, cuda:N or mps")
    if not torch.cuda.is_available():
        raise ValueError(
            f"device={name}: PyTorch finds no CUDA device here. Use device=cpu or device=auto"
        )
    return numbered(name, int(match[1] or torch.cuda.current_device()))


def device_problems(name: str) -> list[str]:
    """What is wrong with a device's name, in a list of one; empty if nothing is."""
    try:
        resolve_device(name)
    except ValueError as error:
        return [str(error)]
    return []


def numbered(name: str, index: int) -> torch.device:
    """A GPU by its number.

    Raises:
        ValueError: there are fewer.
    """
    count = torch.cuda.device_count()
    if index >= count:
        raise ValueError(
            f"device={name}: there are {count} CUDA devices, cuda:0 to cuda:{count - 1}"
        )
    return torch.device("cuda", index)
