"""PyTorch's optimizers, without what they load for torch.compile."""

from __future__ import annotations

import inspect

import torch
from torch.optim import Optimizer

#: Methods that import torch._dynamo on their first call, only to keep it from tracing them.
WRAPPED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


def light(kind: type[Optimizer]) -> type[Optimizer]:
    """`kind` with its own methods bare of their wrappers: the import takes a second of every start.

    Steps are the same; they just cannot be differentiated or compiled.
    """
    bare = {name: inspect.unwrap(getattr(kind, name)) for name in WRAPPED}
    step = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), {**bare, "step": step})
