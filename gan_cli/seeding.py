"""Random streams: every one is a function of the run's single seed and its purpose."""

from __future__ import annotations

import hashlib

import torch


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose, unrelated to the others (a hash)."""
    text = "/".join(str(part) for part in (seed, *purpose))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator_for(
    seed: int, *purpose: str | int, device: torch.device | None = None
) -> torch.Generator:
    """A fresh generator on `device` (default CPU) for one purpose."""
    generator = torch.Generator(device=device or torch.device("cpu"))
    return generator.manual_seed(derive_seed(seed, *purpose))


def seed_global_streams(seed: int) -> None:
    """Seed PyTorch's own streams, which initial weights and dropout draw from."""
    torch.manual_seed(derive_seed(seed, "global"))


def global_streams(device: torch.device) -> dict[str, torch.Tensor]:
    """State of PyTorch's own streams on the CPU and on `device`."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        state["mps"] = torch.mps.get_rng_state()
    return state


def restore_global_streams(state: dict[str, torch.Tensor], device: torch.device) -> None:
    """Put the streams of `global_streams` back; a stream of another device is left alone."""
    torch.set_rng_state(state["cpu"].cpu())
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)
    elif device.type == "mps" and "mps" in state:
        torch.mps.set_rng_state(state["mps"].cpu())
