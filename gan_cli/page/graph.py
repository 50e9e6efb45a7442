"""A network as plain JSON, for the script in a page: steps, and constants as base64."""

from __future__ import annotations

import base64
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gan_cli.page.trace import Step, UnknownLayer, steps_of

Bits = Literal[16, 32]

WHOLE = 32767  # the largest number of 16 bits


def export(network: nn.Module, x: Tensor, labels: Tensor | None, *, bits: Bits) -> dict[str, Any]:
    """Write down what a network computes in evaluation mode.

    Args:
        network: takes `(x, labels)`; it stays as it is.
        x: two inputs that differ, (2, ...), float32 on the CPU.
        labels: (2,), int64, which differ; None: the network takes none.
        bits: of each weight. Vectors (biases, scales and shifts) always have 32.

    Returns:
        `input` and `size`: numbers of one input and of one output; `output`: number of the value
        that is the output; `steps`: each with `name`, `inputs` (numbers of values: 0 is the
        input, 1 the label, 2 + i the i-th step's), `size`, and its settings. Constants are
        objects that `encoded` makes.

    Raises:
        UnknownLayer: the network computes what the page cannot.
        ValueError: a weight is not finite.
    """
    one = None if labels is None else labels[:1]
    two = None if labels is None else labels[1:]
    steps, output = steps_of(network, x[:1], one)
    written = [packed(step, bits) for step in steps]
    others, _ = steps_of(network, x[1:], two)
    if not same(steps, others):
        raise UnknownLayer("it computes different functions of different inputs")
    return {
        "input": x[0].numel(),
        "size": torch.Size(steps[output - 2].shape).numel() if output > 1 else x[0].numel(),
        "output": output,
        "steps": written,
    }


def same(some: list[Step], others: list[Step]) -> bool:
    """Whether two lists say the same: constants must not depend on the input of the trace."""
    if len(some) != len(others):
        return False
    for one, other in zip(some, others, strict=True):
        if (one.name, one.inputs, one.shape) != (other.name, other.inputs, other.shape):
            return False
        for key, value in one.settings.items():
            there = other.settings[key]
            if isinstance(value, Tensor) != isinstance(there, Tensor):
                return False
            equal = torch.equal(value, there) if isinstance(value, Tensor) else value == there
            if not equal:
                return False
    return True


def packed(step: Step, bits: Bits) -> dict[str, Any]:
    """A step as JSON."""
    settings = {
        key: encoded(value, bits) if isinstance(value, Tensor) else value
        for key, value in step.settings.items()
        if value is not None
    }
    size = torch.Size(step.shape).numel()
    return {"name": step.name, "inputs": list(step.inputs), "size": size, **settings}


def encoded(tensor: Tensor, bits: Bits) -> dict[str, Any]:
    """A tensor's numbers in base64, little-endian.

    With 16 bits, a row (all weights of one first index) has one float32 scale, and a weight is a
    whole number of 32767ths of it. That is five to ten times closer to the weight than float16,
    which spends bits on exponents that differ little within a row.

    Raises:
        ValueError: some are not finite.
    """
    plain = tensor.detach().as_subclass(Tensor).cpu().float()
    if not plain.isfinite().all():
        raise ValueError("some weights are not finite")
    # Vectors weigh little, and an error in one of their numbers reaches every sample.
    if bits == 32 or plain.dim() < 2:
        return {"bits": 32, "data": base64_of(plain, "<f4")}
    rows = plain.double().flatten(1)
    scales = (rows.abs().amax(dim=1) / WHOLE).float()
    scales[scales == 0] = 1.0
    numbers = (rows / scales.double()[:, None]).round().clamp(-WHOLE, WHOLE)
    return {"bits": 16, "data": base64_of(numbers, "<i2"), "scales": base64_of(scales, "<f4")}


def base64_of(tensor: Tensor, kind: str) -> str:
    """The numbers of a tensor, as NumPy's `kind`."""
    data = tensor.contiguous().numpy().astype(kind).tobytes()
    return base64.b64encode(data).decode("ascii")
