"""Make the golden runs of a version: small runs of every model, and what it did when they went on.

    python tests/golden/make.py tests/golden/0.1.0

Run once for each released version, with its code; later versions must resume, sample, evaluate and
translate these runs (tests/test_golden.py). Each folder holds a run of four steps, and
`expected.json`: the lines of four more, samples, and what gan-evaluate and gan-translate gave.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import gan_cli

COMMON = ["steps=4", "log_every=1", "sample_every=4", "checkpoint_every=4", "threads=1",
          "device=cpu", "checkpoint_minutes=null", "output_dir=."]  # fmt: skip
SMALL = ["model.generator.hidden=[12]", "model.discriminator.hidden=[12]", "noise.dim=6",
         "data.batch_size=8"]  # fmt: skip
CONV = ["data=digits", "data.image_size=12", "model.width=2", "noise.dim=6", "data.batch_size=8"]
RUNS = {
    "vanilla": [*SMALL, "data=digits", "k=2", "ema.decay=0.9", "regularizer=[r1,instance_noise]",
                "model.discriminator.activation=maxout", "schedule=cosine",
                "schedule.constant_steps=2", "schedule.decay_steps=20"],
    "ring": [*SMALL, "data=ring", "loss=minimax", "noise=uniform", "optimizer=sgd",
             "optimizer.lr=0.01", "schedule=exponential_decay", "regularizer=label_smoothing"],
    "dcgan": ["model=dcgan", *CONV, "loss=hinge", "model.spectral_norm=true",
              "model.discriminator.norm=none", "regularizer=diffaugment", "accumulate=2"],
    "cgan": ["model=cgan", *CONV, "loss=relativistic", "max_grad_norm=1", "model.mismatch_weight=0",
             "data.validation=100"],
    "cgan_mlp": ["model=cgan", "model.backbone=mlp", "data=digits", "noise=spherical",
                 "noise.dim=6", "data.batch_size=8", "model.generator.noise_hidden=4",
                 "model.generator.label_hidden=4", "model.generator.joint_hidden=[8]",
                 "model.discriminator.data_hidden=4", "model.discriminator.label_hidden=4",
                 "model.discriminator.joint_hidden=[8]", "loss=wasserstein",
                 "regularizer=weight_clipping"],
    "cyclegan": ["model=cyclegan", "data=digit_domains", "data.image_size=8", "model.width=2",
                 "model.generator.blocks=1", "model.discriminator.layers=1", "model.pool_size=2",
                 "ema.decay=0.9"],
}  # fmt: skip
METRICS = {"ring": "theory", "cyclegan": "[cycle,translation]"}


#: Printed commands are bare names if the shell finds them, so that no path gets into train.log.
ENVIRONMENT = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def call(*words: str, cwd: Path) -> None:
    line = [sys.executable, "-m", *words]
    subprocess.run(line, cwd=cwd, check=True, capture_output=True, env=ENVIRONMENT)


def command(name: str, *words: str, cwd: Path) -> None:
    code = f"import sys; from gan_cli.cli import commands; commands.{name}()"
    line = [sys.executable, "-c", code, *words]
    subprocess.run(line, cwd=cwd, check=True, capture_output=True, env=ENVIRONMENT)


def numbers(file: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    machine = ("time", "images_per_s", "system/")
    return [{k: v for k, v in line.items() if not k.startswith(machine)} for line in lines]


def drawn(run: Path) -> list[float]:
    """Some numbers of what the model makes."""
    model = gan_cli.load(run)
    if run.name == "cyclegan":
        x = torch.linspace(-1, 1, 64).view(1, 1, 8, 8)
        made = model.translate(x, "a2b")
    else:
        made = model.sample(4, seed=1)
    found: list[float] = made.flatten().tolist()
    return found[:: max(1, len(found) // 60)]


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, given in RUNS.items():
            call("gan_cli.train", *COMMON, *given, f"name={name}", cwd=folder)
            kept = target / name
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(folder / name, kept)
            expected: dict[str, object] = {"drawn": drawn(folder / name)}
            metrics = METRICS.get(name, "[diversity,nearest]")
            evaluated = folder / "evaluated" / name  # so that its lines stay as training wrote them
            shutil.copytree(kept, evaluated)
            words = (f"run=evaluated/{name}", f"metrics={metrics}", "n=200")
            command("evaluate", *words, cwd=folder)
            evaluation = json.loads((evaluated / "evaluation.json").read_text())
            expected["evaluation"] = {k: v for k, v in evaluation.items() if k != "run"}
            if name == "cyclegan":
                ramp = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
                Image.fromarray(ramp).save(folder / "ramp.png")
                words = ("run=cyclegan", "input=ramp.png", "output=out", "direction=a2b")
                command("translate", *words, cwd=folder)
                expected["translated"] = np.asarray(Image.open(folder / "out/ramp.png")).tolist()
            call("gan_cli.train", f"resume={name}", "steps=8", cwd=folder)
            expected["lines"] = numbers(folder / name / "metrics.jsonl")
            (kept / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
