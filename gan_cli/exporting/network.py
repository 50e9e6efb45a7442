"""The generators of a run as what is exported: plain layers, noise or image in, finished data out.

Images come out in [0, 1] or as bytes, points in the data's units.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations
from typing_extensions import override

from gan_cli.games.base import Game
from gan_cli.games.from_noise import FromNoise
from gan_cli.games.translating import DIRECTIONS, Direction, Translating
from gan_cli.loading import TrainedModel
from gan_cli.networks.lasting import LastingDropout
from gan_cli.settings.build import build_game
from gan_cli.spec import DataSpec

Pixels = Literal["float", "uint8"]


@dataclass(frozen=True)
class Input:
    """What a network takes; the batch is always the first axis.

    Attributes:
        name: of it.
        shape: of one datum; () for a label.
        dtype: of its numbers, as numpy names it.
        multiple: of which both sides of images must be; 0: the shape is fixed.
        smallest: length that both must have, in pixels.
        dropped: share of zeros, of a mask of dropout; else 0.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    multiple: int = 0
    smallest: int = 0
    dropped: float = 0.0


@dataclass
class Masks:
    """The masks of dropout that the next pass takes, by layer."""

    values: list[Tensor] = field(default_factory=list)


class GivenDropout(nn.Module):
    """Dropout whose mask is given: 1 where a unit stays, and 0 where it is dropped."""

    def __init__(self, masks: Masks, *, layer: int, p: float) -> None:
        super().__init__()
        self.masks, self.layer, self.p = masks, layer, p

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return x * self.masks.values[self.layer] / (1.0 - self.p)


class Exported(nn.Module):
    """A generator with all that belongs to its use.

    Attributes:
        network: the generator, of plain layers.
        name: of its files.
        inputs: what it takes, in order.
        source: of images to translate; None: it takes noise.
        target: of what it makes.
        direction: of translation; None: it takes noise.
        pixels: how images come out.
    """

    def __init__(
        self,
        network: nn.Module,
        name: str,
        inputs: list[Input],
        *,
        target: DataSpec,
        masks: Masks,
        source: DataSpec | None = None,
        direction: Direction | None = None,
        pixels: Pixels,
    ) -> None:
        super().__init__()
        self.network, self.name, self.inputs = network, name, inputs
        self.source, self.target, self.direction = source, target, direction
        self.masks, self.pixels = masks, pixels

    @override
    def forward(self, *inputs: Tensor) -> Tensor:
        """The inputs, each (n, *shape) -> (n, *shape of the target)."""
        networks_own = len(inputs) - sum(each.dropped > 0 for each in self.inputs)
        self.masks.values = list(inputs[networks_own:])
        x, *labels = inputs[:networks_own]
        if self.source is None:
            y: Tensor = self.network(x, labels[0] if labels else None)
        else:
            y = self.network(self.source.from_unit(x))
        if not self.target.is_image:
            return y
        unit = self.target.to_unit(y)
        return (unit * 255).round().clamp(0, 255).to(torch.uint8) if self.rounds else unit

    @property
    def rounds(self) -> bool:
        """Whether images come out as bytes."""
        return self.pixels == "uint8" and self.target.is_image


def exported_networks(model: TrainedModel, *, pixels: Pixels) -> list[Exported]:
    """The generators in use of a run, averaged if it kept averages: one, or one each way.

    Args:
        model: the run.
        pixels: how images come out.
    """
    game = plain_game(model)
    if isinstance(game, Translating):
        return [translating(game, direction, pixels=pixels) for direction in DIRECTIONS]
    assert isinstance(game, FromNoise)
    return [from_noise(game, pixels=pixels)]


def plain_game(model: TrainedModel) -> Game[Any]:
    """The run's game once more on the CPU, without layers that are there for speed alone."""
    with torch.random.fork_rng(devices=[]):
        config = {**model.config, "performance": "plain"}
        game = build_game(config, model.spec, torch.device("cpu"))
    game.load_networks(model.game.state_dict())
    return game.eval()


def translating(game: Translating, direction: Direction, *, pixels: Pixels) -> Exported:
    """One of a translating game's generators."""
    networks = game.generators_in_use
    assert isinstance(networks, nn.ModuleDict)
    source, (multiple, smallest) = game.source_of(direction), game.side_rule()
    return Exported(
        simple(networks[direction]),
        f"generator_{direction}",
        [Input("image", source.shape, multiple=multiple, smallest=smallest)],
        source=source,
        target=game.target_of(direction),
        direction=direction,
        masks=Masks(),
        pixels=pixels,
    )


def from_noise(game: FromNoise, *, pixels: Pixels) -> Exported:
    """The generator of a game that makes data from noise."""
    inputs, masks = [Input("noise", (game.noise.dim,))], Masks()
    if game.conditional:
        inputs.append(Input("labels", (), "int64"))
    dropouts = lasting_dropouts(game.generators_in_use)
    if dropouts:
        for number, mask in enumerate(masks_of(game, game.draw_noise(1, seed=0))):
            p = dropouts[number].dropout.p
            inputs.append(Input(f"mask_{number}", tuple(mask.shape[1:]), dropped=p))
    network = simple(game.generators_in_use, masks)
    return Exported(network, "generator", inputs, target=game.spec, masks=masks, pixels=pixels)


def simple(network: nn.Module, masks: Masks | None = None) -> nn.Module:
    """A copy whose weights are divided by their spectral norms once and for all.

    Args:
        network: to copy.
        masks: that lasting dropout takes in place of its own; None: there is none.
    """
    network = copy.deepcopy(network).eval().requires_grad_(False)
    for part in network.modules():
        for name in list(getattr(part, "parametrizations", {})) if is_parametrized(part) else []:
            remove_parametrizations(part, name)
    for layer, (name, part) in enumerate(
        [each for each in network.named_modules() if isinstance(each[1], LastingDropout)]
    ):
        assert masks is not None
        network.set_submodule(name, GivenDropout(masks, layer=layer, p=part.dropout.p))
    return network


def lasting_dropouts(network: nn.Module) -> list[LastingDropout]:
    """The layers of a network whose dropout stays on in sampling."""
    return [part for part in network.modules() if isinstance(part, LastingDropout)]


def masks_of(game: FromNoise, z: Tensor) -> list[Tensor]:
    """The masks with which the game itself draws the samples of z, each (n, ...), of 0 and 1."""
    masks: list[Tensor] = []

    def note(part: nn.Module, given: tuple[Tensor, ...], _: Tensor) -> None:
        assert isinstance(part, LastingDropout)
        masks.append(part.kept(given[0]).float())

    labels = torch.zeros(len(z), dtype=torch.long, device=z.device) if game.conditional else None
    dropouts = lasting_dropouts(game.generators_in_use)
    hooks = [part.register_forward_hook(note) for part in dropouts]
    try:
        game.map_noise(z, labels)
    finally:
        for hook in hooks:
            hook.remove()
    return masks
