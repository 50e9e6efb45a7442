"""gan-train against the textbook loop: same network, updates, batch and threads, interleaved.

    make bench                                  (data.root: $GAN_TRAIN_DATA, or data)
    python benchmarks/bench.py --root data --rounds 5 --steps 2000 --json bench.json

Each round runs, one after the other in processes of their own: the textbook with 0 and with 2
loading workers (the better median counts), and `gan-train` as shipped, with its logging, pictures
and checkpoints at their default cadences. Medians and ranges of images/s (real images that D saw),
seconds from process start to the end of the first step, and peak memory.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from gan_cli.environment import cpu_kind

HERE = Path(__file__).parent
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte",
         "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")  # fmt: skip
WARMUP = 50

Measure = dict[str, float]


def unpack(root: Path, target: Path) -> None:
    """Torchvision's data set wants the files unpacked."""
    raw = target / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in FILES:
        packed = root / "MNIST" / "raw" / f"{name}.gz"
        if packed.is_file():
            with gzip.open(packed, "rb") as source, (raw / name).open("wb") as output:
                shutil.copyfileobj(source, output)
        else:
            shutil.copy(root / "MNIST" / "raw" / name, raw / name)


def textbook(root: Path, *, workers: int, steps: int, batch_size: int, threads: int) -> Measure:
    command = [
        sys.executable, str(HERE / "textbook.py"), "--root", str(root), "--steps", str(steps),
        "--warmup", str(WARMUP), "--batch-size", str(batch_size), "--workers", str(workers),
        "--threads", str(threads),
    ]  # fmt: skip
    started = time.time()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return {
        "images_per_s": found["images_per_s"],
        "first_step_s": found["first_step_at"] - started,
        "peak_mib": found["peak_mib"],
    }


def gan_train(root: Path, work: Path, *, steps: int, batch_size: int, threads: int) -> Measure:
    base = [
        sys.executable, "-m", "gan_cli.train", "model=vanilla", "data=mnist",
        f"data.root='{root}'", f"data.batch_size={batch_size}", f"threads={threads}",
        f"output_dir='{work}'",
    ]  # fmt: skip
    started = time.time()
    subprocess.run(
        [*base, "name=first", "steps=1", "log_every=1", "sample_every=0"],
        check=True, capture_output=True,
    )  # fmt: skip
    # The line of step 1 is written as soon as the step is done, and nothing after it.
    first_step = (work / "first" / "metrics.jsonl").stat().st_mtime - started
    subprocess.run([*base, "name=long", f"steps={steps + WARMUP}"], check=True, capture_output=True)
    lines = [
        json.loads(line) for line in (work / "long" / "metrics.jsonl").read_text().splitlines()
    ]
    by_step = {line["step"]: line for line in lines}
    seconds = by_step[steps + WARMUP]["time"] - by_step[WARMUP]["time"]
    return {
        "images_per_s": steps * batch_size / seconds,
        "first_step_s": first_step,
        "peak_mib": lines[-1]["system/memory_mib"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=os.environ.get("GAN_TRAIN_DATA", "data"), type=Path)
    parser.add_argument("--rounds", default=5, type=int)
    parser.add_argument("--steps", default=2000, type=int, help="a multiple of 50")
    parser.add_argument("--batch-size", default=64, type=int)
    parser.add_argument("--threads", default=os.cpu_count(), type=int)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not (args.root / "MNIST" / "raw").is_dir():
        sys.exit(f"--root {args.root}: no MNIST/raw there; give the folder that holds it")
    settings = {"steps": args.steps, "batch_size": args.batch_size, "threads": args.threads}
    rows: dict[str, list[Measure]] = {
        "textbook, 0 workers": [],
        "textbook, 2 workers": [],
        "gan-train": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        unpack(args.root, data)
        for number in range(args.rounds):
            work = Path(folder) / f"round{number}"
            rows["textbook, 0 workers"].append(textbook(data, workers=0, **settings))
            rows["gan-train"].append(gan_train(data.resolve(), work, **settings))
            rows["textbook, 2 workers"].append(textbook(data, workers=2, **settings))
            print(f"round {number + 1} of {args.rounds} done", file=sys.stderr)
    report(rows, args)


def report(rows: dict[str, list[Measure]], args: argparse.Namespace) -> None:
    def median(name: str, key: str) -> float:
        return statistics.median(measure[key] for measure in rows[name])

    best = max(
        ("textbook, 0 workers", "textbook, 2 workers"), key=lambda n: median(n, "images_per_s")
    )
    table = Table(title=f"MLP GAN on MNIST, batch {args.batch_size}, {args.threads} threads, fp32")
    for column in ("", "images/s", "ratio", "first step s", "peak MiB"):
        table.add_column(column, justify="left" if not column else "right")
    for name, measures in rows.items():
        cells = [name]
        for key, form in (("images_per_s", ",.0f"), ("first_step_s", ".2f"), ("peak_mib", ",.0f")):
            values = [measure[key] for measure in measures]
            cells.append(f"{median(name, key):{form}} ({min(values):{form}}-{max(values):{form}})")
        ratio = median(name, "images_per_s") / median(best, "images_per_s")
        table.add_row(cells[0], cells[1], f"{ratio:.2f}", *cells[2:])
    Console(width=110).print(table)
    print(
        f"{cpu_kind()}, {platform.system()}, Python {platform.python_version()}, "
        f"torch {torch.__version__}"
    )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
