"""Batch norm over the batches of all processes."""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm
from typing_extensions import override

from gan_cli.system.ranks import Ranks


class JointSum(torch.autograd.Function):
    """Sum over all processes; so is its gradient."""

    @staticmethod
    @override
    def forward(ctx: object, x: Tensor) -> Tensor:
        """(...) -> the same shape, equal everywhere."""
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    @override
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        """The sum of all processes' gradients."""
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


def all_reduce(x: Tensor) -> Tensor:
    """Sum over all processes, differentiable."""
    total: Tensor = JointSum.apply(x)
    return total


class JointBatchNorm(_BatchNorm):
    """Batch norm whose mean and variance are those of all processes' data, on any device.

    PyTorch's nn.SyncBatchNorm is for GPUs alone. All processes must hold the same number of data.
    """

    @override
    def _check_input_dim(self, input: Tensor) -> None:
        """Accept vectors as well as images."""

    @override
    def forward(self, x: Tensor) -> Tensor:
        """(n, C) or (n, C, H, W) -> the same, in evaluation mode by the running averages."""
        if not self.training:
            normalised: Tensor = super().forward(x)
            return normalised
        axes = [0, *range(2, x.dim())]
        shape = [1, -1, *[1] * (x.dim() - 2)]
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        count = distributed.get_world_size() * x.numel() // x.shape[1]
        centred = wide - (mean := all_reduce(wide.sum(dim=axes)) / count).view(shape)
        variance = all_reduce(centred.square().sum(dim=axes)) / count
        self._remember(mean.detach(), variance.detach() * (count / max(count - 1, 1)))
        y: Tensor = centred * (variance.view(shape) + self.eps).rsqrt()
        if self.affine:
            y = y * self.weight.view(shape) + self.bias.view(shape)
        return y.to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if not self.track_running_stats or self.running_mean is None:
            return
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype), self.momentum)


def synchronise(network: nn.Module, ranks: Ranks) -> None:
    """Replace all batch norm if there are several processes; parameters stay the same."""
    if ranks.alone:
        return
    for name, part in list(network.named_children()):
        if isinstance(part, _BatchNorm) and not isinstance(part, JointBatchNorm):
            joint = JointBatchNorm(
                part.num_features,
                eps=part.eps,
                momentum=part.momentum,
                affine=part.affine,
                track_running_stats=part.track_running_stats,
            )
            joint.weight, joint.bias = part.weight, part.bias
            for key in ("running_mean", "running_var", "num_batches_tracked"):
                setattr(joint, key, getattr(part, key))
            setattr(network, name, joint.train(part.training))
        else:
            synchronise(part, ranks)
