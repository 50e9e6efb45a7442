"""What a data source promises, and what it loads: one tensor in memory."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from gan_cli.density import GaussianMixture
from gan_cli.spec import DataSpec


@dataclass(frozen=True)
class Dataset:
    """All data in memory.

    Attributes:
        values: uint8 images (N, channels, height, width), or float32 points (N, n).
        labels: int64 (N,), or None.
        spec: shape, range and classes as networks see them.
        density: p_data, where it is known in closed form.
    """

    values: Tensor
    labels: Tensor | None
    spec: DataSpec
    density: GaussianMixture | None = None

    def __len__(self) -> int:
        return len(self.values)

    def to_range(self, values: Tensor) -> Tensor:
        """uint8 0..255 -> float32 in the data's range; points as they are."""
        if self.spec.value_range is None:
            return values
        low, high = self.spec.value_range
        return values.float().mul_((high - low) / 255.0).add_(low)

    def fingerprint(self) -> str:
        """Hash of all values and labels, to notice data that changed between two sessions."""
        digest = hashlib.sha256(self.values.cpu().contiguous().numpy().tobytes())
        if self.labels is not None:
            digest.update(self.labels.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


class DataSource(ABC):
    """A data set as configured. Making one checks its settings and touches no file."""

    @property
    @abstractmethod
    def spec(self) -> DataSpec:
        """Shape, range and classes, known before anything is loaded."""

    @abstractmethod
    def load(self, *, seed: int) -> Dataset:
        """Read or draw the data.

        Args:
            seed: the run's seed, for sources that draw their data.

        Raises:
            gan_cli.errors.UserError: files are missing or damaged; says which, and what to do.
        """
