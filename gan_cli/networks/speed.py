"""Speed-ups that keep a network's maths and parameters; `performance=plain` leaves them out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, instance_norm
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.utils.parametrize import is_parametrized
from typing_extensions import override

from gan_cli.networks import dcgan, resnet
from gan_cli.networks.layers import ResizeConvolution
from gan_cli.networks.windows import Convolution, TransposedConvolution

STEPS = 2**16  # a rate is rounded to a multiple of 1/65536, and the scale follows


class CpuDropout(nn.Module):
    """nn.Dropout with four decisions from one random 64-bit word.

    On CPUs PyTorch draws one Bernoulli number after the other, which took 30 % of an MLP GAN's
    step. Each unit is kept with probability 1 - p and then divided by it, p to within 2^-17.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        dropped = round(p * STEPS)
        self.threshold = dropped - STEPS // 2  # 16 bits read as a signed number
        self.scale = STEPS / (STEPS - dropped)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Any shape; the identity in evaluation mode."""
        if not self.training:
            return x
        n = x.numel()
        words = torch.empty((n + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        drawn = words.view(torch.int16)[:n].view(x.shape)
        kept = torch.ge(drawn, self.threshold, out=torch.empty(x.shape, dtype=x.dtype))
        return x * kept.mul_(self.scale)

    @override
    def extra_repr(self) -> str:
        """As nn.Dropout shows itself."""
        return f"p={self.p}"


class CpuInstanceNorm(nn.Module):
    """nn.InstanceNorm2d that treats a single image as what it is: a batch to normalise.

    PyTorch views images as channels of one batch, and copies them if they lie channels-last. Batch
    norm without running statistics computes the same of one image directly: 6 % of a CycleGAN's
    step at batch 1; and, channels-last, image by image in a half to a fifth of the time.
    """

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.eps = eps

    @override
    def forward(self, x: Tensor) -> Tensor:
        """(n, C, H, W) -> each channel of each image with mean 0 and variance 1."""
        if len(x) == 1:
            return self.alone(x)
        if x.is_contiguous():
            return instance_norm(x, eps=self.eps)
        return torch.cat([self.alone(image) for image in x.split(1)])

    def alone(self, image: Tensor) -> Tensor:
        """(1, C, H, W) -> the same, normalised."""
        return batch_norm(image, None, None, training=True, eps=self.eps)

    @override
    def extra_repr(self) -> str:
        """As nn.InstanceNorm2d shows itself."""
        return f"eps={self.eps}"


#: Layers of torch.nn that treat each datum of a batch by itself.
ROWWISE = (
    *(nn.Identity, nn.Linear, nn.Embedding, nn.Conv2d, nn.ConvTranspose2d, nn.GroupNorm),
    *(nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.SiLU, nn.Dropout, nn.InstanceNorm2d),
    *(nn.ReflectionPad2d, nn.Sequential, nn.ModuleList, nn.ModuleDict),
)


def is_rowwise(network: nn.Module) -> bool:
    """Whether a network treats each datum by itself and keeps nothing of it, as far as we know."""
    return all(
        type(part) in ROWWISE
        or (
            type(part).__module__.startswith("gan_cli.networks.")
            and not isinstance(part, _NormBase)
        )
        for part in network.modules()
    )


DCGAN = (dcgan.Generator, dcgan.Discriminator)
RESNET = (resnet.Generator, resnet.Discriminator)
#: Whether networks' weights lie channels-last, in fp32 and in other precisions, by kind of
#: device: measured on CPUs (docs/performance.md), as PyTorch advises on CUDA.
CHANNELS_LAST: dict[str, dict[tuple[type[nn.Module], ...], tuple[bool, bool]]] = {
    "cpu with AMX": {DCGAN: (True, True), RESNET: (True, True)},
    "cpu": {DCGAN: (True, False), RESNET: (False, False)},
    "cuda": {DCGAN: (False, True), RESNET: (False, True)},
}


def kind_of(device: torch.device) -> str:
    """The row of CHANNELS_LAST that a device belongs to."""
    # Only PyTorch 2.9 and later have this function.
    capabilities: Callable[[], Mapping[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    if device.type == "cpu" and capabilities().get("amx_bf16"):
        return "cpu with AMX"
    return device.type


def speed_up(game: nn.Module, device: torch.device, *, precision: str = "fp32") -> None:
    """Replace modules of a game by faster ones for `device`, and set the layout of weights."""
    layouts = CHANNELS_LAST.get(kind_of(device), {})
    for part in list(game.modules()):
        if isinstance(part, ResizeConvolution):
            part.folded = True
        if isinstance(part, resnet.ToImage):
            part.blocked = device.type == "cpu"
        if isinstance(part, Convolution | TransposedConvolution):
            # Each access to a weight that is divided by its spectral norm updates an estimate.
            part.as_product = device.type == "cpu" and not is_parametrized(part)
        for networks in (DCGAN, RESNET):
            if isinstance(part, networks):
                work_in_place(part)
                if layouts.get(networks, (False, False))[precision != "fp32"]:
                    part.to(memory_format=torch.channels_last)
    if device.type == "cpu":
        exchange(game)


def work_in_place(network: nn.Module) -> None:
    """Let activations overwrite their inputs, which no layer before them needs any more."""
    for part in network.modules():
        if isinstance(part, nn.ReLU | nn.LeakyReLU):
            part.inplace = True


def exchange(network: nn.Module) -> None:
    """Replace PyTorch's layers by the classes of this module that compute the same."""
    for name, part in list(network.named_children()):
        if type(part) is nn.InstanceNorm2d and not (part.affine or part.track_running_stats):
            setattr(network, name, CpuInstanceNorm(part.eps).train(part.training))
        elif type(part) is nn.Dropout and not part.inplace and round(part.p * STEPS) < STEPS:
            setattr(network, name, CpuDropout(part.p).train(part.training))
        else:
            exchange(part)
