"""Shards: tar files of images, as the webdataset library reads them."""

from __future__ import annotations

import contextlib
import io
import lzma
import re
import subprocess
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from typing_extensions import override

from gan_cli.data.files.decode import Shape, UnusableImageError

EXTENSIONS = frozenset(("jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm"))
LABEL = "cls"  # the extension of labels
META = re.compile(r"__[^/]*__($|/)")  # names that webdataset keeps for itself
WORKERS = 4  # at most, where data.workers is null
PATIENCE_S = 5.0  # how long a command may take to end once nobody reads its output any more
READ_ERRORS = (OSError, tarfile.TarError, ValueError, EOFError, zlib.error, lzma.LZMAError)
#: Exit codes of a command that did its work, or whose reader went away.
GOOD_CODES = (0, 23, 141, -13)
#: What some of curl's exit codes mean.
CURL = {
    6: "no such host",
    7: "no connection",
    18: "cut short",
    22: "the server answered with an error",
    28: "timed out",
}

#: Bytes by file extension, and under `__key__` the name that the files of one image share.
Sample = dict[str, Any]


class UnreadableShardError(Exception):
    """A shard that cannot be read, or not to its end; says why."""


@dataclass(frozen=True)
class Shards:
    """Tar files whose images are read one after the other.

    Attributes:
        names: paths and addresses.
        shape: how an image is decoded.
        classes: of the labels in `.cls` files beside the images; 0: none are read.
        buffer: images that a worker mixes; below 2: it mixes none.
        workers: reading processes of each process that trains; 0: that one itself; None: as many
            as there are shards for, up to WORKERS.
    """

    names: tuple[str, ...]
    shape: Shape
    classes: int
    buffer: int
    workers: int | None

    def workers_of(self, world: int) -> int:
        """Reading processes that each of `world` processes starts, the same on every machine."""
        if self.workers is not None:
            return self.workers
        return min(WORKERS, max(1, len(self.names) // world))

    def readers_of(self, world: int) -> int:
        """How many read shards in each of `world` processes: its workers, or itself alone."""
        return max(1, self.workers_of(world))

    def read(self, name: str) -> Iterator[Sample]:
        """The samples of one shard, in its order.

        Raises:
            UnreadableShardError: it cannot be opened, or not be read to its end.
        """
        import webdataset
        from webdataset.tariterators import group_by_keys

        try:
            stream = webdataset.gopen(name)
        except (*READ_ERRORS, ImportError) as error:
            raise UnreadableShardError(shorten(error)) from error
        failure, is_over = None, False
        try:
            yield from group_by_keys(read_files(stream, name))
            is_over = True
        except READ_ERRORS as error:
            failure, is_over = shorten(error), True
        finally:
            command_failure = close(stream)
            # A reader that has enough leaves before the end, which is no failure of the command.
            failure = (command_failure or failure) if is_over else None
        if failure:
            raise UnreadableShardError(failure)

    def decode(self, sample: Sample) -> tuple[np.ndarray, int]:
        """A sample's first image and its label.

        Returns:
            uint8 (C, H, W), values 0..255; and the label, 0 where none are read.

        Raises:
            UnusableImageError: it has none, or one that is damaged, or no label.
        """
        label = self._label(sample) if self.classes else 0
        for name in image_names(sample):
            return self.shape.read(io.BytesIO(sample[name])), label
        extensions = ", ".join(f".{name}" for name in sample if not name.startswith("__"))
        raise UnusableImageError(f"no image among {extensions}")

    def _label(self, sample: Sample) -> int:
        if LABEL not in sample:
            raise UnusableImageError(f"no .{LABEL}, which data.classes={self.classes} asks for")
        text = sample[LABEL][:20].decode("utf-8", "replace").strip()
        if not (text.isascii() and text.isdigit() and int(text) < self.classes):
            raise UnusableImageError(
                f".{LABEL} holds {text!r}, no number below data.classes={self.classes}"
            )
        return int(text)

    def images(self) -> Iterator[tuple[np.ndarray, int]]:
        """All images that can be used and their labels, shard by shard, once."""
        for name in self.names:
            with contextlib.suppress(UnreadableShardError):
                for sample in self.read(name):
                    with contextlib.suppress(UnusableImageError):
                        yield self.decode(sample)


def image_names(sample: Sample) -> list[str]:
    """The names of a sample's images, without what its files share."""
    return [name for name in sample if name.rpartition(".")[2] in EXTENSIONS]


class WholeHeader(tarfile.TarInfo):
    """A member whose damaged header is an error, which tarfile takes for the archive's end."""

    @classmethod
    @override
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        """Read the next header.

        Raises:
            tarfile.ReadError: it is damaged or cut short, or the archive's end mark is missing.
        """
        try:
            return super().fromtarfile(archive)
        except tarfile.HeaderError as error:
            kind = type(error).__name__
            # The end mark is one too; and the first header says itself that this is no archive.
            if kind == "EOFHeaderError" or archive.offset == 0:
                raise
            is_end = kind == "EmptyHeaderError"
            why = "cut short: no end mark" if is_end else f"a damaged header: {error}"
            raise tarfile.ReadError(why) from error


def read_files(stream: Any, name: str) -> Iterator[Sample]:
    """The files of one shard as `group_by_keys` wants them; `__meta__` ones are left out."""
    with tarfile.open(fileobj=stream, mode="r|*", tarinfo=WholeHeader) as archive:
        for member in archive:
            if member.isreg() and not META.match(member.name):
                content = archive.extractfile(member)
                assert content is not None
                yield {"fname": member.name, "data": content.read(), "__url__": name}
            vars(archive)["members"] = []  # or it would remember all of them


def shorten(error: BaseException) -> str:
    """Why a shard cannot be read, in few words; libraries add what they were reading."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error.args[0]) if error.args else type(error).__name__
    return " ".join(text.partition(" @ ")[0].split())[:200]


def close(stream: Any) -> str | None:
    """Close a shard.

    Returns:
        How the command that fetches it failed; None: it did not, or there is none.
    """
    process = getattr(stream, "proc", None)
    if process is None:
        stream.close()
        return None
    stream.stream.close()  # the pipe; the library's own close may wait for hours
    try:
        code = process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None
    if code in GOOD_CODES:
        return None
    command = process.args[0]
    known = f": {CURL[code]}" if command == "curl" and code in CURL else ""
    return f"{command} ended with exit code {code}{known}"
