"""gan-train against the textbook loops: same networks, updates, batch and threads, interleaved.

    make bench ROOT=data                        (MNIST lies there; else in $GAN_TRAIN_DATA, or data)
    python -m benchmarks.bench --root data --rows mlp,dcgan64 --rounds 5 --json bench.json

Each round runs all rows, and for each, one after the other in processes of their own and in an
order that rotates: the textbook with 0 and with 2 loading workers (the better median counts), and
`gan-train` as shipped in fp32 and in bf16, with logging, progress bar, pictures and checkpoints
(where steps are slow, lines come closer together than every 50 steps, which costs gan-train).
Images/s are real images that D saw, of each domain for CycleGAN; the warm-up counts for nobody.
Each round also times what the machine itself can do (`roofline.py`), the start of each row up to
its first step, and `import torch` alone. Checkpoints and evaluations (`records.py`) and growth
with batch, image, width and data set (`growth.py`) are measured once, behind the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import growth
from benchmarks.roofline import Flops, count_step
from benchmarks.rows import ROWS, Row
from benchmarks.runs import (
    Measure,
    call,
    cores,
    first_step,
    gan_train,
    import_torch,
    last_line,
    machine,
    machine_line,
    make_photos,
    median_of,
    require_mnist,
    shown,
    textbook,
    unpack_mnist,
)
from benchmarks.textbook import LESSONS

TEXTBOOKS = ("textbook, 0 workers", "textbook, 2 workers")
PRECISIONS = ("fp32", "bf16")


@dataclass
class Results:
    """All that was measured."""

    runs: dict[str, dict[str, list[Measure]]] = field(default_factory=dict)
    first_steps: dict[str, list[float]] = field(default_factory=dict)
    import_torch: list[float] = field(default_factory=list)
    rates: list[dict[str, float]] = field(default_factory=list)
    flops: dict[str, Flops] = field(default_factory=dict)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    growth: list[growth.Point] = field(default_factory=list)

    def add(self, row: str, tool: str, measure: Measure) -> None:
        """Keep one run."""
        self.runs.setdefault(row, {}).setdefault(tool, []).append(measure)

    def textbook(self, row: str) -> list[Measure]:
        """The better of both textbooks."""
        found = self.runs[row]
        best = max(TEXTBOOKS, key=lambda tool: median_of(found[tool], "images_per_s"))
        return found[best]

    def ratio(self, row: str, precision: str) -> float:
        """How many times as fast as the textbook gan-train is."""
        ours = median_of(self.runs[row][precision], "images_per_s")
        return ours / median_of(self.textbook(row), "images_per_s")

    def roofline(self, row: str, precision: str) -> float:
        """Images/s if a step's products and convolutions ran at the machine's own speed."""
        rates = {key: median_of(self.rates, key) for key in self.rates[0]}
        return ROWS[row].batch / self.flops[row].seconds(rates, precision)

    def share(self, row: str, precision: str) -> float:
        """How much of that gan-train reaches."""
        ours = median_of(self.runs[row][precision], "images_per_s")
        return ours / self.roofline(row, precision)


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Bench:
    """How every run is made.

    Attributes:
        mnist: the folder that holds MNIST/raw, unpacked.
        photos: that of both domains of photos.
        work: where runs are written.
        seconds: to measure in a run.
        threads: of each process.
    """

    mnist: Path
    photos: Path
    work: Path
    seconds: float
    threads: int

    def arguments(self, row: Row) -> list[str]:
        """gan-train's, with the place of the data."""
        return [*row.train, f"data.root='{self.mnist if row.on_mnist else self.photos}'"]

    def textbook(self, name: str, *, workers: int) -> Measure:
        """One run of the textbook."""
        row, script = ROWS[name], ["-m", "benchmarks.textbook_cyclegan"]
        if name in LESSONS:
            script = ["-m", "benchmarks.textbook", f"--network={name}", f"--batch-size={row.batch}"]
        return textbook(
            script,
            root=self.mnist if row.on_mnist else self.photos,
            workers=workers,
            seconds=row.lasts * self.seconds,
            warmup=row.log_every,
            threads=self.threads,
        )

    def gan_train(self, name: str, *, precision: str) -> Measure:
        """One run of gan-train."""
        row = ROWS[name]
        return gan_train(
            [*self.arguments(row), f"precision={precision}"],
            work=self.work,
            batch=row.batch,
            seconds=row.lasts * self.seconds,
            log_every=row.log_every,
            threads=self.threads,
        )

    def round(self, results: Results, rows: Sequence[str], number: int) -> None:
        """All runs of one round."""
        rates = call([sys.executable, "-m", "benchmarks.roofline", f"--threads={self.threads}"])
        results.rates.append(last_line(rates))
        results.import_torch.append(import_torch())
        for name in rows:
            runs: list[tuple[str, Callable[[], Measure]]] = [
                (TEXTBOOKS[0], partial(self.textbook, name, workers=0)),
                ("fp32", partial(self.gan_train, name, precision="fp32")),
                (TEXTBOOKS[1], partial(self.textbook, name, workers=2)),
                ("bf16", partial(self.gan_train, name, precision="bf16")),
            ]
            turned = number % len(runs)
            for tool, run in runs[turned:] + runs[:turned]:
                measure = run()
                results.add(name, tool, measure)
                say(f"  {name}, {tool}: {measure['images_per_s']:,.2f} images/s")
            started = first_step(self.arguments(ROWS[name]), work=self.work, threads=self.threads)
            results.first_steps.setdefault(name, []).append(started)

    def record(self, name: str) -> dict[str, Any]:
        """Times of checkpoints and of an evaluation."""
        command = [sys.executable, "-m", "benchmarks.records", name]
        arguments = [f"data.root='{self.mnist if ROWS[name].on_mnist else self.photos}'"]
        return last_line(
            call(
                [*command, *arguments, f"--threads={self.threads}"],
                cache=self.work.parent / "cache",
            )
        )


def speed_table(results: Results) -> Table:
    """Images/s beside the textbook's and the machine's own."""
    table = Table(title="images/s: median (range) of all rounds", title_justify="left")
    table.add_column("")
    for head in ("textbook", "gan-train fp32", "ratio", "bf16", "ratio", "roofline share"):
        table.add_column(head, justify="right")
    for name, tools in results.runs.items():
        fp32, bf16 = (of(tools[precision], "images_per_s") for precision in PRECISIONS)
        table.add_row(
            ROWS[name].title,
            shown(of(results.textbook(name), "images_per_s")),
            shown(fp32),
            f"{results.ratio(name, 'fp32'):.2f}",
            shown(bf16),
            f"{results.ratio(name, 'bf16'):.2f}",
            " / ".join(f"{results.share(name, precision):.0%}" for precision in PRECISIONS),
        )
    return table


def cost_table(results: Results) -> Table:
    """Seconds and MiB beside the training itself."""
    table = Table(title="seconds and MiB", title_justify="left")
    table.add_column("")
    heads = ("start to first step: textbook", "gan-train", "checkpoint: waited", "written",
             "evaluation", "peak MiB: textbook", "fp32", "bf16")  # fmt: skip
    for head in heads:
        table.add_column(head, justify="right")
    for name, tools in results.runs.items():
        record = results.records[name]
        table.add_row(
            ROWS[name].title,
            shown(of(results.textbook(name), "first_step_s")),
            shown(results.first_steps[name]),
            f"{statistics.median(record['checkpoint_waited_s']):.3f}",
            f"{statistics.median(record['checkpoint_written_s']):.3f}",
            f"{record['evaluation_s']:.1f}",
            *(
                f"{median_of(measures, 'peak_mib'):,.0f}"
                for measures in (results.textbook(name), tools["fp32"], tools["bf16"])
            ),
        )
    return table


def of(measures: Sequence[Measure], key: str) -> list[float]:
    """One number of every run."""
    return [measure[key] for measure in measures]


def rates_line(results: Results) -> str:
    """The machine's own speed."""
    rates = {key: median_of(results.rates, key) / 1e9 for key in results.rates[0]}
    return "; ".join(
        f"{precision}: GEMM {rates[f'gemm_{precision}']:,.0f}, "
        f"convolution {rates[f'conv_{precision}']:,.0f} GFLOP/s"
        for precision in PRECISIONS
    )


def summary(results: Results, rows: Sequence[str]) -> dict[str, Any]:
    """The tables' numbers for other programs."""
    return {
        name: {
            "textbook": median_of(results.textbook(name), "images_per_s"),
            **{p: median_of(results.runs[name][p], "images_per_s") for p in PRECISIONS},
            **{f"{p}_ratio": results.ratio(name, p) for p in PRECISIONS},
            **{f"{p}_roofline": results.roofline(name, p) for p in PRECISIONS},
            **{f"{p}_share": results.share(name, p) for p in PRECISIONS},
        }
        for name in rows
    }


def chosen(text: str) -> list[str]:
    """Rows from `a,b`."""
    names = text.split(",")
    if unknown := [name for name in names if name not in ROWS]:
        raise argparse.ArgumentTypeError(f"no row {', '.join(unknown)}: use {', '.join(ROWS)}")
    return names


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=os.environ.get("GAN_TRAIN_DATA", "data"), type=Path)
    parser.add_argument("--rows", default=list(ROWS), type=chosen, help=",".join(ROWS))
    parser.add_argument("--rounds", default=5, type=int)
    parser.add_argument(
        "--seconds", default=10, type=float, help="to measure in a run; twice that for cyclegan"
    )
    parser.add_argument("--threads", default=cores(), type=int)
    parser.add_argument("--growth", default=True, action=argparse.BooleanOptionalAction)
    parser.add_argument(
        "--plot", default=Path("docs/pictures/growth.png"), type=Path, help="of growth"
    )
    parser.add_argument("--json", type=Path, help="file to write every number to")
    args = parser.parse_args()
    needs_mnist = args.growth or any(ROWS[name].on_mnist for name in args.rows)
    if needs_mnist:
        require_mnist(args.root)
    args.needs_mnist = needs_mnist
    return args


def main() -> None:
    args = arguments()
    results = Results()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder).resolve()
        bench = Bench(home / "data", home / "photos", home / "runs", args.seconds, args.threads)
        if args.needs_mnist:
            unpack_mnist(args.root, bench.mnist)
        make_photos(bench.photos)
        for number in range(args.rounds):
            say(f"round {number + 1} of {args.rounds}")
            bench.round(results, args.rows, number)
        for name in args.rows:
            say(f"checkpoints and evaluation: {name}")
            results.flops[name] = count_step(bench.arguments(ROWS[name]))
            results.records[name] = bench.record(name)
        if args.growth:
            results.growth = growth.measure(bench.mnist, bench.work, threads=args.threads, say=say)
            growth.plot(results.growth, args.plot)
    command = f"python -m benchmarks.bench {' '.join(sys.argv[1:])}"
    console = Console(width=150)
    console.print(speed_table(results))
    console.print(cost_table(results))
    print(f"import torch alone: {shown(results.import_torch)} s. {rates_line(results)}")
    print(f"{machine_line(args.threads)}\n{command}")
    if args.json:
        found = asdict(results) | {
            "summary": summary(results, args.rows),
            "machine": machine(args.threads),
            "command": command,
        }
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
