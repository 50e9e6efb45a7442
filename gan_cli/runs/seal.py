"""The checksum in a checkpoint: the SHA-256 of a zip archive, kept in the archive's own comment."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

from gan_cli.system.archives import archive_comment
from gan_cli.system.plain import open_plain

SEAL = b"gan-train sha256:"
SEAL_SIZE = len(SEAL) + 64


def seal(file: io.BufferedRandom) -> None:
    """Put the SHA-256 of a zip archive without comment into its comment."""
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(-2, os.SEEK_END)  # the length of the comment ends an archive that has none
    file.write(ending(digest))


def check_seal(path: Path) -> bool:
    """Check a file's seal and that loading it takes no more memory than it is long.

    Returns:
        Whether it is sealed; files of format 1 are not.

    Raises:
        ValueError: a byte is not as it was written, or the archive holds compressed parts.
        OSError, zipfile.BadZipFile: it cannot be read, or is no archive.
    """
    with open_plain(path) as file:
        if not archive_comment(file).startswith(SEAL):
            return False
        size = file.seek(0, os.SEEK_END)
        digest, left = hashlib.sha256(), size - SEAL_SIZE - 2
        file.seek(0)
        while left > 0 and (block := file.read(min(left, 2**20))):
            digest.update(block)
            left -= len(block)
        tail = file.read()
    digest.update(b"\0\0")  # as the length of the comment was when it was sealed
    if tail != ending(digest.hexdigest()):
        raise ValueError("its checksum is wrong")
    return True


def ending(digest: str) -> bytes:
    """The last bytes of a sealed archive: the length of its comment, and the comment."""
    return SEAL_SIZE.to_bytes(2, "little") + SEAL + digest.encode()
