"""Devices by name: `auto`, `cpu`, `cuda`, `cuda:N`, `mps`."""

from __future__ import annotations

import re

import torch

from gan_cli.errors import Problem, SettingsError


def resolve_device(name: str, *, local: int | None = None) -> torch.device:
    """The device that a name means; `auto` takes CUDA, then MPS, then the CPU.

    Args:
        name: as configured.
        local: number of this process among those on this machine; each gets a GPU of its own.

    Raises:
        SettingsError: no such name, or no such device here.
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
            raise rejected(name, "this machine or this PyTorch has no MPS. Use device=cpu")
        return torch.device("mps")
    match = re.fullmatch(r"cuda(?::([0-9]{1,6}))?", name)
    if match is None:
        raise rejected(name, "use auto, cpu, cuda, cuda:N or mps")
    if not torch.cuda.is_available():
        raise rejected(name, "PyTorch finds no CUDA device here. Use device=cpu or device=auto")
    return numbered(name, int(match[1] or torch.cuda.current_device()))


def device_problems(name: str) -> list[Problem]:
    """What is wrong with the name of a device; empty if there is such a device here."""
    try:
        resolve_device(name)
    except SettingsError as error:
        return error.problems
    return []


def rejected(name: str, advice: str) -> SettingsError:
    """The error for a device that cannot be had."""
    return SettingsError([Problem("device", name, advice)])


def numbered(name: str, index: int) -> torch.device:
    """A GPU by its number.

    Raises:
        SettingsError: there are fewer.
    """
    count = torch.cuda.device_count()
    if index >= count:
        raise rejected(name, f"there are {count} CUDA devices, cuda:0 to cuda:{count - 1}")
    return torch.device("cuda", index)
