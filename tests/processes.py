"""Commands in processes of their own, forked from one that has imported everything already.

A process that starts from nothing imports torch and Hydra for seconds. Python's fork server pays
for that once: it imports `tests.preloaded`, and has no threads. Each command is a fork of it, with
standard streams, a folder, an environment and a session of its own. Signals, pipes, terminals and
exit codes are those of any process. Tests of starting up use `subprocess`.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import io
import multiprocessing
import os
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from multiprocessing import forkserver
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parent.parent
PIPE, DEVNULL = subprocess.PIPE, subprocess.DEVNULL


@cache
def start_server() -> None:
    """Start the fork server, which finds the modules that it imports in the current folder."""
    multiprocessing.set_forkserver_preload(["tests.preloaded"])
    with contextlib.chdir(ROOT):
        forkserver.ensure_running()


class Descriptor:
    """An open file that goes along to the process that is being started."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __getstate__(self) -> Any:
        return DupFd(self.number)

    def __setstate__(self, copy: Any) -> None:
        self.number = copy.detach()


@dataclass(frozen=True)
class Setting:
    """What a process begins with; see `Command`."""

    streams: tuple[Descriptor, ...]
    cwd: str
    environment: dict[str, str]
    owns_terminal: bool

    def take(self) -> None:
        """Make it this process's own, as a fresh interpreter would find it."""
        if self.owns_terminal:
            os.setsid()
            fcntl.ioctl(self.streams[0].number, termios.TIOCSCTTY, 0)
        for number, stream in enumerate(self.streams):
            os.dup2(stream.number, number)
            os.close(stream.number)
        os.environ.clear()
        os.environ.update(self.environment)
        os.chdir(self.cwd)
        sys.stdin = os.fdopen(0, closefd=False)
        sys.stdout = os.fdopen(1, "w", closefd=False)  # lines at once on a terminal
        binary = os.fdopen(2, "wb", buffering=0, closefd=False)
        sys.stderr = io.TextIOWrapper(binary, errors="backslashreplace", write_through=True)


def begin(setting: Setting, task: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    """Run the task and end the process as the interpreter ends."""
    multiprocessing.current_process()._config["daemon"] = False  # it may have children
    setting.take()
    code = 0
    try:
        task(*arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0  # as `App.main` ends
    except BaseException:  # noqa: BLE001  (whatever it is, a traceback and 1, as ever)
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except OSError:
        code = 120  # as Python ends when nobody can read its last words
    os._exit(code)


def in_processes(work: Callable[..., None], *arguments: Any) -> None:
    """Run `work(rank, *arguments)` in two processes, and wait for both."""
    import torch.multiprocessing as mp

    start_server()
    mp.start_processes(work, arguments, nprocs=2, start_method="forkserver")


def gan_train(*arguments: str) -> None:
    """What `python -m gan_cli.train` does."""
    from gan_cli.cli import commands

    sys.argv = ["gan-train", *arguments]
    commands.train()


class Command:
    """A task in a process of its own, used like `subprocess.Popen`.

    Args:
        task: a function of a module, and what it is called with.
        cwd: its folder.
        stdout: where it writes: PIPE, DEVNULL, or None: where the tests do.
        env: its environment; None: that of the tests.
        terminal: a terminal that is all three streams, and in whose session it runs.
    """

    def __init__(
        self,
        task: Callable[..., object],
        *arguments: Any,
        cwd: Path,
        stdout: int | None = None,
        env: dict[str, str] | None = None,
        terminal: int | None = None,
    ) -> None:
        start_server()
        self.stdout: IO[bytes] | None = None
        with contextlib.ExitStack() as stack:
            null = stack.enter_context(Path(os.devnull).open("r+b", buffering=0)).fileno()
            output = {None: 1, DEVNULL: null}.get(stdout)
            if output is None:
                reader, output = os.pipe()
                stack.callback(os.close, output)
                self.stdout = os.fdopen(reader, "rb", buffering=0)
            streams = (null, output, 2) if terminal is None else (terminal,) * 3
            setting = Setting(
                tuple(Descriptor(number) for number in streams),
                str(cwd),
                dict(env or os.environ),
                owns_terminal=terminal is not None,
            )
            context = multiprocessing.get_context("forkserver")
            # A daemon: what a failed test leaves running ends with the tests.
            self.process = context.Process(
                target=begin, args=(setting, task, arguments), daemon=True
            )
            self.process.start()

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self.process.exitcode

    def wait(self, timeout: float) -> int:
        """Wait for its end.

        Returns:
            The exit code.
        """
        self.process.join(timeout)
        code = self.process.exitcode
        assert code is not None, f"still running after {timeout} seconds"
        return code

    def send_signal(self, number: int) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def communicate(self, timeout: float) -> str:
        """Read what it writes until it ends, for at most so many seconds."""
        assert self.stdout is not None
        deadline, written = time.monotonic() + timeout, b""
        with self.stdout as pipe:
            while select.select([pipe], [], [], max(0, deadline - time.monotonic()))[0]:
                if not (more := pipe.read(65_536)):
                    break
                written += more
        self.wait(max(1, deadline - time.monotonic()))
        return written.decode()
