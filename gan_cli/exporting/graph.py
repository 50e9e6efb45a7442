"""A generator as a graph of PyTorch's operations, of any batch size."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from gan_cli.errors import UserError
from gan_cli.exporting.network import Exported, Input

EXAMPLES = 2  # data in the batch that passes through; graphs are specialised to 0 and 1


def trace(exported: Exported) -> ExportedProgram:
    """The graph, whose inputs may have any batch size, and images any sides that G takes.

    Raises:
        UserError: the generator cannot be written as one graph; says why.
    """
    inputs = tuple(example(each, EXAMPLES) for each in exported.inputs)
    shapes = tuple(free_axes(each) for each in exported.inputs)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # PyTorch's own deprecations
            return torch.export.export(exported, inputs, dynamic_shapes=(shapes,))
    except Exception as error:  # PyTorch raises many kinds for code that it cannot follow
        reason = str(error).strip().partition("\n")[0].partition(" For more")[0][:200]
        raise UserError(
            f"{exported.name}: cannot be exported, because its forward is no fixed list of "
            f"operations for any batch size: no len(x), and no choices by values ({reason})."
        ) from error


def example(given: Input, n: int, *, sides: Sequence[int] | None = None) -> Tensor:
    """Random inputs of a kind, (n, *shape).

    Args:
        given: the kind.
        n: how many.
        sides: height and width in place of the kind's own.
    """
    if given.dtype == "int64":
        return torch.zeros(n, *given.shape, dtype=torch.long)
    shape = given.shape if sides is None else (given.shape[0], *sides)
    return torch.rand(n, *shape)


def free_axes(given: Input) -> dict[int, Dim]:
    """The axes whose length is free, and what they must be multiples of."""
    axes = {0: Dim("batch")}
    if given.multiple:
        least = -(-given.smallest // given.multiple)
        for axis, name in ((2, "height"), (3, "width")):
            part = Dim(name, min=max(least, 2))
            axes[axis] = part if given.multiple == 1 else given.multiple * part
    return axes
