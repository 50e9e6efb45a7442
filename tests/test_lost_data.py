"""Reading processes that die, and folders that vanish in mid-run: one line, after saving."""

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from gan_cli.data.files.batches import Decoder, StreamedBatches
from gan_cli.data.files.decode import Shape
from gan_cli.runs import checkpoint
from tests.conftest import Cli
from tests.test_folders import TINY, fill

STREAMED = [*TINY, "data.cache=false", "checkpoint_every=0", "steps=60"]


def saved_step() -> int:
    newest = checkpoint.read_newest(Path("outputs/r/checkpoints"))
    assert newest.state is not None
    return int(newest.state["step"])


def test_a_worker_that_is_killed_ends_in_one_line(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(Path("x"), {"a": 6})
    plain, main, calls = Decoder.__getitem__, os.getpid(), [0]

    def read(self: Decoder, row: int) -> Any:
        calls[0] += 1
        if calls[0] > 20 and os.getpid() != main:
            os.kill(os.getpid(), signal.SIGKILL)
        return plain(self, row)

    monkeypatch.setattr(Decoder, "__getitem__", read)
    result = cli(*STREAMED, "data.workers=1")
    assert result.code == 1
    assert "a process that reads the data died" in result.err
    assert "data.workers=0" in result.err
    assert "Traceback" not in result.err
    assert len(result.err.strip().splitlines()) == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_a_folder_that_vanishes_ends_in_one_line_after_saving(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    fill(Path("x"), {"a": 6})
    plain = StreamedBatches.fetch

    def fetch(self: StreamedBatches, number: int) -> Any:
        if number == 3:
            shutil.move("x", "y")
        return plain(self, number)

    monkeypatch.setattr(StreamedBatches, "fetch", fetch)
    result = cli(*STREAMED, f"data.workers={workers}")
    assert result.code == 2, result.err
    assert "can be used any more" in result.err
    assert len(result.err.strip().splitlines()) == 1
    step = saved_step()
    assert step >= 3
    assert f"Step {step} is saved" in result.err
    monkeypatch.setattr(StreamedBatches, "fetch", plain)
    shutil.move("y", "x")
    again = cli("resume=outputs/r", f"steps={step + 2}", "data.workers=0")
    assert again.code == 0, again.err


def test_workers_that_fail_are_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(Path("x"), {"a": 6})
    plain, main = Shape.read, os.getpid()

    def read(self: Shape, *arguments: Any) -> Any:
        if os.getpid() != main:
            raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>")
        return plain(self, *arguments)

    monkeypatch.setattr(Shape, "read", read)
    result = cli(*STREAMED, "data.workers=1")
    assert result.code == 1
    assert "unable to allocate shared memory" in result.err
    assert "Resume with data.workers=0" in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert saved_step() == 0
