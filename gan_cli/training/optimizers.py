"""PyTorch's optimizers, without what they load for torch.compile and do around their kernels."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

Kind = TypeVar("Kind", bound=Optimizer)
#: Methods that import torch._dynamo on their first call, only to keep it from tracing them.
WRAPPED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


def light(kind: type[Kind]) -> type[Kind]:
    """`kind` with its own methods bare of their wrappers: the import takes a second of every start.

    Steps are the same; they just cannot be differentiated, compiled or hooked.
    """
    bare: dict[str, Any] = {name: inspect.unwrap(getattr(kind, name)) for name in WRAPPED}
    step = inspect.unwrap(kind.step)
    bare["step"] = torch.no_grad()(straight(step) if kind is Adam else step)
    bare["step"].hooked = True  # or each optimizer that is made would wrap it for hooks
    return cast(type[Kind], type(kind.__name__, (kind,), bare))


def straight(step: Callable[[Adam], object]) -> Callable[[Adam], None]:
    """Adam's step that goes straight to the fused kernel: a third of a step of a small network.

    Args:
        step: Adam's own, for the first time and for all that is not the plain case.
    """

    def quick(self: Adam) -> None:
        watched = getattr(self, "found_inf", None) is not None
        if watched or not all(is_plain(group, self.state) for group in self.param_groups):
            step(self)
            return
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            memory = [self.state[p] for p in parameters]
            steps = [kept["step"] for kept in memory]
            torch._foreach_add_(steps, 1)
            torch._fused_adam_(
                in_memory_order(parameters),
                in_memory_order([laid_out_as(p, p.grad) for p in parameters]),
                in_memory_order([kept["exp_avg"] for kept in memory]),
                in_memory_order([kept["exp_avg_sq"] for kept in memory]),
                [],
                steps,
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=group["maximize"],
            )

    return quick


def in_memory_order(tensors: list[Tensor]) -> list[Tensor]:
    """Views in the order of memory of what lies channels-last; the kernel would copy it in vain."""
    return [x.permute(0, 2, 3, 1) if x.dim() == 4 and not x.is_contiguous() else x for x in tensors]


def laid_out_as(parameter: Tensor, gradient: Tensor) -> Tensor:
    """The gradient in its parameter's order of memory, by which the kernel goes."""
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


def is_plain(group: dict[str, Any], state: dict[Tensor, Any]) -> bool:
    """Whether one kernel moves all of a group as it is: fused, on one device, begun before."""
    first = group["params"][0]
    return (
        bool(group["fused"])
        and not group["amsgrad"]
        and not group.get("decoupled_weight_decay")
        and isinstance(group["lr"], float)
        and all(
            p.grad is None or (state[p] and p.device == first.device and p.dtype == first.dtype)
            for p in group["params"]
        )
    )
