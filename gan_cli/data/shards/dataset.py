"""Images in shards as a data set: read one after the other, without row numbers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from gan_cli.data.augment import Augment
from gan_cli.data.datasets import Dataset, Progress
from gan_cli.data.shards.read import Shards
from gan_cli.errors import Problem, UserError
from gan_cli.spec import DataSpec

CHUNK = 100  # images read between two moves of the progress bar


@dataclass(frozen=True)
class ShardDataset:
    """Images that come out of shards one after the other; nobody can ask for one by its number.

    Attributes:
        shards: what is read, and how.
        spec: shape, range and classes as networks see them.
        augment: what is done to each image anew each time.
        images: how many there are; None: nobody has counted them.
        identity: fingerprint.
        notes: what the user should know of how the data were loaded.
    """

    shards: Shards
    spec: DataSpec
    augment: Augment | None
    images: int | None
    identity: str
    notes: tuple[str, ...] = ()

    def head(self, n: int, *, progress: Progress = lambda *_: None) -> Dataset:
        """The first n images that can be used (fewer if there are fewer), in memory, unaugmented.

        Raises:
            UserError: there are none.
        """
        values, labels = [], []
        for pixels, label in islice(self.shards.images(), n):
            values.append(torch.from_numpy(pixels))
            labels.append(label)
            if len(values) % CHUNK == 0:
                progress("reading images", len(values), n)
        if not values:
            advice = f"no usable image in {len(self.shards.names)} shards."
            raise UserError(Problem.about("data.shards", advice))
        progress("reading images", n, n)
        return Dataset(
            torch.stack(values), torch.tensor(labels) if self.shards.classes else None, self.spec
        )

    def first(self, n: int) -> Tensor:
        """The first n images (fewer if there are fewer), float32 (n, C, H, W) in the data's range.

        Raises:
            UserError: there are none.
        """
        return self.head(n).first(n)

    def fingerprint(self) -> str:
        """Hash of the shards' names and sizes, to notice data that changed."""
        return self.identity
