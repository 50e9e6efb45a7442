"""MNIST, Fashion-MNIST and KMNIST, from files in torchvision's layout or downloaded by it.

The IDX format: two zero bytes, a type byte (8 = unsigned byte), the number of dimensions,
each dimension as a big-endian 32-bit integer, then the values.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from gan_cli.data.base import Dataset, Progress
from gan_cli.data.files.download import fetch, missing_files, remove_empty, root_above
from gan_cli.data.images import ImageSource
from gan_cli.errors import Problem, UserError, require

Variant = Literal["MNIST", "FashionMNIST", "KMNIST"]
#: Files of images and labels, by split.
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
#: Where labels have names of their own (Xiao et al. 2017, table 2).
CLASS_NAMES = {
    "FashionMNIST": (
        "T-shirt", "trouser", "pullover", "dress", "coat",
        "sandal", "shirt", "sneaker", "bag", "ankle boot",
    )
}  # fmt: skip


class MNIST(ImageSource):
    """60,000 training images, 28x28 gray, ten classes."""

    def __init__(
        self,
        *,
        variant: Variant,
        root: str,
        download: bool,
        image_size: int | Sequence[int],
        pixel_range: Sequence[float],
    ) -> None:
        super().__init__(
            channels=1,
            classes=10,
            class_names=CLASS_NAMES.get(variant, ()),
            image_size=image_size,
            pixel_range=pixel_range,
        )
        require((bool(root), "root", root, "give the folder that holds (or shall hold) the files"))
        self.variant, self.download = variant, download
        self.root = root_above(root, variant, "raw")

    @property
    def folder(self) -> Path:
        """Where torchvision keeps the files below `root`."""
        return self.root / self.variant / "raw"

    @override
    def load(self, *, seed: int, progress: Progress) -> Dataset:
        """Read the training images and labels, downloading them first if they are not there.

        Raises:
            UserError: they are damaged, or not there and cannot be downloaded.
        """
        if not self._has("train"):
            self._fetch()
        return self._read("train")

    @override
    def load_test(self, *, seed: int, progress: Progress) -> Dataset | None:
        """The 10,000 test images; None if only the training files are there.

        Raises:
            UserError: they are there, but damaged.
        """
        return self._read("test") if self._has("test") else None

    def _has(self, split: str) -> bool:
        return all(find_file(self.folder, name) is not None for name in FILES[split])

    def _read(self, split: str) -> Dataset:
        images_file, labels_file = FILES[split]
        images = read_idx(self._file(images_file), dimensions=3)
        labels = read_idx(self._file(labels_file), dimensions=1)
        if len(images) and (images.numel() == 0 or labels.max() > 9):
            raise UserError(f"{self.folder}: images without pixels, or labels above 9.")
        if len(images) != len(labels) or len(images) == 0:
            raise UserError(
                f"{self.folder}: {len(images)} images but {len(labels)} labels. "
                "Remove them and start again: they are fetched anew."
            )
        return self.dataset(images.unsqueeze(1), labels.long())

    def _file(self, name: str) -> Path:
        file = find_file(self.folder, name)
        if file is None:
            raise UserError(self._what_to_do(f"{name} is not there"))
        return file

    def _fetch(self) -> None:
        if not self.download:
            raise UserError(self._what_to_do("the files are not there, and data.download=false"))
        import torchvision

        try:
            fetch(
                lambda: getattr(torchvision.datasets, self.variant)(
                    self.root, train=True, download=True
                ),
                explain=self._what_to_do,
            )
        except UserError:
            remove_empty((self.folder, self.folder.parent))
            raise

    def _what_to_do(self, reason: str) -> Problem:
        if find_file(self.root, FILES["train"][0]):
            reason += f"; those in {self.root} itself must lie in {self.folder}"
        return missing_files(
            reason,
            root=self.root,
            folder=self.folder,
            expected=f"{' and '.join(FILES['train'])}, as they are or with .gz",
        )


def find_file(folder: Path, name: str) -> Path | None:
    """`name` or `name.gz` in `folder`, the unpacked one first."""
    for file in (folder / name, folder / f"{name}.gz"):
        if file.is_file():
            return file
    return None


def read_idx(file: Path, *, dimensions: int) -> Tensor:
    """Read an IDX file of unsigned bytes, gzipped or not.

    Args:
        file: gzipped if its name ends with .gz.
        dimensions: how many the file must say it has.

    Returns:
        uint8 of the shape that the file says.

    Raises:
        UserError: it cannot be read, is cut short, or is no such file.
    """
    try:
        raw = file.read_bytes()
        content = gzip.decompress(raw) if file.suffix == ".gz" else raw
        zero, kind, rank = struct.unpack(">HBB", content[:4])
        shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise UserError(
            f"{file}: cannot be read ({error}). Remove it and start again: it is fetched anew."
        ) from error
    start = 4 + 4 * dimensions
    if (zero, kind, rank) != (0, 8, dimensions) or len(content) - start != math.prod(shape):
        raise UserError(
            f"{file}: not an IDX file of {dimensions}-dimensional bytes, or cut short. "
            "Remove it and start again: it is fetched anew."
        )
    values = np.frombuffer(content, dtype=np.uint8, offset=start).copy()
    return torch.from_numpy(values).view(shape)
