"""What a config from a checkpoint may read: local data, said; addresses only if the user agrees.

A run may come from a stranger. Its config chooses no address to fetch from, no weights for an
evaluation and no folder to download into, unless the command line names them or
`trust_checkpoint=true` is given.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from gan_cli.data.base import AnyDataset, DataSource, Progress
from gan_cli.errors import Problem, SettingsError, UserError
from gan_cli.settings.build import load_data, make
from gan_cli.settings.targets import Node, foreign_targets

#: Keys of a data set that say where its files lie.
PATHS = ("data.root", "data.a", "data.b", "data.shards", "data.file", "data.path")
MOST_NAMED = 3  # addresses in a message
ADVICE = "or trust all of the checkpoint: trust_checkpoint=true"


def place_problems(config: Node, source: DataSource, named: Collection[str]) -> list[Problem]:
    """What only a checkpoint asks to have fetched or loaded.

    Args:
        config: from a checkpoint, with what the command line changed in it.
        source: its data.
        named: keys that the command line names.
    """
    problems = address_problems(source, named)
    inception = config["inception"]
    if inception is not None and config["eval_every"] and "inception" not in named:
        advice = (
            "only the checkpoint names these weights of Inception, so they are not loaded. Name "
            f"them yourself: inception=FILE, inception=download or inception=null; {ADVICE}"
        )
        problems.append(Problem("inception", inception, advice))
    return problems


def address_problems(source: DataSource, named: Collection[str] = ()) -> list[Problem]:
    """Addresses of data that only a checkpoint names."""
    addresses = source.addresses
    if not addresses or {"data.shards", "data.path"} & set(named):
        return []
    more = ", ..." if len(addresses) > MOST_NAMED else ""
    listed = ", ".join(addresses[:MOST_NAMED]) + more
    advice = (
        f"only the checkpoint names {listed}, so nothing is read from there. Name the place "
        f"yourself; {ADVICE}"
    )
    return [Problem.about(source.address_key, advice)]


def require_known_places(config: Node, named: Collection[str] = ()) -> None:
    """Reject addresses of data in a config from a checkpoint that the command line does not name.

    Raises:
        UserError: there are some.
    """
    if problems := address_problems(make(config, "data"), named):
        raise UserError(problems, where="the checkpoint's configuration")


def path_notes(config: Node, named: Collection[str]) -> list[str]:
    """Which local places are read because a checkpoint says so."""
    notes = []
    for key in PATHS:
        value = config["data"].get(key.removeprefix("data."))
        if value is not None and key not in named:
            notes.append(f"{key}={value} is the checkpoint's: data are read there.")
    return notes


def load_without_download(config: Node, *, progress: Progress = lambda *_: None) -> AnyDataset:
    """The configured data, if they are there: nothing is written where a checkpoint points.

    Raises:
        UserError: they are not there, or cannot be read.
    """
    try:
        return load_data(without_download(config), progress=progress)
    except UserError as error:
        if not config["data"].get("download"):
            raise
        advice = (
            "only the checkpoint names this folder, so nothing is downloaded into it. Name it "
            f"yourself: data.root=FOLDER; {ADVICE}"
        )
        root = Problem("data.root", config["data"].get("root"), advice)
        raise UserError([*error.problems, root], where="the data") from error


def without_download(config: Node) -> dict[str, Any]:
    """The config to read data by that are there already."""
    data = dict(config["data"])
    if data.get("download"):
        data["download"] = False
    return {**config, "data": data}


def needs_trust(config: Node) -> bool:
    """Whether a run of this config can be resumed only with `trust_checkpoint=true`."""
    try:
        source = make(config, "data")
    except (UserError, SettingsError):  # which no flag mends
        return False
    return bool(place_problems(config, source, ()))


def trust_flags(config: Node) -> dict[str, object]:
    """What printed commands must add to load classes from outside gan_cli and torch."""
    return {"trust_checkpoint": True} if foreign_targets(config) else {}


def resume_flags(config: Node) -> dict[str, object]:
    """What printed commands that read the run's data must add.

    The config may be a stranger's: its data are made only if their class is ours.
    """
    return trust_flags(config) or ({"trust_checkpoint": True} if needs_trust(config) else {})
