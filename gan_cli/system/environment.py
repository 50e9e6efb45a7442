"""Where a run happened: versions, machine and device, so that a later session notices changes."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from gan_cli import __version__

PACKAGES = ("torch", "torchvision", "numpy", "hydra-core")
#: A change in any of these can change the numbers that come out.
EXACTNESS = ("gan-train", "commit", "torch", "cpu", "device", "processes", "threads", "data")


def describe(
    device: torch.device,
    *,
    threads: int,
    data: str,
    processes: int = 1,
    folder: str | None = None,
) -> dict[str, str]:
    """Versions, commit, CPU, device, processes, threads, data's fingerprint and folder, as text.

    Args:
        device: that computes.
        threads: of each process.
        data: their fingerprint.
        processes: how many train together.
        folder: where relative paths begin; None: the current folder.
    """
    return {
        "gan-train": __version__,
        "commit": commit() or "none",
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "cpu": cpu_kind(),
        "device": device_kind(device),
        "processes": str(processes),
        "threads": str(threads),
        "data": data,
        "folder": folder or str(Path.cwd()),
    }


def changes(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """What differs and can make the numbers differ, one line each."""
    return [
        f"{key} was {before[key]}, is now {now[key]}"
        for key in EXACTNESS
        if key in before and before[key] != now[key]
    ]


def default_threads() -> int:
    """CPU threads to use: the cores that this process may run on, at most PyTorch's default."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(cores or 1, torch.get_num_threads())


def cpu_kind() -> str:
    """Model of the CPU and the vector instructions PyTorch uses on it."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{model} ({torch.backends.cpu.get_cpu_capability()})"


def device_kind(device: torch.device) -> str:
    """`cpu`, `mps`, or the name of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def commit() -> str | None:
    """Commit of the checkout that gan_cli runs from, `-dirty` if changed; None if installed."""
    root = Path(__file__).resolve().parent.parent.parent
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
