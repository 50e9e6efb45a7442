"""Archives of tensors that somebody else may have made: loading one takes no more than its size."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from torch import Tensor


def archive_comment(file: BinaryIO) -> bytes:
    """The comment of a zip archive, once it is known that no part unpacks to more than is there.

    Raises:
        ValueError: parts are compressed, or claim to be larger than the file.
        zipfile.BadZipFile: it is no archive.
    """
    size = file.seek(0, os.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        parts, comment = archive.infolist(), archive.comment
    if any(p.compress_type != zipfile.ZIP_STORED or p.file_size != p.compress_size
           for p in parts) or sum(p.file_size for p in parts) > size:  # fmt: skip
        raise ValueError("its parts claim to be larger than the file")
    return comment


def require_honest(state: object, size: int) -> None:
    """Check that no tensor of a file of `size` bytes claims to be larger than the file.

    Raises:
        ValueError: one does.
    """
    if any(tensor.numel() * tensor.element_size() > size for tensor in tensors_in(state)):
        raise ValueError("a tensor in it claims to be larger than the file")


def tensors_in(state: object) -> Iterator[Tensor]:
    """All tensors in nested dicts, lists and tuples."""
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, Mapping):
        for value in state.values():
            yield from tensors_in(value)
    elif isinstance(state, list | tuple):
        for value in state:
            yield from tensors_in(value)
