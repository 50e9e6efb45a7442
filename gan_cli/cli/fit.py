"""`gan_cli.fit`: what gan-train does, from Python or a notebook."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from typing_extensions import override

from gan_cli.cli.arguments import prepare
from gan_cli.cli.commands import TRAIN
from gan_cli.errors import Problem, UserError
from gan_cli.loading import TrainedModel, load_run
from gan_cli.runs.log import REAL, SAMPLES, last_picture
from gan_cli.runs.records import read_lines
from gan_cli.runs.watching import Watcher, watched_by

#: The one flag that changes what is trained rather than what the command does.
FOLDER_FLAG = "--config-dir"


class Run:
    """A run that `gan_cli.fit` has trained.

    Attributes:
        path: the run directory.
        finished: whether it came to its end; a run that was interrupted has not.
    """

    def __init__(self, path: Path, *, finished: bool) -> None:
        self.path, self.finished = path, finished

    @property
    def metrics(self) -> list[dict[str, float]]:
        """The lines of metrics.jsonl, each with its `step`; ready for `pandas.DataFrame`."""
        return list(read_lines(self.path))

    @property
    def pictures(self) -> list[Path]:
        """The pictures of samples, in the order of their steps; the one of the end is the last."""
        end = last_picture(self.path)
        return [*sorted(end.parent.glob("step_*.png")), *([end] if end.is_file() else [])]

    def load(self, *, device: str = "cpu", trust_checkpoint: bool = False) -> TrainedModel:
        """The trained model, as `gan_cli.load` gives it."""
        return load_run(self.path, device=device, trust_checkpoint=trust_checkpoint)

    @override
    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, finished={self.finished})"


class Notebook(Watcher):
    """Notes where a run lies; in a notebook, shows its newest picture in place of the last one."""

    def __init__(self, *, show: bool) -> None:
        self.directory: Path | None = None
        self.show = show and in_notebook()
        self._display: Any = None

    @override
    def opened(self, directory: Path) -> None:
        self.directory = directory

    @override
    def drawn(self, picture: Path) -> None:
        if not self.show or picture.parent.name != SAMPLES or picture.name == REAL:
            return
        import IPython.display as inline

        image = inline.Image(filename=str(picture))
        if self._display is None:
            self._display = inline.display(image, display_id=True)
        else:
            self._display.update(image)


def in_notebook() -> bool:
    """Whether this runs in a kernel that can show pictures."""
    ipython = sys.modules.get("IPython")  # imported by every kernel
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


def train_here(overrides: Sequence[str], *, show: bool) -> Run:
    """See `gan_cli.fit`."""
    if isinstance(overrides, str) or not all(isinstance(text, str) for text in overrides):
        raise TypeError('overrides: must be a list of settings, like ["data=ring", "steps=100"]')
    if problems := flag_problems(overrides):
        raise UserError(problems)
    watching = Notebook(show=show)
    with as_before(), watched_by(watching):
        arguments = sys.argv[1:] = prepare(list(overrides))
        code = TRAIN.call(arguments)
    assert watching.directory is not None
    return Run(watching.directory, finished=code == 0)


def flag_problems(overrides: Sequence[str]) -> list[Problem]:
    """What is a flag of the command, but no setting."""
    problems = []
    for text in overrides:
        if text.startswith("-") and not text.startswith(f"{FOLDER_FLAG}="):
            advice = f"is a flag of gan-train. Give settings, like steps=100, or {FOLDER_FLAG}=DIR"
            if text in ("-m", "--multirun"):
                advice = "fit trains one run. Call it in a loop, or use gan-train for a sweep"
            problems.append(Problem.about(text, advice))
        elif text.replace(" ", "").lower() == "dry_run=true":
            problems.append(Problem("dry_run", True, "trains nothing. Use gan-train for it"))
    return problems


@contextmanager
def as_before() -> Iterator[None]:
    """Give back what training sets for the whole process: arguments, threads, random streams."""
    from hydra.core.global_hydra import GlobalHydra

    running = GlobalHydra.instance()
    arguments, threads, hydra = sys.argv, torch.get_num_threads(), running.hydra
    deterministic = torch.are_deterministic_algorithms_enabled()
    precision, tf32 = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    sys.argv, running.hydra = [TRAIN.name], None
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        sys.argv, GlobalHydra.instance().hydra = arguments, hydra
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.allow_tf32 = tf32
