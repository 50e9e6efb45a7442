"""A run, checkpoint or cache from somebody else runs no code and reaches nothing elsewhere."""

import os
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from rich.table import Table

from gan_cli.cli import commands
from gan_cli.errors import UserError
from gan_cli.evaluation.encoders import Inception
from gan_cli.runs import checkpoint, directory
from gan_cli.system.files import Appender
from gan_cli.system.terminal import Terminal
from tests.conftest import Cli, Result

RUN = ("steps=2", "sample_every=0", "log_every=1", "threads=1", "model.generator.hidden=[4]")
SMALL = ("model.discriminator.hidden=[4]", "data.batch_size=4", "name=theirs")
THEIRS = Path("outputs/theirs")
CPU = torch.device("cpu")


class Bomb:
    """Runs code when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def make(cli: Cli, *more: str) -> None:
    assert cli(*RUN, *SMALL, *more).code == 0


def alter(**changes: Any) -> Path:
    """What a stranger may write into a run: other values of keys like `data.root`."""
    for file in checkpoint.list_checkpoints(THEIRS / "checkpoints"):
        state = checkpoint.read(file)
        for key, value in changes.items():
            *parents, last = key.split("__")
            node = state["config"]
            for part in parents:
                node = node[part]
            node[last] = value
        state.pop("format")
        checkpoint.write(file, state)
        directory.write_config(THEIRS, state["config"])
    return checkpoint.list_checkpoints(THEIRS / "checkpoints")[0]


@pytest.mark.parametrize("dry", ["dry_run=true", "dry_run=false"])
def test_weights_that_a_checkpoint_names_are_not_loaded(cli: Cli, tmp_path: Path, dry: str) -> None:
    make(cli)
    torch.save(Bomb(tmp_path / "mark"), tmp_path / "weights.pth")
    alter(inception=str(tmp_path / "weights.pth"), eval_every=1, eval_metrics=["kid"])
    result = cli(f"resume={THEIRS}", "steps=3", dry)
    assert result.code == 2
    assert f"inception={tmp_path}/weights.pth" in result.err
    assert "trust_checkpoint=true" in result.err
    assert not (tmp_path / "mark").exists()
    assert cli(f"resume={THEIRS}", "steps=3", "inception=null", "eval_every=0").code == 0


def test_weights_are_read_without_running_code(tmp_path: Path) -> None:
    torch.save(Bomb(tmp_path / "mark"), tmp_path / "weights.pth")
    with pytest.raises(UserError, match="cannot be loaded"):
        Inception(str(tmp_path / "weights.pth"), device=CPU)
    torch.save({"a": Bomb(tmp_path / "mark")}, tmp_path / "weights.pth")
    with pytest.raises(UserError, match="cannot be loaded"):
        Inception(str(tmp_path / "weights.pth"), device=CPU)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("shards", ["http://127.0.0.1:9/x.tar", "{http,https}://127.0.0.1:9/x.tar"])
def test_addresses_that_a_checkpoint_names_are_not_read(
    cli: Cli, shards: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("webdataset")

    def fetched(*_: object) -> None:
        raise AssertionError("an address was read")

    make(cli)
    data = {
        "_target_": "gan_cli.data.webdataset.WebDataset",
        "name": "webdataset",
        "validation": 0,
        "batch_size": 4,
        "root": ".",
        "shards": shards,
        "images": None,
        "classes": 10,
        "channels": 1,
        "image_size": 8,
        "load_size": None,
        "resize": "cover",
        "crop": "center",
        "flip": False,
        "shuffle_buffer": 0,
        "workers": 0,
        "pixel_range": [-1.0, 1.0],
    }
    alter(data=data)
    monkeypatch.setattr("webdataset.gopen", fetched)
    for result in (
        cli(f"resume={THEIRS}", "steps=3"),
        cli(f"resume={checkpoint.list_checkpoints(THEIRS / 'checkpoints')[0]}", "steps=3"),
        cli(f"run={THEIRS}", app=commands.EVALUATE),
    ):
        assert result.code == 2
        assert "http://127.0.0.1:9/x.tar" in result.err
        assert "trust_checkpoint=true" in result.err
    # Named by the user, the missing file is what is wrong.
    result = cli(f"resume={THEIRS}", "steps=3", "data.shards=mine.tar")
    assert result.code == 2
    assert "no such file: " in result.err


@pytest.mark.parametrize("output_dir", ["{tmp}/elsewhere", "../elsewhere"])
def test_a_new_run_goes_where_the_user_has_runs(cli: Cli, tmp_path: Path, output_dir: str) -> None:
    make(cli)
    stored = output_dir.format(tmp=tmp_path)
    file = alter(output_dir=stored)
    result = cli(f"resume={file}", "steps=3")
    assert result.code == 0
    assert f"output_dir=outputs, not to the checkpoint's ({stored})" in result.out
    assert Path("outputs/vanilla-digits-1/checkpoints/step_00000003.pt").is_file()
    assert not Path(stored).exists()
    assert cli(f"resume={file}", "steps=3", "output_dir=mine").code == 0
    assert Path("mine/vanilla-digits-1").is_dir()
    result = cli(f"resume={file}", "steps=3", "trust_checkpoint=true")
    assert result.code == 0
    assert Path(stored, "vanilla-digits-1").is_dir()


def test_local_data_of_a_checkpoint_are_named(cli: Cli, mnist_root: Path) -> None:
    make(cli, "data=mnist", f"data.root='{mnist_root}'")
    result = cli(f"resume={THEIRS}", "steps=3")
    assert result.code == 0
    assert f"data.root={mnist_root} is the checkpoint's" in result.out
    result = cli(f"resume={THEIRS}", "steps=4", f"data.root='{mnist_root}'")
    assert "is the checkpoint's" not in result.out


def test_nothing_is_downloaded_into_a_checkpoints_folder(
    cli: Cli, mnist_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched(*_: object, **__: object) -> None:
        raise RuntimeError("the network was asked")

    make(cli, "data=mnist", f"data.root='{mnist_root}'")
    monkeypatch.setattr("gan_cli.data.mnist.fetch", fetched)
    alter(data__root=str(tmp_path / "elsewhere"))
    result: Result = cli(f"resume={THEIRS}", "steps=3")
    assert result.code == 2
    assert "Name it yourself: data.root=FOLDER" in result.err
    assert not (tmp_path / "elsewhere").exists()


LINKED = (
    "train.log",
    "metrics.jsonl",
    "config.yaml",
    "samples/step_00000000.png",
    "events.out.tfevents.1",
    "checkpoints/best.pt",
    "theory/step_1.png",
    ".lock",
)


@pytest.mark.parametrize("inner", LINKED)
def test_links_that_lead_out_of_a_run_are_not_written_through(
    cli: Cli, tmp_path: Path, inner: str
) -> None:
    make(cli)
    victim = tmp_path / "victim"
    victim.write_text(THEIRS.joinpath("config.yaml").read_text())
    before = victim.read_bytes()
    link = THEIRS / inner
    link.unlink(missing_ok=True)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(victim)
    for result in (
        cli(f"resume={THEIRS}", "steps=3"),
        cli(f"run={THEIRS}", app=commands.SAMPLE),
        cli(f"run={THEIRS}", "n=4", app=commands.EVALUATE),
    ):
        assert result.code == 2
        assert f"{inner} -> {victim}" in result.err
        assert result.err.count("\n") == 1
    assert victim.read_bytes() == before
    assert cli(f"run={THEIRS}", "out=mine.png", app=commands.SAMPLE).code == 0
    link.unlink()  # the advice
    if inner == "config.yaml":
        link.write_bytes(before)
    assert cli(f"resume={THEIRS}", "steps=3").code == 0


@pytest.mark.parametrize("folder", ["checkpoints", "samples"])
def test_linked_folders_are_not_written_to(cli: Cli, tmp_path: Path, folder: str) -> None:
    make(cli)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (THEIRS / folder).mkdir(exist_ok=True)
    for file in (THEIRS / folder).iterdir():
        file.rename(elsewhere / file.name)
    (THEIRS / folder).rmdir()
    (THEIRS / folder).symlink_to("../../elsewhere", target_is_directory=True)
    before = sorted(elsewhere.iterdir())
    result = cli(f"resume={THEIRS}", "steps=3")
    assert result.code == 2
    assert f"{folder} -> ../../elsewhere" in result.err
    assert sorted(elsewhere.iterdir()) == before


def test_links_inside_a_run_and_to_it_are_fine(cli: Cli, tmp_path: Path) -> None:
    make(cli)
    (THEIRS / "log").symlink_to("train.log")
    (tmp_path / "link").symlink_to(THEIRS.resolve(), target_is_directory=True)
    assert cli("resume=link", "steps=3").code == 0
    assert cli("run=link", app=commands.SAMPLE).code == 0


def test_pipes_in_a_run_do_not_stop_the_world(cli: Cli) -> None:
    make(cli)
    (THEIRS / "metrics.jsonl").unlink()
    os.mkfifo(THEIRS / "metrics.jsonl")
    result = cli(f"resume={THEIRS}", "steps=3")
    assert result.code == 2
    assert "metrics.jsonl (a pipe or device)" in result.err


def test_old_checkpoints_are_not_deleted_through_a_link(tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "run" / "checkpoints"
    elsewhere.mkdir()
    folder.parent.mkdir()
    (elsewhere / "step_00000001.pt").touch()
    folder.symlink_to(elsewhere, target_is_directory=True)
    state = {"step": 2, "config": {}, "spec": {}, "environment": {}, "session": {}}
    checkpoint.save(folder, state, keep_last=1, keep_every=0)
    assert (elsewhere / "step_00000001.pt").exists()


def test_names_do_not_reach_the_terminal_raw(cli: Cli, tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07\u202e" + os.fsdecode(b"\xff")
    root = tmp_path / f"data{evil}"
    for name in ("a", f"b{evil}"):
        (root / name).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (8, 8), (number * 60, 0, 0)).save(root / name / f"{number}.png")
    (root / "a" / f"broken{evil}.png").write_bytes(b"nothing")
    quoted = str(root).replace("'", "\\'")
    make(cli, "data=image_folder", f"data.root='{quoted}'", "data.image_size=8")
    for result in (
        cli(f"resume={THEIRS}", "steps=3"),
        cli(f"run={THEIRS}", "labels=[nobody]", app=commands.SAMPLE),
        cli(f"resume='{quoted}'"),
    ):
        assert result.out + result.err
        assert not set("\x1b\x07\u202e\udcff") & set(result.out + result.err)
    log = (THEIRS / "train.log").read_bytes()
    assert b"\x1b" not in log
    assert rb"\x1b]0;owned\x07\u202e\udcff is the checkpoint's" in log


def test_tables_show_names_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(show_header=False)
    table.add_row("a\x1b[31mb")
    Terminal().print(table)
    assert r"a\x1b" in capsys.readouterr().out


def test_train_log_keeps_a_line_that_is_no_utf8(tmp_path: Path) -> None:
    appender = Appender(tmp_path / "log")
    appender.write(os.fsdecode(b"caf\xe9\n"))
    appender.close()
    assert (tmp_path / "log").read_text() == "caf\\udce9\n"


def test_the_advice_for_a_finished_checkpoint_works_and_imports_nothing_before(cli: Cli) -> None:
    make(cli)
    Path("theirs_too.py").write_text(
        "from pathlib import Path\nfrom gan_cli.losses import NonSaturating\n"
        "Path('mark').touch()\nclass Mine(NonSaturating):\n    pass\n"
    )
    file = alter(loss___target_="theirs_too.Mine", steps=2)
    result = cli(f"resume={file}")
    assert result.code == 2
    assert not Path("mark").exists()
    line = next(line for line in result.err.splitlines() if "to continue from it" in line)
    arguments = shlex.split(line.partition("gan-train")[2])
    assert "trust_checkpoint=true" in arguments
    assert cli(*arguments).code == 0
