"""How PyTorch computes in this process: threads, precision and determinism."""

from __future__ import annotations

import contextlib
import os
from contextlib import AbstractContextManager
from typing import Any, Literal, get_args

import torch

Precision = Literal["fp32", "tf32", "bf16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


def set_up_torch(
    device: torch.device, *, threads: int, precision: Precision, deterministic: bool
) -> None:
    """Set what PyTorch keeps for the whole process.

    Args:
        device: of the run; of several GPUs it becomes the current one.
        threads: CPU threads, at least 1.
        precision: `tf32` lets CUDA round the factors of float32 products to 10 bits.
        deterministic: CUDA takes only kernels that repeat exactly; elsewhere without effect.
    """
    torch.set_num_threads(threads)
    tf32 = precision == "tf32"
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32
    if device.type == "cuda":
        torch.cuda.set_device(device)
        if deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(deterministic)


def autocast(device: torch.device, *, precision: Precision) -> AbstractContextManager[Any]:
    """The context of forward passes: `bf16` computes in bfloat16 where PyTorch deems it safe."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()
