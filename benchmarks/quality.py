"""What 16 bits cost: each model trained as long in fp32 and in bf16, and measured alike.

    python benchmarks/quality.py --root data --seeds 0 1 2 --json quality.json

Speed in bf16 counts only with this beside it. Distances on features are of the classifier that
gan-evaluate trains on the data; for CycleGAN it is the mean error of translations whose truth is
known. Lower is better for all. Finished runs in --output are kept and not trained again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True)
class Trial:
    """A model, trained briefly.

    Attributes:
        train: arguments of gan-train.
        metric: of gan-evaluate.
        keys: of its result; their mean counts.
    """

    train: tuple[str, ...]
    metric: str = "frechet_classifier"
    keys: tuple[str, ...] = ("eval/frechet_classifier",)


TRIALS = {
    "mlp": Trial(("model=vanilla", "data=mnist", "data.batch_size=64", "steps=4000")),
    "cgan": Trial(
        ("model=cgan", "model/backbone@model=mlp", "data=mnist", "data.image_size=32",
         "data.batch_size=64", "steps=1500"),
    ),
    "dcgan": Trial(
        ("model=dcgan", "data=mnist", "data.image_size=32", "data.batch_size=64", "model.width=32",
         "steps=500"),
    ),
    "cyclegan": Trial(
        ("experiment=cyclegan_digits", "steps=1000"),
        "translation", ("eval/translation_a2b", "eval/translation_b2a"),
    ),
}  # fmt: skip


def result(trial: Trial, run: Path, arguments: list[str]) -> float:
    """Train unless it is done, evaluate unless it is done, and give the figure."""
    told = run / "evaluation.json"
    if not told.is_file():
        call("gan_cli.cli.commands", "train", *trial.train, *arguments, f"name={run.name}",
             f"output_dir='{run.parent}'", "sample_every=0")  # fmt: skip
        call(
            "gan_cli.cli.commands",
            "evaluate",
            f"run='{run}'",
            f"metrics=[{trial.metric}]",
            "n=5000",
        )
    found = json.loads(told.read_text())
    return statistics.mean(found[key] for key in trial.keys)


def call(module: str, command: str, *arguments: str) -> None:
    """Run one of the project's commands in a process of its own."""
    code = f"from {module} import {command}; {command}()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, check=False, env=os.environ,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}\n{done.stderr[-2000:]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=os.environ.get("GAN_TRAIN_DATA", "data"), type=Path)
    parser.add_argument("--rows", nargs="+", default=list(TRIALS), choices=list(TRIALS))
    parser.add_argument("--seeds", nargs="+", default=[0, 1, 2], type=int)
    parser.add_argument("--threads", default=os.cpu_count(), type=int)
    parser.add_argument("--output", default=Path("outputs/quality"), type=Path)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    table: dict[str, dict[str, list[float]]] = {}
    print("| | " + " | ".join(PRECISIONS) + " |\n|---|---|---|")
    for row in args.rows:
        trial = TRIALS[row]
        data = [f"data.root='{args.root.resolve()}'"] if "data=mnist" in trial.train else []
        table[row] = {
            precision: [
                result(
                    trial,
                    args.output.resolve() / f"{row}-{precision}-{seed}",
                    [*data, f"seed={seed}", f"precision={precision}", f"threads={args.threads}"],
                )
                for seed in args.seeds
            ]
            for precision in PRECISIONS
        }
        cells = [
            f"{statistics.mean(values):.4g} ({min(values):.4g}-{max(values):.4g})"
            for values in table[row].values()
        ]
        print(f"| {row}, {', '.join(trial.keys)} | " + " | ".join(cells) + " |", flush=True)
    if args.json:
        args.json.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
