"""Sweeps: a folder a job, one table, failures shown, the same command again resumes."""

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from gan_cli.cli.sweep.job import config_of_job
from gan_cli.cli.sweep.overview import finish
from gan_cli.cli.sweep.plan import Plan, count_jobs
from gan_cli.runs import checkpoint
from gan_cli.runs.jobs import Record
from gan_cli.runs.records import MACHINE
from tests.conftest import Cli
from tests.test_resume import assert_same_run

FAST = ["data.batch_size=8", "steps=6", "log_every=2", "sample_every=0", "checkpoint_every=2"]
GRID = ["-m", "noise.dim=2,3", "seed=1,2", "threads=1", *FAST]


def table(folder: str = "outputs/s") -> list[dict[str, str]]:
    with Path(folder, "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def without_machine(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{k: v for k, v in row.items() if not k.startswith(MACHINE)} for row in rows]


def test_the_table_ranks_and_names_the_best(cli: Cli) -> None:
    result = cli(*GRID, "name=s", "objective=loss/g", "direction=maximize")
    assert result.code == 0
    rows = table()
    assert [row["state"] for row in rows] == ["done"] * 4
    losses = [float(row["loss/g"]) for row in rows]
    assert losses == sorted(losses, reverse=True)
    assert {(row["noise.dim"], row["seed"]) for row in rows} == {
        ("2", "1"), ("2", "2"), ("3", "1"), ("3", "2"),
    }  # fmt: skip
    assert f"in outputs/s/{rows[0]['job']}" in result.out
    assert "sweep s, job 4 of 4: noise.dim-3_seed-2" in result.out
    run = Path("outputs/s", rows[0]["job"])
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert losses[0] == last["loss/g"]


def test_an_objective_that_a_weak_d_flatters_is_said(cli: Cli) -> None:
    result = cli(*GRID[:2], *GRID[3:], "name=s", "objective=loss/g")
    assert result.code == 0
    start, note = result.out.splitlines()[0], "objective=loss/g is read off D, and a weak D"
    assert start.startswith(f"note: {note}")
    assert result.out.partition("best: loss/g")[2].count(note) == 1  # beside the table's best
    measured = ["objective=diversity/fake", "sample_every=6"]
    result = cli(*GRID[:2], *GRID[3:], "name=t", *measured)
    assert result.code == 0
    assert "weak D" not in result.out


def make_job(job: str, value: float, error: float | None, **swept: object) -> None:
    """A finished job that has measured its objective, in the sweep outputs/s."""
    folder = Path("outputs/s")
    words = {key: str(value) for key, value in swept.items()}
    Record(job, "m", swept=words, objective="eval/x", direction="minimize", state="done").write(
        folder
    )
    (folder / job).mkdir()
    errors = {} if error is None else {"eval/x_error": error}
    line = {"step": 4, "time": 1.0, "eval/x": value} | errors
    (folder / job / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    (folder / job / "config.yaml").write_text(yaml.safe_dump({"k": 1, "seed": 0} | swept))


def finished(capsys: pytest.CaptureFixture[str]) -> str:
    assert finish(Plan([], Path("outputs/s"), jobs=None)) == []
    return capsys.readouterr().out


@pytest.fixture
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.mark.usefixtures("_here")
def test_jobs_that_cannot_be_told_apart_share_their_ranks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two values differ beyond 2 sqrt(0.1^2 + 0.1^2) = 0.28; a's and c's do, b's with neither."""
    for k, (job, value) in enumerate([("c", 1.4), ("a", 1.0), ("d", 9.0), ("b", 1.2)]):
        make_job(job, value, 0.1, k=k)
    out = finished(capsys)
    rows = table()
    assert [(row["job"], row["rank"]) for row in rows] == [
        ("a", "1-2"), ("b", "1-3"), ("c", "2-3"), ("d", "4"),
    ]  # fmt: skip
    assert [row["against_best"] for row in rows] == [
        "the best value, but others cannot be told apart from it",
        "cannot be told apart from the best",
        "worse beyond the noise",
        "worse beyond the noise",
    ]
    assert {row["objective_error"] for row in rows} == {"0.1"}
    assert {row["setting"] for row in rows} == {""}  # no seeds were swept
    columns = list(rows[0])  # those that were there before come first, in their order
    assert columns[:4] == ["job", "state", "exit_code", "k"]
    assert columns[columns.index("message") + 1] == "rank"
    assert "1.2 ± 0.1" in out
    assert "best: eval/x=1 ± 0.1 in outputs/s/a" in out
    assert "cannot be told apart from it: b (differences of up to 2 standard errors" in out
    assert "another seed may change more" in out


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize(("gap", "ranks"), [(0.282, ["1-2", "1-2"]), (0.284, ["1", "2"])])
def test_two_standard_errors_of_the_difference_tell_jobs_apart(
    capsys: pytest.CaptureFixture[str], gap: float, ranks: list[str]
) -> None:
    make_job("a", 1.0, 0.1, k=1)
    make_job("b", 1.0 + gap, 0.1, k=2)
    out = finished(capsys)
    assert [row["rank"] for row in table()] == ranks
    assert ("cannot be told apart from it: b" in out) == (ranks[0] == "1-2")


@pytest.mark.usefixtures("_here")
def test_an_order_without_errors_is_said_to_be_perhaps_chance(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for k, (job, value) in enumerate([("a", 1.0), ("b", 1.001), ("c", 1.001)]):
        make_job(job, value, None, k=k)
    out = finished(capsys)
    assert [row["rank"] for row in table()] == ["1", "2-3", "2-3"]
    assert table()[1]["against_best"] == "the errors are not known"
    assert "eval/x has no standard error: the order of jobs may be chance" in out


@pytest.mark.usefixtures("_here")
def test_settings_are_compared_by_their_spread_over_seeds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The errors of measurement are tiny, but seeds differ by much more."""
    values = {1: (1.0, 3.0, 2.0), 2: (2.0, 4.0, 3.0), 3: (20.0, 21.0, 22.0)}
    for k, of_seeds in values.items():
        for seed, value in enumerate(of_seeds):
            make_job(f"k-{k}_seed-{seed}", value, 1e-3, k=k, seed=seed)
    make_job("k-4_seed-0", 50.0, 1e-3, k=4, seed=0)
    out = finished(capsys)
    rows = {row["job"]: row for row in table()}
    ranks = {row["k"]: (row["setting"], row["setting_rank"]) for row in rows.values()}
    assert ranks == {"1": ("k=1", "1-2"), "2": ("k=2", "1-2"), "3": ("k=3", "3"), "4": ("k=4", "4")}
    of_one = rows["k-1_seed-2"]
    assert float(of_one["setting_mean"]) == pytest.approx(2.0)
    assert float(of_one["setting_spread"]) == pytest.approx(1.0)  # of 1, 2, 3
    assert float(of_one["setting_error"]) == pytest.approx(1 / 3**0.5)
    assert of_one["setting_seeds"] == "3"
    alone = rows["k-4_seed-0"]
    assert (alone["setting_seeds"], alone["setting_spread"]) == ("1", "")
    assert "best mean over seeds: k=1, 2 ± 0.5774 of 3 seeds" in out
    assert "cannot be told apart from it: k=2 (differences of up to" in out


@pytest.mark.usefixtures("_here")
def test_lists_in_the_names_of_settings_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (0, 1):
        make_job(f"a-{seed}", 1.0 + seed, 0.1, regularizer="[r1,r2]", seed=seed)
    assert "│ regularizer=[r1,r2] │" in finished(capsys)


@pytest.mark.usefixtures("_here")
def test_a_best_job_that_patience_stopped_goes_on_with_more(cli: Cli) -> None:
    words = [*FAST, "steps=40", "eval_every=2", "eval_samples=50", "eval_metrics=diversity"]
    words += ["objective=eval/diversity_real", "patience=2", "threads=1", "name=s"]
    result = cli("-m", "seed=1,2", *words)  # which is the same at each look
    assert result.code == 0, result.err
    assert [(row["state"], row["step"]) for row in table()] == [("done", "6.0")] * 2
    line = next(line for line in result.out.splitlines()[-9:] if line.startswith("  go on "))
    assert line.endswith("patience=4")
    _, *arguments = shlex.split(line)[2:]
    assert "stopped by patience=4: 10 of 40 steps" in cli(*arguments).out


OWN_LOSS = """from gan_cli.losses import NonSaturating


class Mine(NonSaturating):
    pass
"""


@pytest.mark.parametrize(
    ("words", "trusted"),
    [
        (["loss._target_=sweeps_loss.Mine"], True),
        (["eval_every=6", "inception=weights.pth", "eval_metrics=diversity"], True),
        (["output_dir=else where"], False),
    ],
)
def test_the_best_job_is_resumed_by_the_printed_command(
    cli: Cli, words: list[str], trusted: bool
) -> None:
    Path("sweeps_loss.py").write_text(OWN_LOSS)
    Path("weights.pth").write_bytes(b"not read: nothing here needs them")
    result = cli("-m", "seed=1,2", "threads=1", *FAST, *words, "name=s", "objective=loss/g")
    assert result.code == 0, result.err
    line = next(line for line in result.out.splitlines() if line.startswith("  go on "))
    program, *arguments = shlex.split(line)[2:]
    assert Path(program).name == "gan-train"
    assert ("trust_checkpoint=true" in arguments) == trusted
    result = cli(*arguments)
    assert result.code == 0, result.err
    assert "resumed at step 6" in result.out
    assert "12 of 12 steps" in result.out


def test_a_failed_job_is_in_the_table_and_stops_no_other(cli: Cli) -> None:
    result = cli("-m", "optimizer.lr=1e-3,1e30", "loss=minimax,nan", *FAST)
    assert result.code == 2  # rejected before any job: no such loss
    assert not Path("outputs").exists()
    result = cli("-m", "optimizer.lr=1e30,1e-3,-1", "name=s", *FAST)
    assert result.code == 1
    rows = {row["job"]: row for row in table()}
    states = {job: (row["state"], row["exit_code"]) for job, row in rows.items()}
    assert states == {
        "optimizer.lr-1e30": ("diverged", "3"),
        "optimizer.lr-0.001": ("done", "0"),
        "optimizer.lr--1": ("failed", "2"),
    }
    assert rows["optimizer.lr--1"]["message"].startswith("optimizer.lr=-1")
    assert "2 of the sweep's jobs failed" in result.err


def test_the_same_command_again_skips_and_resumes(cli: Cli) -> None:
    assert cli(*GRID, "name=whole").code == 0
    assert cli(*GRID, "name=s").code == 0
    for job, last in (("noise.dim-2_seed-1", 2), ("noise.dim-3_seed-1", 0)):
        for path in checkpoint.list_checkpoints(Path("outputs/s", job, "checkpoints")):
            if checkpoint.step_of(path) > last:
                path.unlink()
    Path("outputs/s/noise.dim-3_seed-1/checkpoints/index.json").unlink()  # killed before the first
    result = cli(*GRID, "name=s")
    assert result.code == 0
    assert result.out.count("finished, 6 of steps=6") == 2
    assert result.out.count("resumed at step 2") == 1
    assert without_machine(table()) == without_machine(table("outputs/whole"))
    for row in table():
        assert_same_run(Path("outputs/s", row["job"]), Path("outputs/whole", row["job"]))


def test_keys_inside_a_swept_group_need_only_exist_in_its_options(cli: Cli) -> None:
    small = ["data.image_size=16", "model.width=4", "data.batch_size=4", "steps=1"]
    result = cli("-m", "model=dcgan,cgan", "data=digits", *small, "name=s")
    assert result.code == 0, result.err
    assert {row["job"] for row in table()} == {"model-dcgan", "model-cgan"}
    result = cli("-m", "model=dcgan,cgan", "data=digits", *small, "model.widht=3", "name=t")
    assert result.code == 1
    assert "widht" in result.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["name=a,b"], "name: cannot be swept"),
        (["output_dir=a,b"], "output_dir: cannot be swept"),
        (["objective=loss/d,loss/g"], "objective: cannot be swept"),
        (["resume=a,b"], "resume: cannot be swept"),
        (["seed=1,2", "resume=outputs/x"], "resume=outputs/x: a sweep resumes its jobs"),
        (["seed=1,2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=0"], "joblib launcher"),
        (["seed=1,2", "name=../x"], "name=../x"),
        (["name=a,b", "resume=x"], "2 problems in the command line"),
        (["seed=1,2", "direction=up"], "direction=up: use minimize"),
        (["seed=1,2", "hydra/sweeper=optuna"], "needs objective=KEY"),
        (["seed=1,2", "hydra/launcher=nowhere"], "nowhere"),
    ],
)
def test_sweeps_that_make_no_sense(cli: Cli, arguments: list[str], words: str) -> None:
    result = cli("-m", *arguments, *FAST)
    assert result.code == (1 if "joblib" in words else 2)
    assert words in result.err
    assert "Traceback" not in result.err


def test_an_objective_that_is_not_logged_fails_the_job(cli: Cli) -> None:
    result = cli("-m", "seed=1,2", "objective=loss/x", "name=s", *FAST)
    assert result.code == 1
    assert "objective=loss/x: seed-1 does not log it. There are: " in result.err
    assert [row["state"] for row in table()] == ["failed", "failed"]


def test_a_dry_run_writes_nothing(cli: Cli) -> None:
    assert cli("-m", "seed=1,2", "dry_run=true", "name=s", *FAST).code == 0
    assert not Path("outputs").exists()


def test_a_single_job_is_named_after_all_overrides(cli: Cli) -> None:
    for seed in (1, 2):
        assert cli("-m", f"seed={seed}", "name=s", *FAST).code == 0
    assert len({row["job"] for row in table()}) == 2
    assert {row["seed"] for row in table()} == {"1", "2"}


def test_values_that_look_alike_get_folders_of_their_own(cli: Cli) -> None:
    assert cli(*FAST, "name=base").code == 0
    Path("outputs/ba se").symlink_to(Path("outputs/base").resolve())
    result = cli("-m", "init_from='outputs/base','outputs/ba se'", "name=s", *FAST)
    assert result.code == 0, result.err
    assert len(table()) == 2


def test_a_run_is_no_sweep(cli: Cli) -> None:
    assert cli(*FAST, "name=one").code == 0
    result = cli("-m", "seed=1,2", "name=one", *FAST)
    assert result.code == 2
    assert "is a run, not a sweep" in result.err


@pytest.mark.parametrize(
    "change",
    [{"process": ["vm", 10**30]}, {"job": 5}, {"job": "../../x"}, {"swept": None}, {"code": "x"},
     {"objective": ["a"]}, {"message": None}, {"state": ["a"]}, {"more": 1}],
)  # fmt: skip
def test_damaged_records_are_left_out(cli: Cli, change: dict[str, Any]) -> None:
    assert cli("-m", "seed=1,2", "name=s", *FAST).code == 0
    record = Path("outputs/s/.jobs/seed-2.json")
    record.write_text(json.dumps(json.loads(record.read_text()) | change))
    with Path("outputs/s/seed-1/metrics.jsonl").open("ab") as file:
        file.write(b'{"loss/d": "a"}\n[1]\n\xff\xfe\n')
    plan = Plan([], Path("outputs/s"), jobs=None)
    assert finish(plan) == []
    assert "seed-1" in {row["job"] for row in table()}
    assert all("x" not in row["job"] for row in table())


def test_long_names_are_cut_and_stay_apart(cli: Cli) -> None:
    wide = ",".join(f"[{','.join(['3'] * 70)},{last}]" for last in (4, 5))
    assert cli("-m", f"model.generator.hidden={wide}", "name=s", *FAST).code == 0
    jobs = [row["job"] for row in table()]
    assert len(set(jobs)) == 2
    assert max(map(len, jobs)) <= 120


def test_a_job_gets_a_config_of_its_own() -> None:
    composed = {"name": None, "output_dir": "o", "resume": None, "threads": None, "seed": 3}
    before = dict(composed)
    config = config_of_job(composed, "seed-3", plan=Plan([], Path("runs/s"), jobs=None), threads=2)
    assert composed == before
    assert list(config) == list(composed)
    assert config == {
        "name": "s/seed-3", "output_dir": "runs", "resume": "auto", "threads": 2, "seed": 3,
    }  # fmt: skip
    again = config_of_job(
        {**composed, "threads": 5}, "j", plan=Plan([], Path("s"), jobs=1), threads=2
    )
    assert again["threads"] == 5  # the command line's


def test_jobs_are_counted() -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parse = OverridesParser.create().parse_overrides
    assert count_jobs(parse(["seed=1,2,3", "noise.dim=range(2,6)", "steps=4"])) == 12
    assert count_jobs(parse(["steps=4"])) == 1


def sweep(tmp_path: Path, *arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gan_cli.train", *arguments],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env=os.environ | {"COLUMNS": "200"}, **settings,
    )  # fmt: skip


@pytest.mark.slow
def test_jobs_in_processes_share_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parallel = [
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        "seed=1,2",
        "optimizer.lr=1e-3,-1",
    ]
    done = sweep(tmp_path, "-m", *parallel, "name=s", *FAST)
    assert done.returncode == 1
    assert "seed-1 done" in done.stdout.replace("optimizer.lr-0.001_", "")
    assert "of 4 done, 2 failed" in done.stdout
    assert "step 6/6" not in done.stdout  # jobs beside each other stay off the terminal
    monkeypatch.chdir(tmp_path)
    assert sorted(row["state"] for row in table()) == ["done", "done", "failed", "failed"]
    cores = len(os.sched_getaffinity(0))
    for row in table():
        if row["state"] == "done":
            config = yaml.safe_load(Path("outputs/s", row["job"], "config.yaml").read_text())
            assert config["threads"] == max(1, cores // 2)


@pytest.mark.slow
def test_optuna_optimises_the_objective(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search = [
        "hydra/sweeper=optuna",
        "hydra.sweeper.n_trials=2",
        "hydra.sweeper.n_jobs=1",
        "optimizer.lr=interval(0.0001,0.01)",
        "objective=loss/g",
        "direction=maximize",
    ]
    done = sweep(tmp_path, "-m", *search, "name=s", *FAST)
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(tmp_path)
    rows = table()
    assert len(rows) == 2
    results = yaml.safe_load(Path("outputs/s/optimization_results.yaml").read_text())
    assert (
        results["best_value"] == float(rows[0]["loss/g"]) == max(float(r["loss/g"]) for r in rows)
    )
    assert f"optimizer.lr-{results['best_params']['optimizer.lr']}" == rows[0]["job"]
    again = sweep(tmp_path, "-m", *search, "name=s", *FAST)  # the same trials, all finished
    assert again.stdout.count("finished") == 2
    assert len(table()) == 2


@pytest.mark.slow
def test_optuna_needs_an_objective_that_is_logged(tmp_path: Path) -> None:
    search = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=1"]
    search += ["optimizer.lr=interval(0.0001,0.01)", "objective=loss/x"]
    done = sweep(tmp_path, "-m", *search, "name=t", *FAST)
    assert done.returncode == 1
    assert "objective=loss/x: optimizer.lr-" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_jobs_in_processes_saves_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    parallel = ["-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "seed=1,2,3,4"]
    endless = ["data.batch_size=8", "steps=1000000", "log_every=2", "checkpoint_every=0", "name=s"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gan_cli.train", *parallel, *endless],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    logs = [tmp_path / "outputs" / "s" / f"seed-{seed}" / "metrics.jsonl" for seed in (1, 2)]
    deadline = time.monotonic() + 60
    while not all(log.exists() and log.stat().st_size for log in logs):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "the same command with name=s resumes it" in out
    assert "Traceback" not in out
    assert "not begun 2 of 4 jobs" in out
    monkeypatch.chdir(tmp_path)
    assert [row["state"] for row in table()] == ["stopped", "stopped"]
    for log in logs:  # every step that was logged is saved
        saved = checkpoint.step_of(checkpoint.list_checkpoints(log.parent / "checkpoints")[0])
        assert saved >= json.loads(log.read_text().splitlines()[-1])["step"]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["submitit_local", pytest.param("ray", marks=pytest.mark.ray)])
def test_other_launchers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, launcher: str) -> None:
    extra = {
        "submitit_local": "hydra.launcher.timeout_min=10",
        "ray": "+hydra.launcher.ray.init.num_cpus=2",
    }[launcher]
    elsewhere = ["-m", f"hydra/launcher={launcher}", extra, "threads=1"]
    done = sweep(tmp_path, *elsewhere, "seed=1,2", "name=s", *FAST)
    assert done.returncode == 0, done.stderr + done.stdout
    monkeypatch.chdir(tmp_path)
    assert [row["state"] for row in table()] == ["done", "done"]
    serial = sweep(tmp_path, "-m", "seed=1,2", "threads=1", "name=serial", *FAST)
    assert serial.returncode == 0
    assert without_machine(table()) == without_machine(table("outputs/serial"))


@pytest.mark.slow
def test_a_sweep_of_12_jobs_killed_twice_ends_with_the_same_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = ["-m", "data=digits,ring", "noise.dim=2,3", "seed=1,2,3", "threads=1"]
    grid += ["objective=loss/g", "steps=400", "log_every=50", "sample_every=100"]
    grid += ["checkpoint_every=37"]
    assert sweep(tmp_path, *grid, "name=whole").returncode == 0
    for seconds in (9, 13):
        process = subprocess.Popen(
            [sys.executable, "-m", "gan_cli.train", *grid, "name=s"],
            cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert sweep(tmp_path, *grid, "name=s").returncode == 0
    monkeypatch.chdir(tmp_path)
    assert len(table()) == 12
    assert without_machine(table()) == without_machine(table("outputs/whole"))
    for row in table():
        assert_same_run(Path("outputs/s", row["job"]), Path("outputs/whole", row["job"]))
