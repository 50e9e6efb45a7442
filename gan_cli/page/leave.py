"""Leaves the page of a run or a sweep at its end; no fault of a page may end them."""

from __future__ import annotations

import shlex
from pathlib import Path

from gan_cli.page.story import REPORT
from gan_cli.system.terminal import Terminal


def leave_run_page(directory: Path) -> None:
    """Write the page of a run that has ended; if that fails, say so."""
    file = directory / REPORT
    try:
        from gan_cli.page.run_page import write_run_page

        write_run_page(directory, file, running=False)
    except Exception as error:  # noqa: BLE001
        Terminal().say(f"note: {file} could not be written ({error})")


def leave_sweep_page(folder: Path) -> None:
    """Write the page of a sweep that has ended, and say where; if that fails, say so."""
    file = folder / REPORT
    try:
        from gan_cli.page.sweep_page import write_sweep_page

        write_sweep_page(folder, file)
    except Exception as error:  # noqa: BLE001
        Terminal().say(f"note: {file} could not be written ({error})")
    else:
        Terminal().say(f"  report    {shlex.quote(str(file))}")
