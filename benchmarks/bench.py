"""gan-train against the textbook loops: same network, updates, batch and threads, interleaved.

    make bench                                  (data.root: $GAN_TRAIN_DATA, or data)
    python benchmarks/bench.py --root data --rounds 5 --steps 2000 --json bench.json
    python benchmarks/bench.py --work cyclegan --rounds 5 --steps 20

Each round runs, one after the other in processes of their own: the textbook with 0 and with 2
loading workers (the better median counts), and `gan-train` as shipped, with its logging, pictures
and checkpoints at their default cadences. Medians and ranges of images/s (real images that D saw;
of each domain for CycleGAN, at batch 1 the same as steps/s), seconds from process start to the end
of the first step, and peak memory. CycleGAN has 128 pixels, 9 blocks, batch 1, and 60 photos cut
from those that come with scikit-learn.
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


def make_photos(root: Path, *, count: int = 30, side: int = 160) -> None:
    """Two domains of patches, cut from scikit-learn's two sample photos."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_sample_images

    random = np.random.default_rng(0)
    for domain, photo in zip("AB", load_sample_images().images, strict=True):
        for part, n in (("train", count), ("test", 6)):
            folder = root / f"{part}{domain}"
            folder.mkdir(parents=True)
            for index in range(n):
                top, left = (random.integers(0, size - side) for size in photo.shape[:2])
                patch = photo[top : top + side, left : left + side]
                Image.fromarray(patch).save(folder / f"{index:02d}.jpg", quality=92)


def textbook_cyclegan(root: Path, *, workers: int, steps: int, threads: int) -> Measure:
    command = [
        sys.executable, str(HERE / "textbook_cyclegan.py"), "--root", str(root),
        "--steps", str(steps), "--workers", str(workers), "--threads", str(threads),
    ]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return {"images_per_s": found["steps_per_s"], "peak_mib": found["peak_mib"]}


def gan_train_cyclegan(
    root: Path, work: Path, *, precision: str, steps: int, threads: int
) -> Measure:
    warmup = 5
    command = [
        sys.executable, "-m", "gan_cli.train", "model=cyclegan", "data=unpaired_folders",
        f"data.root='{root}'", "data.image_size=128", "data.load_size=143",
        "model.generator.blocks=9", f"precision={precision}", f"threads={threads}",
        f"output_dir='{work}'", f"name={precision}", f"steps={steps + warmup}",
        f"log_every={warmup}",
    ]  # fmt: skip
    environment = os.environ | {"GAN_TRAIN_CACHE": str(root / "cache")}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    text = (work / precision / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    seconds = lines[-1]["time"] - lines[0]["time"]
    steps_done = lines[-1]["step"] - lines[0]["step"]
    return {
        "images_per_s": steps_done / seconds,
        "peak_mib": lines[-1]["system/memory_mib"],
    }


def bench_cyclegan(args: argparse.Namespace) -> None:
    settings = {"steps": args.steps, "threads": args.threads}
    rows: dict[str, list[Measure]] = {
        "textbook, 0 workers": [],
        "textbook, 2 workers": [],
        "gan-train, fp32": [],
        "gan-train, bf16": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "photos"
        make_photos(root)
        for number in range(args.rounds):
            work = Path(folder) / f"round{number}"
            for precision in ("fp32", "bf16"):
                measure = gan_train_cyclegan(root, work, precision=precision, **settings)
                rows[f"gan-train, {precision}"].append(measure)
            for workers in (0, 2):
                measure = textbook_cyclegan(root, workers=workers, **settings)
                rows[f"textbook, {workers} workers"].append(measure)
            print(f"round {number + 1} of {args.rounds} done", file=sys.stderr)
    report(rows, args, f"CycleGAN, 128 pixels, 9 blocks, batch 1, {args.threads} threads")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=os.environ.get("GAN_TRAIN_DATA", "data"), type=Path)
    parser.add_argument("--work", default="mlp", choices=["mlp", "cyclegan"])
    parser.add_argument("--rounds", default=5, type=int)
    parser.add_argument("--steps", default=2000, type=int, help="a multiple of 50")
    parser.add_argument("--batch-size", default=64, type=int)
    parser.add_argument("--threads", default=os.cpu_count(), type=int)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.work == "cyclegan":
        bench_cyclegan(args)
        return
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
    report(rows, args, f"MLP GAN on MNIST, batch {args.batch_size}, {args.threads} threads, fp32")


def report(rows: dict[str, list[Measure]], args: argparse.Namespace, title: str) -> None:
    def median(name: str, key: str) -> float:
        return statistics.median(measure[key] for measure in rows[name])

    best = max(
        ("textbook, 0 workers", "textbook, 2 workers"), key=lambda n: median(n, "images_per_s")
    )
    forms = {"images_per_s": ",.2f", "first_step_s": ".2f", "peak_mib": ",.0f"}
    if median(best, "images_per_s") > 100:
        forms["images_per_s"] = ",.0f"
    forms = {key: form for key, form in forms.items() if key in rows[best][0]}
    heads = {"images_per_s": "images/s", "first_step_s": "first step s", "peak_mib": "peak MiB"}
    table = Table(title=title)
    table.add_column("")
    for head in ["images/s", "ratio", *(heads[key] for key in forms if key != "images_per_s")]:
        table.add_column(head, justify="right")
    for name, measures in rows.items():
        cells = [name]
        for key, form in forms.items():
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
