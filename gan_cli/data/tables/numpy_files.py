"""NumPy's files (.npy, .npz): headers, and arrays, which stay in their files where they can.

The formats are those of numpy.lib.format. Objects are never unpickled, because that runs code.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import numpy as np
from numpy.lib import format as npy
from typing_extensions import override

from gan_cli.data.tables.contents import Contents, Entry
from gan_cli.errors import Problem, UserError

ENCRYPTED = 0x1  # in a zip member's flags
LOCAL_HEADER = 30  # bytes of a zip member's header before its name
READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
#: What damaged files and headers raise.
DAMAGE = (ValueError, OSError, EOFError, KeyError, TypeError, NotImplementedError,
          zipfile.BadZipFile, zlib.error, struct.error, RuntimeError)  # fmt: skip


@dataclass(frozen=True)
class Header:
    """What an array's header says.

    Attributes:
        shape: of the array.
        fortran: columns come first.
        dtype: of its values.
        size: bytes of the header itself.
    """

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype
    size: int

    @property
    def nbytes(self) -> int:
        """Of the values."""
        count = self.dtype.itemsize
        for side in self.shape:
            count *= side
        return count


def read_header(file: IO[bytes]) -> Header:
    """The header of an array, at which the file stands.

    Raises:
        ValueError: there is none, or one that nobody needs.
    """
    start = file.tell()
    version = npy.read_magic(file)
    if version not in READERS:
        raise ValueError(f"its format {version} has named fields")
    shape, fortran, dtype = READERS[version](file)
    if any(side < 0 for side in shape):
        raise ValueError("its shape is negative")
    return Header(tuple(shape), fortran, dtype, file.tell() - start)


class NumpyFile(Contents):
    """One array (.npy)."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self.header = read_header(file)
        super().__init__(path, [Entry("array", self.header.shape, self.header.dtype)])

    @override
    def read(self, names: Sequence[str]) -> np.ndarray:
        """The array, mapped from the file."""
        header = self.header
        if self.path.stat().st_size < header.size + header.nbytes:
            raise self.wrong("is cut short. Copy it again")
        return mapped(self.path, header, at=header.size)

    @override
    def read_labels(self, name: str) -> np.ndarray:
        """The same array."""
        return np.asarray(self.read([name]))


class ArchiveFile(Contents):
    """Several arrays (.npz), each compressed or not."""

    def __init__(self, path: Path) -> None:
        entries: list[Entry] = []
        self.headers: dict[str, Header] = {}
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.filename.endswith(".npy"):
                    continue
                if info.flag_bits & ENCRYPTED:
                    raise UserError(
                        Problem("data.file", path, "is encrypted. Save the arrays without")
                    )
                name = info.filename.removesuffix(".npy")
                with archive.open(info) as member:
                    header = read_header(member)
                if info.file_size != header.size + header.nbytes and header.dtype.kind != "O":
                    raise ValueError(f"{name} has not the size that its header claims")
                self.headers[name] = header
                entries.append(Entry(name, header.shape, header.dtype))
        super().__init__(path, entries)

    @override
    def read(self, names: Sequence[str]) -> np.ndarray:
        """One array, mapped from the file if it is not compressed."""
        (name,) = names
        header = self.headers[name]
        try:
            with zipfile.ZipFile(self.path) as archive:
                info = archive.getinfo(f"{name}.npy")
                if info.compress_type == zipfile.ZIP_STORED:
                    return mapped(self.path, header, at=self._start_of(info) + header.size)
                with archive.open(info) as member:
                    return npy.read_array(member, allow_pickle=False)
        except DAMAGE as error:
            raise self.wrong(f"{name} is damaged ({error}). Copy the file again") from error

    @override
    def read_labels(self, name: str) -> np.ndarray:
        """One array."""
        return np.asarray(self.read([name]))

    def _start_of(self, info: zipfile.ZipInfo) -> int:
        """Where a member's bytes begin: behind its own header, which may differ from the index."""
        with self.path.open("rb") as file:
            file.seek(info.header_offset)
            header = file.read(LOCAL_HEADER)
        if header[:4] != b"PK\x03\x04":
            raise ValueError("no member where the index says")
        name, extra = struct.unpack("<HH", header[26:30])
        return int(info.header_offset + LOCAL_HEADER + name + extra)


def mapped(path: Path, header: Header, *, at: int) -> np.ndarray:
    """An array that stays in its file until rows of it are read; changes do not reach the file."""
    if not header.nbytes:
        return np.empty(header.shape, header.dtype)
    if header.dtype.hasobject:
        raise ValueError("it holds Python objects")
    order: Literal["F", "C"] = "F" if header.fortran else "C"
    return np.memmap(path, header.dtype, mode="c", offset=at, shape=header.shape, order=order)
