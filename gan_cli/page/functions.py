"""Which functions of PyTorch a page can compute, and what its script needs to know of each.

A rule gets the result of a function and the function's arguments; its own signature names the
arguments that it knows, and any other makes the function unknown. Tensors that do not depend on
the network's input are `Constant`. Batches hold one sample, so that views of a tensor are the same
numbers in the same order.
"""

# ruff: noqa: ARG001  (arguments that a rule names and ignores change nothing in evaluation mode)

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor


class Constant(Tensor):
    """A tensor that is the same for all samples."""


class Same:
    """The result holds the same numbers in the same order."""


class Unknown:
    """The page cannot compute this."""


#: A step's name and settings, or one of the above.
Result = tuple[str, Mapping[str, Any]] | Same | Unknown


def _of_value(x: Tensor, *constants: Tensor | None) -> bool:
    """Whether a function takes one value, and constants else."""
    return not isinstance(x, Constant) and all(
        constant is None or isinstance(constant, Constant) for constant in constants
    )


def _linear(result: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Result:
    fits = _of_value(x, weight, bias) and x.dim() == 2
    return ("linear", {"weight": weight, "bias": bias}) if fits else Unknown()


def _matmul(result: Tensor, x: Tensor, weight: Tensor) -> Result:
    return _linear(result, x, weight.t()) if weight.dim() == 2 else Unknown()


def _alike(pair: Any) -> int | None:
    """One number for both directions; None: they differ."""
    numbers = {int(number) for number in (pair if isinstance(pair, tuple | list) else [pair])}
    return numbers.pop() if len(numbers) == 1 else None


def _conv2d(
    result: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Result:
    return _convolution("conv", result, x, weight, bias, (stride, padding, dilation, groups))


def _conv_transpose2d(
    result: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Result:
    # The result's shape says what the output padding is.
    return _convolution("deconv", result, x, weight, bias, (stride, padding, dilation, groups))


def _convolution(
    name: str,
    result: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    settings: tuple[Any, Any, Any, int],
) -> Result:
    stride, padding, dilation = map(_alike, settings[:3])
    plain = weight.shape[2] == weight.shape[3] and dilation == 1 and settings[3] == 1
    fits = _of_value(x, weight, bias) and x.dim() == 4
    if stride is None or padding is None or not (plain and fits):
        return Unknown()
    return name, {
        "weight": weight,
        "bias": bias,
        "stride": stride,
        "padding": padding,
        "kernel": weight.shape[2],
        "from": list(x.shape[1:]),
        "to": list(result.shape[1:]),
    }


def _batch_norm(
    result: Tensor,
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Result:
    if training:  # of one image: what instance norm does
        return _norm(x, x.shape[1], weight, bias, eps)
    if running_mean is None or running_var is None or not _of_value(x, running_mean, weight, bias):
        return Unknown()
    # float64: a difference of large numbers may be small.
    scale = (running_var.double() + eps).rsqrt()
    if weight is not None:
        scale = scale * weight.double()
    shift = -running_mean.double() * scale
    if bias is not None:
        shift = shift + bias.double()
    return "affine", {"scale": scale.float(), "shift": shift.float()}


def _norm(x: Tensor, groups: int, scale: Tensor | None, shift: Tensor | None, eps: float) -> Result:
    if x.dim() not in (2, 4) or not _of_value(x, scale, shift):
        return Unknown()
    settings = {"groups": groups, "channels": x.shape[1], "eps": eps}
    return "norm", {**settings, "scale": scale, "shift": shift}


def _group_norm(
    result: Tensor,
    x: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Result:
    return _norm(x, num_groups, weight, bias, eps)


def _instance_norm(
    result: Tensor,
    x: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Result:
    return _norm(x, x.shape[1], weight, bias, eps) if use_input_stats else Unknown()


def _pointwise(name: str) -> Callable[..., Result]:
    def rule(result: Tensor, x: Tensor, *, inplace: bool = False) -> Result:
        return name, {}

    return rule


def _leaky_relu(
    result: Tensor, x: Tensor, negative_slope: float = 0.01, inplace: bool = False
) -> Result:
    return "leaky", {"slope": negative_slope}


def _amax(result: Tensor, x: Tensor, dim: int) -> Result:
    last = dim in (-1, x.dim() - 1)  # the numbers to compare lie side by side
    return ("max", {"pieces": x.shape[-1]}) if last else Unknown()


def _cat(result: Tensor, tensors: Any, dim: int = 0) -> Result:
    values = not any(isinstance(tensor, Constant) for tensor in tensors)
    return ("cat", {}) if dim == 1 and values else Unknown()


def _one_hot(result: Tensor, labels: Tensor, num_classes: int) -> Result:
    return ("one_hot", {}) if labels.dim() == 1 else Unknown()


def _embedding(result: Tensor, labels: Tensor, weight: Tensor, *further: Any) -> Result:
    fits = labels.dim() == 1 and _of_value(labels, weight)
    return ("embedding", {"weight": weight}) if fits else Unknown()


def _interpolate(
    result: Tensor,
    x: Tensor,
    size: Any = None,
    scale_factor: float | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Result:
    if x.dim() != 4 or mode != "nearest" or size is not None or scale_factor is None:
        return Unknown()
    factor = int(scale_factor)
    whole = factor == scale_factor
    return ("copies", {"factor": factor, "from": list(x.shape[1:])}) if whole else Unknown()


def _view(result: Tensor, x: Tensor, *shape: Any, **further: Any) -> Result:
    whole = result.numel() == x.numel() and len(result) == 1
    return Same() if whole and result.dtype == x.dtype else Unknown()


def _to(result: Tensor, x: Tensor, *where: Any, **further: Any) -> Result:
    return Same() if result.dtype == torch.float32 else Unknown()


def _getitem(result: Tensor, x: Tensor, index: Any) -> Result:
    everything = isinstance(index, tuple) and all(i is None or i == slice(None) for i in index)
    return Same() if everything else Unknown()


def _expand(result: Tensor, x: Tensor, *shape: Any) -> Result:
    if result.shape == x.shape:
        return Same()
    channels = x.shape[:2] == result.shape[:2] and math.prod(x.shape[2:]) == 1
    return ("spread", {"pixels": math.prod(result.shape[2:])}) if channels else Unknown()


def _sum(result: Tensor, x: Tensor, dim: int) -> Result:
    return ("sum", {}) if x.dim() == 2 and dim in (1, -1) else Unknown()


def _mul(result: Tensor, x: Any, other: Any) -> Result:
    return _combination("mul", result, x, other)


def _add(result: Tensor, x: Any, other: Any) -> Result:
    return _combination("add", result, x, other)


def _combination(name: str, result: Tensor, x: Any, other: Any) -> Result:
    """Two values of one shape, or a value and one constant for each channel or for all."""
    if not isinstance(x, Tensor) or isinstance(x, Constant):
        x, other = other, x
    if isinstance(other, Tensor) and not isinstance(other, Constant):
        return (name, {}) if x.shape == other.shape else Unknown()
    numbers = other if isinstance(other, Tensor) else torch.tensor(float(other))
    channels = x.shape[1]
    if result.shape != x.shape or numbers.numel() not in (1, channels):
        return Unknown()
    if numbers.numel() > 1 and numbers.dim() not in (1, x.dim()):
        return Unknown()
    if numbers.dim() == 1 and x.dim() > 2 and numbers.numel() > 1:
        return Unknown()  # one for each column of an image
    numbers = numbers.flatten().float().expand(channels)
    one, zero = torch.ones(channels), torch.zeros(channels)
    scale, shift = (numbers, zero) if name == "mul" else (one, numbers)
    return "affine", {"scale": scale, "shift": shift}


RULES: dict[str, Callable[..., Result]] = {
    "linear": _linear,
    "matmul": _matmul,
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "batch_norm": _batch_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "leaky_relu": _leaky_relu,
    "amax": _amax,
    "cat": _cat,
    "concat": _cat,
    "one_hot": _one_hot,
    "embedding": _embedding,
    "interpolate": _interpolate,
    "getitem": _getitem,
    "__getitem__": _getitem,
    "expand": _expand,
    "sum": _sum,
    "to": _to,
    "float": _to,
    **dict.fromkeys(("mul", "__mul__", "__rmul__"), _mul),
    **dict.fromkeys(("add", "__add__", "__radd__"), _add),
    **{name: _pointwise(name) for name in ("relu", "tanh", "sigmoid", "silu", "cos")},
    **dict.fromkeys(
        ("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "contiguous"), _view
    ),
}
