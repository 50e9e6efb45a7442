"""patience=N: a run stops when its objective has not improved beyond its error."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp
from torch import distributed

from gan_cli.evaluation.in_training import Evaluation
from gan_cli.evaluation.registry import METRICS, Metric
from gan_cli.evaluation.subject import Results, Subject
from gan_cli.games.base import Game
from gan_cli.runs import checkpoint
from gan_cli.runs.log import RunLog
from gan_cli.runs.opening import open_recorder, silent_recorder
from gan_cli.runs.patience import Patience, counted_from, has_stopped, patience_in
from gan_cli.settings.build import build_state, load_data
from gan_cli.system.ranks import Ranks
from gan_cli.system.stopping import StopRequest
from gan_cli.train import run_loop
from tests.conftest import Cli, free_port
from tests.test_config import composed
from tests.test_resume import assert_same_run
from tests.test_sweep import table

KEY = "eval/quality"
SMALL = (
    "data=digits", "data.batch_size=8", "log_every=2", "sample_every=4", "checkpoint_every=3",
    "checkpoint_minutes=null", "keep_last=100", "threads=1", "model.generator.hidden=[8]",
    "model.discriminator.hidden=[8]", "eval_samples=10",
)  # fmt: skip
RUN = (*SMALL, "steps=40", "eval_every=2", "eval_metrics=quality", f"objective={KEY}")
#: Improves until step 6, and then by less than its error of 0.3: the third such is at step 12.
VALUES = {2: 5.0, 4: 4.0, 6: 3.0, 8: 2.9, 10: 2.8, 12: 3.1, 14: 2.7, 16: 1.0}


def quality(values: dict[int, float], *, error: float | None = 0.3) -> Metric:
    """A metric whose value depends on how far training is: on the optimizer's steps."""

    def measure(subject: Subject) -> Results:
        step = STEP[0]
        scalars = {KEY: values.get(step, 1.0)}
        return Results(scalars if error is None else scalars | {f"{KEY}_error": error})

    return Metric(measure, lambda _: None, "a test's")


#: The step of the evaluation at hand.
STEP = [0]


@pytest.fixture(autouse=True)
def _quality(monkeypatch: pytest.MonkeyPatch) -> None:
    from gan_cli.runs.recorder import Recorder

    evaluate = Recorder.evaluate

    def at_step(self: Recorder, step: int) -> dict[str, float]:
        STEP[0] = step
        return evaluate(self, step)

    monkeypatch.setattr(Recorder, "evaluate", at_step)
    monkeypatch.setitem(METRICS, "quality", quality(VALUES))


def counted(values: Sequence[float], errors: Sequence[float], direction: str) -> list[int]:
    patience, waited = Patience(KEY, direction), []
    for step, (value, error) in enumerate(zip(values, errors, strict=True)):
        patience.add(step, {KEY: value, f"{KEY}_error": error})
        waited.append(patience.waited)
    return waited


def newest(name: str) -> dict[str, Any]:
    (path, *_) = checkpoint.list_checkpoints(Path("outputs", name, "checkpoints"))
    return checkpoint.read(path)


def test_only_a_gain_beyond_both_errors_is_an_improvement() -> None:
    beyond = math.hypot(3, 4)
    assert counted([10, 10 - beyond, 10 - beyond - 0.01], [3, 4, 4], "minimize") == [0, 1, 0]
    assert counted([10, 10 + beyond, 10 + beyond + 0.01], [3, 4, 4], "maximize") == [0, 1, 0]
    assert counted([10, 9.9, 9.8, 9.9], [0, 0, 0, 0], "minimize") == [0, 0, 0, 1]
    # The best stays where it was last beaten, so small gains add up.
    assert counted([10, 9.5, 9, 8.5, 8], [1] * 5, "minimize") == [0, 1, 2, 0, 1]


def test_what_is_not_measured_improves_nothing() -> None:
    patience = Patience(KEY, "minimize")
    patience.add(1, {"eval/samples": 9.0})  # before the first value there is nothing to wait for
    assert patience.waited == 0
    patience.add(2, {KEY: 1.0, f"{KEY}_error": math.nan})
    assert (patience.value, patience.error, patience.step) == (1.0, 0.0, 2)
    patience.add(3, {})  # a signal came: there was no evaluation
    assert patience.waited == 0
    patience.add(4, {"eval/samples": 9.0})  # it was not finite
    assert patience.waited == 1
    assert patience.is_over(1)
    assert not patience.is_over(2)
    assert not any(patience.is_over(limit) for limit in (0, None))


def test_a_run_stops_when_it_no_longer_improves(cli: Cli) -> None:
    result = cli(*RUN, "patience=3", "name=x")
    assert result.code == 0, result.err
    assert "stopped by patience=3: 12 of 40 steps" in result.out
    assert (
        "eval/quality has not improved beyond its error in 3 evaluations: the best is 3 ± 0.3, "
        "at step 6." in result.out
    )
    assert "patience=6" in result.out.partition("go on")[2]
    assert newest("x")["step"] == 12
    assert has_stopped(Path("outputs/x"))
    best = checkpoint.read(Path("outputs/x/checkpoints/best.pt"))
    assert best["step"] == 10  # the least of all; patience wants more than that
    assert Path("outputs/x/samples/final.png").exists()


def test_a_run_that_improves_goes_on_to_its_end(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS, "quality", quality({s: 9.0 - s for s in range(9)}, error=0.1))
    result = cli(*RUN, "steps=8", "patience=1", "name=x")
    assert "done: 8 of 8 steps" in result.out
    assert not has_stopped(Path("outputs/x"))


def test_without_errors_the_smallest_gain_counts_and_it_is_said(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METRICS, "quality", quality(VALUES, error=None))
    result = cli(*RUN, "patience=1", "name=x")
    assert result.code == 0
    assert result.out.count("eval/quality has no standard error, so patience counts it as 0") == 1
    assert newest("x")["step"] == 12  # 3.1 after 2.8
    assert "the best is 2.8, at step 10" in result.out


def test_an_interrupted_run_stops_where_the_whole_one_does(cli: Cli) -> None:
    assert cli(*RUN, "patience=3", "name=whole").code == 0
    for name, steps in (("a", 5), ("b", 9), ("c", 10)):  # between evaluations, and at one
        assert cli(*RUN, f"steps={steps}", "patience=3", f"name={name}").code == 0
        result = cli(f"resume=outputs/{name}", "steps=40")
        assert "stopped by patience=3: 12 of 40 steps" in result.out
        assert_same_run(Path("outputs/whole"), Path("outputs", name))
        whole, other = newest("whole"), newest(name)
        assert whole["patience"] == other["patience"]
        bests = [
            checkpoint.read(Path("outputs", run, "checkpoints/best.pt")) for run in ("whole", name)
        ]
        assert bests[0]["step"] == bests[1]["step"]
        assert bests[0]["best"] == bests[1]["best"]


def test_a_killed_run_counts_again_from_its_checkpoint(cli: Cli) -> None:
    assert cli(*RUN, "patience=3", "name=whole").code == 0
    assert cli(*RUN, "patience=3", "name=x").code == 0
    for path in checkpoint.list_checkpoints(Path("outputs/x/checkpoints")):
        if checkpoint.step_of(path) > 9:
            path.unlink()
    Path("outputs/x/checkpoints/index.json").unlink()
    result = cli("resume=outputs/x")
    assert "resumed at step 9" in result.out
    assert_same_run(Path("outputs/whole"), Path("outputs/x"))


def test_a_larger_patience_goes_on_as_if_it_had_been_given_first(cli: Cli) -> None:
    assert cli(*RUN, "patience=5", "steps=24", "name=whole").code == 0
    assert newest("whole")["step"] == 24  # step 16 improves
    assert cli(*RUN, "patience=3", "steps=24", "name=x").code == 0
    assert newest("x")["step"] == 12
    again = cli("resume=outputs/x")
    assert again.code == 0
    assert "outputs/x: stopped by patience=3 at step 12 of steps=24: eval/quality has" in again.out
    assert "gan-train resume=outputs/x patience=6" in again.out.partition("to go on: ")[2]
    more = cli("resume=outputs/x", "patience=5")
    assert more.code == 0, more.err
    assert "resumed at step 12" in more.out
    assert_same_run(Path("outputs/whole"), Path("outputs/x"))
    assert newest("x")["patience"] == newest("whole")["patience"]


@pytest.mark.parametrize("off", ["0", "null"])
def test_it_can_be_switched_off_and_on(cli: Cli, off: str) -> None:
    assert cli(*RUN, f"patience={off}", "steps=12", "name=x").code == 0
    result = cli("resume=outputs/x", "steps=40", "patience=3")
    assert result.code == 0, result.err
    assert "outputs/x: stopped by patience=3 at step 12" in result.out
    assert "done: 14 of 14" in cli("resume=outputs/x", "steps=14", f"patience={off}").out


def test_a_checkpoint_file_of_a_stopped_run_says_how_to_go_on(cli: Cli) -> None:
    assert cli(*RUN, "patience=3", "name=x").code == 0
    file = "outputs/x/checkpoints/step_00000012.pt"
    result = cli(f"resume={file}")
    assert result.code == 2
    assert f"resume={file}: at step 12 of steps=40 patience=3 has stopped it" in result.err
    assert f"gan-train resume={file} patience=6" in result.err
    assert cli(f"resume={file}", "patience=4", "name=y").code == 0
    assert newest("y")["step"] == 14  # the count came with the file


def test_older_checkpoints_count_from_the_lines(cli: Cli) -> None:
    assert cli(*RUN, "steps=9", "name=x").code == 0
    path = Path("outputs/x/checkpoints/step_00000009.pt")
    state = checkpoint.read(path)
    kept = state.pop("patience")
    del state["config"]["patience"]
    checkpoint.write(path, state)
    assert patience_in(state, composed(f"objective={KEY}")) is None
    lines = [json.loads(line) for line in Path("outputs/x/metrics.jsonl").read_text().splitlines()]
    assert counted_from(lines, composed(f"objective={KEY}")).as_stored() == kept
    result = cli("resume=outputs/x", "steps=40", "patience=3")
    assert "stopped by patience=3: 12 of 40 steps" in result.out


@pytest.mark.parametrize(
    "stored",
    [None, 5, {}, {"value": "x"}, {"waited": -1}, {"waited": True}, {"error": None}, {"step": 1.5},
     {"objective": "eval/other"}, {"direction": "maximize"}],
)  # fmt: skip
def test_a_damaged_count_is_not_used(stored: Any) -> None:
    whole = Patience(KEY, "minimize", 1.0, 0.1, 2, 3).as_stored()
    config = {"objective": KEY, "direction": "minimize"}
    assert patience_in({"patience": whole}, config) == Patience(KEY, "minimize", 1.0, 0.1, 2, 3)
    damaged = whole | stored if isinstance(stored, dict) and stored else stored
    assert patience_in({"patience": damaged}, config) is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["patience=2"], "patience=2: needs objective=KEY, such as eval/frechet_classifier"),
        (["patience=2", "objective=eval/x", "eval_every=0"], "patience=2: needs eval_every=N"),
        (["patience=2", "eval_every=0"], "divergence/jsd and eval_every=N, the steps"),
        (["patience=2", "eval_every=2", "objective=loss/g"], "which loss/g is not"),
        (["patience=-1"], "patience=-1: must be at least 1; null: never"),
        (["patience=1.5"], "patience"),
    ],
)
def test_mistakes(cli: Cli, arguments: list[str], words: str) -> None:
    result = cli(*SMALL, "steps=4", *arguments)
    assert result.code == 2
    assert words in result.err
    assert not Path("outputs").exists()


def test_what_has_no_effect_is_said(cli: Cli) -> None:
    result = cli(*RUN, "steps=6", "patience=3", "name=x")
    assert "note: patience=3 has no effect: steps=6 and eval_every=2 make 3 evaluations" in (
        result.out
    )
    other = (*RUN[:-1], "objective=eval/typo", "steps=4", "patience=1", "name=y")
    assert "no best.pt is kept, and patience=1 stops nothing." in cli(*other).out


def test_jobs_of_a_sweep_that_patience_stops_are_done(cli: Cli) -> None:
    sweep = ("-m", *RUN, "patience=1,3", "name=s")
    result = cli(*sweep)
    assert result.code == 0, result.err
    rows = {row["patience"]: row for row in table()}
    assert {key: (row["state"], row["step"]) for key, row in rows.items()} == {
        "1": ("done", "8.0"),
        "3": ("done", "12.0"),
    }
    again = cli(*sweep)
    assert again.out.count("stopped by patience=") == 2
    assert "resumed" not in again.out
    assert {row["state"] for row in table()} == {"done"}


@pytest.mark.report
def test_the_page_of_a_stopped_run_says_so(cli: Cli) -> None:
    assert cli(*RUN, "patience=3", "name=x").code == 0
    text = Path("outputs/x/report.html").read_text()
    assert "Stopped by patience=3: 12 of 40 steps" in text
    assert "A larger patience goes on." in text
    assert "gan-train resume=outputs/x patience=6" in text


class Flat(Evaluation):
    """Finds the model the same at each look; on rank 0 alone."""

    def __init__(self) -> None:
        pass

    def measure(self, game: Game[Any]) -> Results:
        return Results({KEY: 1.0, f"{KEY}_error": 0.1})


def work(rank: int, port: int, folder: str) -> None:
    """One of two processes; only rank 0 measures."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", rank=rank, world_size=2, timeout=timedelta(seconds=60))
    config = composed(*SMALL, "steps=40", "eval_every=2", f"objective={KEY}", "patience=2")
    dataset = load_data(config)
    state = build_state(config, dataset, torch.device("cpu"), ranks=Ranks(rank, 2, rank))
    if rank == 0:
        log = RunLog(Path(folder), step=0, steps=40)
        recorder = open_recorder(config, state, dataset, log=log, environment={}, evaluation=Flat())
    else:
        recorder = silent_recorder(config, state, dataset)
    assert run_loop(config, recorder, StopRequest()) == "patience"
    recorder.save_at_end()
    (Path(folder) / f"step-{rank}").write_text(str(state.step))
    if rank == 0:
        log.close()
    distributed.destroy_process_group()


def test_all_processes_stop_at_the_same_step(tmp_path: Path) -> None:
    multiprocessing.set_forkserver_preload([__name__])
    mp.start_processes(
        work, (free_port(), str(tmp_path)), nprocs=2, start_method="forkserver"
    )  # fmt: skip
    assert [(tmp_path / f"step-{rank}").read_text() for rank in (0, 1)] == ["6", "6"]
    state = checkpoint.read(tmp_path / "checkpoints/step_00000006.pt")
    assert state["patience"] == Patience(KEY, "minimize", 1.0, 0.1, 2, 2).as_stored()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["eval_every=2", "direction=maximize"], "direction=maximize: objective=referee ranks by"),
        (["eval_every=0"], "objective=referee: evaluations measure it: set eval_every=N"),
        (["eval_every=2", "eval_metrics=diversity"], "eval_metrics=diversity: lacks referee"),
        (["objective=eval/jsd_at_least_pixels"], "eval/jsd_at_least_pixels: gan-evaluate measures"),
        (["objective=divergence/jsd", "eval_every=0"], "divergence/jsd: evaluations measure it"),
    ],
)
def test_what_a_short_name_needs(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    result = cli(
        *SMALL,
        "steps=4",
        *([] if "objective" in arguments[0] else ["objective=referee"]),
        *arguments,
    )
    assert result.code == 2
    assert words in result.err


def test_an_objective_that_evaluations_measure_brings_evaluations(cli: Cli) -> None:
    """A tenth of all steps apart; what the command line or a stored run says comes first."""
    given = ["data=digits", "data.batch_size=20", "sample_every=0", "threads=1"]
    result = cli(*given, "steps=25", "objective=eval/diversity_fake", "name=x", "patience=20")
    assert result.code == 0, result.err
    assert "note: eval_every=2, because evaluations measure objective=eval/diversity" in result.out
    lines = [json.loads(x) for x in Path("outputs/x/metrics.jsonl").read_text().splitlines()]
    assert [x["step"] for x in lines if "eval/diversity_fake" in x] == list(range(2, 25, 2))
    result = cli("resume=outputs/x", "steps=50")
    assert result.code == 0
    assert "eval_every" not in result.out
    assert newest("x")["config"]["eval_every"] == 2
    result = cli(*given, "steps=2", "objective=eval/diversity_fake", "eval_every=1", "name=y")
    assert "eval_every" not in result.out
    assert cli(*given, "steps=2", "objective=loss/g", "name=z").code == 0
    assert newest("z")["config"]["eval_every"] == 0
    result = cli("resume=outputs/z", "steps=4", "objective=eval/diversity_fake")
    assert result.code == 2
    assert "set eval_every=N" in result.err
    assert (
        cli("resume=outputs/z", "steps=4", "objective=eval/diversity_fake", "eval_every=2").code
        == 0
    )


def test_a_short_name_stands_for_its_key(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is measured even though it takes long, and feeds best.pt and patience."""

    def measure(subject: Subject) -> Results:
        return Results({"eval/jsd_at_least": VALUES[STEP[0]]})

    metric = Metric(measure, lambda _: None, "a test's", costly=True, keys=("jsd_at_least",))
    for name in [*METRICS]:
        monkeypatch.delitem(METRICS, name)
    monkeypatch.setitem(METRICS, "referee", metric)
    result = cli(*SMALL, "steps=16", "eval_every=2", "objective=referee", "patience=1", "name=x")
    assert result.code == 0, result.err
    state = newest("x")
    assert state["step"] == 12
    assert (state["config"]["objective"], state["patience"]["value"]) == ("eval/jsd_at_least", 2.8)
    kept = checkpoint.read(Path("outputs/x/checkpoints/best.pt"))["best"]
    assert kept["objective"] == "eval/jsd_at_least"
    assert cli("resume=outputs/x", "objective=referee", "patience=2").code == 0
