"""How often the test for copies finds copies, and how often it takes something else for them.

    python benchmarks/copies.py --root data    # MNIST: 10,000 samples, 50 splits of each kind
    python benchmarks/copies.py                # scikit-learn's digits

Each split parts the data anew: half of what is no sample was trained on, the other half held out.
Without copies an alarm (p <= 0.05) is false. Planted copies are training images with Gaussian
noise. Early generators are DCGANs after 10 and 500 steps on other data, so they copy none.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

import gan_cli
from gan_cli.data.digits import Digits
from gan_cli.data.mnist import MNIST
from gan_cli.evaluation.copies import MOST, find_copies
from gan_cli.seeding import generator_for
from gan_cli.settings.compose import compose_config
from gan_cli.train import run as train

PLANTED = 0.05  # share of samples that are copies
NOISES = (0.0, 0.02, 0.05, 0.1)  # standard deviation in each pixel of images from 0 to 1
EARLY = (10, 500)  # steps of generators
ALARM = 0.05


@dataclass(frozen=True)
class Split:
    """Real images, parted.

    Attributes:
        training: what G might have copied.
        held_out: as many others.
        other: real images that are neither.
        draws: what is random in samples.
    """

    training: Tensor
    held_out: Tensor
    other: Tensor
    draws: torch.Generator


def split(images: Tensor, *, seed: int) -> Split:
    """A third of the images each, at most MOST."""
    draws = generator_for(seed, "copies")
    third = min(MOST, len(images) // 3)
    order = torch.randperm(len(images), generator=draws)
    return Split(*(images[rows] for rows in order[: 3 * third].split(third)), draws=draws)


def planted(noise: float) -> Callable[[Split], Tensor]:
    """Real images, some of them copies with noise."""

    def make(parts: Split) -> Tensor:
        samples, copied = parts.other.clone(), round(PLANTED * len(parts.other))
        rows = torch.randint(len(parts.training), (copied,), generator=parts.draws)
        noises = torch.randn(copied, *samples.shape[1:], generator=parts.draws)
        samples[:copied] = (parts.training[rows] + noise * noises).clamp(0, 1)
        return samples

    return make


def blurred(parts: Split) -> Tensor:
    """Real images through a blur."""
    return avg_pool2d(parts.other, 5, stride=1, padding=2)


def blends(parts: Split) -> Tensor:
    """Means of two training images, which are copies of neither."""
    rows = torch.randperm(len(parts.training), generator=parts.draws)
    return (parts.training + parts.training[rows]) / 2


def early(steps: int, root: Path | None, folder: Path) -> Callable[[Split], Tensor]:
    """Samples of a DCGAN that has just begun."""
    data = ["data=digits", "data.image_size=16"] if root is None else ["data=mnist"]
    words = [*data, "model=dcgan", "model.width=16", f"steps={steps}", "sample_every=0"]
    if root is not None:
        words.append(f"data.root={root.resolve()}")
    config = compose_config(words) | {"output_dir": str(folder), "report": False}
    config["name"] = f"steps-{steps}"
    train(config, [])
    model = gan_cli.load(folder / config["name"])

    def make(parts: Split) -> Tensor:
        seed = int(torch.randint(2**31, (), generator=parts.draws))
        x = (model.sample(len(parts.other), seed=seed) + 1) / 2
        size = parts.other.shape[2:]
        return torch.nn.functional.interpolate(x, size, mode="area")

    return make


def images_of(root: Path | None) -> Tensor:
    """MNIST's training images, or scikit-learn's digits; in [0, 1]."""
    if root is None:
        dataset = Digits(image_size=8, pixel_range=(0, 1)).load(seed=0, progress=lambda *_: None)
    else:
        source = MNIST(
            variant="MNIST", root=str(root), download=False, image_size=28, pixel_range=(0, 1)
        )
        dataset = source.load(seed=0, progress=lambda *_: None)
    return dataset.take(torch.arange(len(dataset)))[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, help="where MNIST lies; else digits")
    parser.add_argument("--splits", type=int, default=50)
    args = parser.parse_args()
    images = images_of(args.root)
    with tempfile.TemporaryDirectory() as folder:
        kinds: dict[str, Callable[[Split], Tensor]] = {
            "real images": lambda parts: parts.other,
            "blurred ones": blurred,
            "blends of two training images": blends,
            **{f"DCGAN, {n} steps": early(n, args.root, Path(folder)) for n in EARLY},
            **{f"{PLANTED:.0%} copies, noise {noise}": planted(noise) for noise in NOISES},
        }
    print("| samples | alarms | share of copies found | seconds |\n|---|---|---|---|")
    for name, make in kinds.items():
        ps, shares, times = [], [], []
        for seed in range(args.splits):
            parts = split(images, seed=seed)
            samples, began = make(parts), time.monotonic()
            found = find_copies(samples, parts.training, parts.held_out, flip=False)
            times.append(time.monotonic() - began)
            ps.append(found.p)
            shares.append(max(0.0, found.excess / len(samples)))
        alarms = sum(p <= ALARM for p in ps)
        print(
            f"| {name} | {alarms} of {len(ps)} | {statistics.mean(shares):.2%} | "
            f"{statistics.mean(times):.1f} |",
            flush=True,
        )
    print(
        f"\n{len(parts.other):,} samples, seeds 0 to {args.splits - 1}; gan-train "
        f"{gan_cli.__version__}, torch {torch.__version__}, Python {platform.python_version()}, "
        f"{sys.platform}"
    )


if __name__ == "__main__":
    main()
