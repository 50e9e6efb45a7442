"""How gan-train's speed and memory grow with batch, image size, width and the data set.

    python -m benchmarks.growth --root data --plot docs/pictures/growth.png --json growth.json

Two models on MNIST. Each of batch, image side and width goes over a factor of 4, and the data set
over a factor of 16 (the smallest is a quarter of MNIST, the largest MNIST four times), the others
staying as they are. fp32.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import struct
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.runs import cores, gan_train, machine_line, require_mnist, unpack_mnist
from gan_cli.data.mnist import FILES
from gan_cli.pictures import write_png
from gan_cli.plots import new_figure, to_picture

SECONDS = 8.0
IMAGES = 60_000


@dataclass(frozen=True)
class Case:
    """One size of everything."""

    model: str
    batch: int = 64
    side: int = 32
    width: int = 64
    images: int = IMAGES

    @property
    def arguments(self) -> list[str]:
        """gan-train's."""
        common = [f"model={self.model}", "data=mnist", f"data.image_size={self.side}"]
        hidden = f"[{self.width},{self.width}]"
        widths = [f"model.generator.hidden={hidden}", f"model.discriminator.hidden={hidden}"]
        if self.model == "dcgan":
            widths = [f"model.width={self.width}"]
        return [*common, *widths, f"data.batch_size={self.batch}"]


#: Where each model starts from, and the steps between its lines.
BASES = {"vanilla": Case("vanilla", width=512), "dcgan": Case("dcgan")}
LOG_EVERY = {"vanilla": 20, "dcgan": 2}
#: What is varied, and how: multiples of where a model starts from.
AXES: dict[str, tuple[float, ...]] = {
    "batch": (0.5, 1, 2),
    "side": (0.5, 1, 2),
    "width": (0.5, 1, 2),
    "images": (0.25, 1, 4),
}
LABELS = {
    "batch": "batch size",
    "side": "image side, pixels",
    "width": "width (units, channels)",
    "images": "images in the data set",
}
COLORS = {"vanilla": "#4c78a8", "dcgan": "#d1495b"}


@dataclass(frozen=True)
class Point:
    """What one case reached."""

    case: Case
    images_per_s: float
    peak_mib: float


def cases() -> list[Case]:
    """All of them, each once."""
    found = [
        varied(base, axis, round(factor * getattr(base, axis)))
        for base in BASES.values()
        for axis, factors in AXES.items()
        for factor in factors
    ]
    return list(dict.fromkeys(found))


def varied(case: Case, axis: str, value: int) -> Case:
    """A case with one number changed."""
    change: dict[str, Any] = {axis: value}
    return replace(case, **change)


def measure(
    root: Path,
    work: Path,
    *,
    threads: int,
    seconds: float = SECONDS,
    rounds: int = 1,
    say: Callable[[str], None] = print,
) -> list[Point]:
    """Run all cases, `rounds` times one after the other; medians.

    Args:
        root: the folder that holds MNIST/raw, unpacked.
        work: where runs are written.
        threads: of each run.
        seconds: for each run.
        rounds: how often.
        say: hears how far it is.
    """
    found: dict[Case, list[dict[str, float]]] = {case: [] for case in cases()}
    for _ in range(rounds):
        for case, measures in found.items():
            data = resized(root, work.parent / f"images{case.images}", case.images)
            one = gan_train(
                [*case.arguments, f"data.root='{data}'"],
                work=work,
                batch=case.batch,
                seconds=seconds,
                log_every=LOG_EVERY[case.model],
                threads=threads,
            )
            measures.append(one)
            say(f"  {case}: {one['images_per_s']:,.0f} images/s, {one['peak_mib']:,.0f} MiB")
    return [
        Point(case, *(statistics.median(m[key] for m in measures) for key in measures[0]))
        for case, measures in found.items()
    ]


def resized(root: Path, target: Path, images: int) -> Path:
    """MNIST with so many training images: its first ones, or all of them again and again."""
    if images == IMAGES:
        return root
    raw = target / "MNIST" / "raw"
    if raw.is_dir():
        return target
    raw.mkdir(parents=True)
    for name in FILES["train"]:
        content = (root / "MNIST" / "raw" / name).read_bytes()
        start = 4 + 4 * content[3]  # the header holds 4 bytes for each dimension
        (count,) = struct.unpack(">I", content[4:8])
        values = content[start:]
        repeated = values * -(-images // count)
        size = len(values) // count
        header = content[:4] + struct.pack(">I", images) + content[8:start]
        (raw / name).write_bytes(header + repeated[: images * size])
    for name in FILES["test"]:
        shutil.copy(root / "MNIST" / "raw" / name, raw / name)
    return target


def plot(points: Sequence[Point], path: Path) -> None:
    """Images/s above and memory below, a column for each axis, a line for each model."""
    figure = new_figure(11, 5)
    grid = figure.subplots(2, len(LABELS), sharey="row", squeeze=False)
    for column, (axis, label) in enumerate(LABELS.items()):
        for model, base in BASES.items():
            line = on_axis(points, base, axis)
            x = [getattr(point.case, axis) for point in line]
            speeds = [point.images_per_s for point in line]
            memory = [point.peak_mib for point in line]
            for row, y in enumerate((speeds, memory)):
                grid[row, column].plot(x, y, "o-", color=COLORS[model], label=model)
        ticks = sorted({getattr(point.case, axis) for point in points})
        for axes in grid[:, column]:
            axes.set_xscale("log", base=2)
            axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
            axes.grid(visible=True, which="both", linewidth=0.3)
        grid[1, column].set_xlabel(label)
    grid[0, 0].set_yscale("log")  # the rows share theirs
    grid[1, 0].set_ylim(bottom=0)
    grid[0, 0].set_ylabel("images/s")
    grid[1, 0].set_ylabel("peak MiB of the process")
    grid[0, 0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, to_picture(figure))


def on_axis(points: Sequence[Point], base: Case, axis: str) -> list[Point]:
    """The points that differ from a model's base at most in `axis`, in its order."""
    fixed = getattr(base, axis)
    found = [point for point in points if varied(point.case, axis, fixed) == base]
    return sorted(found, key=lambda point: getattr(point.case, axis))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=os.environ.get("GAN_TRAIN_DATA", "data"), type=Path)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--plot", type=Path, default=Path("docs/pictures/growth.png"))
    parser.add_argument("--json", type=Path, help="file to write every number to")
    args = parser.parse_args()
    require_mnist(args.root)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder).resolve()
        unpack_mnist(args.root, home / "data")
        points = measure(
            home / "data",
            home / "runs",
            threads=args.threads,
            seconds=args.seconds,
            rounds=args.rounds,
            say=lambda text: print(text, file=sys.stderr, flush=True),
        )
    plot(points, args.plot)
    print(f"{args.plot}\n{machine_line(args.threads)}")
    if args.json:
        args.json.write_text(json.dumps([asdict(point) for point in points], indent=1) + "\n")


if __name__ == "__main__":
    main()
