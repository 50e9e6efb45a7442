"""Which regularizers make no sense together, or with a loss, a network or data."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from gan_cli.errors import Problem
from gan_cli.losses import Loss, Wasserstein
from gan_cli.regularizers.base import Penalty, Regularizer, View
from gan_cli.regularizers.bounds import LabelSmoothing, WeightClipping


def has_batch_norm(network: nn.Module) -> bool:
    """Whether a network normalises over the batch."""
    return any(isinstance(part, _BatchNorm) for part in network.modules())


def has_spectral_norm(network: nn.Module) -> bool:
    """Whether some weights are divided by their spectral norm."""
    return any(nn.utils.parametrize.is_parametrized(part, "weight") for part in network.modules())


def conflicts(
    chosen: Iterable[Regularizer], *, loss: Loss, discriminator: nn.Module | None, images: bool
) -> list[Problem]:
    """Combinations that make no sense, each with the reason and what would work.

    Args:
        chosen: all regularizers.
        loss: the one they are used with.
        discriminator: they are used on; None: a class of the user, which is not made yet.
        images: whether the data are images.
    """
    chosen = list(chosen)
    problems = []
    if any(isinstance(regularizer, WeightClipping) for regularizer in chosen):
        problems += _clipping_conflicts(chosen, discriminator)
    penalties = [regularizer for regularizer in chosen if isinstance(regularizer, Penalty)]
    if penalties and discriminator is not None and has_batch_norm(discriminator):
        advice = (
            "needs D's gradient at each datum alone, but batch norm mixes them. "
            "Use model.discriminator.norm=layer"
        )
        problems.append(Problem("regularizer", chosen_names(penalties), advice))
    for regularizer in chosen:
        problems += _single_conflicts(regularizer, loss, images=images)
    return problems


def _clipping_conflicts(
    chosen: list[Regularizer], discriminator: nn.Module | None
) -> list[Problem]:
    """What weight clipping cannot be combined with."""
    problems = []
    if any(isinstance(regularizer, Penalty) for regularizer in chosen):
        advice = (
            "weight_clipping and a gradient penalty both bound D's slope, and clipped "
            "weights cannot reach the slope that the penalty asks for. Use one of them"
        )
        problems.append(Problem.about("regularizer", advice))
    if discriminator is not None and has_spectral_norm(discriminator):
        advice = (
            "model.discriminator.spectral_norm=true divides by the norm of the weights, "
            "so clipping them changes nothing. Use one of them"
        )
        problems.append(Problem("regularizer", "weight_clipping", advice))
    return problems


def _single_conflicts(regularizer: Regularizer, loss: Loss, *, images: bool) -> list[Problem]:
    """What one regularizer cannot be used with."""
    name = type(regularizer).__name__
    problems = []
    if isinstance(regularizer, LabelSmoothing) and not loss.has_target:
        advice = (
            f"{type(loss).__name__} has no target to smooth. "
            "Use loss=non_saturating, minimax or least_squares"
        )
        problems.append(Problem("regularizer", "label_smoothing", advice))
    if isinstance(regularizer, View) and regularizer.images_only and not images:
        advice = f"{name} changes images, but the data are points"
        problems.append(Problem.about("regularizer", advice))
    if not isinstance(regularizer, Penalty | View | WeightClipping | LabelSmoothing):
        advice = (
            f"{name} must inherit from Penalty or View of gan_cli.regularizers, "
            "or nothing would call it"
        )
        problems.append(Problem.about("regularizer", advice))
    return problems


def chosen_names(penalties: Iterable[Penalty]) -> str | list[str]:
    """Penalties as `regularizer=` calls them; one alone by its name."""
    names = [{"gradient": "gradient_penalty"}.get(p.name, p.name) for p in penalties]
    return names[0] if len(names) == 1 else names


def is_unbounded(chosen: Iterable[Regularizer], *, loss: Loss, discriminator: nn.Module) -> bool:
    """Whether a Wasserstein critic has nothing that bounds its slope."""
    bounded = any(isinstance(r, Penalty | WeightClipping) for r in chosen)
    return isinstance(loss, Wasserstein) and not bounded and not has_spectral_norm(discriminator)
