"""The machine's own speed at products and convolutions, and how many FLOPs a step needs.

    python -m benchmarks.roofline --threads 2

Rates are of forward and backward passes of single large layers, the best of several shapes and
memory layouts, as the share of a step that is nothing else could reach them. FLOPs are counted in
one of gan-train's own steps, which computes no gradient that is not used.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.rows import composed
from benchmarks.runs import cores
from gan_cli.settings.build import build_game, build_optimizer, make
from gan_cli.spec import AnySpec, Batch, DataSpec, PairBatch, PairSpec
from gan_cli.training.finite import Player
from gan_cli.training.turn import Move, Turn, play

CPU = torch.device("cpu")
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
GEMM_SIDES = (1024, 2048)
#: Batch, channels, pixels of a side, kernel, stride.
CONVOLUTIONS = ((64, 128, 32, 3, 1), (64, 128, 32, 4, 2), (1, 256, 64, 3, 1))


@dataclass(frozen=True)
class Flops:
    """Floating-point operations of one step, a multiplication and an addition counted as two."""

    gemm: float
    conv: float

    def seconds(self, rates: dict[str, float], precision: str) -> float:
        """How long they take at the machine's own speed."""
        return self.gemm / rates[f"gemm_{precision}"] + self.conv / rates[f"conv_{precision}"]


def layers(dtype: torch.dtype) -> Iterator[tuple[str, nn.Module, Tensor]]:
    """Large layers, each with its input."""
    for side in GEMM_SIDES:
        yield "gemm", nn.Linear(side, side, dtype=dtype), torch.randn(side, side).to(dtype)
    for n, channels, pixels, kernel, stride in CONVOLUTIONS:
        for layout in (torch.contiguous_format, torch.channels_last):
            layer = nn.Conv2d(channels, channels, kernel, stride, 1, dtype=dtype)
            x = torch.randn(n, channels, pixels, pixels).to(dtype, memory_format=layout)
            yield "conv", layer.to(memory_format=layout), x


def measure_rates(threads: int, *, seconds: float) -> dict[str, float]:
    """FLOP/s at products and convolutions in both precisions; `seconds` for each layer."""
    torch.set_num_threads(threads)
    found: dict[str, float] = {}
    for precision, dtype in PRECISIONS.items():
        for kind, layer, x in layers(dtype):
            key = f"{kind}_{precision}"
            found[key] = max(found.get(key, 0.0), rate(layer, x, seconds=seconds))
    return found


def rate(layer: nn.Module, x: Tensor, *, seconds: float) -> float:
    """FLOP/s of one layer's forward and backward pass, gradients of its input included."""
    x.requires_grad_()
    gradient = torch.randn_like(layer(x))

    def once() -> None:
        layer.zero_grad()
        x.grad = None
        layer(x).backward(gradient)

    once()
    flops = sum(count(once).values())
    took: list[float] = []
    while sum(took) < seconds or len(took) < 3:
        started = time.perf_counter()
        once()
        took.append(time.perf_counter() - started)
    return flops / min(took)


def count(work: Callable[[], object]) -> dict[str, float]:
    """FLOPs of products and of convolutions in what is done."""
    with FlopCounterMode(display=False) as counter:
        work()
    found = {"gemm": 0.0, "conv": 0.0}
    for operation, flops in counter.get_flop_counts()["Global"].items():
        found["conv" if "convolution" in str(operation) else "gemm"] += flops
    return found


def count_step(arguments: Sequence[str]) -> Flops:
    """FLOPs of one of gan-train's steps, on data that are as random as its weights."""
    config = composed(*arguments)
    spec = make(config, "data").spec
    game = build_game(config, spec, CPU)
    batch = random_batch(spec, config["data"]["batch_size"])
    players: tuple[Player, Player] = ("d", "g")

    def step() -> None:
        for player in players:
            turn = Turn(game, player)
            optimizer = build_optimizer(config, player, turn.parameters_moved)
            play(turn, optimizer, batch=batch, move=Move(), log_due=False)

    step()  # a CycleGAN's D makes its own fakes only the first time
    return Flops(**count(step))


def random_batch(spec: AnySpec, m: int) -> Batch | PairBatch:
    """m data of noise."""

    def x(domain: DataSpec) -> Tensor:
        return torch.rand(m, *domain.shape)

    if isinstance(spec, PairSpec):
        return PairBatch(x(spec.a), x(spec.b))
    return Batch(x(spec), torch.arange(m) % spec.classes if spec.classes else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--seconds", type=float, default=0.5, help="for each layer")
    args = parser.parse_args()
    rates: dict[str, Any] = measure_rates(args.threads, seconds=args.seconds)
    print(json.dumps(rates))


if __name__ == "__main__":
    main()
