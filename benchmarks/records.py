"""What a checkpoint and an evaluation cost in one row of the benchmark.

    python -m benchmarks.records dcgan64 data.root=data --threads 2

A checkpoint is copied while training waits, then written in the background; both are timed here
without training beside. An evaluation measures all that suits the model on 5,000 samples
(`eval_samples`); what it needs once (a small classifier of the data) is made before.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.rows import ROWS, composed
from benchmarks.runs import cores
from gan_cli.evaluation.in_training import evaluation_of
from gan_cli.runs.checkpoint import Saver
from gan_cli.settings.build import build_state, load_data
from gan_cli.training.finite import Player
from gan_cli.training.loop import draw
from gan_cli.training.turn import Move, Turn, play

CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("row", choices=ROWS)
    parser.add_argument("arguments", nargs="*", help="of gan-train, as data.root=...")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--repeats", type=int, default=5, help="checkpoints to write")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    config = composed(*ROWS[args.row].train, *args.arguments, "eval_every=1")
    dataset = load_data(config)
    session = build_state(config, dataset, CPU)
    batch = draw(session.batches)
    players: tuple[Player, Player] = ("d", "g")
    for player in players:  # optimizers have their memory from the first step on
        turn, optimizer = Turn(session.game, player), session.optimizers[player]
        play(turn, optimizer, batch=batch, move=Move(), log_due=False)

    waited, written = [], []
    with tempfile.TemporaryDirectory() as folder:
        saver = Saver(Path(folder))
        for step in range(args.repeats + 1):
            started = time.perf_counter()
            state = {"step": step, "config": config, "session": session.state_dict()}
            saver.save(state, keep_last=3, keep_every=0)
            waited.append(time.perf_counter() - started)
            saver.wait()
            written.append(time.perf_counter() - started)
    evaluation = evaluation_of(config, session.game, dataset, lambda *_: None)
    assert evaluation is not None
    started = time.perf_counter()
    evaluation.measure(session.game)
    found = {
        "checkpoint_waited_s": waited[1:],  # the first one makes the folder
        "checkpoint_written_s": written[1:],
        "evaluation_s": time.perf_counter() - started,
        "metrics": list(evaluation.names),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
