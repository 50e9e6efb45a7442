"""torchrun starts all processes anew when one has died; they continue the run they had begun.

A file beside the runs says which one that is, because the command line need not name it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gan_cli.runs.directory import is_unused, lock
from gan_cli.runs.resume import (
    Config,
    Enter,
    Start,
    find_start,
    from_directory,
    with_overrides,
)
from gan_cli.settings.schema import RESUMABLE
from gan_cli.system.ranks import group_name


def mark_of(config: Config) -> Path:
    """The file that says which run this group of processes has begun."""
    return Path(config["output_dir"]) / f".torchrun-{group_name()}"


def find_restart(config: Config, from_command_line: Sequence[str], enter: Enter) -> Start:
    """Decide where a group starts that torchrun has started anew.

    Args:
        config: as composed from the command line.
        from_command_line: the keys that the command line names.
        enter: takes the lock of a run directory before anything in it is read.

    Raises:
        UserError: as for `find_start`.
    """
    mark = mark_of(config)
    begun = Path(mark.read_text(encoding="utf-8")) if mark.is_file() else None
    if begun is None or not begun.is_dir():
        return find_start(config, from_command_line, enter)
    if is_unused(begun):
        enter(lock(begun))
        return Start(config=config, directory=begun)
    start = from_directory(begun, enter)
    start = with_overrides(start, config, from_command_line, allowed=RESUMABLE)
    return replace(start, from_user=True)  # what the command line asked for when it began
