"""Seed faults into copies of gan_cli, one at a time, and see whether the claims turn red.

    python benchmarks/mutants.py --jobs 2
    python benchmarks/mutants.py --only "stale noise" --out mutants.md

Each fault is one change of one file. The claims that should notice it are shown by gan-claims from
the copy, with few steps where they are exact, and in full where they train. Before that the same
claims must hold in a copy without a fault. A claim that breaks (an error in place of a number) has
not caught anything. Prints a table; exit code 1 if more than one fault in thirty gets through.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mutations import MUTANTS, Mutant

ROOT = Path(__file__).parent.parent
MINUTES = 3  # of one mutant
CAUGHT, MISSED, BROKE, LATE = "caught", "got through", "broke", "took too long"
SHOW = "from gan_cli.cli.commands import claims; claims()"


@dataclass(frozen=True)
class Fate:
    """What became of a mutant: caught by which claims, and after how many seconds."""

    mutant: Mutant
    word: str
    by: str
    seconds: float


def copied(folder: Path) -> Path:
    """A copy of the product."""
    for part in ("gan_cli", "configs"):
        leave = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, folder / part, ignore=leave)
    return folder


def shown(
    place: Path, claims: Iterable[int], *, fast: bool, minutes: float = MINUTES
) -> dict[int, dict[str, object]]:
    """The entries of claims.json, by number, as shown by the product in `place`.

    Raises:
        subprocess.TimeoutExpired: it took too long.
    """
    out = place / "out"
    chosen = f"claims=[{','.join(map(str, claims))}]"
    subprocess.run(
        [sys.executable, "-c", SHOW, chosen, f"fast={str(fast).lower()}", f"out={out}", "jobs=2"],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        timeout=60 * minutes,
        check=False,
    )
    entries = json.loads((out / "claims.json").read_text(encoding="utf-8"))
    return {entry["number"]: entry for entry in entries}


def fate_of(mutant: Mutant) -> Fate:
    """Seed one fault, and ask its claims."""
    began = time.monotonic()

    def fate(word: str, by: str = "") -> Fate:
        return Fate(mutant, word, by, time.monotonic() - began)

    with tempfile.TemporaryDirectory() as folder:
        place = copied(Path(folder))
        file = place / mutant.file
        text = file.read_text(encoding="utf-8")
        assert text.count(mutant.old) == 1, (mutant.name, text.count(mutant.old))
        file.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
        try:
            entries = shown(place, mutant.claims, fast=mutant.fast)
        except subprocess.TimeoutExpired:
            return fate(LATE)
        except (OSError, ValueError):
            return fate(BROKE)
    red = [e for e in entries.values() if e["verdict"] == "does not hold" and e["checks"]]
    if red:
        return fate(CAUGHT, ", ".join(f"{e['number']} {e['name']}" for e in red))
    return fate(MISSED if all(entry["checks"] for entry in entries.values()) else BROKE)


def unmutated() -> list[str]:
    """What is wrong with the claims where nothing is: they must hold."""
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        place = copied(Path(folder))
        for fast in (True, False):
            claims = sorted({n for m in MUTANTS if m.fast == fast for n in m.claims})
            for part in (claims[i : i + 4] for i in range(0, len(claims), 4)):
                for number, entry in shown(place, part, fast=fast, minutes=20).items():
                    if entry["verdict"] == "does not hold":
                        wrong.append(f"{number} (fast={fast})")
    return wrong


def table_of(fates: Iterable[Fate]) -> str:
    """As Markdown."""
    rows = ["| fault | where | fate | by | s |", "|---|---|---|---|---|"]
    rows += [
        f"| {fate.mutant.name} | `{fate.mutant.file.removeprefix('gan_cli/')}` "
        f"| {fate.word} | {fate.by} | {fate.seconds:.0f} |"
        for fate in fates
    ]
    return "\n".join(rows) + "\n"


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1, help="mutants at once")
    parser.add_argument("--only", help="those whose name holds this text")
    parser.add_argument("--out", type=Path, help="file for the table")
    options = parser.parse_args()
    chosen = [m for m in MUTANTS if not options.only or options.only in m.name]
    if not options.only and (wrong := unmutated()):
        print(f"these claims do not hold without a fault: {', '.join(wrong)}")
        return 1
    fates = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for fate in pool.map(fate_of, chosen):
            fates.append(fate)
            print(f"{fate.mutant.name}: {fate.word} {fate.by} ({fate.seconds:.0f} s)", flush=True)
    table = table_of(fates)
    if options.out:
        options.out.write_text(table, encoding="utf-8")
    caught = sum(fate.word == CAUGHT for fate in fates)
    print(f"\n{table}\n{caught} of {len(fates)} caught")
    return 0 if len(fates) - caught <= len(fates) // 30 else 1


if __name__ == "__main__":
    raise SystemExit(main())
