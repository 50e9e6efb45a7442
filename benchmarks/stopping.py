"""Whether the stop rule stops in time, and whether the referee ranks as other measures do.

    python benchmarks/stopping.py --root data --json stopping.json    # 12 recipes
    python benchmarks/stopping.py --root data --only ring digits --jobs 2

Each recipe has a constant learning rate and is given three times its usual steps, thirty
evaluations, `objective=referee` and a patience. When patience has stopped it, its best checkpoint
is put aside, and the run goes on to its end (`resume=... patience=null`), which is the same run as
one without patience. gan-evaluate then measures both best checkpoints on equal terms. All
evaluations of a kind together tell how the referee's estimate orders checkpoints: against the
Frechet distance on classifier features for images, against the true JSD where it is known.
Finished runs in --output are kept.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

import gan_cli
from gan_cli.runs.jobs import last_step
from gan_cli.runs.records import read_lines

LONGER, EVALUATIONS, PATIENCE = 3, 10, 5  # times the steps; in the usual ones; without a gain
ESTIMATE, BOUND = "eval/jsd_estimate", "eval/jsd_at_least"
DIGITS = ("data=digits", "data.validation=300", "data.batch_size=64")
MNIST = ("data=mnist", "data.validation=5000", "data.batch_size=64")
IMAGES = ("eval_metrics=[referee,frechet_classifier]",)
POINTS = ("eval_metrics=[referee,theory]", "noise.dim=2")


@dataclass(frozen=True)
class Recipe:
    """What is trained.

    Attributes:
        words: of gan-train.
        steps: that it usually gets.
        kind: which evaluations are ranked together.
        other: the key that they are held against.
    """

    words: tuple[str, ...]
    steps: int
    kind: str
    other: str


def images(kind: str, data: tuple[str, ...], steps: int, *words: str) -> Recipe:
    """A recipe for images with classes."""
    return Recipe((*data, *IMAGES, *words), steps, kind, "eval/frechet_classifier")


def points(data: str, steps: int, *words: str) -> Recipe:
    """A recipe for points with a known density."""
    return Recipe((f"data={data}", *POINTS, *words), steps, "known densities", "divergence/jsd")


RECIPES = {
    "gaussian": points("gaussian", 5000),
    "mixture": points("mixture_1d", 10_000),
    "ring": points("ring", 10_000),
    "ring-least-squares": points("ring", 10_000, "loss=least_squares"),
    "grid": points("grid", 20_000),
    "digits": images("digits", DIGITS, 8000),
    "digits-dcgan": images("digits", DIGITS, 3000, "model=dcgan", "model.width=32"),
    "digits-cgan": images("digits", DIGITS, 3000, "model=cgan", "model.width=32"),
    "digits-cgan-mlp": images("digits", DIGITS, 8000, "model=cgan", "model.backbone=mlp"),
    "mnist": images("MNIST", MNIST, 20_000),
    "mnist-dcgan": images("MNIST", MNIST, 5000, "model=dcgan", "model.width=32"),
    "mnist-cgan": images("MNIST", MNIST, 8000, "model=cgan", "model.width=32"),
}


@dataclass(frozen=True)
class Outcome:
    """What a recipe gave.

    Attributes:
        stopped, steps: where patience ended the run, and its whole length.
        saved: share of the whole training time that was left then.
        bound, error: the certified bound of the best checkpoint when it stopped, judged afterwards.
        whole_bound, whole_error: of the best checkpoint of the whole run.
        cost: the referee's share of the whole time, without the first evaluation's imports.
        pairs: the estimate and the other measure of each evaluation.
    """

    stopped: int
    steps: int
    saved: float
    bound: float
    error: float
    whole_bound: float
    whole_error: float
    cost: float
    pairs: list[tuple[float, float]]


def play(name: str, recipe: Recipe, *, options: list[str], output: Path, seed: int) -> Outcome:
    """Train until patience stops it, go on to the end, and judge both."""
    run, steps = output / f"{name}-{seed}", LONGER * recipe.steps
    kept = run / "outcome.json"
    if kept.is_file():
        return Outcome(**json.loads(kept.read_text()))
    shutil.rmtree(run, ignore_errors=True)
    model = () if any(word.startswith("model=") for word in recipe.words) else ("model=vanilla",)
    call(
        "gan-train", *model, *recipe.words, f"steps={steps}", f"seed={seed}",
        f"eval_every={recipe.steps // EVALUATIONS}", "objective=referee", f"patience={PATIENCE}",
        "sample_every=0", "report=false", f"output_dir={output}", f"name={run.name}", *options,
    )  # fmt: skip
    stopped = last_step(run)
    shutil.copy(run / "checkpoints/best.pt", run / "stopped.pt")
    if stopped < steps:
        call("gan-train", f"resume={run}", "patience=null")
    bound, error = judged(run / "stopped.pt", options)
    whole_bound, whole_error = judged(run / "checkpoints/best.pt", options)
    lines = list(read_lines(run))
    times = {int(line["step"]): line["time"] for line in lines if "time" in line}
    seconds = [line["system/referee_seconds"] for line in lines if ESTIMATE in line]
    total = times[max(times)]
    outcome = Outcome(
        stopped, steps, 1 - times[max(step for step in times if step <= stopped)] / total,
        bound, error, whole_bound, whole_error,
        statistics.mean(seconds[1:]) * len(seconds) / total,
        [(line[ESTIMATE], line[recipe.other]) for line in lines if ESTIMATE in line],
    )  # fmt: skip
    kept.write_text(json.dumps(asdict(outcome)))
    return outcome


def judged(checkpoint: Path, options: list[str]) -> tuple[float, float]:
    """The certified bound of a checkpoint, and its error."""
    out = checkpoint.with_suffix(".json")
    device = [word for word in options if word.startswith(("device=", "data.root="))]
    call("gan-evaluate", f"run={checkpoint}", "metrics=[referee]", f"out={out}", *device)
    values = json.loads(out.read_text())
    return values[BOUND], values[f"{BOUND}_error"]


def call(command: str, *words: str) -> None:
    """Run a command; if it fails, end with what it said."""
    name = command.removeprefix("gan-")
    code = f"import sys; from gan_cli.cli import commands; sys.argv[0] = '{command}'; "
    done = subprocess.run(
        [sys.executable, "-c", f"{code}commands.{name}()", *words],
        check=False, capture_output=True, text=True, env=os.environ | {"COLUMNS": "200"},
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{command} {' '.join(words)}\n{done.stderr or done.stdout}")


def row_of(name: str, outcome: Outcome) -> str:
    """A line of the table of runs."""
    margin = (outcome.error**2 + outcome.whole_error**2) ** 0.5
    worse = outcome.bound - outcome.whole_bound
    told = f"{worse / max(outcome.whole_bound, 1e-9):+.1%}, {worse / max(margin, 1e-9):+.1f} errors"
    return (
        f"| {name} | {outcome.stopped:,} of {outcome.steps:,} | {outcome.saved:.0%} | "
        f"{outcome.bound:.4f} ± {outcome.error:.4f} | "
        f"{outcome.whole_bound:.4f} ± {outcome.whole_error:.4f} | {told} | {outcome.cost:.1%} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, help="where MNIST lies")
    parser.add_argument("--only", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--jobs", type=int, default=1, help="runs at once, one thread each")
    parser.add_argument("--device", default="cpu", help="of images; points train on the CPU")
    parser.add_argument("--output", type=Path, default=Path("outputs/stopping"))
    parser.add_argument("--json", type=Path, help="where all outcomes go")
    args = parser.parse_args()
    jobs = [(name, seed) for seed in args.seeds for name in args.only]

    def one(job: tuple[str, int]) -> Outcome:
        name, seed = job
        recipe = RECIPES[name]
        options = [f"data.root={args.root.resolve()}"] if recipe.kind == "MNIST" else []
        device = "cpu" if recipe.kind == "known densities" else args.device
        options += [f"device={device}", *(["threads=1"] if args.jobs > 1 else [])]
        outcome = play(name, recipe, options=options, output=args.output.resolve(), seed=seed)
        print(f"{name}, seed {seed}: done", file=sys.stderr, flush=True)
        return outcome

    args.output.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(args.jobs) as pool:
        outcomes = dict(zip(jobs, pool.map(one, jobs), strict=True))
    report(outcomes)
    if args.json:
        told = {f"{name}-{seed}": asdict(outcome) for (name, seed), outcome in outcomes.items()}
        args.json.write_text(json.dumps(told))


def report(outcomes: dict[tuple[str, int], Outcome]) -> None:
    """Print both tables."""
    from scipy.stats import spearmanr

    heads = ("recipe", "stopped at step", "time saved", "its best, judged afterwards")
    heads += ("the whole run's", "worse by", "cost of the referee")
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for (name, _), outcome in outcomes.items():
        print(row_of(name, outcome))
    print(
        f"median of the time saved: {statistics.median(o.saved for o in outcomes.values()):.0%}\n"
    )
    print("| evaluations | against | Spearman |\n|---|---|---|")
    for kind in dict.fromkeys(recipe.kind for recipe in RECIPES.values()):
        pairs = [p for (n, _), o in outcomes.items() if RECIPES[n].kind == kind for p in o.pairs]
        if not pairs:
            continue
        other = next(recipe.other for recipe in RECIPES.values() if recipe.kind == kind)
        estimate, measure = zip(*pairs, strict=True)
        rho = spearmanr(estimate, measure).statistic
        print(f"| {len(pairs)} of {kind} | {other} | {rho:.3f} |")
    print(
        f"\nseeds {sorted({seed for _, seed in outcomes})}; gan-train {gan_cli.__version__}, torch "
        f"{torch.__version__}, Python {platform.python_version()}, {sys.platform}"
    )


if __name__ == "__main__":
    main()
