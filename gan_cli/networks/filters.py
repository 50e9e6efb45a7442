"""The weights of D's first layer as small pictures (Radford et al. 2015, section 6.3)."""

from __future__ import annotations

from torch import Tensor, nn

from gan_cli.networks.fourier import FourierFeatures
from gan_cli.spec import DataSpec


def first_filters(network: nn.Module, spec: DataSpec) -> Tensor | None:
    """What each unit of the first layer responds to in an image.

    Args:
        network: a discriminator.
        spec: of its data.

    Returns:
        (units, C, height, width) on the CPU: kernels of a convolution, or whole images for a fully
        connected layer; None for points, or if the first layer does not see pixels.
    """
    if not spec.is_image:
        return None
    for part in network.modules():
        if isinstance(part, FourierFeatures):
            return None
        if isinstance(part, nn.Conv2d):
            fits = part.in_channels >= spec.shape[0]  # further channels hold labels
            return read_weight(part)[:, : spec.shape[0]] if fits else None
        if isinstance(part, nn.Linear):
            fits = part.in_features >= spec.size
            return read_weight(part)[:, : spec.size].view(-1, *spec.shape) if fits else None
    return None


def read_weight(layer: nn.Module) -> Tensor:
    """A layer's weight on the CPU; in evaluation mode, or spectral norm would take a step."""
    mode = layer.training
    layer.eval()
    weight = layer.get_parameter("weight") if "weight" in layer._parameters else layer.weight
    assert isinstance(weight, Tensor)
    weight = weight.detach().cpu().clone()
    layer.train(mode)
    return weight
