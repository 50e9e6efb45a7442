"""`gan_cli.fit` does what gan-train does, and gives the run back."""

import os
import re
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import gan_cli
from gan_cli.cli.fit import Notebook
from gan_cli.errors import DivergedError, UserError
from gan_cli.runs.records import read_lines, without_machine
from tests.conftest import Cli

SHORT = ("steps=4", "log_every=2", "sample_every=2", "report=false")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hydra._internal.hydra.Hydra.get_mode", lambda *_, **__: None)


def test_it_trains_what_the_command_trains(cli: Cli) -> None:
    run = gan_cli.fit([*SHORT, "name=mine"])
    assert cli(*SHORT, "name=theirs").code == 0
    assert run.path == Path("outputs/mine")
    assert run.finished
    theirs = list(map(without_machine, read_lines(Path("outputs/theirs"))))
    assert list(map(without_machine, run.metrics)) == theirs
    assert [line["step"] for line in run.metrics] == [2, 4]
    names = ["step_00000000.png", "step_00000002.png", "step_00000004.png", "final.png"]
    assert [path.name for path in run.pictures] == names
    assert torch.equal(run.load().sample(3, seed=1), gan_cli.load(run.path).sample(3, seed=1))


def test_it_leaves_the_callers_process_as_it_was() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    arguments, threads = list(sys.argv), torch.get_num_threads()
    gan_cli.fit([*SHORT, f"threads={threads + 1}"])
    assert torch.equal(torch.rand(3), expected)
    assert sys.argv == arguments
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=dcgn"], "Did you mean dcgan?"),
        (["stepz=3"], "Did you mean steps?"),
        (["steps=-3", "k=0"], "2 problems in the configuration"),
        (["steps=many"], "steps=many"),
        (["resume=nowhere"], "no such run directory"),
        (["-m", "seed=1,2"], "Call it in a loop"),
        (["--help"], "is a flag of gan-train"),
        (["dry_run=true"], "trains nothing"),
        (["data=image_folder", "data.root=missing"], "missing"),
    ],
)
def test_a_bad_setting_is_one_exception(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        gan_cli.fit(overrides)
    assert not Path("outputs").exists()


@pytest.mark.parametrize("overrides", ["model=dcgan", [{"model": "dcgan"}]])
def test_settings_are_a_list_of_text(overrides: Any) -> None:
    with pytest.raises(TypeError, match="must be a list of settings"):
        gan_cli.fit(overrides)


def test_training_that_diverges_says_so() -> None:
    with pytest.raises(DivergedError, match=r"optimizer\.lr"):
        gan_cli.fit(["optimizer=sgd", "optimizer.lr=1e30", "steps=50", "report=false"])


def test_ctrl_c_saves_and_gives_the_run_back() -> None:
    def interrupt() -> None:
        while not list(Path().glob("outputs/*/metrics.jsonl")):
            time.sleep(0.05)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    run = gan_cli.fit(["steps=100000", "report=false"])
    thread.join()
    assert not run.finished
    saved = run.load().step
    assert 0 < saved < 100_000
    more = gan_cli.fit([f"resume={run.path}", f"steps={saved + 2}"])
    assert more.finished
    assert more.path.resolve() == run.path.resolve()
    assert more.load().step == saved + 2
    again = gan_cli.fit([f"resume={run.path}"])  # there is nothing left to do
    assert again.path.resolve() == run.path.resolve()


def test_a_notebook_shows_the_newest_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class Handle:
        def update(self, image: str) -> None:
            shown.append(f"update {Path(image).name}")

    def display(image: str, *, display_id: bool) -> Handle:
        assert display_id
        shown.append(f"new {Path(image).name}")
        return Handle()

    inline = SimpleNamespace(Image=lambda filename: filename, display=display)
    shell = SimpleNamespace(kernel=object())
    ipython = SimpleNamespace(get_ipython=lambda: shell, display=inline)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", inline)
    assert not Notebook(show=False).show
    gan_cli.fit([*SHORT, "name=shown"])
    first, *others = shown
    assert first == "new step_00000000.png"
    assert others == [
        f"update {name}" for name in ("step_00000002.png", "step_00000004.png", "final.png")
    ]


@pytest.mark.docs
def test_the_notebook_runs(tmp_path: Path) -> None:
    """The cells give what `docs/notebook.ipynb` shows, up to numbers."""
    pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    from docs.make_notebook import PAGE, executed, notebook

    stored = nbformat.read(PAGE, as_version=4)
    sources = [cell.source for cell in notebook().cells]
    assert [cell.source for cell in stored.cells] == sources, "make notebook"

    def kinds(cell: Any) -> set[str]:
        return {kind for output in cell.get("outputs", []) for kind in output.get("data", {})}

    book = executed(notebook(), tmp_path)
    assert list(map(kinds, book.cells)) == list(map(kinds, stored.cells))
    assert sum("image/png" in kinds(cell) for cell in book.cells) == 4
    assert "/bin/" not in PAGE.read_text(), "paths of a machine"
