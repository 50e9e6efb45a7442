"""What keeps D in bounds: gradient penalties, clipping, smoothing, noise and augmentation.

Each is a small object of its own, and they compose. Penalties are added to D's loss; views are
differentiable changes of all that D sees, real and generated alike.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gan_cli.errors import require
from gan_cli.losses import Loss, Wasserstein
from gan_cli.system.ranks import ALONE, Ranks

#: D as a function of data alone, (m, *shape) -> (m, ...).
Critic = Callable[[Tensor], Tensor]
ValueRange = tuple[float, float] | None


class Regularizer:
    """Anything that `regularizer=` may name."""

    #: The processes that draw random numbers together.
    ranks: Ranks = ALONE


class Penalty(Regularizer, ABC):
    """A term of D's loss, weighed by `weight`, on every `interval`-th move of D.

    A lazy penalty (interval > 1) is multiplied by its interval, so that its weight means the same
    (Karras et al. 2020, StyleGAN2, section 3.1).
    """

    name: str

    def __init__(self, *, weight: float, interval: int) -> None:
        require(
            (0 < weight < math.inf, f"weight={weight}: must be positive and finite"),
            (interval >= 1, f"interval={interval}: must be at least 1"),
        )
        self.weight, self.interval = weight, interval

    @abstractmethod
    def __call__(
        self, critic: Critic, real: Tensor, fake: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        """The penalty without its weight, a scalar.

        Args:
            critic: D.
            real: real data, (m, *shape).
            fake: generated data, (m, *shape).
            generator: for random draws.
        """


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

    Equation 3. It needs the gradient of each datum on its own, which batch norm denies.
    """

    name = "gradient"

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

    def __call__(
        self,
        critic: Critic,
        real: Tensor,
        fake: Tensor,  # noqa: ARG002
        *,
        generator: torch.Generator,  # noqa: ARG002
    ) -> Tensor:
        """E[||grad D(x)||^2] / 2."""
        return 0.5 * squared_slopes(critic, real).mean()


class R2(Penalty):
    """weight/2 E[||grad D(G(z))||^2] on generated data (Mescheder et al. 2018, eq. 10)."""

    name = "r2"

    def __call__(
        self,
        critic: Critic,
        real: Tensor,  # noqa: ARG002
        fake: Tensor,
        *,
        generator: torch.Generator,  # noqa: ARG002
    ) -> Tensor:
        """E[||grad D(G(z))||^2] / 2."""
        return 0.5 * squared_slopes(critic, fake).mean()


class WeightClipping(Regularizer):
    """All of D's weights are kept in [-limit, limit] (Arjovsky et al. 2017, Algorithm 1)."""

    def __init__(self, *, limit: float) -> None:
        require((0 < limit < math.inf, f"limit={limit}: must be positive and finite"))
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
        require((0.5 < target < 1, f"target={target}: must lie between 0.5 and 1"))
        self.target = target


class View(Regularizer, ABC):
    """A differentiable, random change of the data that D sees, real and generated alike."""

    images_only = False

    @abstractmethod
    def __call__(
        self, x: Tensor, *, step: int, generator: torch.Generator, value_range: ValueRange
    ) -> Tensor:
        """Data (m, *shape) as D sees them after `step` finished steps.

        Args:
            x: data.
            step: finished steps.
            generator: for random draws.
            value_range: of images; None for points.
        """


class InstanceNoise(View):
    """Gaussian noise on all data that D sees, fading to none (Sonderby et al. 2017, section 4)."""

    def __init__(self, *, std: float, decay_steps: int | None) -> None:
        require(
            (0 < std < math.inf, f"std={std}: must be positive and finite"),
            (
                decay_steps is None or decay_steps >= 1,
                f"decay_steps={decay_steps}: must be at least 1, or null to keep the noise",
            ),
        )
        self.std, self.decay_steps = std, decay_steps

    def __call__(
        self,
        x: Tensor,
        *,
        step: int,
        generator: torch.Generator,
        value_range: ValueRange,  # noqa: ARG002
    ) -> Tensor:
        """X + std (1 - step / decay_steps) N(0, 1)."""
        left = 1.0 if self.decay_steps is None else max(0.0, 1.0 - step / self.decay_steps)
        if not left:
            return x
        noise = self.ranks.draw(
            len(x),
            lambda n: torch.randn(n, *x.shape[1:], generator=generator, device=generator.device),
        )
        return x + noise * (self.std * left)


Change = Literal["color", "translation", "cutout"]


class DiffAugment(View):
    """Random colour, translation and cutout of images (Zhao et al. 2020, DiffAugment).

    The strengths are the paper's: brightness +-0.5, saturation 0 to 2, contrast 0.5 to 1.5,
    translation by up to 1/8 of each side, and one square of half of each side cut out.
    """

    images_only = True

    def __init__(self, *, policy: Sequence[Change]) -> None:
        require(
            (
                len(policy) > 0 and set(policy) <= set(get_args(Change)),
                f"policy={list(policy)}: choose among {', '.join(get_args(Change))}",
            )
        )
        self.policy = tuple(policy)

    def __call__(
        self,
        x: Tensor,
        *,
        step: int,  # noqa: ARG002
        generator: torch.Generator,
        value_range: ValueRange,
    ) -> Tensor:
        """Images (m, C, H, W), each changed in its own way."""
        assert value_range is not None
        middle, half = sum(value_range) / 2, (value_range[1] - value_range[0]) / 2
        x = (x - middle) / half  # the strengths are meant for [-1, 1], where 0 is gray
        if "color" in self.policy:
            x = change_color(x, *self._draws(3, x, generator))
        if "translation" in self.policy:
            x = translate(x, *self._draws(2, x, generator))
        if "cutout" in self.policy:
            x = cut_out(x, *self._draws(2, x, generator))
        return x * half + middle

    def _draws(self, count: int, x: Tensor, generator: torch.Generator) -> Tensor:
        """Uniform numbers in [0, 1), (count, m)."""

        def draw(n: int) -> Tensor:
            return torch.rand(count, n, generator=generator, device=generator.device).T

        return self.ranks.draw(len(x), draw).T


def change_color(x: Tensor, brightness: Tensor, saturation: Tensor, contrast: Tensor) -> Tensor:
    """Shift by -0.5..0.5, scale around each pixel's mean by 0..2, around the image's by 0.5..1.5.

    Args:
        x: images (m, C, H, W).
        brightness: uniform in [0, 1), (m,); likewise the others.
        saturation: without effect on one channel.
        contrast: as above.
    """
    brightness, saturation, contrast = (
        u.view(-1, 1, 1, 1) for u in (brightness, saturation, contrast)
    )
    x = x + (brightness - 0.5)
    gray = x.mean(dim=1, keepdim=True)
    x = (x - gray) * (2.0 * saturation) + gray
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return (x - mean) * (contrast + 0.5) + mean


def translate(x: Tensor, vertical: Tensor, horizontal: Tensor, *, ratio: float = 0.125) -> Tensor:
    """Shift by up to `ratio` of each side; what comes in is 0.

    Args:
        x: images (m, C, H, W).
        vertical: uniform in [0, 1), (m,); likewise `horizontal`.
        horizontal: as above.
        ratio: of each side.
    """
    m, _, height, width = x.shape
    most_down, most_right = (int(side * ratio + 0.5) for side in (height, width))
    down = (vertical * (2 * most_down + 1)).long() - most_down
    right = (horizontal * (2 * most_right + 1)).long() - most_right
    rows = torch.arange(height, device=x.device) + down[:, None] + 1
    columns = torch.arange(width, device=x.device) + right[:, None] + 1
    padded = nn.functional.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    rows, columns = rows.clamp(0, height + 1), columns.clamp(0, width + 1)
    numbers = torch.arange(m, device=x.device)[:, None, None]
    return padded[numbers, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cut_out(x: Tensor, vertical: Tensor, horizontal: Tensor, *, ratio: float = 0.5) -> Tensor:
    """Set a rectangle of `ratio` of each side to 0; parts of it may lie outside.

    Args:
        x: images (m, C, H, W).
        vertical: place of its middle, uniform in [0, 1), (m,); likewise `horizontal`.
        horizontal: as above.
        ratio: of each side.
    """

    def outside(side: int, place: Tensor) -> Tensor:
        length = int(side * ratio + 0.5)
        start = (place * (side + 1 - length % 2)).long() - length // 2
        positions = torch.arange(side, device=x.device)
        return (positions < start[:, None]) | (positions >= start[:, None] + length)

    height, width = x.shape[2:]
    kept = outside(height, vertical)[:, :, None] | outside(width, horizontal)[:, None, :]
    return x * kept[:, None].to(x.dtype)


def has_batch_norm(network: nn.Module) -> bool:
    """Whether a network normalises over the batch."""
    return any(isinstance(part, _BatchNorm) for part in network.modules())


def has_spectral_norm(network: nn.Module) -> bool:
    """Whether some weights are divided by their spectral norm."""
    return any(nn.utils.parametrize.is_parametrized(part, "weight") for part in network.modules())


def conflicts(
    chosen: Iterable[Regularizer], *, loss: Loss, discriminator: nn.Module | None, images: bool
) -> list[str]:
    """Combinations that make no sense, each with the reason and what would work.

    Args:
        chosen: all regularizers.
        loss: they are used with.
        discriminator: they are used on; None: one of the user's own that is not made yet.
        images: the data are.
    """
    chosen = list(chosen)
    kinds = {type(regularizer) for regularizer in chosen}
    penalties = [regularizer for regularizer in chosen if isinstance(regularizer, Penalty)]
    problems = []
    if WeightClipping in kinds and penalties:
        problems.append(
            "regularizer: weight_clipping and a gradient penalty both bound D's slope, and clipped "
            "weights cannot reach the slope that the penalty asks for. Use one of them"
        )
    if WeightClipping in kinds and discriminator is not None and has_spectral_norm(discriminator):
        problems.append(
            "regularizer=weight_clipping: model.discriminator.spectral_norm=true divides by the "
            "norm of the weights, so clipping them changes nothing. Use one of them"
        )
    if penalties and discriminator is not None and has_batch_norm(discriminator):
        names = ", ".join(chosen_names(penalties))
        problems.append(
            f"regularizer={names}: needs D's gradient at each datum alone, but batch norm "
            "mixes them. Use model.discriminator.norm=layer"
        )
    for regularizer in chosen:
        if isinstance(regularizer, LabelSmoothing) and not loss.has_target:
            problems.append(
                f"regularizer=label_smoothing: {type(loss).__name__} has no target to smooth. "
                "Use loss=non_saturating, minimax or least_squares"
            )
        if isinstance(regularizer, View) and regularizer.images_only and not images:
            name = type(regularizer).__name__
            problems.append(f"regularizer: {name} changes images, but the data are points")
        if not isinstance(regularizer, Penalty | View | WeightClipping | LabelSmoothing):
            problems.append(
                f"regularizer: {type(regularizer).__name__} must inherit from Penalty or View of "
                "gan_cli.regularizers, or nobody would call it"
            )
    return problems


def chosen_names(penalties: Iterable[Penalty]) -> list[str]:
    """Penalties as `regularizer=` calls them."""
    return [{"gradient": "gradient_penalty"}.get(p.name, p.name) for p in penalties]


def is_unbounded(chosen: Iterable[Regularizer], *, loss: Loss, discriminator: nn.Module) -> bool:
    """Whether a Wasserstein critic has nothing that bounds its slope."""
    bounded = any(isinstance(r, Penalty | WeightClipping) for r in chosen)
    return isinstance(loss, Wasserstein) and not bounded and not has_spectral_norm(discriminator)
