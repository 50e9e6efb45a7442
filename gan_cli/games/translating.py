"""Games that translate between two domains: what gan-translate and evaluations ask of them."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from gan_cli.games.base import Game, Preview, Use, evaluating
from gan_cli.networks.abilities import TakesSides
from gan_cli.spec import RGBA, DataSpec, PairBatch, PairSpec

Direction = Literal["a2b", "b2a"]
DIRECTIONS: tuple[Direction, Direction] = ("a2b", "b2a")
BACK: dict[Direction, Direction] = {"a2b": "b2a", "b2a": "a2b"}
CHUNK = 16  # images translated at once
COLUMNS = ("real A", "fake B", "rebuilt A", "real B", "fake A", "rebuilt B")


class Translating(Game[PairBatch]):
    """A generator each way, `generator["a2b"]` and `generator["b2a"]`."""

    use: ClassVar[Use | None] = Use(
        "translate", "gan-translate", {"input": "FOLDER", "output": "FOLDER", "direction": "a2b"}
    )
    spec: PairSpec
    fixed_a: Tensor
    fixed_b: Tensor

    def source_of(self, direction: Direction) -> DataSpec:
        """The domain that a direction starts from."""
        return self.spec.a if direction == "a2b" else self.spec.b

    def target_of(self, direction: Direction) -> DataSpec:
        """The domain that a direction leads to."""
        return self.source_of(BACK[direction])

    def side_rule(self) -> tuple[int, int]:
        """What the sides of images must be multiples of, and their smallest length in pixels."""
        rules = [part for part in self.generators.modules() if isinstance(part, TakesSides)]
        multiple = max((rule.side_multiple for rule in rules), default=1)
        return multiple, max((rule.smallest_side for rule in rules), default=1)

    def translate(self, x: Tensor, direction: Direction) -> Tensor:
        """Images of one domain as ones of the other, with the averaged weights if kept.

        Args:
            x: (n, C, H, W) in the range of the domain that `direction` leaves; sides as
                `side_rule` says.
            direction: `a2b` or `b2a`.
        """
        networks = self.generators_in_use
        assert isinstance(networks, nn.ModuleDict)
        network = networks[direction]
        with evaluating(network):
            if not len(x):
                return x.new_empty(0, *self.target_of(direction).shape)
            return torch.cat([network(chunk).float() for chunk in x.split(CHUNK)])

    @override
    def fix_preview(self, *, seed: int, examples: tuple[Tensor, Tensor] | None) -> None:
        """Keep images of both domains to translate again and again."""
        a, b = examples or (torch.empty(0, *self.spec.a.shape), torch.empty(0, *self.spec.b.shape))
        self.register_buffer("fixed_a", a)
        self.register_buffer("fixed_b", b)

    def preview(self) -> Preview:
        """Real A, fake B, rebuilt A, real B, fake A, rebuilt B, one row for each example."""
        a, b = self.fixed_a, self.fixed_b
        fake_b, fake_a = self.translate(a, "a2b"), self.translate(b, "b2a")
        a_again, b_again = self.translate(fake_b, "b2a"), self.translate(fake_a, "a2b")
        channels = max(self.spec.a.shape[0], self.spec.b.shape[0])

        def shown(x: Tensor, spec: DataSpec) -> Tensor:
            unit = spec.to_unit(x)
            if channels == RGBA and spec.shape[0] < RGBA:  # beside RGBA, opaque
                return torch.cat([unit.expand(-1, 3, -1, -1), torch.ones_like(unit[:, :1])], dim=1)
            return unit.expand(-1, channels, -1, -1)

        in_a, in_b = self.spec.a, self.spec.b
        columns = (
            (a, in_a), (fake_b, in_b), (a_again, in_a), (b, in_b), (fake_a, in_a), (b_again, in_b),
        )  # fmt: skip
        rows = torch.stack([shown(x, spec) for x, spec in columns], dim=1)
        spec = DataSpec((channels, *self.spec.a.shape[1:]), (0.0, 1.0))
        samples = rows.flatten(0, 1)
        return Preview(
            samples,
            spec,
            columns=len(COLUMNS),
            captions=COLUMNS * len(a),
            translations={"a": (fake_a, a), "b": (fake_b, b)},
        )
