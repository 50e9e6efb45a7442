"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import functools
import math
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

import filelock

from gan_cli.system.terminal import Terminal

#: What a file system answers to what it does not have.
UNSUPPORTED = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})
#: What it answers where folders, unlike files, cannot be opened.
NO_FOLDER_ACCESS = frozenset({errno.EACCES, errno.EPERM, errno.EISDIR, errno.EBADF})
CANNOT_SYNC = (
    "this file system cannot be asked to flush files or folders ({reason}): what was saved last "
    "may be lost if the power fails."
)
CANNOT_LOCK = (
    "the file system of {folder} has no locks ({reason}): nothing keeps a second process out of it."
)


def find_files(root: Path) -> list[Path]:
    """All files below a folder except hidden ones, sorted; links are followed, but not in circles.

    Broken links are among them, so that an error names them when they are read. Pipes, sockets and
    devices are not, because reading them may wait for ever.
    """
    files: list[Path] = []
    visited = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = [Path(folder) / name for name in sorted(names) if not name.startswith(".")]
        files += [path for path in paths if path.is_file() or not path.exists()]
    return files


def leads_out(path: Path, root: Path) -> bool:
    """Whether a path, with all links in it followed, lies outside a folder; it need not exist."""
    try:
        return not path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # links in a circle
        return True


def strange_entries(root: Path) -> list[str]:
    """What below a folder is a link out of it, or no file at all (a pipe, a device).

    Returns:
        The paths below the folder, and where the links lead. The folder itself may be a link.
    """
    strange = []
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = Path(folder) / name
            inner = path.relative_to(root)
            if path.is_symlink():
                if leads_out(path, root):
                    strange.append(f"{inner} -> {path.readlink()}")
            elif path.exists() and not (path.is_file() or path.is_dir()):
                strange.append(f"{inner} (a pipe or device)")
    return sorted(strange)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, which replaces it when the block ends without error.

    Until then the old file stays. No other process uses the same temporary name.

    Raises:
        OSError: it could not be written or moved.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed processes left below a folder (see `replacing`)."""
    for path in folder.rglob(".*.tmp"):
        if path.is_file() or path.is_symlink():
            path.unlink(missing_ok=True)


def unshare(path: Path) -> None:
    """Give a file that has other names too (hard links) content of its own; the others keep theirs.

    Raises:
        OSError: it could not be copied.
    """
    if path.is_file() and path.stat().st_nlink > 1:
        with replacing(path) as temporary:
            shutil.copy(path, temporary)


class Appender:
    """Appends whole texts to a file; what a full disk does not take is kept and tried again.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path, *, every_seconds: float = 0.0) -> None:
        """Open it.

        Args:
            path: of the file.
            every_seconds: texts that come faster are written together, so often.
        """
        unshare(path)
        self._file: BinaryIO = path.open("ab", buffering=0)
        self._pending = b""
        self._every_seconds, self._written = every_seconds, 0.0
        self._lock = threading.RLock()  # a checkpoint's thread syncs

    def write(self, text: str) -> None:
        """Append `text`, after the texts that could not be written before.

        Raises:
            OSError: it could not be written; the file ends where it did.
        """
        with self._lock:
            self._add(text)
            if time.monotonic() - self._written >= self._every_seconds:
                self.flush()

    def _add(self, text: str) -> None:
        self._pending += text.encode("utf-8", "backslashreplace")

    def flush(self) -> None:
        """Write the texts that were not written before.

        Raises:
            OSError: it still cannot.
        """
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        self._written = time.monotonic()
        end = self._file.seek(0, os.SEEK_END)
        left = memoryview(self._pending)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            self._file.truncate(end)
            raise
        self._pending = b""

    def sync(self) -> None:
        """Write the texts that could not be written before, and wait until the disk has all.

        Raises:
            OSError: that failed.
        """
        self.flush()
        sync_file(self._file)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def sync_file(file: IO[bytes]) -> None:
    """Wait until the disk has a file's content, where the file system can be asked.

    Raises:
        OSError: that failed.
    """
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        say_once(CANNOT_SYNC.format(reason=error.strerror))


def sync_folder(folder: Path) -> None:
    """Make a rename durable: the entry of the folder must reach the disk too, where it can.

    Raises:
        OSError: that failed.
    """
    if os.name != "posix":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED | NO_FOLDER_ACCESS:
            raise
        say_once(CANNOT_SYNC.format(reason=error.strerror))


@contextmanager
def locked(path: Path, *, timeout: float = -1) -> Iterator[None]:
    """Hold the lock that a file stands for; a file system without locks is said, and does without.

    Args:
        path: of the lock's file.
        timeout: seconds to wait for another process; negative: without end.

    Raises:
        filelock.Timeout: another process holds it.
        OSError: the file cannot be opened.
    """
    held: filelock.BaseFileLock | None = filelock.FileLock(path)
    assert held is not None
    try:
        if path.is_symlink():  # older versions of filelock follow it
            raise OSError(errno.ELOOP, "a link, and no lock", str(path))
        held.acquire(timeout=timeout)
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in UNSUPPORTED:
            raise
        reason = error.strerror if isinstance(error, OSError) else error
        say_once(CANNOT_LOCK.format(folder=path.parent, reason=reason))
        held = None
    try:
        yield
    finally:
        if held is not None:
            held.release()


def free_bytes(folder: Path) -> float:
    """Free space of a folder's disk, in bytes; infinite where the file system does not tell."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        return math.inf
    return math.inf if usage.free == 0 and usage.total == 0 else usage.free


@functools.cache
def say_once(text: str) -> None:
    """Say what a place cannot do."""
    Terminal().say(f"note: {text}")
