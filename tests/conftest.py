"""What many tests share: the command line in this process, and a tiny MNIST on disk."""

from __future__ import annotations

import gc
import gzip
import logging
import shutil
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_cli.cli import commands
from gan_cli.cli.app import App
from gan_cli.evaluation import encoders
from tests import composing


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str


Cli = Callable[..., Result]


def pytest_collection_finish() -> None:
    """Let the garbage collector look less often, and not at what was imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def _configs_are_read_once() -> Iterator[None]:
    """Thousands of commands compose the product's own files, which no test changes."""
    with pytest.MonkeyPatch.context() as patch:
        composing.remember(patch)
        yield


@pytest.fixture(autouse=True)
def _shared_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One cache for all tests of a process, and classifiers that learn for seconds."""
    monkeypatch.setenv("GAN_TRAIN_CACHE", str(tmp_path_factory.getbasetemp() / "shared cache"))
    monkeypatch.setattr(encoders, "STEPS", 20)


@pytest.fixture
def cli(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Cli:
    """Run a console script in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    # Hydra composes every config twice, once to look for hydra.mode, which no test sets.
    monkeypatch.setattr("hydra._internal.hydra.Hydra.get_mode", lambda *_, **__: None)

    def run(*arguments: str, app: App = commands.TRAIN) -> Result:
        monkeypatch.setattr(sys, "argv", [app.name, *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            app.main()
        code = ended.value.code
        assert isinstance(code, int)
        return Result(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def runs_made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `run_of` keeps what was trained."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def run_of(cli: Cli, runs_made: Path) -> Callable[..., None]:
    """Train a run into `outputs` with these arguments, or copy what they gave an earlier test."""

    def make(name: str, *arguments: str) -> None:
        kept = runs_made / sha256(repr((name, arguments)).encode()).hexdigest()
        if not kept.exists():
            result = cli(*arguments, f"name={name}")
            assert result.code == 0, result.err
            shutil.copytree(Path("outputs", name), kept)
        elif not Path("outputs", name).exists():
            shutil.copytree(kept, Path("outputs", name))

    return make


@pytest.fixture(autouse=True)
def _pages(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs write a page at their end; only tests with the marker `report` need it."""
    if "report" not in request.keywords:
        monkeypatch.setattr("gan_cli.train.leave_run_page", lambda _: None)
        monkeypatch.setattr("gan_cli.cli.sweep.overview.leave_sweep_page", lambda _: None)


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """Libraries may log to the standard error of one test, which is closed in the next."""
    handlers = list(logging.getLogger().handlers)
    yield
    for handler in set(logging.getLogger().handlers) - set(handlers):
        logging.getLogger().removeHandler(handler)


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """Runs set PyTorch's thread count; give it back."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def idx_bytes(values: np.ndarray) -> bytes:
    """An IDX file of unsigned bytes."""
    header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    return header + values.astype(np.uint8).tobytes()


@pytest.fixture
def mnist_root(tmp_path: Path) -> Path:
    """A data.root with 200 random images under MNIST's names, images gzipped, labels not."""
    random = np.random.default_rng(0)
    folder = tmp_path / "my data" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    images = random.integers(0, 256, (200, 28, 28))
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(images)))
    labels = random.integers(0, 10, 200)
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    return tmp_path / "my data"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
