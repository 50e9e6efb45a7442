"""What is in a folder of image files, and how messages describe it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from gan_cli.data.files.archives import ArchivePath, Source
from gan_cli.data.files.decode import Shape
from gan_cli.data.files.kinds import ARCHIVE, IN_PLACE, describe, head_of
from gan_cli.errors import Problem, UserError, printable
from gan_cli.system.files import find_files

#: Of the cache's layout and of how files are decoded: part of every key.
VERSION = 1
MOST_ENTRIES = 12  # of a folder, in a message
MOST_COUNTED = 10_000  # entries of a sub-folder
MOST_NAMED = 20  # unusable files, in a message

TREE_EXPECTED = """\
  expected: images, or one folder of images for each class (any names, nested as you like)
    ROOT/cat.jpg             ROOT/cats/1.jpg
    ROOT/dog.png      or     ROOT/dogs/2.png"""


@dataclass(frozen=True)
class Listing:
    """The files of a folder, sorted, and the class of each.

    Attributes:
        root: the folder, on the disk or in an archive.
        files: paths relative to it.
        labels: index into `classes` for each file; empty without classes.
        classes: names of the sub-folders; empty if files lie at the top.
        notes: what the user should know of how the files are read.
        pages: page or frame of each file, which may be listed several times; empty: the first.
    """

    root: Source
    files: list[str]
    labels: list[int]
    classes: list[str]
    notes: tuple[str, ...] = ()
    pages: tuple[int, ...] = ()

    def page(self, number: int) -> int:
        """Which page or frame of its file an entry is."""
        return self.pages[number] if self.pages else 0

    def name(self, number: int) -> str:
        """What messages call an entry."""
        page = self.page(number)
        return self.files[number] + (f" (page {page + 1})" if page else "")

    def key(self, shape: Shape) -> str:
        """Fingerprint of the files (names, sizes, times) and of how they are decoded."""
        digest = hashlib.blake2b(digest_size=12)
        digest.update(repr((VERSION, str(self.root.resolve()), shape)).encode())
        for name in self.files:
            version = version_of(self.root / name)
            digest.update(f"{name}\0{version}\0".encode("utf-8", "surrogateescape"))
        if any(self.pages):
            digest.update(repr(self.pages).encode())
        return digest.hexdigest()


def version_of(file: Source) -> str:
    """What changes with the content of a file."""
    if isinstance(file, ArchivePath):
        return file.version
    try:
        status = file.stat()
    except OSError:
        return "a link that leads nowhere"
    return f"{status.st_size}\0{status.st_mtime_ns}"


def list_files(root: Source, *, key: str | None = "data.root") -> Listing:
    """List all files below a folder but hidden ones, in an order that no disk changes.

    Args:
        root: the folder, on the disk or in an archive. If a file lies at its top, there are no
            classes; else each sub-folder at the top is one.
        key: the config key that names the folder, for messages; None: no key names it.

    Raises:
        UserError: no such folder, or no file in it.
    """
    if isinstance(root, ArchivePath):
        files = root.files()
    else:
        if not root.is_dir():
            raise UserError(folder_problem(root, absence(root), key=key))
        files = [str(path.relative_to(root)) for path in find_files(root)]
    if not files:
        raise UserError(folder_problem(root, "no files.", key=key))
    tops = [Path(name).parts[0] for name in files]
    at_top = any(top == name for top, name in zip(tops, files, strict=True))
    classes = [] if at_top else sorted(set(tops))
    number = {name: index for index, name in enumerate(classes)}
    return Listing(root, files, [number[top] for top in tops] if classes else [], classes)


def absence(root: Path) -> str:
    """Why something is no folder, as a sentence, and what would work."""
    if not root.is_file():
        return "no such folder."
    try:
        what = describe(head_of(root))
    except OSError:
        what = ""
    if what in (ARCHIVE, IN_PLACE):
        return f"is {ARCHIVE}, and give the folder."
    return "is a file. Give a folder."


def folder_problem(root: Source, sentence: str, *, key: str | None) -> Problem:
    """What is wrong with a folder of images, what is in it, and what is expected there.

    Args:
        root: the folder.
        sentence: what is wrong; may continue with indented lines of detail.
        key: the config key that names the folder; None: the message names its path alone.
    """
    advice = f"{sentence}\n{tree_found(root)}\n{TREE_EXPECTED}"
    return Problem.about(str(root), advice) if key is None else Problem(key, root, advice)


def tree_found(root: Source, *, most: int = MOST_ENTRIES) -> str:
    """What lies in a folder, or in the nearest one above it that exists, with counts."""
    if isinstance(root, ArchivePath):
        names = root.files()
        lines = [f"    {printable(name, keep='')}" for name in names[:most]]
        more = f"\n    ... and {len(names) - most} more" if len(names) > most else ""
        return f"  found in {root}:\n" + ("\n".join(lines) or "    nothing") + more
    while not root.is_dir():
        root = root.parent
    entries = sorted(root.iterdir())
    lines = [
        f"    {shown}/ ({sum(1 for _ in islice(entry.iterdir(), MOST_COUNTED))} entries)"
        if entry.is_dir()
        else f"    {shown}"
        for entry in entries[:most]
        for shown in (printable(entry.name, keep=""),)
    ]
    more = f"\n    ... and {len(entries) - most} more" if len(entries) > most else ""
    return f"  found in {root}/:\n" + ("\n".join(lines) or "    nothing") + more


def describe_bad(bad: list[tuple[str, str]], *, total: int) -> str:
    """One message that names files that cannot be used, with the reasons, and counts them.

    Args:
        bad: (file, reason) for each.
        total: files in the folder.
    """
    lines = [f"    {printable(name, keep='')}: {reason}" for name, reason in bad[:MOST_NAMED]]
    more = f"\n    ... and {len(bad) - MOST_NAMED} more" if len(bad) > MOST_NAMED else ""
    return f"{len(bad)} of {total} files are not used:\n" + "\n".join(lines) + more
