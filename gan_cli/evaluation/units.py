"""Single hidden units: what excites one of D, and which of G draw a class.

In D, the data that excite a unit most are drawn back to pixels by guided backpropagation
(Springenberg et al. 2015; Radford et al. 2015, section 6.3 and figure 5). In G, units are switched
off to see what they drew (Radford et al. 2015, section 6.3.1).

A unit is one number of a layer's output: of a convolutional layer, one channel at one place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gan_cli.games.base import evaluating
from gan_cli.games.from_noise import FromNoise
from gan_cli.networks.abilities import HasUnits
from gan_cli.seeding import generator_for
from gan_cli.system.stopping import polled

CHUNK = 500  # data or samples seen at once
SEEN = 16  # random images whose gradients show how far a unit sees


@contextmanager
def hooked(layers: list[nn.Module], hook: Callable[[Tensor], Tensor | None]) -> Iterator[None]:
    """Call `hook` with each layer's output, which it may replace."""
    handles = [layer.register_forward_hook(lambda _, __, output: hook(output)) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def outputs_of(network: nn.Module, layer: nn.Module, x: Tensor, labels: Tensor | None) -> Tensor:
    """A layer's output for a network's input, (n, units) or (n, C, H, W)."""
    kept: list[Tensor] = []
    with hooked([layer], kept.append):
        network(x, labels)
    return kept[0]


@dataclass(frozen=True)
class Exciting:
    """The data that excite one channel of D most.

    Attributes:
        unit: the channel, or the unit of a fully connected layer.
        values: its activations, largest first, (n,).
        data: which data they are, (n,).
        patches: the part of them that the unit sees, in the data's range, (n, C, h, w).
        gradients: what of it excites the unit, by guided backpropagation, (n, C, h, w).
    """

    unit: int
    values: Tensor
    data: Tensor
    patches: Tensor
    gradients: Tensor


def exciting(
    discriminator: nn.Module,
    layer: nn.Module,
    x: Tensor,
    labels: Tensor | None,
    *,
    units: int,
    most: int = 9,
) -> list[Exciting]:
    """What excites those channels of a layer that tell data apart most.

    Those are the channels whose `most` largest activations lie farthest above their mean, in
    standard deviations.

    Args:
        discriminator: with `unit_layers`.
        layer: one of them.
        x: images in the data's range, (N, C, H, W), on D's device.
        labels: (N,), for conditional models.
        units: how many.
        most: data for each.
    """
    values, places = [], []
    with evaluating(discriminator):
        for part in polled(torch.arange(len(x)).split(CHUNK)):
            of_part = None if labels is None else labels[part]
            outputs = outputs_of(discriminator, layer, x[part], of_part)
            highest = outputs.flatten(2).max(dim=2) if outputs.dim() == 4 else None
            values.append(outputs if highest is None else highest.values)
            places.append(torch.zeros_like(outputs).long() if highest is None else highest.indices)
    peaks, where = torch.cat(values), torch.cat(places)
    top = peaks.topk(min(most, len(x)), dim=0)
    spread = peaks.std(dim=0).clamp_min(1e-12)
    apart = (top.values.mean(dim=0) - peaks.mean(dim=0)) / spread
    apart[peaks.std(dim=0) == 0] = -torch.inf  # silent ones
    chosen = apart.topk(min(units, peaks.shape[1])).indices.tolist()
    back = DrawnBack(discriminator, layer, x, labels)
    return [
        Exciting(
            unit,
            top.values[:, unit].cpu(),
            top.indices[:, unit].cpu(),
            *back(unit, top.indices[:, unit], where[top.indices[:, unit], unit]),
        )
        for unit in polled(chosen)
    ]


class DrawnBack:
    """From a unit of D back to the pixels that excite it."""

    def __init__(
        self, network: nn.Module, layer: nn.Module, x: Tensor, labels: Tensor | None
    ) -> None:
        """Prepare; arguments as for `exciting`."""
        assert isinstance(network, HasUnits)
        self.network, self.layer, self.x, self.labels = network, layer, x, labels
        self.layers = list(network.unit_layers())
        self._boxes: dict[int, tuple[int, int, int, int]] = {}
        with evaluating(network):
            first = outputs_of(network, layer, *self.chosen(torch.arange(1, device=x.device)))
        self.sides = tuple(first.shape[2:])
        middle = (self.sides[0] // 2) * self.sides[1] + self.sides[1] // 2 if self.sides else 0
        top, bottom, left, right = self.box(middle)
        #: Height and width of what a unit sees, where the edge cuts nothing off.
        self.window = bottom - top, right - left

    def chosen(self, data: Tensor) -> tuple[Tensor, Tensor | None]:
        """Some of the data, and their labels."""
        return self.x[data], None if self.labels is None else self.labels[data]

    def __call__(self, unit: int, data: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Patches of data, and the guided gradients of a unit at one place of each, on the CPU.

        Args:
            unit: the channel.
            data: which data, (n,).
            places: row * width + column of the unit in its layer's output, (n,).
        """

        def value(outputs: Tensor) -> Tensor:
            rows = torch.arange(len(outputs), device=outputs.device)
            return outputs.view(*outputs.shape[:2], -1)[rows, unit, places].sum()

        gradients = self.gradients(*self.chosen(data), value, guided=True)
        images = self.x[data]
        cut = [self.cut(place) for place in places.tolist()]

        def windows(of: Tensor) -> Tensor:
            parts = [one[:, *window] for one, window in zip(of, cut, strict=True)]
            return torch.stack(parts).cpu()

        return windows(images), windows(gradients)

    def gradients(
        self,
        x: Tensor,
        labels: Tensor | None,
        value: Callable[[Tensor], Tensor],
        *,
        guided: bool,
    ) -> Tensor:
        """The gradient of a value of the layer's output with respect to x, (n, C, H, W).

        Guided: at each hidden layer on the way, only what raises the value goes on. (Of a leaky
        ReLU, a fifth of it goes on where the unit is off, as in D itself.)
        """

        def let_through(output: Tensor) -> None:
            if output.requires_grad:
                output.register_hook(lambda gradient: gradient.clamp_min(0))

        with evaluating(self.network), torch.enable_grad():
            x = x.clone().requires_grad_(True)
            with hooked(self.layers if guided else [], let_through):
                outputs = outputs_of(self.network, self.layer, x, labels)
            gradients: Tensor = torch.autograd.grad(value(outputs), x)[0]
        return gradients

    def box(self, place: int) -> tuple[int, int, int, int]:
        """Top, bottom, left, right of the pixels that reach one place of the layer's output."""
        if place not in self._boxes:
            # Random pixels, on which every place has some channel that is on.
            noise = torch.randn(SEEN, *self.x.shape[1:], generator=generator_for(0, "sight"))
            labels = None if self.labels is None else self.labels[:1].expand(SEEN)
            slopes = self.gradients(
                noise.to(self.x.device),
                labels,
                lambda y: y.view(*y.shape[:2], -1)[:, :, place].sum(),
                guided=False,
            )
            reached = slopes.abs().sum(dim=(0, 1)) > 0
            rows, columns = reached.any(dim=1).nonzero(), reached.any(dim=0).nonzero()
            height, width = self.x.shape[2:]
            whole = (0, height, 0, width)
            found = len(rows) > 0
            self._boxes[place] = (
                (int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)
                if found
                else whole
            )
        return self._boxes[place]

    def cut(self, place: int) -> tuple[slice, slice]:
        """Rows and columns of the window about what one place sees, moved into the image."""
        top, bottom, left, right = self.box(place)
        height, width = self.x.shape[2:]
        rows = within(top, bottom, self.window[0], height)
        return rows, within(left, right, self.window[1], width)


def within(start: int, stop: int, length: int, side: int) -> slice:
    """`length` pixels about start..stop, which the edge of an image may have cut off."""
    begin = stop - length if start == 0 else start
    begin = min(max(begin, 0), side - length)
    return slice(begin, begin + length)


class UnitsOfG:
    """The units of one of G's layers, and what becomes of samples without some of them.

    Attributes:
        shape: of the layer's output for one sample, (units,) or (C, H, W).
    """

    def __init__(self, game: FromNoise, layer: nn.Module) -> None:
        """Prepare.

        Args:
            game: whose G it is, as it is in use.
            layer: one of its `unit_layers`.
        """
        self.game, self.layer = game, layer
        generator = game.generators_in_use
        labels = torch.zeros(1, dtype=torch.long, device=game.fixed_noise.device)
        given = labels if game.conditional else None
        with evaluating(generator):
            first = outputs_of(generator, layer, game.draw_noise(1, seed=0), given)
        self.shape = tuple(first.shape[1:])

    @property
    def count(self) -> int:
        """How many units there are."""
        return torch.Size(self.shape).numel()

    def without(self, units: Tensor, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """G(z) with some units at 0, (n, *shape of x).

        Args:
            units: their numbers, in the flattened output.
            z: (n, dim), on the model's device.
            labels: for conditional models, (n,), likewise.
        """
        kept = torch.ones(self.count, device=z.device)
        kept[units.to(z.device)] = 0
        mask = kept.view(1, *self.shape)
        with hooked([self.layer], lambda output: output * mask):
            return self.game.map_noise(z, labels)

    def of_classes(
        self, z: Tensor, classes: Tensor, labels: Tensor | None = None, *, among: int
    ) -> Tensor:
        """How much more a unit is on in samples of a class than in others, in standard deviations.

        Args:
            z: of samples, (n, dim), on the model's device.
            classes: that the samples show, (n,).
            labels: that G is given, for conditional models, (n,).
            among: how many classes there are.

        Returns:
            (classes, units), on the CPU; 0 for a class that all or none of the samples show.
        """
        generator = self.game.generators_in_use
        sums = torch.zeros(among, self.count, dtype=torch.float64)
        squares = torch.zeros(self.count, dtype=torch.float64)
        with evaluating(generator):
            for part in polled(torch.arange(len(z)).split(CHUNK)):
                of_part = None if labels is None else labels[part]
                outputs = outputs_of(generator, self.layer, z[part], of_part)
                values = outputs.flatten(1).double().cpu()
                sums.index_add_(0, classes[part], values)
                squares += values.square().sum(dim=0)
        n, counts = len(z), torch.bincount(classes, minlength=among).double()[:, None]
        mean = sums.sum(dim=0) / n
        deviation = (squares / n - mean.square()).clamp_min(0).sqrt()
        difference = sums / counts - (sums.sum(dim=0) - sums) / (n - counts)
        scaled = difference / deviation.clamp_min(1e-12)
        return torch.where((counts > 0) & (counts < n) & (deviation > 0), scaled, 0.0).float()
