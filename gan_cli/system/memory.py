"""How much memory this process and its GPU have used."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import torch


def peak_memory_mib() -> float | None:
    """Most memory that this process has held, in MiB; None: the system does not tell."""
    status = Path("/proc/self/status")
    if status.is_file():  # Linux; getrusage would count what the starting process held, too
        match = re.search(r"VmHWM:\s*(\d+) kB", status.read_text())
        if match is not None:
            return int(match[1]) / 2**10
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def system_scalars(device: torch.device) -> dict[str, float]:
    """Peak memory of the process, and of the GPU, in MiB."""
    peak = peak_memory_mib()
    scalars = {} if peak is None else {"system/memory_mib": peak}
    if device.type == "cuda":
        scalars["system/gpu_memory_mib"] = torch.cuda.max_memory_allocated(device) / 2**20
    return scalars
