"""Whether the referee's certified bounds are true, and how near they come.

    python benchmarks/referee.py --known               # 200 pairs of known densities
    python benchmarks/referee.py --halves              # digits against other digits, 200 splits
    python benchmarks/referee.py --halves --root data  # MNIST's test data, likewise

Known densities: p_data and p_g are Gaussian mixtures on the line or in the plane, p_g anything from
perfect to collapsed. The true JSD is an integral over fine cells. Bounds are certified at 95 %, so
at least that share must lie below the truth. Real against real: the true distance is 0, so bounds
must be 0 and p-values at most as small as uniform ones. Splits share their data, so they agree more
with each other than fresh data would.
"""

from __future__ import annotations

import argparse
import math
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gan_cli import __version__
from gan_cli.data.digits import Digits
from gan_cli.data.mnist import MNIST
from gan_cli.evaluation.critic_kinds import coarse, of_points, of_vectors
from gan_cli.evaluation.critics import Effort, Part
from gan_cli.evaluation.referee import Candidate, Verdict, referee
from gan_cli.seeding import generator_for
from gan_cli.spec import DataSpec
from gan_cli.theory.density import GaussianMixture

DRAWS = 100_000  # from each density
FITTED, STOP = 0.55, 0.1  # shares of them that fit a critic and stop it; the rest are judged
FAR = 0.05  # JSD from which on the ratio of bound and truth counts
CELLS = {1: 200_000, 2: 1500}  # along each axis, for the true JSD
REACH = 7.0  # standard deviations beyond the outermost means, where cells end
HALVES_FITTED, HALVES_EFFORT = 0.5, Effort(steps=200, batch=128, rate=2e-3)  # a small critic
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Outcome:
    """What one case gave."""

    truth: float
    verdict: Verdict
    seconds: float


def known_case(number: int) -> tuple[GaussianMixture, GaussianMixture]:
    """A density, and another that a generator might have come to."""
    draws = generator_for(number, "referee cases")

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=draws, dtype=torch.float64)

    dim, modes = 1 + number % 2, int(torch.randint(1, 9, (), generator=draws))
    kind = ("perfect", "shifted", "scaled", "reweighted", "dropped", "collapsed")[number // 2 % 6]
    if dim == 2 and number // 12 % 2:  # the ring of mode collapse
        angles = torch.arange(8, dtype=torch.float64) * (math.pi / 4)
        means, modes = 2 * torch.stack([angles.cos(), angles.sin()], dim=1), 8
        stds = torch.full((8,), uniform(0.05, 0.3, 1).item(), dtype=torch.float64)
    else:
        means, stds = uniform(-3, 3, modes, dim), uniform(0.1, 0.8, modes)
    weights = uniform(0.3, 1, modes)
    strength = uniform(0.1, 1.0, 1).item()
    p = GaussianMixture(means, stds, weights)
    if kind == "shifted":
        means = means + strength * stds[:, None] * torch.randn(modes, dim, generator=draws).double()
    elif kind == "scaled":
        stds = stds * math.exp(strength if uniform(0, 1, 1) > 0.5 else -strength)
    elif kind == "reweighted":
        weights = weights * torch.exp(2 * strength * torch.randn(modes, generator=draws).double())
    elif kind == "dropped":
        kept = max(1, modes - 1 - int(strength * modes / 2))
        means, stds, weights = means[:kept], stds[:kept], weights[:kept]
    elif kind == "collapsed":
        means, stds, weights = means[:1], stds[:1] * (1.2 - strength), weights[:1]
    return p, GaussianMixture(means, stds, weights)


def true_jsd(p: GaussianMixture, q: GaussianMixture) -> float:
    """By the middle points of fine cells that cover both."""
    means, dim = torch.cat([p.means, q.means]), p.means.shape[1]
    margin = REACH * max(p.stds.max().item(), q.stds.max().item())
    axes, area = [], 1.0
    for low, high in zip(means.amin(dim=0) - margin, means.amax(dim=0) + margin, strict=True):
        side = (high - low).item() / CELLS[dim]
        axes.append(low + side * (torch.arange(CELLS[dim], dtype=torch.float64) + 0.5))
        area *= side
    total = 0.0
    for start in axes[0].split(CELLS[dim] if dim == 1 else 100):
        points = torch.cartesian_prod(start, *axes[1:]).view(-1, dim)
        log_p, log_q = p.log_prob(points), q.log_prob(points)
        middle = torch.logaddexp(log_p, log_q) - math.log(2)
        terms = log_p.exp() * (log_p - middle) + log_q.exp() * (log_q - middle)
        total += terms.sum().item() * area / 2
    return total


def judge_known(number: int, *, draws: int = DRAWS) -> Outcome:
    """Draw, fit, judge."""
    p, q = known_case(number)
    truth, began = true_jsd(p, q), time.monotonic()
    real, fake = (
        density.sample(draws, generator=generator_for(number, "referee draws", name))[0]
        for density, name in ((p, "p"), (q, "q"))
    )
    fitted, stop = round(FITTED * draws), round(STOP * draws)
    sizes = [fitted, stop, draws - fitted - stop]
    parts = [Part(x, y) for x, y in zip(real.split(sizes), fake.split(sizes), strict=True)]
    spec = DataSpec((p.means.shape[1],), None)
    candidates = of_points(spec, parts[0])
    verdict = referee(candidates, *parts, seed=number, device=CPU)
    return Outcome(truth, verdict, time.monotonic() - began)


def images_of(root: Path | None) -> Tensor:
    """MNIST's test images, or without a folder scikit-learn's digits, coarse: float32 (n, 64)."""
    if root is None:
        dataset = Digits(image_size=8, pixel_range=(0, 1)).load(seed=0, progress=lambda *_: None)
    else:
        source = MNIST(
            variant="MNIST", root=str(root), download=False, image_size=28, pixel_range=(0, 1)
        )
        dataset = source.load_test(seed=0, progress=lambda *_: None)
        assert dataset is not None
    assert isinstance(dataset.values, Tensor)
    return coarse(dataset.values)


def judge_halves(number: int, images: Tensor) -> Outcome:
    """One half as real data, the other as samples."""
    began = time.monotonic()
    order = torch.randperm(len(images), generator=generator_for(number, "referee halves"))
    n = len(images) // 2
    fitted, stop = round(HALVES_FITTED * n), round(STOP * n)
    sizes = [fitted, stop, n - fitted - stop]
    real, fake = images[order[:n]].split(sizes), images[order[n : 2 * n]].split(sizes)
    parts = [Part(x, y) for x, y in zip(real, fake, strict=True)]
    kinds = of_vectors(DataSpec((images.shape[1],), None), parts[0])
    kinds = [Candidate(kind.make, kind.encode, HALVES_EFFORT) for kind in kinds]
    verdict = referee(kinds, *parts, seed=number, device=CPU)
    return Outcome(0.0, verdict, time.monotonic() - began)


def row_of_known(outcomes: list[Outcome]) -> list[str]:
    """Share of true bounds, and how near bounds come where the truth is far from 0."""
    bounds = [(o.verdict.jsd_at_least, o.truth) for o in outcomes]
    # Where both densities are the same the integral is 0 but for rounding.
    held = sum(bound <= max(0.0, truth) for bound, truth in bounds)
    ratios = [bound / truth for bound, truth in bounds if truth > FAR]
    return [
        f"known densities, {DRAWS:,} draws each",
        f"{held} of {len(bounds)} bounds true ({held / len(bounds):.1%})",
        f"bound / true JSD where that is above {FAR}: median {statistics.median(ratios):.3f}, "
        f"least {min(ratios):.3f}, {len(ratios)} cases",
    ]


def row_of_halves(outcomes: list[Outcome], *, name: str) -> list[str]:
    """Share of bounds that are 0, and the test that p-values are not smaller than uniform ones."""
    from scipy.stats import kstest

    zero = sum(o.verdict.jsd_at_least == 0 for o in outcomes)
    zero_tv = sum(o.verdict.tv_at_least == 0 for o in outcomes)
    small = kstest([o.verdict.p for o in outcomes], "uniform", alternative="greater")
    below = sum(o.verdict.p <= 0.05 for o in outcomes)
    return [
        f"{name} against itself, {len(outcomes)} splits",
        f"{zero} of {len(outcomes)} bounds of the JSD are 0 ({zero / len(outcomes):.1%}), "
        f"{zero_tv} of the total variation",
        f"p <= 0.05 in {below}; KS test that p-values are too small: p = {small.pvalue:.3f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--known", action="store_true", help="known densities")
    parser.add_argument("--halves", action="store_true", help="real data against other real data")
    parser.add_argument("--root", type=Path, help="where MNIST lies, for --halves; else digits")
    parser.add_argument("--cases", type=int, default=200)
    args = parser.parse_args()
    if not (args.known or args.halves):
        parser.error("give --known, --halves or both")
    torch.set_num_threads(1)
    rows, seeds = [], f"0 to {args.cases - 1}"
    if args.known:
        outcomes = played(judge_known, args.cases)
        rows.append([*row_of_known(outcomes), seconds(outcomes), seeds])
    if args.halves:
        name, images = "MNIST" if args.root else "digits", images_of(args.root)
        outcomes = played(lambda number: judge_halves(number, images), args.cases)
        rows.append([*row_of_halves(outcomes, name=name), seconds(outcomes), seeds])
    print("| | true or 0 | how near | seconds a case | seeds |\n|---|---|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print(
        f"\ngan-train {__version__}, torch {torch.__version__}, "
        f"Python {platform.python_version()}, {sys.platform}, one thread"
    )


def played(judge: Callable[[int], Outcome], cases: int) -> list[Outcome]:
    """All cases, each told on the standard error as it ends."""
    outcomes = []
    for number in range(cases):
        outcomes.append(judge(number))
        truth, bound = outcomes[-1].truth, outcomes[-1].verdict.jsd_at_least
        print(f"{number}: JSD {truth:.4f}, at least {bound:.4f}", file=sys.stderr, flush=True)
    return outcomes


def seconds(outcomes: list[Outcome]) -> str:
    """The mean time of a case, without its true JSD."""
    return f"{statistics.mean(o.seconds for o in outcomes):.1f}"


if __name__ == "__main__":
    main()
