"""A run that stops and goes on is the run that never stopped, bit for bit."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image

from gan_cli import load
from gan_cli.cli import commands
from gan_cli.errors import UserError
from gan_cli.evaluation.registry import METRICS
from gan_cli.evaluation.subject import Results, Subject
from gan_cli.runs import checkpoint
from gan_cli.runs import directory as rundir
from gan_cli.runs.directory import write_config
from gan_cli.runs.events import trim_events
from gan_cli.runs.records import trim_lines
from gan_cli.settings.stored import defaults_of
from gan_cli.settings.targets import node_at, places, resolve
from tests.conftest import Cli
from tests.processes import PIPE, Command, gan_train

# Odd cadences and a batch that does not divide the data, so that every stop is in mid-epoch.
SETTINGS = [
    "data.batch_size=50",
    "log_every=3",
    "sample_every=4",
    "checkpoint_every=5",
    "keep_last=100",
    "k=2",
    "noise=uniform",
    "noise.dim=7",
    "schedule=linear_decay",
    "schedule.constant_steps=10",
    "schedule.decay_steps=100",
    "model.discriminator.dropout=0.3",
    "model.discriminator.dropout_input=0.1",
    "threads=1",
]
MACHINE = ("time", "images_per_s", "system/")


def metrics(run: Path) -> list[dict[str, float]]:
    """metrics.jsonl without what depends on the machine."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if not k.startswith(MACHINE)} for line in lines]


def tensorboard(run: Path) -> dict[str, list[tuple[int, float]]]:
    """All scalars in the event files, in file order, read without TensorBoard's own clean-up."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found: dict[str, list[tuple[int, float]]] = {}
    # Named by time, then by a number that counts the files of one process.
    files = run.glob("events.out.tfevents.*")
    for file in sorted(files, key=lambda path: [int(n) for n in re.findall(r"\.(\d+)", path.name)]):
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                if value.tag.startswith(("loss", "prob", "grad", "lr", "samples")):
                    number = value.tensor.float_val[0] if value.tensor.float_val else 0.0
                    found.setdefault(value.tag, []).append((event.step, number))
    return found


@contextmanager
def altered(path: Path) -> Iterator[dict[str, Any]]:
    """A checkpoint's content, written back as the block leaves it."""
    state = checkpoint.read(path)
    yield state
    checkpoint.save(path.parent, state, keep_last=1, keep_every=0)


def assert_equal(one: Any, other: Any, path: str = "session") -> None:
    assert type(one) is type(other), path
    if isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key in one:
            if key != "seconds":
                assert_equal(one[key], other[key], f"{path}.{key}")
    elif isinstance(one, list | tuple):
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_equal(a, b, f"{path}[{index}]")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), path
    else:
        assert one == other, path


def assert_same_run(one: Path, other: Path) -> None:
    """Weights, optimizers, streams, numbers, pictures and TensorBoard are all the same."""
    newest = [
        checkpoint.read(checkpoint.list_checkpoints(run / "checkpoints")[0]) for run in (one, other)
    ]
    assert newest[0]["step"] == newest[1]["step"]
    assert_equal(newest[0]["session"], newest[1]["session"])
    assert metrics(one) == metrics(other)
    assert tensorboard(one) == tensorboard(other)
    pictures = [{p.name: p.read_bytes() for p in (r / "samples").iterdir()} for r in (one, other)]
    assert pictures[0] == pictures[1]


@pytest.mark.parametrize(
    "data",
    [
        ["data=digits"],
        ["data=ring", "data.samples=333"],
        ["data=curve", "data.shape=spiral", "data.samples=333"],
        ["data=digits", "optimizer=sgd"],
    ],
)
def test_two_halves_equal_the_whole(cli: Cli, data: list[str]) -> None:
    assert cli(*SETTINGS, *data, "steps=22", "name=whole").code == 0
    assert cli(*SETTINGS, *data, "steps=11", "name=halves").code == 0
    result = cli("resume=outputs/halves", "steps=22")
    assert result.code == 0
    assert "resumed at step 11" in result.out
    assert "may differ" not in result.out
    assert_same_run(Path("outputs/whole"), Path("outputs/halves"))


def test_two_runs_with_one_seed_are_equal_and_with_another_not(cli: Cli) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert cli(*SETTINGS, "steps=9", f"name={name}", f"seed={seed}").code == 0
    assert_same_run(Path("outputs/a"), Path("outputs/b"))
    assert metrics(Path("outputs/a")) != metrics(Path("outputs/c"))


@pytest.mark.slow
def test_sigkill_in_mid_epoch(cli: Cli, tmp_path: Path) -> None:
    many = [s for s in SETTINGS if not s.startswith(("checkpoint_every", "log_every"))]
    many += ["checkpoint_every=40", "log_every=7", "sample_every=30"]
    assert cli(*many, "steps=330", "name=whole").code == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "gan_cli.train", *many, "steps=1000000", "name=killed"],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    run = Path("outputs/killed")
    deadline = time.monotonic() + 90
    while not (run / "checkpoints" / "step_00000120.pt").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    newest = checkpoint.step_of(checkpoint.list_checkpoints(run / "checkpoints")[0])
    if newest > 330:
        pytest.fail("the machine was too fast for this test: raise steps")
    result = cli("resume=outputs/killed", "steps=330")
    assert result.code == 0
    for picture in (run / "samples").glob("step_*.png"):  # made after the last checkpoint
        if int(picture.stem.split("_")[1]) > 330:
            picture.unlink()
    assert_same_run(Path("outputs/whole"), run)


@pytest.mark.xdist_group("processes")
@pytest.mark.parametrize(("number", "code"), [
    (signal.SIGINT, 130), (signal.SIGTERM, 143),
    pytest.param(signal.SIGHUP, 129, marks=pytest.mark.slow),
    pytest.param(signal.SIGUSR1, 138, marks=pytest.mark.slow),
])  # fmt: skip
def test_signals_save_and_say_how_to_go_on(tmp_path: Path, number: int, code: int) -> None:
    process = Command(gan_train, "steps=1000000", "log_every=1", cwd=tmp_path, stdout=PIPE)
    log = tmp_path / "outputs" / "vanilla-digits-1" / "metrics.jsonl"
    deadline = time.monotonic() + 60
    while not (log.exists() and log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    out = process.communicate(timeout=60)
    assert process.poll() == code
    assert f"stopped by {signal.Signals(number).name}" in out
    go_on = next(line for line in out.splitlines() if "go on" in line)
    assert go_on.endswith("resume=outputs/vanilla-digits-1")  # to the steps it had
    assert list(tmp_path.rglob("*.pt"))


@pytest.mark.xdist_group("processes")
def test_a_closed_terminal_saves(tmp_path: Path) -> None:
    """The system sends SIGHUP, and from then on each write to the terminal fails."""
    master, terminal = pty.openpty()
    endless = ["steps=1000000", "log_every=1", "name=run"]
    process = Command(gan_train, *endless, cwd=tmp_path, terminal=terminal)
    os.close(terminal)
    log, deadline = tmp_path / "outputs" / "run" / "metrics.jsonl", time.monotonic() + 60
    while not (log.exists() and log.read_text()):
        assert time.monotonic() < deadline
        if select.select([master], [], [], 0.02)[0]:
            os.read(master, 65_536)
    os.close(master)
    assert process.wait(timeout=60) == 129
    assert list(tmp_path.rglob("step_*.pt"))
    assert "stopped by SIGHUP" in (tmp_path / "outputs" / "run" / "train.log").read_text()


def test_a_signal_ends_an_evaluation(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = [*SETTINGS, "steps=8", "eval_every=4", "eval_metrics=[diversity,nearest]"]
    settings += ["eval_samples=50", "objective=eval/diversity_fake"]
    assert cli(*settings, "name=whole").code == 0
    metric = METRICS["diversity"]

    def asked_to_stop(subject: Subject) -> Results:
        os.kill(os.getpid(), signal.SIGUSR1)
        return metric.measure(subject)  # which draws samples

    with monkeypatch.context() as patch:
        patch.setitem(METRICS, "diversity", replace(metric, measure=asked_to_stop))
        result = cli(*settings, "name=mine")
    assert result.code == 138
    assert "note: SIGUSR1 came, so step 4 is not evaluated." in result.out
    run = Path("outputs/mine")
    assert not any(key.startswith("eval/") for line in metrics(run) for key in line)
    assert not (run / "nearest").exists()
    assert (run / "checkpoints/step_00000004.pt").exists()
    assert cli("resume=outputs/mine").code == 0
    evaluated = [line["step"] for line in metrics(run) if "eval/samples" in line]
    assert evaluated == [8]
    states = [
        torch.load(f"outputs/{name}/checkpoints/step_00000008.pt", weights_only=True)["session"]
        for name in ("whole", "mine")
    ]
    for key, value in states[0]["game"].items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, states[1]["game"][key])


def test_resuming_a_finished_run_says_so(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=6").code == 0
    before = Path("outputs/vanilla-digits-1/metrics.jsonl").read_bytes()
    for extra in ([], ["steps=4"]):
        result = cli("resume=outputs/vanilla-digits-1", *extra)
        assert result.code == 0
        assert "finished" in result.out
        assert "resume=outputs/vanilla-digits-1 steps=12" in result.out
    assert Path("outputs/vanilla-digits-1/metrics.jsonl").read_bytes() == before


def test_a_run_killed_while_it_drew_its_last_pictures_draws_them(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=6", "sample_every=2").code == 0
    samples = Path("outputs/vanilla-digits-1/samples")
    whole = {path.name: path.read_bytes() for path in samples.iterdir()}
    for name in ("training.gif", "final.png"):
        (samples / name).unlink()
    result = cli("resume=outputs/vanilla-digits-1")
    assert result.code == 0
    assert "done: 6 of 6 steps" in result.out
    assert {path.name: path.read_bytes() for path in samples.iterdir()} == whole
    assert "finished" in cli("resume=outputs/vanilla-digits-1").out


@pytest.mark.parametrize(
    "override", ["seed=3", "noise=uniform", "k=5", "data.batch_size=9", "name=x", "output_dir=y"]
)
def test_what_would_be_another_run_is_refused(cli: Cli, override: str) -> None:
    assert cli(*SETTINGS, "steps=3").code == 0
    result = cli("resume=outputs/vanilla-digits-1", "steps=6", override)
    assert result.code == 2
    assert override.split("=", maxsplit=1)[0] in result.err
    assert "init_from=outputs/vanilla-digits-1" in result.err


def test_what_may_change_changes(cli: Cli, mnist_root: Path) -> None:
    root = f"data.root='{mnist_root}'"
    assert cli("data=mnist", root, "steps=2").code == 0
    moved = mnist_root.rename(mnist_root.with_name("moved"))
    run = Path("outputs/vanilla-mnist-1")
    assert cli(f"resume={run}", "steps=4").code == 2
    result = cli(
        f"resume={run}", "steps=4", f"data.root={moved}", "log_every=1", "sample_every=0",
        "checkpoint_every=1", "keep_last=1", "keep_every=3", "threads=1", "max_minutes=9",
    )  # fmt: skip
    assert result.code == 0
    assert [line["step"] for line in metrics(run)] == [3, 4]
    names = [path.name for path in checkpoint.list_checkpoints(run / "checkpoints")]
    assert names == ["step_00000004.pt", "step_00000003.pt"]
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["data"]["root"] == str(moved)


def test_resume_says_what_changed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli(*SETTINGS, "steps=3").code == 0
    monkeypatch.setattr("gan_cli.system.environment.cpu_kind", lambda: "another CPU")
    result = cli("resume=outputs/vanilla-digits-1", "steps=4", "threads=2")
    assert "threads was 1, is now 2" in result.out
    assert "is now another CPU" in result.out


def test_threads_are_used_again(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=3").code == 0
    torch.set_num_threads(2)
    assert cli("resume=outputs/vanilla-digits-1", "steps=4").code == 0
    assert torch.get_num_threads() == 1


def test_resume_auto(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=22", "name=whole").code == 0
    auto = [*SETTINGS, "name=queue", "resume=auto"]
    assert cli(*auto, "steps=11").code == 0  # starts
    assert "resumed at step 11" in cli(*auto, "steps=22").out  # goes on
    assert_same_run(Path("outputs/whole"), Path("outputs/queue"))
    assert "finished" in cli(*auto, "steps=22").out
    result = cli(*auto, "steps=30", "seed=5", "noise.dim=3")
    assert result.code == 2
    assert "noise.dim: was 7, now 3" in result.err
    assert "seed: was 0, now 5" in result.err


def test_a_run_killed_before_its_first_checkpoint_starts_over(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=12", "name=whole").code == 0
    assert cli(*SETTINGS, "steps=7", "name=early").code == 0
    for file in Path("outputs/early/checkpoints").iterdir():
        file.unlink()
    result = cli("resume=outputs/early", "steps=12")
    assert result.code == 0
    assert "no checkpoint yet" in result.out
    assert_same_run(Path("outputs/whole"), Path("outputs/early"))


def test_an_older_checkpoint_starts_a_new_run(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=22", "name=whole").code == 0
    whole = Path("outputs/whole")
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    result = cli(f"resume={whole}/checkpoints/step_00000010.pt", "name=branch")
    assert result.code == 0
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before
    states = [
        checkpoint.read(Path(f"outputs/{r}/checkpoints/step_00000022.pt"))
        for r in ("whole", "branch")
    ]
    assert_equal(states[0]["session"], states[1]["session"])
    assert metrics(Path("outputs/branch")) == [m for m in metrics(whole) if m["step"] > 10]


def test_init_from_takes_the_weights_alone(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=9", "name=old").code == 0
    result = cli(
        *SETTINGS, "steps=3", "name=new", "init_from=outputs/old", "seed=4", "optimizer.lr=1e-9"
    )
    assert result.code == 0
    old, new = (load(f"outputs/{name}").game.state_dict() for name in ("old", "new"))
    for key in old:
        if key.startswith(("generator", "discriminator")):
            torch.testing.assert_close(old[key], new[key], atol=1e-6, rtol=0)
    assert [line["step"] for line in metrics(Path("outputs/new"))] == [3]
    result = cli(*[s for s in SETTINGS if "noise.dim" not in s], "init_from=outputs/old")
    assert result.code == 2
    assert "generator.layers.0.weight" in result.err
    assert cli("resume=outputs/old", "init_from=outputs/old").code == 2


def test_a_damaged_checkpoint_is_passed_over(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=22", "name=whole").code == 0
    assert cli(*SETTINGS, "steps=14", "name=hurt").code == 0
    newest = Path("outputs/hurt/checkpoints/step_00000014.pt")
    newest.write_bytes(newest.read_bytes()[:5000])
    result = cli("resume=outputs/hurt", "steps=22")
    assert result.code == 0
    assert "step_00000014.pt: damaged" in result.out
    assert "resumed at step 10" in result.out
    assert_same_run(Path("outputs/whole"), Path("outputs/hurt"))


@pytest.mark.parametrize(
    "content", [b"", b"not a checkpoint", {"a": 1}, {"format": 99}, "pickle bomb"]
)
def test_foreign_files_are_refused_and_run_nothing(tmp_path: Path, content: Any) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.mkdir, (str(tmp_path / "exploded"),)

    path = tmp_path / "step_00000001.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "pickle bomb":
        torch.save({"format": 1, "session": Bomb()}, path)
    else:
        keys = ("step", "config", "spec", "environment", "session")
        torch.save(content | dict.fromkeys(keys) if "format" in content else content, path)
    with pytest.raises(UserError, match=r"step_00000001\.pt: (damaged|not|checkpoint format 99)"):
        checkpoint.read(path)
    assert not (tmp_path / "exploded").exists()


def test_a_failed_write_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = checkpoint.save(tmp_path, {"step": 1}, keep_last=1, keep_every=0)
    content = old.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(tmp_path, {"step": 2}, keep_last=1, keep_every=0)
    assert {p.name for p in tmp_path.iterdir()} == {old.name, "index.json"}
    assert old.read_bytes() == content


def test_two_processes_cannot_train_in_one_directory(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=3").code == 0
    with rundir.lock(Path("outputs/vanilla-digits-1")):
        result = cli("resume=outputs/vanilla-digits-1", "steps=6")
    assert result.code == 2
    assert "another process trains" in result.err
    assert cli("resume=outputs/vanilla-digits-1", "steps=6").code == 0


def test_sampling_is_seeded_and_uses_the_newest_checkpoint(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=8", "name=mine").code == 0
    model = load("outputs/mine")
    assert model.step == 8
    x = model.sample(5, seed=3)
    assert x.shape == (5, 1, 8, 8)
    assert torch.equal(x, load("outputs/mine").sample(5, seed=3))
    assert not torch.equal(x, model.sample(5, seed=4))
    assert load("outputs/mine/checkpoints/step_00000005.pt").step == 5
    with pytest.raises(ValueError, match="labels"):
        model.sample(2, labels=torch.tensor([1, 2]))
    assert cli("run=outputs/mine", app=commands.SAMPLE).code == 0
    assert Path("outputs/mine/samples/grid_step_00000008_seed_0.png").is_file()
    assert cli("run=outputs/mine", "mode=images", "n=11", "out=x", app=commands.SAMPLE).code == 0
    assert len(list(Path("x").glob("*.png"))) == 11
    assert cli("run=outputs/mine", "out=/proc/x.png", app=commands.SAMPLE).code == 2


def test_sampling_points_plots_them(cli: Cli) -> None:
    assert cli("data=ring", "data.samples=100", "steps=2").code == 0
    assert cli("run=outputs/vanilla-ring-1", app=commands.SAMPLE).code == 0
    result = cli("run=outputs/vanilla-ring-1", "mode=images", app=commands.SAMPLE)
    assert result.code == 2
    assert "points" in result.err


def test_trimming_survives_a_line_cut_short(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"ste')
    trim_lines(file, 2)
    assert file.read_text() == '{"step": 1}\n{"step": 2}\n'


def test_trimming_events_survives_a_record_cut_short(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=9", "name=mine").code == 0
    run = Path("outputs/mine")
    (file,) = run.glob("events.out.tfevents.*")
    file.write_bytes(file.read_bytes()[:-7])
    trim_events(file, 6)
    assert [step for step, _ in tensorboard(run)["loss/d"]] == [3, 6]


def test_logging_never_stops_training(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gan_cli.runs.log.write_png", fail)
    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter.add_scalar", fail)
    result = cli(*SETTINGS, "steps=6")
    assert result.code == 0
    assert result.err.count("warning: samples cannot be written") == 1
    assert result.err.count("warning: TensorBoard cannot be written") == 1
    assert [line["step"] for line in metrics(Path("outputs/vanilla-digits-1"))] == [3, 4, 6]


@pytest.fixture
def _without_tensorboard() -> Iterator[None]:
    """TensorBoard is imported anew in this test, and is afterwards what it was."""
    names = ("tensorboard.", "torch.utils.tensorboard.")

    def take() -> dict[str, Any]:
        loaded = [name for name in sys.modules if f"{name}.".startswith(names)]
        return {name: sys.modules.pop(name) for name in loaded}

    before = take()
    yield
    take()
    sys.modules.update(before)


@pytest.mark.parametrize(
    "statement",
    ["raise TypeError('Descriptors cannot\\nbe created directly.')", "raise RuntimeError", "x = 1",
     "import no_such_part", "raise AttributeError('numpy.bool8')"],
)  # fmt: skip
@pytest.mark.usefixtures("_without_tensorboard")
def test_a_broken_tensorboard_is_a_warning(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    package = tmp_path / "site" / "tensorboard"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(statement)
    monkeypatch.syspath_prepend(package.parent)
    for arguments in (["name=run", "steps=3", *SETTINGS], ["resume=outputs/run", "steps=6"]):
        done = cli(*arguments)
        assert done.code == 0, done.err
        assert done.err.count("warning: TensorBoard cannot be written") == 1
        assert "Traceback" not in done.err
    assert [line["step"] for line in metrics(tmp_path / "outputs" / "run")] == [3, 4, 6]


def test_a_damaged_checkpoint_is_set_aside_and_never_outlives_a_good_one(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=14", "name=hurt").code == 0
    newest = Path("outputs/hurt/checkpoints/step_00000014.pt")
    newest.write_bytes(newest.read_bytes()[:5000])
    assert cli("resume=outputs/hurt", "steps=13", "keep_last=1").code == 0
    names = {path.name for path in newest.parent.iterdir()}
    assert names == {"step_00000013.pt", "step_00000014.pt.damaged", "index.json"}
    assert load("outputs/hurt").step == 13


def test_resume_auto_with_a_recipe(cli: Cli) -> None:
    auto = ["experiment=ring_modes", "data.samples=50", "name=queue", "resume=auto"]
    assert cli(*auto, "steps=2").code == 0
    result = cli(*auto, "steps=4", "log_every=1")
    assert result.code == 0, result.err
    assert "resumed at step 2" in result.out


def test_resume_auto_after_a_kill_at_the_very_start(cli: Cli) -> None:
    Path("outputs/queue").mkdir(parents=True)
    assert cli("name=queue", "resume=auto", "steps=2").code == 0
    assert load("outputs/queue").step == 2


def test_keys_of_other_groups_are_refused_with_the_reason(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=2", "name=mine").code == 0
    result = cli("resume=outputs/mine", "steps=4", "noise.low=-2", "data.root=x")
    assert result.code == 2
    assert "noise.low: cannot change on resume" in result.err


def test_a_finished_checkpoint_file_starts_no_empty_run(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=5", "name=mine").code == 0
    result = cli("resume=outputs/mine/checkpoints/step_00000005.pt")
    assert result.code == 2
    assert "nothing left to do" in result.err
    assert "steps=10" in result.err
    assert [path.name for path in Path("outputs").iterdir()] == ["mine"]


def test_cadences_change_nothing_in_training(cli: Cli) -> None:
    base = [s for s in SETTINGS if "_every" not in s]
    quiet = ["log_every=10", "sample_every=0", "checkpoint_every=0"]
    busy = ["log_every=1", "sample_every=1", "checkpoint_every=1"]
    assert cli(*base, *quiet, "steps=10", "name=quiet").code == 0
    assert cli(*base, *busy, "steps=10", "name=busy").code == 0
    states = [
        checkpoint.read(Path(f"outputs/{name}/checkpoints/step_00000010.pt"))["session"]
        for name in ("quiet", "busy")
    ]
    assert_equal(states[0], states[1])


def test_a_random_stream_of_another_device_is_replaced(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=2", "name=mine").code == 0
    with altered(Path("outputs/mine/checkpoints/step_00000002.pt")) as state:
        # What a GPU would have left: a stream of another kind, which the CPU cannot continue.
        left = {"rng": torch.arange(16, dtype=torch.uint8), "device": "cuda"}
        state["session"]["game"]["_extra_state"] |= left
        state["environment"]["device"] = "a GPU"
    result = cli("resume=outputs/mine", "steps=4")
    assert result.code == 0
    assert "device was a GPU, is now cpu" in result.out


def test_missing_weights_are_not_made_up(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=2", "name=mine").code == 0
    with altered(Path("outputs/mine/checkpoints/step_00000002.pt")) as state:
        del state["session"]["game"]["generator.layers.0.weight"]
    for app, words in ((commands.SAMPLE, ["run=outputs/mine"]),
                       (commands.TRAIN, ["resume=outputs/mine", "steps=4"]),
                       (commands.TRAIN, [*SETTINGS, "init_from=outputs/mine"])):  # fmt: skip
        result = cli(*words, app=app)
        assert result.code == 2
        assert "generator.layers.0.weight" in result.err


def test_loading_leaves_the_callers_random_numbers_alone(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=2", "name=mine").code == 0
    before = torch.get_rng_state()
    load("outputs/mine").sample(3)
    assert torch.equal(before, torch.get_rng_state())


def test_a_checkpoint_copied_elsewhere_samples_beside_itself(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=2", "name=mine").code == 0
    Path("shelf").mkdir()
    Path("outputs/mine/checkpoints/step_00000002.pt").rename("shelf/good.pt")
    Path("shelf/notes.tmp").write_text("mine")
    assert cli("run=shelf/good.pt", app=commands.SAMPLE).code == 0
    assert Path("shelf/samples/grid_step_00000002_seed_0.png").is_file()
    assert cli("run=shelf/good.pt", "out=shelf/notes.png", app=commands.SAMPLE).code == 0
    assert Path("shelf/notes.tmp").read_text() == "mine"


def test_malformed_stored_configs_are_refused(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=2", "name=mine").code == 0
    for file in Path("outputs/mine/checkpoints").iterdir():
        file.unlink()
    config = Path("outputs/mine/config.yaml")
    good = config.read_text()
    for bad in (good.replace("k: 2", "k: two"), "a: [1", "- 1\n", good.replace("seed: 0\n", "")):
        config.write_text(bad)
        result = cli("resume=outputs/mine")
        assert result.code == 2
        assert "config.yaml" in result.err


def without_later_keys(config: dict[str, Any]) -> None:
    """Make a config as one of a version that knew neither optional arguments nor tables."""
    for key, place in places(config).items():
        if key == "optimizer":  # PyTorch's own arguments
            continue
        node = node_at(config, key)
        target = resolve(node["_target_"], place, trusted=False)
        optional = {*defaults_of(target), "steps", "kind"} - {*place.run_keys, *place.supplied}
        for name in optional & node.keys():
            if node[name] == defaults_of(target).get(name) or name in place.presets:
                del node[name]


def test_keys_of_groups_that_came_later_have_their_defaults_in_older_runs(cli: Cli) -> None:
    for index in range(4):
        Image.new("RGB", (8, 8), (60 * index,) * 3).save(f"{index}.png")
    auto = [
        "data=image_folder", "data.root=.", "data.image_size=8", "noise.dim=3", "steps=2",
        "threads=1", "log_every=1", "name=queue", "resume=auto", "regularizer=r1",
        "model.generator.hidden=[4]", "model.discriminator.hidden=[4]",
    ]  # fmt: skip
    assert cli(*auto).code == 0
    run = Path("outputs/queue")
    with altered(run / "checkpoints/step_00000002.pt") as state:
        without_later_keys(state["config"])
        assert not {"background", "balance", "levels", "kind"} & state["config"]["data"].keys()
        write_config(run, state["config"])
    result = cli(*auto, "steps=3")
    assert result.code == 0, result.err
    assert "resumed at step 2" in result.out
    result = cli(*auto, "data.background=black", "model.generator.hidden=[5]")
    assert result.code == 2
    assert "data.background: was white, now black" in result.err
    assert "model.generator.hidden: was [4], now [5]" in result.err
    assert result.err.count(": was ") == 2


def test_optimizer_state_of_other_shapes_is_refused(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=2", "name=mine").code == 0
    with altered(Path("outputs/mine/checkpoints/step_00000002.pt")) as state:
        state["session"]["optimizers"]["d"]["state"][0]["exp_avg"] = torch.zeros(3)
    result = cli("resume=outputs/mine", "steps=4")
    assert result.code == 2
    assert "exp_avg" in result.err
