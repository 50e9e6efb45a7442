"""Processes side by side: how much more two of them train than one, with the same batch each.

    python -m benchmarks.scaling --root data --rounds 5 --json scaling.json

Each process has one thread and a batch of its own size, so that data.batch_size, which is that of
all, is twice as large for two. Rounds are interleaved; the ratio is taken within each.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.rows import ROWS
from benchmarks.runs import gan_train, machine, machine_line, require_mnist, shown, unpack_mnist


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=os.environ.get("GAN_TRAIN_DATA", "data"), type=Path)
    parser.add_argument(
        "--row", default="dcgan32", choices=[name for name, row in ROWS.items() if row.on_mnist]
    )
    parser.add_argument("--processes", default=2, type=int)
    parser.add_argument("--rounds", default=5, type=int)
    parser.add_argument("--seconds", default=30, type=float, help="for each run")
    parser.add_argument("--json", type=Path, help="file to write every number to")
    args = parser.parse_args()
    require_mnist(args.root)
    row, counts = ROWS[args.row], (1, args.processes)
    found: dict[int, list[float]] = {count: [] for count in counts}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder).resolve()
        unpack_mnist(args.root, home / "data")
        for number in range(args.rounds):
            for count in counts[:: -1 if number % 2 else 1]:
                batch = count * row.batch
                arguments = [*row.train, f"data.root='{home / 'data'}'", f"data.batch_size={batch}"]
                measure = gan_train(
                    arguments,
                    work=home / "runs",
                    batch=batch,
                    seconds=args.seconds,
                    log_every=row.log_every,
                    threads=1,
                    processes=count,
                )
                found[count].append(measure["images_per_s"])
            one, many = (found[count][-1] for count in counts)
            print(
                f"round {number + 1} of {args.rounds}: {one:,.1f} and {many:,.1f} images/s, "
                f"ratio {many / one:.2f}",
                file=sys.stderr,
                flush=True,
            )
    ratios = [many / one for one, many in zip(*found.values(), strict=True)]
    table = Table(title=f"{row.title}, one thread each: images/s, median (range)")
    for head in ("1 process", f"{args.processes} processes", "ratio"):
        table.add_column(head, justify="right")
    table.add_row(*(shown(values) for values in found.values()), shown(ratios))
    Console(width=100).print(table)
    command = f"python -m benchmarks.scaling {' '.join(sys.argv[1:])}"
    print(f"{machine_line(1)}\n{command}")
    if args.json:
        content = {
            "row": args.row,
            "images_per_s": found,
            "ratios": ratios,
            "ratio": statistics.median(ratios),
            "machine": machine(1),
            "command": command,
        }
        args.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
