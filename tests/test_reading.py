"""Checkpoints are read while another process writes them, and damaged ones say what to do next."""

import shlex
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from gan_cli.cli import commands
from gan_cli.errors import UserError
from gan_cli.runs import checkpoint
from tests.conftest import Cli
from tests.test_trust import RUN, SMALL, THEIRS

PLAIN: dict[str, Any] = {"config": {}, "spec": {}, "environment": {}}


def test_a_run_is_read_while_it_is_written(tmp_path: Path) -> None:
    weights = torch.randn(200_000)

    def save(step: int) -> None:
        state = {"step": step, "session": {"weights": weights}, **PLAIN}
        checkpoint.save(tmp_path, state, keep_last=1, keep_every=0)

    def write() -> None:
        step = 1
        while not stop.is_set():
            step += 1
            save(step)

    save(1)
    stop = threading.Event()
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(150):
            newest = checkpoint.read_newest(tmp_path)
            assert newest.state is not None
            assert newest.damaged == []
    finally:
        stop.set()
        writer.join()


def test_a_file_that_goes_away_while_it_is_read_is_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, tried = checkpoint.read, []

    def overtaken(path: Path) -> dict[str, Any]:
        if not tried:  # the process that trains replaces it now
            path.unlink()
            checkpoint.save(
                tmp_path, {"step": 3, "session": {}, **PLAIN}, keep_last=9, keep_every=0
            )
        tried.append(path)
        return read(path)

    for step in (1, 2):
        checkpoint.save(tmp_path, {"step": step, "session": {}, **PLAIN}, keep_last=9, keep_every=0)
    monkeypatch.setattr(checkpoint, "read", overtaken)
    newest = checkpoint.read_newest(tmp_path)
    assert newest.state is not None
    assert (newest.state["step"], newest.damaged) == (3, [])


def damage(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:3000])


def advised(message: str) -> list[str]:
    """The arguments that a message ends with."""
    return shlex.split(message.strip().splitlines()[-1].partition(": ")[2])


def test_a_damaged_checkpoint_says_which_one_is_good(cli: Cli) -> None:
    assert cli(*RUN, *SMALL, "checkpoint_every=1", "keep_last=9").code == 0
    folder = THEIRS / "checkpoints"
    damage(folder / "step_00000002.pt")
    file = folder / "step_00000002.pt"
    result = cli(f"resume={file}")
    assert result.code == 2
    assert "step_00000001.pt is good, at step 1" in result.err
    assert cli(*advised(result.err)).code == 0
    result = cli(f"run={file}", app=commands.SAMPLE)
    assert result.code == 2
    assert cli(*advised(result.err), app=commands.SAMPLE).code == 0


def test_a_run_without_good_checkpoints_says_what_is_left(cli: Cli) -> None:
    assert cli(*RUN, *SMALL, "checkpoint_every=1").code == 0
    folder = THEIRS / "checkpoints"
    state = checkpoint.read(folder / "step_00000002.pt")
    state.pop("format")
    checkpoint.save_best(folder, state)
    for file in checkpoint.list_checkpoints(folder):
        damage(file)
    result = cli(f"resume={THEIRS}")
    assert result.code == 2
    assert "best.pt is good, at step 2" in result.err
    assert cli(*advised(result.err)).code == 0
    damage(folder / "best.pt")
    result = cli(f"run={THEIRS}", app=commands.SAMPLE)
    assert result.code == 2
    assert "Start a new run, or bring a copy back." in result.err


def test_good_checkpoints_are_not_searched_for_where_there_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such"):
        checkpoint.read(tmp_path / "step_00000001.pt")
