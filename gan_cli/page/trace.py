"""A network's forward pass as a list of steps, read off while PyTorch computes one sample.

No network is known by name here: whatever PyTorch function turns the input into the output becomes
a step. So a network that is put together from known functions needs no change of this module.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from typing_extensions import override

from gan_cli.networks.lasting import LastingDropout
from gan_cli.networks.windows import Convolution, TransposedConvolution
from gan_cli.page import functions
from gan_cli.page.functions import Constant, Result, Same, Unknown

#: Functions that say something of a tensor other than its values.
ABOUT_SHAPES = {"__get__", "__len__", "dim", "size", "numel", "is_contiguous", "element_size"}


class UnknownLayer(ValueError):  # noqa: N818  (what it is about)
    """A network computes something that cannot be written as steps."""


@dataclass(frozen=True)
class Step:
    """One function of the forward pass.

    Attributes:
        name: of the step, as `functions` names it; empty: unknown.
        inputs: values that it takes: 0 is the network's input, 1 the label, 2 + i the i-th step's.
        settings: plain numbers, and constant tensors.
        shape: of its result, without the batch.
        function: PyTorch's name.
    """

    name: str
    inputs: tuple[int, ...]
    settings: Mapping[str, Any]
    shape: tuple[int, ...]
    function: str


class Recorder(TorchFunctionMode):
    """Writes down the functions that values pass through; functions of constants are no steps."""

    def __init__(self, inputs: list[Tensor]) -> None:
        super().__init__()
        self.steps: list[Step] = []
        #: A tensor lives as long as the recorder, so that no other gets its id.
        self.kept = list(inputs)
        self.values = {id(tensor): number for number, tensor in enumerate(inputs)}
        self.paused = False

    @override
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call the function, and write it down."""
        kwargs = kwargs or {}
        numbers = None if self.paused else self.numbers_in([*args, *kwargs.values()])
        result = func(*args, **kwargs)
        if numbers:
            self.record(func.__name__, numbers, result, args, kwargs)
        return result

    def numbers_in(self, arguments: list[Any]) -> tuple[int, ...]:
        """The values among the arguments of a function, and in lists of tensors."""
        numbers: list[int] = []
        for argument in arguments:
            if isinstance(argument, Tensor) and id(argument) in self.values:
                numbers.append(self.values[id(argument)])
            elif isinstance(argument, list | tuple):
                numbers += self.numbers_in(list(argument))
        return tuple(numbers)

    def marked(self, argument: Any) -> Any:
        """The argument of a function, with constant tensors as such, also in lists."""
        if isinstance(argument, Tensor) and id(argument) not in self.values:
            return argument.detach().as_subclass(Constant)
        if isinstance(argument, list | tuple) and any(isinstance(a, Tensor) for a in argument):
            return [self.marked(part) for part in argument]
        return argument

    def record(
        self,
        function: str,
        numbers: tuple[int, ...],
        result: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        """Write down a function of values."""
        if not isinstance(result, Tensor):
            if function not in ABOUT_SHAPES:
                raise UnknownLayer(f"{function} takes numbers out of the computation")
            return
        step: Result = Unknown()
        kwargs_marked = {key: self.marked(value) for key, value in kwargs.items()}
        if rule := functions.RULES.get(function):
            try:
                step = rule(result, *map(self.marked, args), **kwargs_marked)
            except (TypeError, AttributeError):  # arguments that the rule does not know
                step = Unknown()
        if isinstance(step, Same):
            self.name(result, numbers[0])
        elif isinstance(step, Unknown):
            self.add("", numbers, {}, result, function)
        else:
            self.add(step[0], numbers, step[1], result, function)

    def add(
        self,
        name: str,
        numbers: tuple[int, ...],
        settings: Mapping[str, Any],
        result: Tensor,
        function: str,
    ) -> None:
        """One more step."""
        self.steps.append(Step(name, numbers, settings, tuple(result.shape[1:]), function))
        self.name(result, 1 + len(self.steps))

    def name(self, tensor: Tensor, number: int) -> None:
        """Say which value a tensor is."""
        self.kept.append(tensor)
        self.values[id(tensor)] = number

    def pause(self, *_: object) -> None:
        """Before a module that is one step as a whole."""
        self.paused = True

    def resume(self, name: str, module: LastingDropout, args: tuple[Any, ...], result: Any) -> None:
        """After it."""
        self.paused = False
        settings = {"p": module.dropout.p, "layer": module.layer}
        self.add(name, self.numbers_in(list(args)), settings, result, name)


def steps_of(network: nn.Module, x: Tensor, label: Tensor | None) -> tuple[list[Step], int]:
    """What a network computes of one sample, in evaluation mode.

    Args:
        network: takes `(x, label)`; it stays as it is.
        x: one input, (1, ...), float32 on the CPU.
        label: (1,), int64; None: it takes none.

    Returns:
        The steps, and the number of the value that is the network's output.

    Raises:
        UnknownLayer: it contains what `functions` does not know.
    """
    network = copy.deepcopy(network).cpu().float().eval()
    for part in network.modules():
        if isinstance(part, Convolution | TransposedConvolution):
            part.as_product = False
    recorder = Recorder([x] if label is None else [x, label])
    for part in network.modules():
        if isinstance(part, LastingDropout):
            part.register_forward_pre_hook(recorder.pause)
            part.register_forward_hook(partial(recorder.resume, "drop"))
    with torch.no_grad(), torch.random.fork_rng(devices=[]), recorder:
        output = network(x, label)
    number = recorder.values.get(id(output))
    if number is None:
        raise UnknownLayer("the output does not come from the input by functions of PyTorch")
    return without_dead_ends(recorder.steps, number)


def without_dead_ends(steps: list[Step], output: int) -> tuple[list[Step], int]:
    """The steps that the output needs, numbered anew.

    Raises:
        UnknownLayer: one of them is unknown.
    """
    needed = {output}
    for index in reversed(range(len(steps))):
        if 2 + index in needed:
            if not steps[index].name:
                raise UnknownLayer(f"{steps[index].function} is not among the functions of a page")
            needed.update(steps[index].inputs)
    kept = [index for index in range(len(steps)) if 2 + index in needed]
    numbers = {0: 0, 1: 1} | {2 + index: 2 + place for place, index in enumerate(kept)}
    renamed = [
        Step(
            steps[index].name,
            tuple(numbers[number] for number in steps[index].inputs),
            steps[index].settings,
            steps[index].shape,
            steps[index].function,
        )
        for index in kept
    ]
    return renamed, numbers[output]
