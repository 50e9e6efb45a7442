"""Convolutions on small maps as one product of matrices, for CPUs.

Convolution kernels are built for large maps. Where a map has few pixels and hundreds of channels,
half of the time goes into ordering weights and their gradients; with all windows of the map side by
side, and weights that lie channels-last, both are the product's operands as they are.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad
from typing_extensions import override

#: Windows on a map up to which the product is faster (measured on a CPU with AMX).
MOST_WINDOWS = 16


class Im2col(torch.autograd.Function):
    """(n, H, W, C) -> (n h w, k k C): the windows of a map. Its adjoint is `Col2im`."""

    @staticmethod
    @override
    def forward(ctx: Any, x: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
        """Copy each window into a row."""
        ctx.settings = x.shape, kernel, stride, padding
        x = pad(x, (0, 0, *[padding] * 4)).contiguous()
        n, height, width, channels = x.shape
        rows, columns = (height - kernel) // stride + 1, (width - kernel) // stride + 1
        image, row, column, channel = x.stride()
        windows = x.as_strided(
            (n, rows, columns, kernel, kernel, channels),
            (image, stride * row, stride * column, row, column, channel),
        )
        return windows.reshape(n * rows * columns, -1)

    @staticmethod
    @override
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        """Sum the gradients of all windows that hold a pixel."""
        (gradient,) = gradients
        return Col2im.apply(gradient, *ctx.settings), None, None, None


class Col2im(torch.autograd.Function):
    """(n h w, k k C) -> (n, H, W, C): each pixel is the sum over all windows that hold it."""

    @staticmethod
    @override
    def forward(
        ctx: Any, x: Tensor, shape: torch.Size, kernel: int, stride: int, padding: int
    ) -> Tensor:
        """Add the windows up, in float32 at least."""
        ctx.settings = kernel, stride, padding
        n, height, width, channels = shape
        # Behind the last window there may be pixels that no window holds.
        rows = (height + 2 * padding - kernel) // stride + 1
        columns = (width + 2 * padding - kernel) // stride + 1
        windows = x.view(n, rows, columns, kernel, kernel, channels)
        kind = torch.float32 if x.dtype in (torch.bfloat16, torch.float16) else x.dtype
        image = x.new_zeros(n, height + 2 * padding, width + 2 * padding, channels, dtype=kind)
        down, across = stride * (rows - 1) + 1, stride * (columns - 1) + 1
        for i in range(kernel):
            for j in range(kernel):
                image[:, i : i + down : stride, j : j + across : stride] += windows[:, :, :, i, j]
        image = image[:, padding : padding + height, padding : padding + width]
        return image.to(x.dtype)

    @staticmethod
    @override
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        """The windows of the gradient."""
        (gradient,) = gradients
        return Im2col.apply(gradient, *ctx.settings), None, None, None, None


def rows_of(weight: Tensor) -> Tensor:
    """(a, b, k, k) -> (a, k k b), a view if it lies channels-last."""
    return weight.permute(0, 2, 3, 1).reshape(len(weight), -1)


def channels_last(x: Tensor) -> Tensor:
    """(n, C, H, W) -> (n, H, W, C), in autocast's precision where that is on."""
    if torch.is_autocast_enabled(x.device.type):
        x = x.to(torch.get_autocast_dtype(x.device.type))
    return x.permute(0, 2, 3, 1)


def suits(weight: Tensor, windows: int) -> bool:
    """Whether the product is faster than PyTorch's convolution."""
    return (
        windows <= MOST_WINDOWS
        and weight.is_contiguous(memory_format=torch.channels_last)
        and not torch.compiler.is_compiling()
    )


class Convolution(nn.Conv2d):
    """nn.Conv2d; with `as_product`, on small maps a product. Square kernels, strides, padding."""

    as_product = False

    @override
    def forward(self, x: Tensor) -> Tensor:
        """(n, C, H, W) -> (n, C', h, w)."""
        kernel, stride, padding = self.kernel_size[0], self.stride[0], int(self.padding[0])
        h, w = ((side + 2 * padding - kernel) // stride + 1 for side in x.shape[2:])
        if not (self.as_product and suits(self.weight, h * w)):
            return super().forward(x)
        windows = Im2col.apply(channels_last(x), kernel, stride, padding)
        y: Tensor = linear(windows, rows_of(self.weight), self.bias)
        return y.view(len(x), h, w, -1).permute(0, 3, 1, 2)


class TransposedConvolution(nn.ConvTranspose2d):
    """nn.ConvTranspose2d; with `as_product`, likewise."""

    as_product = False

    @override
    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(n, C, h, w) -> (n, C', H, W)."""
        n, _, h, w = x.shape
        if not (self.as_product and output_size is None and suits(self.weight, h * w)):
            return super().forward(x, output_size)
        kernel, stride, padding = self.kernel_size[0], self.stride[0], int(self.padding[0])
        further = kernel - 2 * padding + self.output_padding[0]
        shape = n, stride * (h - 1) + further, stride * (w - 1) + further, self.out_channels
        windows = channels_last(x).reshape(n * h * w, -1) @ rows_of(self.weight)
        y: Tensor = Col2im.apply(windows, shape, kernel, stride, padding).permute(0, 3, 1, 2)
        return y if self.bias is None else y + self.bias.to(y.dtype).view(-1, 1, 1)
