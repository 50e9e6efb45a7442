"""Run directories: claimed atomically, identified by path, locked while in use."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import filelock

from gan_cli.errors import Problem, UserError
from gan_cli.runs import checkpoint
from gan_cli.settings.yaml_text import UNREADABLE, config_text, parse_yaml
from gan_cli.system.files import leads_out, locked, replacing, strange_entries
from gan_cli.system.plain import read_plain
from gan_cli.system.shell import arguments, command

CONFIG = "config.yaml"
LOCK = ".lock"
LARGEST_CONFIG = 2**20  # bytes
MOST_NAMED = 5  # links in a message


def claim(
    output_dir: Path, *, name: str | None, label: str, flags: dict[str, object] | None = None
) -> Path:
    """Make a run's directory, which no other run has or gets.

    Args:
        output_dir: the folder of all runs; made if not there.
        name: the run's name; None: `<label>-<next free number>`.
        label: start of the name if none is given.
        flags: what else the command to resume an existing run of that name must say.

    Raises:
        UserError: the name is taken, or the folder cannot be made.
    """
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        if name is not None:
            return _claim_named(output_dir / name, flags or {})
        number = 1 + max(_numbers(output_dir, label), default=0)
        while True:
            directory = output_dir / f"{label}-{number}"
            try:
                directory.mkdir()
            except FileExistsError:  # another run was faster
                number += 1
            else:
                return directory
    except OSError as error:
        advice = f"cannot be written ({error.strerror}). Give a folder you may write to."
        raise UserError(Problem("output_dir", output_dir, advice)) from error


def _claim_named(directory: Path, flags: dict[str, object]) -> Path:
    directory.parent.mkdir(parents=True, exist_ok=True)
    try:
        directory.mkdir()
    except FileExistsError as error:
        advice = (
            f"{directory} exists already, and is left as it is.\n"
            f"  to continue it:       {command('gan-train', resume=directory, **flags)}\n"
            "  to start another run: give another name, or none"
        )
        raise UserError(Problem("name", directory.name, advice)) from error
    return directory


def _numbers(output_dir: Path, label: str) -> list[int]:
    pattern = re.compile(re.escape(label) + r"-(\d+)")
    matches = (pattern.fullmatch(path.name) for path in output_dir.iterdir())
    return [int(match[1]) for match in matches if match]


def runs_beside(path: Path) -> str:
    """A hint that names the runs in the folder where a path should be; empty: there are none."""
    near = path.parent if path.parent.is_dir() else None
    runs = sorted(str(p) for p in near.iterdir() if is_run(p)) if near else []
    return f" Runs there: {', '.join(runs[:8])}" if runs else ""


def find_run(path: Path, *, key: str) -> Path:
    """The run directory or checkpoint file a user named.

    Args:
        path: what the user gave.
        key: the config key it was given for, for the message.

    Raises:
        UserError: it is neither; says what is there instead.
    """
    if path.is_file() or (path.is_dir() and is_run(path)):
        return path
    if not path.exists():
        advice = f"no such run directory or checkpoint file.{runs_beside(path)}"
        raise UserError(Problem(key, path, advice))
    if not path.is_dir():
        raise UserError(Problem(key, path, "neither a run directory nor a checkpoint file."))
    inside = sorted(p.name for p in path.iterdir())[:8]
    advice = (
        f"not a run directory. One holds {CONFIG} and {checkpoint.FOLDER}/; "
        f"this holds: {', '.join(inside) or 'nothing'}"
    )
    raise UserError(Problem(key, path, advice))


def read_checkpoint(path: Path, *, key: str) -> tuple[Path, dict[str, Any], list[str]]:
    """A checkpoint file, or the newest good one of a run directory.

    Returns:
        The path, the checkpoint, and messages on files that cannot be used.

    Raises:
        UserError: there is none.
    """
    path = find_run(path, key=key)
    if path.is_file():
        return path, read_file(path, key=key), []
    newest = read_newest(path, key=key)
    if newest.state is None:
        raise UserError(Problem(key, path, "the run has no checkpoint yet."))
    return path, newest.state, newest.messages


def read_file(path: Path, *, key: str) -> dict[str, Any]:
    """One checkpoint file; as `checkpoint.read`, whose errors it completes.

    Raises:
        UserError: it cannot be used; says which one beside it can.
    """
    try:
        return checkpoint.read(path)
    except checkpoint.UnavailableError:
        raise
    except UserError as error:
        raise UserError(f"{error}{what_instead(path.parent, key=key, but=path)}") from error


def read_newest(directory: Path, *, key: str) -> checkpoint.Newest:
    """The newest good checkpoint of a run; as `checkpoint.read_newest`.

    Raises:
        UserError: there are checkpoints, but none can be used; says what else there is.
    """
    folder = directory / checkpoint.FOLDER
    try:
        return checkpoint.read_newest(folder)
    except checkpoint.UnavailableError:
        raise
    except UserError as error:
        raise UserError(f"{error}{what_instead(folder, key=key, but=None)}") from error


def what_instead(folder: Path, *, key: str, but: Path | None) -> str:
    """The command that uses a good checkpoint of a folder, the newest of them or else best.pt."""
    for file in (*checkpoint.list_checkpoints(folder), folder / checkpoint.BEST):
        if file == but or not file.is_file():
            continue
        try:
            state = checkpoint.read(file)
        except UserError:
            continue
        step, config = state["step"], state["config"]
        steps = config.get("steps") if isinstance(config, dict) else None
        is_finished = key == "resume" and isinstance(steps, int) and step >= steps
        use = arguments(**{key: file}, **({"steps": 2 * step} if is_finished else {}))
        return f"\n  {file.name} is good, at step {step}: {use}"
    return "\n  No other checkpoint beside it is good. Start a new run, or bring a copy back."


def is_run(path: Path) -> bool:
    """Whether a directory was made by gan-train."""
    return (path / CONFIG).is_file()


def is_unused(path: Path) -> bool:
    """Whether a directory was claimed, but nothing was written to it yet."""
    return path.is_dir() and all(child.name == LOCK for child in path.iterdir())


def write_config(directory: Path, config: dict[str, Any]) -> None:
    """Write config.yaml."""
    with replacing(directory / CONFIG) as temporary:
        temporary.write_text(config_text(config), encoding="utf-8")


def read_config(directory: Path) -> dict[str, Any]:
    """Read config.yaml.

    Raises:
        UserError: it cannot be read.
    """
    file = directory / CONFIG
    try:
        config = parse_yaml(read_plain(file, most=LARGEST_CONFIG).decode())
    except (OSError, *UNREADABLE) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())[:300]
        raise UserError(f"{file}: cannot be read ({reason}).") from error
    if not isinstance(config, dict):
        raise UserError(f"{file}: not a config of gan-train.")
    return config


def require_writable(folder: Path) -> None:
    """Make a folder if it is not there, and check that files can be written to it.

    Raises:
        OSError: they cannot.
    """
    folder.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".", suffix=".tmp"):
        pass


def require_contained(directory: Path) -> None:
    """Check that writing into a run writes nowhere else: somebody else may have made it.

    Raises:
        UserError: links in it lead out of it.
    """
    if strange := strange_entries(directory):
        more = f", and {len(strange) - MOST_NAMED} more" if len(strange) > MOST_NAMED else ""
        raise UserError(
            f"{directory}: {', '.join(strange[:MOST_NAMED])}{more} would be written to, and "
            "is not part of this run, so nothing is written. Remove it, or put a copy of "
            "what it leads to in its place."
        )


def require_inside(path: Path, root: Path, *, key: str) -> None:
    """Check that no link below a folder leads what is written to `path` elsewhere.

    Args:
        path: to write to, in the folder.
        root: the folder, which may be a link itself.
        key: the config key that names it.

    Raises:
        UserError: one does.
    """
    if leads_out(path.parent, root):
        advice = f"{path.parent} is a link that leads out of it, so nothing is written there."
        raise UserError(Problem(key, root, f"{advice} Remove the link"))


@contextmanager
def lock(directory: Path) -> Iterator[None]:
    """Keep the run to this process; the lock of a dead process does not count.

    Raises:
        UserError: another process trains in it now, or links in it lead elsewhere.
    """
    require_contained(directory)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(directory / LOCK, timeout=0))
        except filelock.Timeout as error:
            raise UserError(
                f"{directory}: another process trains in this run now. Wait for it, or stop it."
            ) from error
        except OSError as error:
            raise UserError(f"{directory}: cannot be written ({error.strerror}).") from error
        yield


def is_locked(directory: Path) -> bool:
    """Whether a process trains in a run now."""
    lock = directory / LOCK
    if not lock.is_file() or lock.is_symlink():
        return False
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(lock, timeout=0))
        except filelock.Timeout:
            return True
        except OSError:
            return False
    return False
