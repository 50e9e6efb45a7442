"""What is in a zip or tar archive: where each file lies, and which files a folder would show."""

from __future__ import annotations

import stat
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from gan_cli.errors import printable

ENCRYPTED = 0x1  # in a zip member's flags
#: What Macs put into archives beside the files.
JUNK = "__MACOSX"


@dataclass(frozen=True)
class Member:
    """A file in an archive.

    Attributes:
        start: where its header (zip) or its bytes (tar) begin.
        packed: bytes that it takes in the archive.
        size: bytes that it unpacks to.
        version: changes with its content.
        method: how it is compressed, by zip's numbers; None: a tar's, which is not.
        checksum: CRC-32 of its content; None: not known.
        encrypted: nobody can read it without a password.
    """

    start: int
    packed: int
    size: int
    version: str
    method: int | None = None
    checksum: int | None = None
    encrypted: bool = False


def is_wanted(name: str) -> bool:
    """Whether a member is a file that a folder would show: not hidden, not beside the others."""
    parts = name.split("/")
    hidden = any(part.startswith(".") or part == "" for part in parts)  # also .. and absolute paths
    return not hidden and JUNK not in parts


def common_top(names: list[str]) -> str:
    """The folders that all files lie in, like `photos/`; empty: there are none."""
    if not names:
        return ""
    folders = [name.split("/")[:-1] for name in names]
    shared = []
    for parts in zip(*folders, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return "".join(f"{part}/" for part in shared)


def zip_members(path: Path) -> dict[str, Member]:
    """The files of a zip archive.

    Raises:
        zipfile.BadZipFile, ...: it is damaged; see `DAMAGE`.
    """
    members = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.is_dir() or stat.S_ISLNK(info.external_attr >> 16):
                continue
            members[info.filename.replace("\\", "/")] = Member(
                start=info.header_offset,
                packed=info.compress_size,
                size=info.file_size,
                version=f"{info.file_size}-{info.CRC}",
                method=info.compress_type,
                checksum=info.CRC,
                encrypted=bool(info.flag_bits & ENCRYPTED),
            )
    return members


def tar_members(path: Path, notes: list[str]) -> dict[str, Member]:
    """The files of a tar archive that is not compressed.

    Args:
        path: of the archive.
        notes: gets a sentence if the archive breaks off.

    Raises:
        tarfile.TarError, ...: it is damaged at its beginning; see `DAMAGE`.
    """
    members = {}
    age = path.stat().st_mtime_ns
    with tarfile.open(path, "r:") as archive:
        try:
            for info in archive:
                if info.isreg() and not info.issparse():
                    name = info.name.removeprefix("./")
                    version = f"{info.size}-{info.offset_data}-{age}"
                    members[name] = Member(info.offset_data, info.size, info.size, version)
        except tarfile.TarError:  # it ends within a file
            if not members:
                raise
        with path.open("rb") as file:
            file.seek(archive.offset)
            rest = file.read(tarfile.BLOCKSIZE)
    is_short = archive.offset > path.stat().st_size
    if is_short or any(rest):  # tarfile takes a damaged header for the end
        last = printable(next(reversed(members), "its beginning"), keep="")
        notes.append(f"{path.name} is damaged behind {last}: what follows is not used.")
    return members
