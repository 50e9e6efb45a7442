"""All ranks have one kind of recorder: exchanges are entered together, and only rank 0 writes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from torch import distributed

from gan_cli.evaluation.in_training import Evaluation
from gan_cli.evaluation.subject import Results
from gan_cli.runs.log import NoLog, RunLog
from gan_cli.runs.opening import open_recorder, silent_recorder
from gan_cli.runs.recorder import Recorder
from gan_cli.runs.summary import how_it_went
from gan_cli.settings.build import build_state, load_data
from gan_cli.system.ranks import Ranks
from gan_cli.system.stopping import StopRequest
from gan_cli.train import run_loop
from tests.conftest import Cli, free_port
from tests.processes import in_processes
from tests.test_config import composed

CPU = torch.device("cpu")
CONFIG = (
    "data=digits", "data.batch_size=8", "steps=6", "log_every=1", "sample_every=2",
    "eval_every=2", "checkpoint_every=3", "checkpoint_minutes=1", "threads=1",
    "objective=eval/quality", "direction=maximize", "model.generator.hidden=[8]",
    "model.discriminator.hidden=[8]",
)  # fmt: skip
EXCHANGES = ("all_reduce", "all_gather_object", "broadcast_object_list")


class Rising(Evaluation):
    """Finds the model better, then worse, then best of all; on rank 0 alone."""

    def __init__(self) -> None:
        self.values = [1.0, 0.5, 2.0]

    def measure(self, game: object) -> Results:
        return Results({"eval/quality": self.values.pop(0)}, {})


def careless(recorder: Recorder) -> None:
    """An edit that nobody should make: rank 0 alone enters an exchange when it logs."""
    log = recorder.log

    def log_and_exchange(step: int, scalars: dict[str, float]) -> None:
        recorder.ranks.largest([1.0])
        log(step, scalars)

    if recorder.ranks.is_first:
        recorder.log = log_and_exchange  # type: ignore[method-assign]


def noted(name: str, entered: list[str]) -> Callable[..., Any]:
    """An exchange that is noted when it is entered."""
    real = getattr(distributed, name)

    def exchange(*args: Any, **kwargs: Any) -> Any:
        entered.append(name)
        return real(*args, **kwargs)

    return exchange


def work(rank: int, port: int, folder: str, is_careless: bool) -> None:
    """One of two processes: trains, logs, draws, evaluates, saves, and is asked to stop."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", rank=rank, world_size=2, timeout=timedelta(seconds=2 if is_careless else 60)
    )
    entered: list[str] = []
    for name in EXCHANGES:
        setattr(distributed, name, noted(name, entered))
    config = composed(*CONFIG)
    dataset = load_data(config)
    state = build_state(config, dataset, CPU, ranks=Ranks(rank, 2, rank))
    directory = Path(folder) / f"rank-{rank}"
    directory.mkdir()
    if rank == 0:
        log = RunLog(directory, step=0, steps=6)
        recorder = open_recorder(
            config, state, dataset, log=log, environment={}, evaluation=Rising()
        )
    else:
        os.chdir(directory)  # whatever it wrote would lie here
        recorder = silent_recorder(config, state, dataset)
    if is_careless:
        careless(recorder)
    stop = StopRequest()
    advance = recorder.advance

    def stop_at_five(step: int) -> None:
        if step == 5 and rank == 1:  # a signal that reached one process alone
            stop.signal_number = 15
        advance(step)

    recorder.advance = stop_at_five  # type: ignore[method-assign]
    assert run_loop(config, recorder, stop) == "signal"
    assert state.step == 5
    recorder.save_at_end()
    (Path(folder) / f"entered-{rank}.json").write_text(json.dumps(entered))
    if rank == 0:
        log.close()
    distributed.destroy_process_group()


@pytest.mark.xdist_group("processes")
def test_two_processes_record_together(tmp_path: Path) -> None:
    in_processes(work, free_port(), str(tmp_path), False)
    first, second = (json.loads((tmp_path / f"entered-{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    assert first.count("all_gather_object") == 3  # best.pt at step 2, and steps 3 and 5
    written = {path.name for path in (tmp_path / "rank-0").rglob("*.pt")}
    assert written == {"best.pt", "step_00000003.pt", "step_00000005.pt"}
    assert not list((tmp_path / "rank-1").iterdir())


@pytest.mark.xdist_group("processes")
def test_an_exchange_of_one_process_alone_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(mp.ProcessRaisedException):
        in_processes(work, free_port(), str(tmp_path), True)


def test_a_log_that_does_nothing_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every public method of RunLog, so that a new one cannot be forgotten."""
    monkeypatch.chdir(tmp_path)
    log = NoLog(step=0, steps=2)
    picture = np.zeros((4, 4, 3), dtype=np.uint8)
    arguments: dict[str, tuple[Any, ...]] = {
        "say": ("text",), "note": ("text",), "advance": (1,), "finding": (1, "text"),
        "scalars": (1, {"time": 1.0, "loss/d": 1.0}), "picture": (1, picture),
        "final_picture": (picture,), "real_picture": (picture,),
        "settings": ("k: 1", {"k": 1}, ["loss/d"]),
        "flush": (), "sync": (), "table": (), "close": (),
    }  # fmt: skip
    public = {name for name in vars(RunLog) if not name.startswith("_")}
    assert public == arguments.keys()
    with log:
        for name, values in arguments.items():
            getattr(log, name)(*values)
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("real", "fake", "verdict"),
    [
        (0.52, 0.50, "D(x) 0.52, D(G(z)) 0.50: D can hardly tell them apart"),
        (0.75, 0.30, "D(x) 0.75, D(G(z)) 0.30: D often tells them apart"),
        (0.95, 0.05, "D(x) 0.95, D(G(z)) 0.05: D can tell them apart"),
        (0.999, 0.001, "D(x) 1.00, D(G(z)) 0.00: D is sure of all, so G learns little"),
        (0.3, 0.6, "D(x) 0.30, D(G(z)) 0.60: D takes generated data for real"),
    ],
)
def test_the_end_says_how_it_went(real: float, fake: float, verdict: str) -> None:
    numbers = {"prob/real": real, "prob/fake": fake}
    assert how_it_went(numbers) == [f"{verdict}."]
    numbers |= {"diversity/fake": 0.98, "diversity/real": 1.0}
    assert how_it_went(numbers) == [f"{verdict}; diversity 0.98 of the data's."]


def test_the_end_of_other_games() -> None:
    scores = {"score/real": 0.5, "score/fake": -0.25, "modes/covered": 7.0, "modes/total": 8.0}
    (said,) = how_it_went(scores)
    assert said == "D's mean score is 0.5 on real data and -0.25 on generated ones; 7 of 8 modes."
    (said,) = how_it_went({"diversity/fake_a": 1.0, "diversity/real_a": 2.0})
    assert said == "diversity 0.50 of the data's in domain a."
    assert how_it_went({}) == how_it_went({"diversity/fake": 0.0, "diversity/real": 0.0}) == []


def test_the_verdict_stands_below_the_first_line_of_the_end(cli: Cli) -> None:
    # Lines and pictures at different steps: each number is the newest.
    cadence = ["steps=5", "log_every=5", "sample_every=3", "data.batch_size=8", "threads=1"]
    result = cli(*cadence)
    assert result.code == 0
    _, _, end = result.out.partition("done: 5 of 5 steps")
    lines = end.splitlines()[1:]
    assert lines[0].startswith("D(x) 0.")
    assert "of the data's" in lines[0]
    names = [line.split()[0] for line in lines[1:]]
    assert names == ["pictures", "report", "curves", "measure", "go", "sample"]
