"""What bounds D: gradient penalties, weight clipping, label smoothing."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from typing_extensions import override

from gan_cli.errors import require
from gan_cli.regularizers.base import Critic, Penalty, Regularizer


def squared_slopes(critic: Critic, x: Tensor) -> Tensor:
    """||grad_x D(x)||^2 for each datum, (m,), differentiable in D's weights.

    Where D judges patches, D(x) is their mean, as in the losses.
    """
    x = x.detach().requires_grad_()
    outputs = critic(x).view(len(x), -1)
    (gradients,) = torch.autograd.grad(outputs.mean(dim=1).sum(), x, create_graph=True)
    return gradients.flatten(1).square().sum(dim=1)


class GradientPenalty(Penalty):
    """weight E[(||grad D(y)|| - 1)^2], y between a real and a fake datum (Gulrajani et al. 2017).

    Equation 3. It needs the gradient at each datum alone, but batch norm mixes the data.
    """

    name = "gradient"

    @override
    def __call__(
        self, critic: Critic, real: Tensor, fake: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        """E[(||grad D(y)|| - 1)^2] with y = t x + (1 - t) G(z), t uniform in [0, 1]."""
        t = self.ranks.draw(
            len(real), lambda n: torch.rand(n, generator=generator, device=generator.device)
        )
        t = t.view(-1, *[1] * (real.dim() - 1))
        slopes = (squared_slopes(critic, t * real + (1 - t) * fake) + 1e-12).sqrt()
        return (slopes - 1.0).square().mean()


class R1(Penalty):
    """weight/2 E[||grad D(x)||^2] on real data (Mescheder et al. 2018, eq. 9; weight is gamma)."""

    name = "r1"

    @override
    def __call__(
        self,
        critic: Critic,
        real: Tensor,
        fake: Tensor,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """E[||grad D(x)||^2] / 2."""
        return 0.5 * squared_slopes(critic, real).mean()


class R2(Penalty):
    """weight/2 E[||grad D(G(z))||^2] on generated data (Mescheder et al. 2018, eq. 10)."""

    name = "r2"

    @override
    def __call__(
        self,
        critic: Critic,
        real: Tensor,
        fake: Tensor,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """E[||grad D(G(z))||^2] / 2."""
        return 0.5 * squared_slopes(critic, fake).mean()


class WeightClipping(Regularizer):
    """All of D's weights are kept in [-limit, limit] (Arjovsky et al. 2017, Algorithm 1)."""

    def __init__(self, *, limit: float) -> None:
        require((0 < limit < math.inf, "limit", limit, "must be positive and finite"))
        self.limit = limit

    @torch.no_grad()
    def clip(self, discriminator: nn.Module) -> None:
        """Clip after a move of D."""
        parameters: list[Tensor] = [p for p in discriminator.parameters() if p.requires_grad]
        torch._foreach_clamp_min_(parameters, -self.limit)
        torch._foreach_clamp_max_(parameters, self.limit)


class LabelSmoothing(Regularizer):
    """D aims at `target` on real data, at 0 on generated (Salimans et al. 2016, section 3.4)."""

    def __init__(self, *, target: float) -> None:
        require((0.5 < target < 1, "target", target, "must lie between 0.5 and 1"))
        self.target = target
