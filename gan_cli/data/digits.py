"""Handwritten digits that come with scikit-learn: 1,797 real 8x8 images, no download."""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from typing_extensions import override

from gan_cli.data.base import Dataset, Progress
from gan_cli.data.images import ImageSource


class Digits(ImageSource):
    """The UCI test set of optical recognition of handwritten digits."""

    def __init__(self, *, image_size: int | Sequence[int], pixel_range: Sequence[float]) -> None:
        super().__init__(channels=1, classes=10, image_size=image_size, pixel_range=pixel_range)

    @override
    def load(self, *, seed: int, progress: Progress) -> Dataset:
        """All images, their 17 gray levels spread over 0..255, with labels 0..9."""
        table = _read_table()
        images = torch.from_numpy(table[:, :64]).view(-1, 1, 8, 8)
        labels = torch.from_numpy(table[:, 64]).long()
        return self.dataset((images * (255.0 / 16.0)).round_().to(torch.uint8), labels)


@cache
def _read_table() -> np.ndarray:
    """Pixels 0..16 in 64 columns and the label, float32 (1797, 65); not to be written to."""
    # Importing sklearn.datasets takes about two seconds; the file alone takes none.
    package = importlib.util.find_spec("sklearn")
    folders = (package.submodule_search_locations or []) if package else []
    for folder in folders:
        file = Path(folder) / "datasets" / "data" / "digits.csv.gz"
        if file.is_file():
            with gzip.open(file, "rt") as lines:
                return np.loadtxt(lines, delimiter=",", dtype=np.float32)
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.column_stack([digits.data, digits.target]).astype(np.float32)
