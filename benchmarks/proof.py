"""Show that a change of the code changed no number: hold it against an older commit, bit for bit.

    python -m benchmarks.proof HEAD~1            # this tree against a commit, case by case
    python -m benchmarks.proof --record FILE     # only write down what this tree does

Each case trains five steps on the CPU with one thread, through the command line alone, so that the
same cases run on any commit. Compared are all numbers of metrics.jsonl and a checksum of every
tensor and value in the checkpoint; besides, what `--cfg job` prints for every case. Two commits on
one machine must agree in all of it; two machines need not. Exit code 1 if anything differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from PIL import Image

STEPS = 5
ROOT = Path(__file__).resolve().parent.parent
#: Keys that depend on the machine, the moment or the commit.
VOLATILE = ("time", "images_per_s", "system/")
NOT_COMPARED = ("environment", "output_dir", "seconds")

CONV = ["data.image_size=16", "data.batch_size=8", "model.width=4"]
MODELS = {
    "vanilla": ["data.batch_size=16"],
    "dcgan": ["model=dcgan", *CONV],
    "cgan": ["model=cgan", *CONV],
    "cgan_mlp": ["model=cgan", "model.backbone=mlp", "data.batch_size=16"],
    "cyclegan": ["model=cyclegan", "data.image_size=16", "model.width=4", "model.pool_size=2",
                 "data.batch_size=2", "model.generator.blocks=2", "model.discriminator.layers=1"],
}  # fmt: skip
NO_BATCH_NORM = {
    "vanilla": [],
    "dcgan": ["model.discriminator.norm=layer"],
    "cgan": ["model.discriminator.norm=layer"],
    "cgan_mlp": [],
    "cyclegan": [],
}
PHOTOS = ["data=unpaired_folders", "data.a=a", "data.b=b", "data.preprocess=resize",
          "data.batch_size=1", "data.load_size=null"]  # fmt: skip
LOSSES = ("non_saturating", "minimax", "least_squares", "hinge", "wasserstein", "relativistic")
PENALTIES = ("gradient_penalty", "r1", "r2")
OTHERS = ("weight_clipping", "label_smoothing", "instance_noise", "diffaugment")


def cases() -> dict[str, list[str]]:
    """Every case by name: its overrides."""
    found: dict[str, list[str]] = {}
    for model, own in MODELS.items():
        for precision in ("fp32", "bf16"):
            found[f"{model}-{precision}"] = [*own, f"precision={precision}"]
        found[f"{model}-k2-accumulate-ema"] = [*own, "k=2", "accumulate=2", "ema.decay=0.9"]
        found[f"{model}-plain"] = [*own, "performance=plain"]
        for loss in LOSSES:
            found[f"{model}-{loss}"] = [*own, f"loss={loss}"]
        for name in PENALTIES:
            found[f"{model}-{name}"] = [*own, *NO_BATCH_NORM[model], f"regularizer={name}"]
        for name in OTHERS:
            loss = "least_squares" if name == "label_smoothing" else "non_saturating"
            found[f"{model}-{name}"] = [*own, f"regularizer={name}", f"loss={loss}"]
    found |= {
        "cyclegan-identity": [*MODELS["cyclegan"], "model.identity_weight=0.5", *PHOTOS],
        "vanilla-dropout-sampling": [*MODELS["vanilla"], "model.generator.dropout=0.3",
                                     "model.generator.dropout_in_sampling=true"],
        "vanilla-maxout-sgd": [*MODELS["vanilla"], "optimizer=sgd", "optimizer.lr=0.01",
                               "model.discriminator.activation=maxout",
                               "schedule=exponential_decay", "max_grad_norm=1"],
        "ring": ["data=ring", "noise.dim=2", "loss=minimax", "noise=uniform"],
        "ring-theory": ["data=mixture_1d", "noise=uniform", "noise.dim=1", "eval_every=5",
                        "schedule=cosine", "schedule.constant_steps=2", "schedule.decay_steps=5"],
        "digits-metrics": [*MODELS["vanilla"], "eval_every=5", "eval_samples=200",
                           "eval_metrics=[diversity,nearest]", "objective=eval/nearest_fake",
                           "noise=spherical"],
        "dcgan-spectral-nearest": [*MODELS["dcgan"], "model.spectral_norm=true", "model.norm=none",
                                   "model.generator.upsampling=nearest", "loss=hinge"],
        "cgan-projection": [*MODELS["cgan"], "model.discriminator.labels=projection",
                            "model.mismatch_weight=0"],
        "vanilla-ranks": [*MODELS["vanilla"], "ranks=2", "regularizer=gradient_penalty"],
        "cgan-ranks": [*MODELS["cgan"], "ranks=2", "sync_batch_norm=true", "ema.decay=0.9"],
        "cyclegan-ranks": [*MODELS["cyclegan"], "ranks=2"],
    }  # fmt: skip
    return found


def run(checkout: Path, overrides: list[str], folder: Path) -> dict[str, Any]:
    """Train one case with the code of a checkout; what it did."""
    world = 2 if "ranks=2" in overrides else 1
    given = [text for text in overrides if text != "ranks=2"]
    common = [f"steps={STEPS}", "log_every=1", f"sample_every={STEPS}", "threads=1", "device=cpu",
              "checkpoint_minutes=null", f"checkpoint_every={STEPS}", "name=case"]  # fmt: skip
    start = [sys.executable, "-m"]
    if world > 1:
        start += ["torch.distributed.run", "--standalone", f"--nproc-per-node={world}", "-m"]
    environment = os.environ | {
        "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1",
        "GAN_TRAIN_CACHE": str(folder / "cache"),
    }  # fmt: skip

    for domain in "ab":  # PHOTOS
        (folder / domain).mkdir()
        for number in range(4):
            pixels = torch.arange(16 * 16 * 3) * (7 + number) + ord(domain)
            image = Image.fromarray((pixels % 256).to(torch.uint8).view(16, 16, 3).numpy())
            image.save(folder / domain / f"{number}.png")

    def call(words: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )

    printed = call([sys.executable, "-m", "gan_cli.train", *given, "--cfg", "job", "--resolve"])
    done = call([*start, "gan_cli.train", *common, *given])
    if done.returncode:
        return {"error": done.stderr[-500:], "config": digest(printed.stdout)}
    directory = folder / "outputs" / "case"
    state = torch.load(next(directory.glob("checkpoints/step_*.pt")), weights_only=True)
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return {
        "config": digest(printed.stdout),
        "files": sorted(
            str(path.relative_to(directory))
            for path in directory.rglob("*.*")
            if "tfevents" not in path.name
        ),
        "log": [{k: v for k, v in line.items() if not k.startswith(VOLATILE)} for line in lines],
        "state": {key: digest(value) for key, value in flat(state)},
        "picture": digest((directory / "samples" / f"step_{STEPS:08d}.png").read_bytes()),
    }


def flat(value: object, key: str = "") -> list[tuple[str, object]]:
    """Leaves of nested containers by dotted key, but for what is not compared."""
    if isinstance(value, dict):
        inner = [(str(name), item) for name, item in value.items() if name not in NOT_COMPARED]
    elif isinstance(value, list | tuple):
        inner = [(str(index), item) for index, item in enumerate(value)]
    else:
        return [(key, value)]
    return [leaf for name, item in inner for leaf in flat(item, f"{key}.{name}" if key else name)]


def digest(value: object) -> str:
    """A short checksum of a tensor's bits, of bytes, or of anything's text."""
    if isinstance(value, torch.Tensor):
        text = f"{value.dtype} {tuple(value.shape)} ".encode()
        data = text + value.contiguous().cpu().reshape(-1).view(torch.uint8).numpy().tobytes()
    else:
        data = value if isinstance(value, bytes) else repr(value).encode()
    return hashlib.sha256(data).hexdigest()[:16]


def record(checkout: Path, chosen: dict[str, list[str]], processes: int) -> dict[str, Any]:
    """What every case does with the code of a checkout."""

    def one(item: tuple[str, list[str]]) -> tuple[str, dict[str, Any]]:
        with tempfile.TemporaryDirectory() as folder:
            return item[0], run(checkout, item[1], Path(folder))

    with ThreadPoolExecutor(processes) as pool:
        return dict(pool.map(one, chosen.items()))


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What differs between two records, a line each."""
    old, new = dict(flat(before)), dict(flat(now))
    return [
        f"{key}: was {old.get(key, 'not there')}, is {new.get(key, 'not there')}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]


def main() -> int:
    """Compare, or record."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("commit", nargs="?", help="what this tree is held against")
    parser.add_argument("--record", type=Path, help="write this tree's record to a file")
    parser.add_argument("--against", type=Path, help="a record made before, instead of a commit")
    parser.add_argument("--only", default="", help="cases whose names hold this")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    chosen = {name: given for name, given in cases().items() if asked.only in name}
    now = record(ROOT, chosen, asked.processes)
    if asked.record:
        asked.record.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n")
    if asked.against:
        before = json.loads(asked.against.read_text())
    elif asked.commit:
        with tempfile.TemporaryDirectory() as folder:
            tree = Path(folder) / "tree"
            git = ["git", "-C", str(ROOT), "worktree"]
            subprocess.run([*git, "add", "--detach", str(tree), asked.commit], check=True)
            try:
                before = record(tree, chosen, asked.processes)
            finally:
                subprocess.run([*git, "remove", "--force", str(tree)], check=True)
    else:
        before = now
    failed = 0
    for name in chosen:
        found = differences(before[name], now[name])
        broken = "error" in now[name]
        failed += bool(found or broken)
        print(f"{name:32} {'fails' if broken else 'differs' if found else 'equal'}")
        for line in (now[name]["error"].splitlines() if broken else found)[:8]:
            print(f"    {line}")
    print(f"{len(chosen) - failed} of {len(chosen)} cases are equal")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
