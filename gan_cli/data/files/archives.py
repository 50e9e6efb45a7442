"""Images inside a zip or tar archive, read where they lie: nothing is unpacked to the disk.

The archive's index is read once. After that, each member is a range of bytes in one file, which any
thread and any process can read by itself.
"""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from gan_cli.data.files.archive_index import (
    Member,
    common_top,
    is_wanted,
    tar_members,
    zip_members,
)
from gan_cli.data.files.decode import UnusableImageError
from gan_cli.errors import Problem, UserError, printable

MOST_BYTES = 2**30  # that one member may unpack to
LOCAL_HEADER = 30  # bytes of a zip member's header before its name
LABELS = "dataset.json"  # where StyleGAN's archives have their labels
DAMAGE = (zipfile.BadZipFile, tarfile.TarError, OSError, ValueError, EOFError, struct.error,
          zlib.error, NotImplementedError, RuntimeError)  # fmt: skip
COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"(\xb5/\xfd")  # as a whole, so nothing is found


@dataclass(frozen=True, eq=False)
class Archive:
    """An archive and its index.

    Attributes:
        path: of the archive.
        members: by their paths inside it, without the folders that all of them lie in.
        top: those folders, like `photos/`; empty: there are none.
        notes: what the user should know.
    """

    path: Path
    members: dict[str, Member]
    top: str = ""
    notes: tuple[str, ...] = field(default=())

    def read(self, name: str) -> bytes:
        """The content of a member.

        Raises:
            UnusableImageError: it is damaged, encrypted or of absurd size.
        """
        member = self.members[name]
        if member.encrypted:
            raise UnusableImageError("encrypted: make an archive without a password")
        if max(member.size, member.packed) > MOST_BYTES:
            raise UnusableImageError(f"would unpack to {member.size:,} bytes, which no image has")
        try:
            with self.path.open("rb") as file:
                file.seek(member.start + self._header(file, member))
                packed = file.read(member.packed)
            if len(packed) < member.packed:
                raise UnusableImageError("damaged (the archive is cut short)")
            content = unpacked(packed, member)
        except DAMAGE as error:
            raise UnusableImageError(f"damaged ({error})") from error
        if len(content) != member.size:
            raise UnusableImageError("damaged (it has not the size that the archive says)")
        if member.checksum is not None and zlib.crc32(content) != member.checksum:
            raise UnusableImageError("damaged (its checksum differs)")
        return content

    @staticmethod
    def _header(file: io.BufferedReader, member: Member) -> int:
        """Bytes before the content: of a zip, a header whose length the index does not say."""
        if member.method is None:
            return 0
        file.seek(member.start)
        header = file.read(LOCAL_HEADER)
        if header[:4] != b"PK\x03\x04":
            raise ValueError("nothing begins where the index says")
        name, extra = struct.unpack("<HH", header[26:30])
        return int(LOCAL_HEADER + name + extra)


@dataclass(frozen=True)
class ArchivePath:
    """A folder or a file in an archive, as far as a `Path` is used for data.

    Attributes:
        archive: that it lies in.
        name: its path inside; empty: the archive itself.
    """

    archive: Archive
    name: str = ""

    def __truediv__(self, name: str) -> ArchivePath:
        return ArchivePath(self.archive, f"{self.name}/{name}" if self.name else name)

    def __str__(self) -> str:
        inside = f"{self.archive.top}{self.name}"
        return f"{self.archive.path}/{inside}".rstrip("/")

    @property
    def parent(self) -> ArchivePath:
        """The folder that it lies in."""
        above = str(PurePosixPath(self.name).parent)
        return ArchivePath(self.archive, "" if above == "." else above)

    @property
    def version(self) -> str:
        """Changes with the content of a file."""
        return self.archive.members[self.name].version

    def files(self) -> list[str]:
        """All files below a folder, relative to it, sorted as those of a folder on a disk are."""
        start = f"{self.name}/" if self.name else ""
        names = [name[len(start) :] for name in self.archive.members if name.startswith(start)]
        return sorted(names, key=order)

    def resolve(self) -> ArchivePath:
        """The same place, of which the archive's path is absolute and follows no links."""
        whole = Archive(self.archive.path.resolve(), {}, self.archive.top)
        return ArchivePath(whole, self.name)


Source = Path | ArchivePath


def order(name: str) -> tuple[tuple[bool, str], ...]:
    """By which files are sorted: those of a folder come before its sub-folders."""
    parts = name.split("/")
    return tuple((place < len(parts) - 1, part) for place, part in enumerate(parts))


def readable(source: Source) -> Path | io.BytesIO:
    """What image libraries open: a path, or the bytes of a member.

    Raises:
        UnusableImageError: the member cannot be read.
    """
    if isinstance(source, Path):
        return source
    return io.BytesIO(source.archive.read(source.name))


def unpacked(packed: bytes, member: Member) -> bytes:
    """The content of a member, which is never longer than one byte more than was claimed.

    Raises:
        UnusableImageError: it is compressed in another way than archives of images are.
        zlib.error: it is damaged.
    """
    if member.method in (None, zipfile.ZIP_STORED):
        return packed
    if member.method != zipfile.ZIP_DEFLATED:
        raise UnusableImageError(
            f"compressed by zip's method {member.method}: make the archive with the usual one"
        )
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    return unpacker.decompress(packed, member.size + 1)


def open_root(root: Path, *, key: str | None) -> Source:
    """A folder as it is; a zip or tar archive with its index.

    Args:
        root: the folder or the archive.
        key: the config key that names it, for messages; None: no key names it.

    Raises:
        UserError: the archive is damaged, or compressed as a whole.
    """
    if not root.is_file():
        return root
    with root.open("rb") as file:
        head = file.read(512)
    is_tar = head[257:262] == b"ustar"
    compressed_tar = head.startswith(COMPRESSED) and ".t" in root.name.lower()
    if not (is_tar or compressed_tar or zipfile.is_zipfile(root)):
        return root  # which is no folder: `list_files` says so
    try:
        if compressed_tar:
            raise UserError(
                problem(
                    root,
                    "is compressed as a whole, so no image in it can be found without unpacking "
                    "all before it. Decompress it to a .tar (gunzip, unxz), or make a .zip",
                    key=key,
                )
            )
        notes: list[str] = []
        found = tar_members(root, notes) if is_tar else zip_members(root)
    except DAMAGE as error:
        advice = f"is a damaged archive ({error}). Copy or make it again"
        raise UserError(problem(root, advice, key=key)) from error
    members = {name: member for name, member in found.items() if is_wanted(name)}
    top = common_top(list(members))
    members = {name[len(top) :]: member for name, member in members.items()}
    if top:
        notes.append(
            f"all files of {root.name} lie in {printable(top, keep='')}, which is no class."
        )
    return ArchivePath(Archive(root, members, top, tuple(notes)))


def problem(root: Path, advice: str, *, key: str | None) -> Problem:
    """What is wrong with an archive."""
    return Problem.about(str(root), advice) if key is None else Problem(key, root, advice)


def stylegan_labels(root: ArchivePath) -> tuple[dict[str, int] | None, tuple[str, ...]]:
    """The labels that StyleGAN's archives hold, by file, and notes on them.

    The form is that of the authors' dataset_tool.py: `{"labels": [["00000/img0.png", 6], ...]}`, or
    null for data without labels. Folders then only share out the files.

    Returns:
        Empty labels if the archive says that there are none; None if it says nothing.
    """
    if LABELS not in root.archive.members:
        return None, ()
    try:
        pairs = json.loads(root.archive.read(LABELS))["labels"]
        labels = {str(name).replace("\\", "/"): label for name, label in pairs or ()}
    except (UnusableImageError, ValueError, TypeError, LookupError) as error:
        return None, (f"{LABELS} is not used: it holds no labels as StyleGAN's do ({error}).",)
    labels = {name.removeprefix(root.archive.top): label for name, label in labels.items()}
    whole = all(type(label) is int and label >= 0 for label in labels.values())
    if not whole:
        return {}, (f"labels of {LABELS} are not used: they are lists or fractions, not classes.",)
    found = {name: labels[name] for name in root.files() if name in labels}
    return found, () if found else (f"{LABELS} labels no image, so there are no classes.",)
