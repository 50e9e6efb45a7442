"""The papers' figures beside ours: trains and evaluates each row, and prints the table.

    python benchmarks/reproduce.py --root data                      (all rows: some hours)
    python benchmarks/reproduce.py --root data --rows theory_1d ring --seeds 0 1 2
    python benchmarks/reproduce.py --table                          (of what is there already)

Runs lie in outputs/reproduce/<row>-<seed> and are resumed where they were left, so that a row may
be stopped at any time; --minutes ends each after so long, and the table says how far it came.
Results go to outputs/reproduce/results.json, one object a row and seed: command, versions, machine,
minutes of training, and every metric with its standard error.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import gan_cli
from gan_cli.runs.checkpoint import read_newest
from gan_cli.runs.records import read_lines
from gan_cli.system.environment import describe

OUTPUT = Path("outputs/reproduce")
RESULTS = OUTPUT / "results.json"


@dataclass(frozen=True)
class Row:
    """One claim.

    Attributes:
        claim: what is measured, and what the paper reached.
        train: arguments of gan-train.
        metrics: of gan-evaluate.
        shown: keys of the table, with how to write them.
    """

    claim: str
    train: tuple[str, ...]
    metrics: tuple[str, ...]
    shown: dict[str, str]


LIKELIHOOD = ("parzen", "prdc_classifier", "nearest")
SHOWN = {
    "eval/parzen": "Parzen",
    "eval/parzen_real": "as many real images",
    "eval/coverage_classifier": "coverage",
    "eval/nearest_fake": "distance to nearest training image",
    "eval/nearest_test": "that of test images",
}
THEORY = {
    "divergence/jsd": "JSD",
    "divergence/jsd_floor": "floor",
    "discriminator/error": "abs(D - D*)",
    "value/refit_gap": "gap of a refitted D",
}
MODES = {
    "modes/covered": "modes",
    "modes/total": "of",
    "modes/high_quality": "samples near one",
    "divergence/jsd": "JSD",
}
VANISHING = {"divergence/jsd": "JSD (log 2 = 0.693: nothing learnt)", "grad_norm/g": "G's gradient"}
AGREEMENT = {"eval/label_agreement": "label agreement"}

ROWS: dict[str, Row] = {
    "goodfellow2014": Row(
        "Parzen log-likelihood of MNIST, 225 +- 2 (Goodfellow et al. 2014, table 1)",
        ("experiment=goodfellow2014_mnist",),
        LIKELIHOOD,
        SHOWN,
    ),
    "mnist_cgan": Row(
        "the same, and the error of a nearest-neighbour classifier on 50,000 samples: 2.98 % "
        "conditional DCGAN, 6.28 % conditional GAN (Radford et al. 2015, table 3)",
        ("experiment=mnist_cgan", "precision=bf16"),
        (*LIKELIHOOD, "nn_error", "label_agreement"),
        SHOWN | AGREEMENT | {"eval/nn_error": "1-NN error", "eval/nn_error_real": "of real ones"},
    ),
    "mirza2014": Row(
        "Parzen log-likelihood of a conditional GAN on MNIST, 132 +- 1.8 (Mirza & Osindero 2014)",
        ("experiment=mirza2014_mnist",),
        (*LIKELIHOOD, "nn_error", "label_agreement"),
        SHOWN | AGREEMENT | {"eval/nn_error": "1-NN error"},
    ),
    "features": Row(
        "accuracy of a linear classifier on D's features (Radford et al. 2015, section 5.1: 82.8 % "
        "on CIFAR-10 after ImageNet; here MNIST)",
        ("model=dcgan", "data=mnist"),
        ("discriminator_features", "prdc_classifier"),
        {"eval/discriminator_features": "accuracy", "eval/coverage_classifier": "coverage"},
    ),
    "theory_1d": Row(
        "Theorem 1: JSD(p_data, p_g) to 0, D to D* (Goodfellow et al. 2014)",
        ("experiment=theory_1d",),
        ("theory",),
        THEORY,
    ),
    "saturating": Row(
        "log(1 - D(G(z))) saturates (section 3)",
        ("experiment=vanishing_gradient",),
        ("theory",),
        VANISHING,
    ),
    "non_saturating": Row(
        "... and log D(G(z)) does not",
        ("experiment=vanishing_gradient", "loss=non_saturating"),
        ("theory",),
        VANISHING,
    ),
    "ring_collapse": Row(
        "mode collapse on a ring of 8", ("experiment=mode_collapse",), ("theory",), MODES
    ),
    "ring_cured": Row(
        "... and its cure",
        (
            "experiment=mode_collapse",
            "regularizer=instance_noise",
            "regularizer.instance_noise.std=0.2",
            "regularizer.instance_noise.decay_steps=2000",
            "schedule=cosine",
            "schedule.decay_steps=3000",
        ),
        ("theory",),
        MODES,
    ),
    "ring": Row("coverage of the ring", ("experiment=ring_modes",), ("theory",), MODES),
    "grid": Row("coverage of the grid of 25", ("experiment=grid_modes",), ("theory",), MODES),
    "cyclegan_digits": Row(
        "CycleGAN on digits whose true translation is known",
        ("experiment=cyclegan_digits",),
        ("cycle", "translation"),
        {
            "eval/translation_a2b": "error a2b",
            "eval/identity_a2b": "of doing nothing",
            "eval/translation_b2a": "error b2a",
            "eval/label_agreement_a2b": "agreement a2b",
            "eval/label_agreement_b2a": "agreement b2a",
            "eval/cycle_a": "cycle error a",
        },
    ),
}


def command(script: str, *arguments: str) -> None:
    """Run a console script as a user does; stop if it fails."""
    line = [
        sys.executable,
        "-c",
        f"from gan_cli.cli.commands import {script}; {script}()",
        *arguments,
    ]
    subprocess.run(line, check=True)


def reproduce(name: str, seed: int, *, root: str, minutes: float | None) -> dict[str, Any]:
    """Train and evaluate one row."""
    row, run = ROWS[name], OUTPUT / f"{name}-{seed}"
    arguments = [*row.train, f"seed={seed}"]
    if any("mnist" in argument for argument in row.train):
        arguments.append(f"data.root='{root}'")
    where = [f"output_dir={OUTPUT}", f"name={run.name}", "resume=auto"]
    limit = [] if minutes is None else [f"max_minutes={minutes}"]
    command("train", *arguments, *where, *limit)
    command("evaluate", f"run={run}", f"metrics=[{','.join(row.metrics)}]")
    return result(name, seed, arguments)


def result(name: str, seed: int, arguments: list[str]) -> dict[str, Any]:
    """What a row's run directory says."""
    run = OUTPUT / f"{name}-{seed}"
    state = read_newest(run / "checkpoints").state
    assert state is not None
    last = [line for line in read_lines(run) if "grad_norm/g" in line][-1]
    evaluation = json.loads((run / "evaluation.json").read_text())
    now = describe(torch.device("cpu"), threads=state["config"]["threads"], data="")
    kept = ("gan-train", "commit", "python", "torch", "cpu", "threads")
    return {
        "row": name,
        "seed": seed,
        "command": shlex.join(["gan-train", *arguments]),
        "steps": state["step"],
        "of": state["config"]["steps"],
        "minutes": state["session"]["seconds"] / 60,
        "date": time.strftime("%Y-%m-%d"),
        **{key: now[key] for key in kept},
        "grad_norm/g": last["grad_norm/g"],
        **{key: value for key, value in evaluation.items() if "/" in key},
    }


def table(results: list[dict[str, Any]]) -> str:
    """Markdown: a claim, ours, how."""
    lines = ["| | reached | steps | minutes | command |", "|---|---|---|---|---|"]
    for found in results:
        row = ROWS[found["row"]]
        figures = "; ".join(
            f"{text} {written(found, key)}" for key, text in row.shown.items() if key in found
        )
        steps = f"{found['steps']:,}" + (
            "" if found["steps"] == found["of"] else f" of {found['of']:,}"
        )
        lines.append(
            f"| {row.claim} | {figures} | {steps} | {found['minutes']:.0f} | `{found['command']}` |"
        )
    return "\n".join(lines)


def written(found: dict[str, Any], key: str) -> str:
    """A number with its standard error."""
    value, error = found[key], found.get(f"{key}_error")
    return f"{value:.4g}" + (f" +- {error:.2g}" if error else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--root", default="data", help="where MNIST lies")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS), metavar="ROW",
                        help=", ".join(ROWS))  # fmt: skip
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument(
        "--minutes", type=float, default=None, help="train each row at most so long"
    )
    parser.add_argument("--table", action="store_true", help="print what is there, train nothing")
    args = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else []
    for name in [] if args.table else args.rows:
        for seed in args.seeds:
            new = reproduce(name, seed, root=args.root, minutes=args.minutes)
            others = [r for r in results if (r["row"], r["seed"]) != (name, seed)]
            results = sorted([*others, new], key=lambda r: (list(ROWS).index(r["row"]), r["seed"]))
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(f"gan-train {gan_cli.__version__}\n\n{table(results)}")


if __name__ == "__main__":
    main()
