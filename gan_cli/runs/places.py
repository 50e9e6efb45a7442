"""Where a stored run's data lie, if its config names them relative to where it was started."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

#: Keys of `data` that hold a path.
PATHS = ("root", "a", "b", "path", "file")
#: The entry of a checkpoint's environment that holds the folder.
FOLDER = "folder"


def find_data(
    config: Mapping[str, Any], folder: object, *, given: Collection[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    """The config with paths that can be read from the current folder.

    A relative path that does not exist here, but does in the folder that the run was started in,
    becomes absolute. All others stay as they are.

    Args:
        config: as stored; it stays as it is.
        folder: that the run was started in; None: not known.
        given: keys that the command line names, which mean the current folder.

    Returns:
        The config, and a note for each path that was found in `folder`.
    """
    data = dict(config["data"])
    notes = []
    for key in PATHS:
        path = data.get(key)
        if f"data.{key}" in given or not isinstance(path, str) or not isinstance(folder, str):
            continue
        there = Path(folder) / path
        if path and not Path(path).is_absolute() and not Path(path).exists() and there.exists():
            data[key] = str(there)
            notes.append(
                f"data.{key}={path} is not in this folder; taken from {folder}, where the run was "
                "started"
            )
    return {**config, "data": data}, notes
