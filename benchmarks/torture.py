"""Kill training over and over, hurt its files, and compare with a run that nothing happened to.

    python benchmarks/torture.py --kills 200 --minutes 30

For each model: train once undisturbed; then start the same run, SIGKILL it at a random moment
(every third time inside a save), go on with `resume=auto`, and so on until it is done, and compare
weights, averages, optimizers, random streams, data position, numbers and pictures byte for byte.
Then full and read-only disks, truncated checkpoints and flipped bits. Prints a table; exit code 1
if anything differs or cannot be used.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from gan_cli.errors import UserError
from gan_cli.runs import checkpoint
from gan_cli.runs.records import without_machine

COMMON = [
    "data.batch_size=50", "log_every=3", "sample_every=7", "checkpoint_every=5", "threads=1",
    "ema.decay=0.9", "checkpoint_minutes=0.01", "schedule=linear_decay",
    "schedule.constant_steps=50", "schedule.decay_steps=5000",
]  # fmt: skip
SMALL_CONV = ["data.image_size=16", "model.width=4"]
MODELS = {
    "vanilla": (600, ["model=vanilla", "k=2", "model.discriminator.dropout=0.3"]),
    "dcgan": (300, ["model=dcgan", "data=digits", *SMALL_CONV, "regularizer=diffaugment"]),
    "cgan": (300, ["model=cgan", "data=digits", *SMALL_CONV]),
    "cyclegan": (150, ["model=cyclegan", "data=digit_domains", "data.batch_size=4",
                       "model.width=4", "model.generator.blocks=1", "model.pool_size=10",
                       "model.discriminator.layers=1"]),
}  # fmt: skip


@dataclass
class Tally:
    kills: int = 0
    in_save: int = 0
    runs: int = 0
    different: int = 0
    unusable: int = 0


def arguments(model: str, name: str, folder: Path, *more: str) -> list[str]:
    steps, own = MODELS[model]
    common = [text for text in COMMON if text.split("=")[0] not in {o.split("=")[0] for o in own}]
    return [
        sys.executable, "-m", "gan_cli.train", *common, *own, f"steps={steps}",
        f"output_dir='{folder}'", f"name={name}", "resume=auto", *more,
    ]  # fmt: skip


def start(command: list[str], **settings: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **settings
    )  # type: ignore[call-overload,no-any-return]


def run(command: list[str], **settings: object) -> tuple[int, str]:
    process = start(command, **settings)
    out, _ = process.communicate()
    return process.returncode, out


def unfinished(run: Path) -> set[Path]:
    """Checkpoints that were being written."""
    return set(run.glob("checkpoints/.step_*.tmp"))


def session(run: Path) -> dict[str, object]:
    state = checkpoint.read(checkpoint.list_checkpoints(run / checkpoint.FOLDER)[0])["session"]
    state.pop("seconds")
    return state


def same(one: object, other: object) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other) and one.stride() == other.stride()
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def differences(run: Path, whole: Path) -> list[str]:
    """What differs between two finished runs."""
    found = []
    if not same(session(run), session(whole)):
        found.append("checkpoint")
    lines = [
        [without_machine(json.loads(line)) for line in (r / "metrics.jsonl").open()]
        for r in (run, whole)
    ]
    if lines[0] != lines[1]:
        found.append("metrics.jsonl")
    pictures = [{p.name: p.read_bytes() for p in (r / "samples").iterdir()} for r in (run, whole)]
    if pictures[0] != pictures[1]:
        found.append("samples")
    return found


def kill_until_done(model: str, name: str, folder: Path, tally: Tally, chance: random.Random,
                    whole: Path, *, quota: int, ends: float) -> None:  # fmt: skip
    """One run, killed and resumed until it is done."""
    run = folder / name
    startup = 3.0
    while True:
        began = time.monotonic()
        old = unfinished(run)
        process = start(arguments(model, name, folder))
        enough = tally.kills >= quota or time.monotonic() > ends
        if not enough:
            deadline = began + startup * chance.uniform(0.7, 2.5)
            in_save = chance.random() < 1 / 3
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.002)
            while in_save and process.poll() is None and time.monotonic() < began + 20:
                if unfinished(run) - old:
                    break
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
        out, _ = process.communicate(timeout=600)
        if process.returncode == -signal.SIGKILL:
            tally.kills += 1
            tally.in_save += bool(unfinished(run) - old)
            continue
        tally.runs += 1
        if process.returncode != 0:
            tally.unusable += 1
            print(f"{model}: {name} ended with {process.returncode}:\n{out[-2000:]}")
        elif found := differences(run, whole):
            tally.different += 1
            print(f"{model}: {name} differs in {', '.join(found)}")
        else:
            shutil.rmtree(run)
        return


def torture(model: str, folder: Path, kills: int, ends: float, seed: int) -> Tally:
    chance, tally = random.Random(f"{model} {seed}"), Tally()
    done, out = run(arguments(model, f"{model}_whole", folder))
    assert done == 0, f"{model}: the undisturbed run ended with {done}:\n{out}"
    number = 0
    while tally.kills < kills and time.monotonic() < ends:
        number += 1
        kill_until_done(model, f"{model}_{number}", folder, tally, chance,
                        folder / f"{model}_whole", quota=kills, ends=ends)  # fmt: skip
    return tally


def hurt_files(whole: Path, folder: Path, seed: int) -> list[tuple[str, str, bool]]:
    """Truncate and flip: each must be noticed, or change nothing."""
    chance = random.Random(seed)
    good = checkpoint.list_checkpoints(whole / checkpoint.FOLDER)[:2]
    hurt = folder / "hurt"
    hurt.mkdir()
    newest, older = (shutil.copy(path, hurt / path.name) for path in good)
    content, state = Path(newest).read_bytes(), checkpoint.read(Path(newest))
    older_step = checkpoint.step_of(Path(older))
    passed = 0
    for _ in range(50):
        Path(newest).write_bytes(content[: chance.randrange(len(content))])
        read = checkpoint.read_newest(hurt)
        passed += len(read.damaged) == 1 and read.state["step"] == older_step
    rows = [("newest checkpoint truncated", f"{passed} of 50 passed over by name", passed == 50)]
    detected = harmless = 0
    for _ in range(1000):
        flipped = bytearray(content)
        flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        Path(newest).write_bytes(flipped)
        try:
            harmless += same(checkpoint.read(Path(newest)), state)
        except UserError:
            detected += 1
    text = f"{detected} of 1,000 detected, {harmless} harmless"
    return [*rows, ("one bit flipped", text, detected + harmless == 1000)]


def full_disk(folder: Path) -> list[tuple[str, str, bool]]:
    """A limit on file sizes, and a tiny file system where one can be mounted."""
    rows = []
    model, whole = "vanilla", folder / "vanilla_whole"
    steps = MODELS[model][0]
    half, _ = run(arguments(model, "limited", folder, f"steps={steps // 2}"))

    def limit() -> None:
        size = checkpoint.list_checkpoints(whole / checkpoint.FOLDER)[0].stat().st_size // 2
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    code, out = run(arguments(model, "limited", folder), preexec_fn=limit)
    told = "could not be written" in out
    kept = len(checkpoint.list_checkpoints(folder / "limited" / checkpoint.FOLDER))
    again, _ = run(arguments(model, "limited", folder))
    found = differences(folder / "limited", whole)
    good = half == 0 and code == 1 and told and kept and again == 0 and not found
    rows.append(("no room for a checkpoint (file size limit)",
                 f"exit code {code}, {kept} checkpoints kept, resumed run "
                 f"{'differs' if found else 'equal'}", bool(good)))  # fmt: skip
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24M", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        return [*rows, ("full or read-only file system", "not run: nothing can be mounted", True)]
    try:
        code, out = run(arguments(model, "full", disk, "keep_last=1000", "sample_every=0"))
        told = "could not be written" in out
        kept = len(checkpoint.list_checkpoints(disk / "full" / checkpoint.FOLDER))
        readable = checkpoint.read_newest(disk / "full" / checkpoint.FOLDER).state is not None
        subprocess.run(["mount", "-o", "remount,size=400M", str(disk)], check=True)
        again, later = run(arguments(model, "full", disk, "keep_last=3", "sample_every=7"))
        if again:
            print(later[-2000:])
        equal = same(session(disk / "full"), session(whole))
        rows.append(("file system full (24 MiB)",
                     f"exit code {code}, {kept} checkpoints kept; with room: exit "
                     f"code {again}, checkpoint {'equal' if equal else 'differs'}",
                     code == 1 and told and readable and again == 0 and equal))  # fmt: skip
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        code, out = run(arguments(model, "new", disk))
        text = f"exit code {code}: {out.strip().splitlines()[-1][:60]}..."
        good = code == 2 and "Traceback" not in out
        rows.append(("output directory read-only", text.replace(str(disk), "DIR"), good))
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", default=200, type=int, help="in all")
    parser.add_argument("--minutes", default=30.0, type=float, help="stop killing after")
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument("--jobs", default=min(4, os.cpu_count() or 1), type=int)
    args = parser.parse_args()
    began = time.monotonic()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        os.environ["GAN_TRAIN_CACHE"] = str(folder / "cache")
        quota = -(-args.kills // len(MODELS))
        with ThreadPoolExecutor(args.jobs) as pool:
            waiting = {
                model: pool.submit(torture, model, folder, quota, began + 60 * args.minutes,
                                   args.seed) for model in MODELS
            }  # fmt: skip
            tallies = {model: future.result() for model, future in waiting.items()}
        rows = hurt_files(folder / "vanilla_whole", folder, args.seed) + full_disk(folder)
    print("| model | kills | inside a save | finished runs | different | unusable |")
    print("|---|---|---|---|---|---|")
    total = Tally()
    for model, t in tallies.items():
        print(f"| {model} | {t.kills} | {t.in_save} | {t.runs} | {t.different} | {t.unusable} |")
        for key in vars(t):
            setattr(total, key, getattr(total, key) + getattr(t, key))
    print(f"| all | {total.kills} | {total.in_save} | {total.runs} | {total.different} | "
          f"{total.unusable} |\n")  # fmt: skip
    print("| what | found |\n|---|---|")
    for what, text, good in rows:
        print(f"| {what} | {text}{'' if good else ' **FAILED**'} |")
    print(f"\n{(time.monotonic() - began) / 60:.1f} minutes, seed {args.seed}")
    if total.different or total.unusable or not all(good for *_, good in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
