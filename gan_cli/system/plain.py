"""Reading files that somebody else may have put there: never a pipe, a device, or without end."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

#: Bytes of a record that is read whole; ours have a thousandth.
LARGEST_RECORD = 2**24


def open_plain(path: Path) -> BinaryIO:
    """Open a regular file for reading; a pipe or a device might wait or go on for ever.

    Raises:
        OSError: it is none, or cannot be opened.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "a pipe or device, and no file", str(path))
    return os.fdopen(descriptor, "rb")


def read_plain(path: Path, *, most: int = LARGEST_RECORD) -> bytes:
    """The content of a regular file of at most so many bytes.

    Raises:
        OSError: it is none, is larger, or cannot be read.
    """
    with open_plain(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"larger than {most:,} bytes", str(path))
    return content


def read_json(path: Path, *, most: int = LARGEST_RECORD) -> Any:
    """What a JSON file says.

    Raises:
        OSError: it is no regular file, is larger than `most` bytes, or cannot be read.
        ValueError: it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(read_plain(path, most=most))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
