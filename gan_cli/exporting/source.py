"""A graph of PyTorch's operations as a Python module that needs nothing but PyTorch."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.fx import Node

from gan_cli.exporting.network import Exported

#: PyTorch's public functions that take an operation's arguments as they are.
SAME = {
    "linear.default": "F.linear",
    "conv2d.default": "F.conv2d",
    "conv_transpose2d.input": "F.conv_transpose2d",
    "relu.default": "torch.relu",
    "relu_.default": "torch.relu",
    "leaky_relu.default": "F.leaky_relu",
    "leaky_relu_.default": "F.leaky_relu",
    "silu.default": "F.silu",
    "tanh.default": "torch.tanh",
    "sigmoid.default": "torch.sigmoid",
    "cos.default": "torch.cos",
    "cat.default": "torch.cat",
    "stack.default": "torch.stack",
    "amax.default": "torch.amax",
    "one_hot.default": "F.one_hot",
    "unflatten.int": "torch.unflatten",
    "flatten.using_ints": "torch.flatten",
    "view.default": "torch.reshape",
    "reshape.default": "torch.reshape",
    "unsqueeze.default": "torch.unsqueeze",
    "pad.default": "F.pad",
    "max_pool2d.default": "F.max_pool2d",
    "avg_pool2d.default": "F.avg_pool2d",
    "pixel_shuffle.default": "F.pixel_shuffle",
    "round.default": "torch.round",
    "clamp.default": "torch.clamp",
}
#: Those that take them in another order, or are no functions; numbers are the arguments' places.
OTHERS = {
    "batch_norm.default": "F.batch_norm({0}, {3}, {4}, {1}, {2}, {5}, {6}, {7})",
    "instance_norm.default": "F.instance_norm({0}, {3}, {4}, {1}, {2}, {5}, {6}, {7})",
    "group_norm.default": "F.group_norm({0}, {1}, {2}, {3}, {4})",
    "upsample_nearest2d.vec": "F.interpolate({0}, size={1}, scale_factor={2})",
    "to.dtype": "{0}.to({1})",
    "expand.default": "{0}.expand({1})",
    "sym_size.int": "{0}.shape[{1}]",
    "getitem": "{0}[{1}]",
    "add.Tensor": "{0} + {1}",
    "sub.Tensor": "{0} - {1}",
    "mul.Tensor": "{0} * {1}",
    "div.Tensor": "{0} / {1}",
    "matmul.default": "{0} @ {1}",
}
MOST_ARGUMENTS = 10
#: Checks of a graph, which its own code does not need.
CHECKS = ("_assert", "sym_constrain_range", "_guards")
#: The same value again; dropout is off. So is a slice from the first to the last.
IDENTITIES = ("dropout.default", "alias.default", "detach.default", "detach_.default")
WHOLE = (0, sys.maxsize)
#: Names of values that are overwritten once they are used up.
NAMES = ("x", "y", "z", "u", "v", "w")


class Lines:
    """Writes the operations of a graph, one a line; names are used again once values are not.

    Attributes:
        lines: Python, in order.
        tensors: attributes of the module that the lines need, by their name in the program.
        result: the name of what is returned.
    """

    def __init__(self, program: ExportedProgram, inputs: Sequence[str]) -> None:
        """Write them.

        Args:
            program: the graph.
            inputs: names of its inputs, in order.
        """
        self.lines: list[str] = []
        self.tensors: dict[str, str] = {}
        self.names: dict[Node, str] = {}
        self.same: dict[Node, Node] = {}  # values that are another value again
        left = list(inputs)
        nodes = [node for node in program.graph.nodes if node.op == "placeholder"]
        for node, spec in zip(nodes, program.graph_signature.input_specs, strict=True):
            if spec.kind is InputKind.USER_INPUT:
                self.names[node] = left.pop(0)
            elif node.users:
                assert spec.target is not None
                self.tensors[spec.target] = attribute_of(spec.target)
                self.names[node] = f"self.{self.tensors[spec.target]}"
        operations = [node for node in program.graph.nodes if node.op == "call_function"]
        written = [node for node in operations if not self.is_left_out(node)]
        last = {used: node for node in written for used in map(self.origin, node.all_input_nodes)}
        (output,) = program.graph.output_node().args[0]
        last.pop(self.origin(output), None)
        for node in written:
            ending = {used for used in last if last[used] is node}
            self.write(node, ending, taken={self.names[used] for used in last.keys() & self.names})
            for used in ending:
                del last[used]
        self.result = self.names[self.origin(output)]

    def is_left_out(self, node: Node) -> bool:
        """Whether an operation computes nothing; notes what it passes on."""
        name = operation(node)
        is_same = name in IDENTITIES or (name == "slice.Tensor" and node.args[2:] == WHOLE)
        if is_same:
            (self.same[node], *_) = node.all_input_nodes
        return is_same or name.startswith(CHECKS) or not node.users

    def origin(self, node: Node) -> Node:
        """The value that a node passes on, or itself."""
        while node in self.same:
            node = self.same[node]
        return node

    def write(self, node: Node, ending: set[Node], *, taken: set[str]) -> None:
        """Write one operation.

        Args:
            node: the operation.
            ending: values that nothing needs after it.
            taken: names of values that are still needed, these among them.
        """
        text = self.text_of(node)
        taken = taken - {self.names[used] for used in ending}
        self.names[node] = next(name for name in (*NAMES, node.name) if name not in taken)
        self.lines.append(f"{self.names[node]} = {text}")

    def text_of(self, node: Node) -> str:
        """An operation as an expression."""
        name, target = operation(node), node.target
        shown = [self.shown(each) for each in node.args]
        named = [f"{key}={self.shown(value)}" for key, value in node.kwargs.items()]

        if name in OTHERS and not named:
            missing = ["None"] * (MOST_ARGUMENTS - len(shown))
            return OTHERS[name].format(*shown, *missing)
        known = SAME.get(name)
        if known is None:
            is_operation = isinstance(target, torch._ops.OpOverload)
            known = f"torch.ops.{target}" if is_operation else f"torch.{name}"
        return f"{known}({', '.join([*shown, *named])})"

    def shown(self, value: object) -> str:
        """An argument as Python writes it."""
        if isinstance(value, Node):
            return self.names[self.origin(value)]
        if isinstance(value, list | tuple):
            return f"[{', '.join(map(self.shown, value))}]"
        if isinstance(value, torch.device):
            return repr(str(value))
        return repr(value)  # of numbers, names, torch.float32


def operation(node: Node) -> str:
    """The short name of an operation: `linear.default`, `mul`."""
    name = str(getattr(node.target, "__name__", node.target))
    return name.removeprefix("aten.")


def attribute_of(target: str) -> str:
    """The attribute of the written module that holds a tensor of the program."""
    return target.removeprefix("network.").replace(".", "_")


def class_name(exported: Exported) -> str:
    """`GeneratorA2b` for `generator_a2b`."""
    return "".join(word.capitalize() for word in exported.name.split("_"))


def class_text(exported: Exported, program: ExportedProgram) -> str:
    """A generator as the text of a class in plain PyTorch."""
    inputs = [each.name for each in exported.inputs]
    written = Lines(program, inputs)
    tensors = tensors_of(program)
    made = []
    for target, attribute in written.tensors.items():
        empty = f"torch.empty({tuple(tensors[target].shape)}"
        if tensors[target].dtype != torch.float32:
            empty += f", dtype={tensors[target].dtype}"
        if target in program.state_dict and isinstance(program.state_dict[target], nn.Parameter):
            made.append(f"self.{attribute} = nn.Parameter({empty}))")
        else:
            made.append(f'self.register_buffer("{attribute}", {empty}))')
    lines = [
        f"class {class_name(exported)}(nn.Module):",
        '    """The generator, for use: batch norm has its averages, dropout is off."""',
        "",
        "    def __init__(self):",
        "        super().__init__()",
        *(f"        {line}" for line in made),
        "",
        f"    def forward(self, {', '.join(inputs)}):",
        *(f"        {line}" for line in written.lines),
        f"        return {written.result}",
    ]
    return "\n".join(lines)


def tensors_of(program: ExportedProgram) -> dict[str, Tensor]:
    """All tensors of a program, by their names in it."""
    return {**program.state_dict, **program.constants}


def weights_of(exported: Exported, program: ExportedProgram) -> dict[str, Tensor]:
    """The tensors that the written class needs, by its attributes."""
    written = Lines(program, [each.name for each in exported.inputs])
    tensors = tensors_of(program)
    return {
        attribute: tensors[target].detach().clone().contiguous()
        for target, attribute in written.tensors.items()
    }
