"""Single measured runs, each in a process of its own, and the data that they train on."""

from __future__ import annotations

import gzip
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from gan_cli.data.mnist import FILES, find_file
from gan_cli.system.environment import cpu_kind

HERE = Path(__file__).resolve().parent
Measure = dict[str, float]
#: A process's peak memory starts from that of the one that starts it: a small shell stands between.
FORGETTING = ("sh", "-c", '"$@"; exit $?', "sh")


def cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def call(command: Sequence[str], *, cache: Path | None = None) -> str:
    """Run a command and give what it printed; if it fails, end with the last of its words.

    gan-train draws its progress bar as on a terminal, though nobody watches.
    """
    environment = os.environ | {"FORCE_COLOR": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), *map(str, paths())])
    if cache is not None:
        environment["GAN_TRAIN_CACHE"] = str(cache)
    done = subprocess.run(
        [*FORGETTING, *command], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        words = (done.stderr or done.stdout)[-2000:]
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}:\n{words}")
    return done.stdout


def paths() -> list[str]:
    """What PYTHONPATH holds already."""
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def last_line(text: str) -> dict[str, Any]:
    """The JSON object on the last line of what a script printed."""
    found = json.loads(text.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def import_torch() -> float:
    """Seconds that a process takes which imports torch and does nothing."""
    started = time.perf_counter()
    call([sys.executable, "-c", "import torch"])
    return time.perf_counter() - started


def textbook(
    script: Sequence[str], *, root: Path, workers: int, seconds: float, warmup: int, threads: int
) -> Measure:
    """What a textbook loop reaches: images/s, seconds to the first step, peak MiB."""
    started = time.time()
    found = last_line(
        call(
            [
                sys.executable, *script, f"--root={root}", f"--seconds={seconds}",
                f"--warmup={warmup}", f"--workers={workers}", f"--threads={threads}",
            ]
        )
    )  # fmt: skip
    return {
        "images_per_s": found["images_per_s"],
        "first_step_s": found["first_step_at"] - started,
        "peak_mib": found["peak_mib"],
    }


def gan_train(
    arguments: Sequence[str],
    *,
    work: Path,
    batch: int,
    seconds: float,
    log_every: int,
    threads: int,
    processes: int = 1,
) -> Measure:
    """What `gan-train` as shipped reaches in so many seconds: images/s and peak MiB.

    Its clock runs from the first line of numbers to the last, with the pictures and checkpoints
    that are due between them. More than one process run under torchrun; `batch` is that of all.
    """
    module = ["-m", "gan_cli.train"]
    if processes > 1:
        torchrun = ["-m", "torch.distributed.run", "--standalone"]  # at a port of its own
        module = [*torchrun, f"--nproc-per-node={processes}", *module]
    folder = work / "run"
    rate = None
    while rate is None:
        call(
            [
                sys.executable, *module, *arguments, f"threads={threads}",
                f"log_every={log_every}", "steps=1000000", f"max_minutes={seconds / 60}",
                f"output_dir='{work}'", "name=run",
            ],
            cache=work.parent / "cache",
        )  # fmt: skip
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        shutil.rmtree(folder)
        rate = images_per_second(lines, batch)
        seconds *= 2  # too short to see two lines
    return {"images_per_s": rate, "peak_mib": max(of_all(lines, "system/memory_mib"))}


def images_per_second(lines: Iterable[Mapping[str, float]], batch: int) -> float | None:
    """From the first line with a time to the last one; None if there are no two."""
    timed = [line for line in lines if "time" in line]
    if len(timed) < 2:
        return None
    first, last = timed[0], timed[-1]
    return (last["step"] - first["step"]) * batch / (last["time"] - first["time"])


def of_all(lines: Iterable[Mapping[str, float]], key: str) -> list[float]:
    """A number of every line that has it."""
    return [line[key] for line in lines if key in line]


def first_step(arguments: Sequence[str], *, work: Path, threads: int) -> float:
    """Seconds from the start of `gan-train` to the end of its first step.

    The line of step 1 is written as soon as the step is done, and nothing after it.
    """
    folder = work / "first"
    started = time.time()
    call(
        [
            sys.executable, "-m", "gan_cli.train", *arguments, f"threads={threads}", "steps=1",
            "log_every=1", f"output_dir='{work}'", "name=first",
        ],
        cache=work.parent / "cache",
    )  # fmt: skip
    seconds = (folder / "metrics.jsonl").stat().st_mtime - started
    shutil.rmtree(folder)
    return seconds


def require_mnist(root: Path) -> None:
    """End with a word on --root if MNIST is not there."""
    if not all(find_file(root / "MNIST" / "raw", name) for pair in FILES.values() for name in pair):
        sys.exit(f"--root {root}: not all of MNIST is in MNIST/raw there; give another folder")


def unpack_mnist(root: Path, target: Path) -> None:
    """Lay MNIST's files down unpacked, as torchvision's data set wants them."""
    raw = target / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in (name for pair in FILES.values() for name in pair):
        file = find_file(root / "MNIST" / "raw", name)
        assert file is not None
        packed = file.suffix == ".gz"
        with gzip.open(file) if packed else file.open("rb") as source, (raw / name).open("wb") as f:
            shutil.copyfileobj(source, f)


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


def median_of(measures: Iterable[Measure], key: str) -> float:
    """The median of one number."""
    return statistics.median(measure[key] for measure in measures)


def shown(values: Sequence[float], form: str | None = None) -> str:
    """Median and range, as in `3,310 (3,249-3,508)`."""
    middle = statistics.median(values)
    form = form or (",.0f" if middle >= 100 else ",.1f" if middle >= 10 else ".2f")
    if len(values) == 1:
        return f"{middle:{form}}"
    return f"{middle:{form}} ({min(values):{form}}-{max(values):{form}})"


def machine(threads: int) -> dict[str, str]:
    """Where it was measured."""
    return {
        "cpu": cpu_kind(),
        "cores": str(cores()),
        "threads": str(threads),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def machine_line(threads: int) -> str:
    """The same for people."""
    found = machine(threads)
    return (
        f"{found['cpu']}, {found['cores']} cores, {threads} threads, {found['system']}, "
        f"Python {found['python']}, torch {found['torch']}"
    )
