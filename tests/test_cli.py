"""The command line: every mistake is one message with exit code 2, and no traceback."""

import contextlib
import importlib.metadata
import inspect
import json
import os
import pty
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gan_cli import __version__
from gan_cli.cli import commands
from gan_cli.cli.app import App
from gan_cli.runs import checkpoint
from gan_cli.runs.directory import claim
from gan_cli.system.shell import arguments, command, hydra_value
from tests.conftest import Cli
from tests.processes import PIPE, Command, gan_train

FAST = ["steps=3", "log_every=1", "data.batch_size=8"]

MISTAKES = [
    (["modle=vanilla"], ["modle", "Did you mean model?"]),
    (["model=vanila"], ["model=vanila", "no such option", "Did you mean vanilla?"]),
    (["data=mnits"], ["data=mnits", "Did you mean mnist?"]),
    (["experiment=rings"], ["experiment=rings", "Did you mean ring_modes?"]),
    (["noise.dmi=3"], ["noise.dmi", "no such key", "Did you mean noise.dim?"]),
    (["noise=uniform", "noise.hihg=3"], ["Did you mean noise.high?"]),
    (["+foo=3"], ["foo", "no such key"]),
    (["foo=3"], ["foo: no such key. --cfg job prints all there are."]),
    (["=3"], ["=3: no such key"]),
    (["step=3"], ["step", "Did you mean steps?"]),
    (["k=two"], ["k=two", "must be a whole number"]),
    (["k=1.5"], ["k=1.5", "must be a whole number"]),
    (["max_minutes=soon"], ["max_minutes=soon", "must be a number, or null"]),
    (["debug=perhaps"], ["debug=perhaps", "true or false"]),
    (["vanilla"], ["vanilla: not of the form key=value"]),
    (["modl"], ["modl: not of the form key=value. Did you mean model?"]),
    (["lr=0.1"], ["lr: no such key", "Did you mean optimizer.lr?"]),
    (["hidden=3"], ["Did you mean model.discriminator.hidden or model.generator.hidden"]),
    (["noise.low=0"], ["noise.low: no such key", "These have it: noise=uniform"]),
    (["+model=vanilla"], ["Drop the +: model=vanilla"]),
    (["-m", "model=nope,vanilla"], ["model=nope: no such option"]),
    (["model.generator.hidden=512"], ["a list of whole numbers, like [1,2]"]),
    (["k=0", "noise.dim=0"], ["2 problems", "k=0", "noise.dim=0"]),
    (["steps=-1"], ["steps=-1", "at least 1"]),
    (["noise.dim=x"], ["noise.dim=x: must be a whole number"]),
    (["device=cuda:7"], ["device=cuda:7"]),
    (["device=gpu"], ["device=gpu", "auto, cpu, cuda"]),
    (["precision=tf32", "device=cpu"], ["precision=tf32", "CUDA"]),
    (["data=mnist", "data.root=nowhere", "data.download=false"], ["data.root=nowhere", "expected"]),
    (["resume=nowhere"], ["resume=nowhere", "no such run"]),
    (["resume=."], ["resume=.", "not a run directory"]),
    (["resume=auto"], ["resume=auto", "name="]),
    (["init_from=nowhere"], ["init_from=nowhere"]),
    (["data.root=a=b", "data=mnist"], ["Quote it twice", "'data.root='\"'\"'a=b'\"'\"''"]),
    (["data.root=a (1)", "data=mnist"], ["Quote it twice"]),
    (["data.root=daten/größe", "data=mnist"], ["Quote it twice"]),
    (["data.root=a,b", "data=mnist"], ["a comma makes a sweep", "Add -m"]),
    (["output_dir=/proc/nothing"], ["output_dir=/proc/nothing", "cannot be written"]),
    (["~steps"], ["steps"]),
    (["regularizer=null"], ["write regularizer=[] for none"]),
    (["regularizer=r1", "regularizer=r2"], ["is given twice", "regularizer=[r1,r2]"]),
    (
        ["model=null", "noise="],
        ["2 problems in the command line", "model=null", "noise='': is needed"],
    ),
    (["regularizer=[r1,bad]"], ["regularizer=bad: no such option"]),
    (["regularizer=1"], ["Config group override"]),
    (["model=cgan", "model.generator.labels=none"], ["model.generator.labels=none"]),
    (["model=dcgan", "model._target_=gan_cli.games.base.Game"], ["is abstract"]),
    (["model=null"], ["model=null: is needed. Choose one of: cgan, cyclegan"]),
    (["noise="], ["noise='': is needed"]),
    (["+noise.dim=3"], ["noise.dim: is there already. Drop the +"]),
    (["performance.precision=bf16"], ["performance is one value", "Did you mean precision?"]),
    (
        ["model=cgan", "model.backbone=mlp", "model.generator.upsampling=nearest"],
        ["model.generator.upsampling: no such key"],
    ),
    (["+optimizer.fused=true", "+optimizer.foreach=true"], ["optimizer: cannot step", "together"]),
    (["-m", "model=cgan", "model.backbone=mlp,conv", "model.generator.q=1"], ["generator.q: no"]),
    (["+optimizer.differentiable=true"], ["optimizer: cannot step", "in-place"]),
    (["optimizer.betas=[0.5]"], ["optimizer.betas=[0.5]: must be 2 numbers, like [0.5,0.9]"]),
    (["optimizer.betas=[2,0.9]"], ["optimizer.betas=[2,0.9]: both must lie in [0, 1), like [0.5,"]),
    (["+optimizer.eps=-1"], ["optimizer.eps=-1: must be at least 0"]),
    (["optimizer.weight_decay=-1"], ["optimizer.weight_decay=-1: must be at least 0"]),
    (["optimizer=sgd", "optimizer.momentum=-1"], ["optimizer.momentum=-1: must be at least 0"]),
    (
        ["optimizer=sgd", "optimizer.momentum=0", "+optimizer.nesterov=true"],
        ["optimizer.nesterov=true: needs optimizer.momentum above 0"],
    ),
    (["threads=100000"], ["threads=100000"]),
    (["steps=99999999999999999999999"], ["steps="]),
    (["data.name=a/b"], ["data.name=a/b"]),
    (["data.image_size=[true,8]"], ["data.image_size"]),
    (["resume=/dev/null"], ["/dev/null"]),
]


@pytest.mark.parametrize(("arguments", "words"), MISTAKES, ids=lambda x: " ".join(x)[:40])
def test_mistakes(cli: Cli, arguments: list[str], words: list[str]) -> None:
    result = cli(*arguments)
    assert result.code == 2
    assert result.err.startswith("gan-train: ")
    for word in words:
        assert word in result.err
    assert "Traceback" not in result.err + result.out
    assert not Path("outputs").exists()


@pytest.mark.parametrize("arguments", [["model=null"], ["~steps"], ["modle=x"], ["-m", "seed=1,2"]])
def test_only_the_first_process_prints_what_all_meet(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        result = cli(*arguments)
        assert result.code == 2
        assert bool(result.err) == (rank == "0")


def test_debug_shows_the_traceback(cli: Cli) -> None:
    result = cli("k=0", "debug=true")
    assert result.code == 2
    assert "Traceback" in result.err


SAMPLE_MISTAKES = [
    ([], ["run", "is missing"]),
    (["run=nowhere"], ["run=nowhere", "no such run"]),
    (["run=.", "mode=gird", "n=0"], ["2 problems", "mode=gird", "n=0"]),
    (["rn=x"], ["rn", "Did you mean run?"]),
    (["-m", "run=x,y"], ["-m: gan-sample does not sweep"]),
]


@pytest.mark.parametrize(("arguments", "words"), SAMPLE_MISTAKES)
def test_sample_mistakes(cli: Cli, arguments: list[str], words: list[str]) -> None:
    result = cli(*arguments, app=commands.SAMPLE)
    assert result.code == 2
    assert result.err.startswith("gan-sample: ")
    assert all(word in result.err for word in words)


def test_help_and_version(cli: Cli) -> None:
    assert cli("--help").out.strip() == commands.train_help().strip()
    assert cli("-h", app=commands.SAMPLE).out.strip() == commands.SAMPLE_HELP.strip()
    assert cli("--version").out == f"gan-train {__version__}\n"


@pytest.mark.parametrize(
    "app", [commands.TRAIN, commands.SAMPLE, commands.TRANSLATE, commands.EVALUATE]
)
def test_all_tasks_are_called_alike(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    task = importlib.import_module(app.task)
    parameters = inspect.signature(task.run).parameters
    assert len(parameters) == 2
    monkeypatch.setattr(task, "run", lambda config, from_command_line: (config, from_command_line))
    assert app.run_task({"k": 1}, ["k"]) == ({"k": 1}, ["k"])


@pytest.mark.parametrize("name", ["train", "sample", "translate", "evaluate", "report", "claims"])
def test_console_scripts_lead_to_the_apps(name: str) -> None:
    (script,) = importlib.metadata.entry_points(group="console_scripts", name=f"gan-{name}")
    assert script.load() == getattr(commands, name.upper()).main
    program = Path(sys.executable).parent / script.name
    done = subprocess.run(
        [program, "--version"], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == f"gan-{name} {__version__}\n"


def test_hydras_own_help_stays(cli: Cli) -> None:
    result = cli("--hydra-help")
    assert result.code == 0
    assert "--shell-completion" in result.out


def test_cfg_prints_the_config(cli: Cli) -> None:
    result = cli("--cfg", "job", "noise=uniform", "noise.dim=7")
    assert result.code == 0
    assert "_target_: gan_cli.noise.Uniform" in result.out
    assert "dim: 7" in result.out


def test_completion_in_a_real_bash() -> None:
    program = Path(sys.executable).parent / "gan-train"
    script = f"""
        eval "$({program} -sc install=bash)"
        COMP_LINE="{program} noise=" COMP_POINT=$((${{#COMP_LINE}})) COMP_CWORD=1
        COMP_WORDS=({program} noise=)
        hydra_bash_completion
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    assert set(done.stdout.split()) == {"noise=normal", "noise=uniform", "noise=spherical"}


def test_two_runs_never_share_a_directory(cli: Cli) -> None:
    for number in (1, 2, 3):
        assert cli(*FAST).code == 0
        assert Path(f"outputs/vanilla-digits-{number}/config.yaml").is_file()
    assert cli(*FAST, "name=vanilla-digits-7").code == 0
    assert cli(*FAST).code == 0
    assert Path("outputs/vanilla-digits-8").is_dir()


def test_an_occupied_name_is_rejected(cli: Cli) -> None:
    assert cli(*FAST, "name=mine").code == 0
    before = Path("outputs/mine/metrics.jsonl").read_text()
    result = cli(*FAST, "name=mine")
    assert result.code == 2
    assert "exists already" in result.err
    assert "resume=outputs/mine" in result.err
    assert Path("outputs/mine/metrics.jsonl").read_text() == before


def test_a_run_leaves_what_the_contract_says(cli: Cli) -> None:
    result = cli("steps=4", "log_every=2", "sample_every=2", "checkpoint_every=2", "k=2")
    assert result.code == 0
    run = Path("outputs/vanilla-digits-1")
    names = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    events = {name for name in names if name.startswith("events.out.tfevents.")}
    assert len(events) == 1
    assert names - events - {".lock"} == {
        "config.yaml",
        "metrics.jsonl",
        "train.log",
        "checkpoints/step_00000002.pt",
        "checkpoints/step_00000004.pt",
        "checkpoints/index.json",
        "samples/step_00000000.png",
        "samples/step_00000002.png",
        "samples/step_00000004.png",
        "samples/final.png",
        "samples/real.png",
        "samples/training.gif",
        "filters/step_00000000.png",
        "filters/step_00000002.png",
        "filters/step_00000004.png",
    }
    assert {path.name for path in Path.cwd().iterdir()} == {"outputs"}  # Hydra leaves nothing
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4]
    assert lines[0].keys() >= {
        "loss/d", "loss/g", "prob/real", "prob/fake", "value", "divergence/jsd_bound",
        "grad_norm/d", "grad_norm/g", "lr/d", "lr/g", "time", "images_per_s", "system/memory_mib",
    }  # fmt: skip


def test_the_printed_commands_work(cli: Cli) -> None:
    result = cli(*FAST, "output_dir='my runs (é)'")
    assert result.code == 0
    go_on, sample = (
        next(line for line in result.out.splitlines() if line.strip().startswith(word))
        for word in ("go on", "sample")
    )
    words = shlex.split(go_on.split(maxsplit=2)[2])
    assert words[0].endswith("gan-train")
    assert cli(*words[1:]).code == 0
    words = shlex.split(sample.split(maxsplit=1)[1])
    result = cli(*words[1:], "n=9", app=commands.SAMPLE)
    assert result.code == 0
    assert list(Path("my runs (é)").rglob("grid_step_00000006_seed_0.png"))


def test_dry_run_writes_nothing(cli: Cli) -> None:
    result = cli("dry_run=true")
    assert result.code == 0
    assert "parameters: D" in result.out
    assert not Path("outputs").exists()


def test_own_configs_and_classes(cli: Cli) -> None:
    Path("my_nets.py").write_text(
        "from gan_cli.networks.mlp import Generator\n"
        "class Mine(Generator):\n"
        "    def __init__(self, noise_dim, spec, *, width: int):\n"
        "        super().__init__(noise_dim, spec, hidden=[width], activation='relu',\n"
        "                         maxout_pieces=None, dropout=0.0, init_range=None,\n"
        "                         output_bias='default')\n"
    )
    model = Path("my_configs/model")
    model.mkdir(parents=True)
    (model / "mine.yaml").write_text(
        "defaults: [vanilla]\nname: mine\n"
        "generator: {_target_: my_nets.Mine, width: 12, hidden: null}\n"
    )
    result = cli("--config-dir", "my_configs", "model=mine", *FAST)
    assert result.code == 2  # vanilla's own arguments do not fit Mine
    assert "Mine has no such argument" in result.err
    (model / "mine.yaml").write_text(
        "_target_: gan_cli.games.gan.GAN\nname: mine\nsteps: {other: 3}\n"
        "generator: {_target_: my_nets.Mine, width: 12}\n"
        "discriminator:\n"
        "  {_target_: gan_cli.networks.mlp.Discriminator, hidden: [8], activation: relu,\n"
        "   maxout_pieces: null, dropout_input: 0.0, dropout: 0.0, init_range: null}\n"
    )
    result = cli("--config-dir", "my_configs", "model=mine", *FAST)
    assert result.code == 0
    assert "trust_checkpoint=true" in result.out
    run = "outputs/mine-digits-1"
    for app, words in ((commands.TRAIN, [f"resume={run}", "steps=5"]),
                       (commands.SAMPLE, [f"run={run}"])):  # fmt: skip
        rejected = cli(*words, app=app)
        assert rejected.code == 2
        assert "my_nets.Mine" in rejected.err
        assert "trust_checkpoint=true" in rejected.err
        assert cli(*words, "trust_checkpoint=true", app=app).code == 0


def test_out_of_memory_is_one_message(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from gan_cli.training import loop

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9e15 bytes")

    monkeypatch.setattr(loop, "play", fail)
    result = cli(*FAST, "k=3")
    assert result.code == 1
    for word in ("out of memory", "data.batch_size=8", "data.image_size=8", "k=3"):
        assert word in result.err
    assert "Traceback" not in result.err


def test_a_bug_shows_its_traceback(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from gan_cli.training import loop

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(loop, "play", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        cli(*FAST)


def test_divergence_exits_3_and_saves_nothing_after(cli: Cli) -> None:
    result = cli("optimizer=sgd", "optimizer.lr=1e30", "steps=20", "log_every=1", "sample_every=0")
    assert result.code == 3
    assert "diverged" in result.err
    assert not list(Path("outputs").rglob("*.pt"))


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20))
def test_any_text_survives_quoting(text: str) -> None:
    parsed = OverridesParser.create().parse_override(f"name={hydra_value(text)}")
    assert str(parsed.value()) == text
    for line in (command("gan-train", resume=text), f"gan-train {arguments(resume=text)}"):
        words = shlex.split(line)
        assert len(words) == 2
        assert str(OverridesParser.create().parse_override(words[1]).value()) == text


@pytest.mark.parametrize(
    "value", ["1e3", "007", "null", "True", "nan", "a b", "", "~/x", "$HOME", "\\'"]
)
def test_text_that_looks_like_something_else_stays_text(value: str) -> None:
    parsed = OverridesParser.create().parse_override(f"name={hydra_value(value)}")
    assert str(parsed.value()) == value
    assert not isinstance(parsed.value(), int | float | bool)


@pytest.mark.slow
def test_a_closed_locale_does_not_matter(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gan_cli.train", *FAST, "output_dir='ö'"],
        check=False, cwd=tmp_path, capture_output=True, text=True, timeout=120,
        env={**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_sweep_names_its_jobs_and_survives_a_failed_one(cli: Cli) -> None:
    sweep = ["-m", "noise=uniform", "noise.dim=5", "noise.low=-1,2", "seed=1,2", *FAST]
    result = cli(*sweep, "model.generator.hidden=[4,3]", "name=mine")
    assert result.code == 1  # low=2 lies above high=1
    assert "noise.low-2_seed-1: noise.low=2" in result.err
    assert "2 of the sweep's jobs failed: noise.low-2_seed-1 (failed)" in result.err
    made = {str(path.parent) for path in Path("outputs").rglob("metrics.jsonl")}
    assert made == {"outputs/mine/noise.low--1_seed-1", "outputs/mine/noise.low--1_seed-2"}
    assert cli("resume=outputs/mine/noise.low--1_seed-2", "steps=4").code == 0
    assert cli("-m", "model.generator.hidden=[4],[5,6]", *FAST).code == 0
    assert {path.name for path in Path("outputs/sweep-1").glob("m*") if path.is_dir()} == {
        "model.generator.hidden-4",
        "model.generator.hidden-5-6",
    }
    assert {path.name for path in Path.cwd().iterdir()} == {"outputs"}


def test_a_sweep_can_be_run_again(cli: Cli) -> None:
    sweep = ["-m", "seed=1,2", "name=mine", *FAST]
    assert cli(*sweep).code == 0
    again = cli(*sweep)
    assert again.code == 0
    assert again.out.count("finished") == 2


@pytest.mark.slow
def test_runs_started_together_never_share_a_directory(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        claimed = list(pool.map(lambda _: claim(tmp_path / "o", name=None, label="x"), range(64)))
    assert len(set(claimed)) == 64
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "gan_cli.train", *FAST],
            cwd=tmp_path, stdout=subprocess.DEVNULL,
        )
        for _ in range(3)
    ]  # fmt: skip
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    assert len(list((tmp_path / "outputs").iterdir())) == 3


@pytest.mark.xdist_group("processes")
def test_a_reader_that_leaves_does_not_stop_training(tmp_path: Path) -> None:
    process = Command(gan_train, *FAST, cwd=tmp_path, stdout=PIPE)
    assert process.stdout
    process.stdout.close()
    assert process.wait(120) == 0
    assert list(tmp_path.rglob("step_00000003.pt"))


def test_the_end_shows_the_newest_numbers(cli: Cli) -> None:
    result = cli(*FAST)
    for key in ("loss/d", "prob/fake", "divergence/jsd_bound"):
        assert re.search(rf"{key} .* -?[0-9.]+", result.out)


@pytest.mark.xdist_group("processes")
def test_the_bar_on_a_terminal(tmp_path: Path) -> None:
    master, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    process = Command(gan_train, *FAST, cwd=tmp_path, env=environment, terminal=terminal)
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # the last one to have the terminal open is gone
        while more := os.read(master, 65_536):
            shown += more
    os.close(master)
    assert process.wait(120) == 0
    assert re.search(rb"3/3", shown)
    assert b"D(G(z))" in shown


def test_options_in_the_users_folder_are_suggested_too(cli: Cli) -> None:
    folder = Path("mine/noise")
    folder.mkdir(parents=True)
    (folder / "cauchy.yaml").write_text("_target_: gan_cli.noise.Normal\ndim: 3\nstd: 1.0\n")
    result = cli("--config-dir", "mine", "noise=cauchi")
    assert result.code == 2
    assert "Did you mean cauchy?" in result.err
    assert cli("--config-dir", "mine", "noise=cauchy", *FAST).code == 0
    assert "k=0" in cli("--config-dir", "mine", "k=0").err


def test_networks_that_do_not_fit_are_rejected_before_a_run_exists(cli: Cli) -> None:
    Path("mine.py").write_text(
        "from torch import nn\n"
        "class G(nn.Module):\n"
        "    def __init__(self, noise_dim, spec, *, extra: int):\n"
        "        super().__init__()\n"
        "        self.layer = nn.Linear(noise_dim, spec.size + extra)\n"
        "    def forward(self, z, labels=None):\n"
        "        return self.layer(z).view(len(z), 1, 8, -1)\n"
    )
    Path("conf/model").mkdir(parents=True)
    Path("conf/model/g.yaml").write_text(
        "_target_: gan_cli.games.gan.GAN\nname: g\nsteps: {other: 2}\n"
        "generator: {_target_: mine.G, extra: 8}\n"
        "discriminator:\n"
        "  {_target_: gan_cli.networks.mlp.Discriminator, hidden: [8], activation: relu,\n"
        "   maxout_pieces: null, dropout_input: 0.0, dropout: 0.0, init_range: null}\n"
    )
    result = cli("--config-dir", "conf", "model=g")
    assert result.code == 2
    assert "generator: makes (2, 1, 8, 9) of two z" in result.err
    assert not Path("outputs").exists()
    assert cli("--config-dir", "conf", "model=g", "model.generator.extra=0").code == 0


def test_schedules_that_do_not_end_with_the_run_are_reported(cli: Cli) -> None:
    assert "reaches 0 at step 20000" in cli("schedule=linear_decay", *FAST).out


def test_more_data_asked_for_than_there_are_is_reported(cli: Cli) -> None:
    assert "fewer than m" in cli("data.batch_size=2000", "steps=1").out


def test_single_pictures_keep_their_channels_and_other_files_stay(cli: Cli) -> None:
    assert cli(*FAST, "name=mine").code == 0
    sample = ["run=outputs/mine", "mode=images", "out=x"]
    assert cli(*sample, "n=4", app=commands.SAMPLE).code == 0
    with Image.open("x/0.png") as image:
        assert image.mode == "L"
    assert cli(*sample, "n=4", "seed=1", app=commands.SAMPLE).code == 0
    result = cli(*sample, "n=3", app=commands.SAMPLE)
    assert result.code == 2
    assert "holds other files (3.png" in result.err
    assert cli("run=outputs/mine", "out=x.jpg", app=commands.SAMPLE).code == 2


def test_whole_numbers_among_betas_are_fine(cli: Cli) -> None:
    assert cli(*FAST, "optimizer.betas=[0,0.9]").code == 0


def test_a_full_disk_at_a_checkpoint_does_not_stop_training(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, calls = checkpoint.save, []

    def sometimes(*args: Any, **settings: Any) -> Any:
        calls.append(args)
        if len(calls) < 3:
            raise OSError(28, "No space left on device")
        return save(*args, **settings)

    monkeypatch.setattr(checkpoint, "save", sometimes)
    result = cli(*FAST, "checkpoint_every=1")
    assert result.code == 0
    assert result.out.count("could not be written") == 1
    calls.clear()
    result = cli(*FAST, "checkpoint_every=0")
    assert result.code == 1
    assert "the last checkpoint could not be written" in result.err


@pytest.mark.parametrize(
    ("given_by_user", "spins"),
    [({}, "20000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None)],
)
def test_waiting_threads_sleep_unless_the_user_says_otherwise(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, given_by_user: dict[str, str], spins: str | None
) -> None:
    for key in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(key, "")  # or nothing would be put back afterwards
        monkeypatch.delenv(key)
    for key, value in given_by_user.items():
        monkeypatch.setenv(key, value)
    cli("--version")
    assert os.environ.get("GOMP_SPINCOUNT") == spins
