"""Minibatches of images that stay in their files, decoded by worker processes ahead of use."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from typing_extensions import override

from gan_cli.data.datasets import PREFETCHED_BATCHES, FileImages
from gan_cli.data.epochs import Batches, concatenate
from gan_cli.data.files.decode import UnusableImageError
from gan_cli.data.files.lost import LostDataError, NoFileError, next_of

REMEDY = "data.workers=0"


class StreamedBatches(Batches):
    """Batches decoded from files by worker processes, ahead of their use."""

    @override
    def prepare(self) -> None:
        """No file is known to be unusable, and no stream has been started."""
        self._unusable: set[int] = set()
        self._stream: tuple[int, Iterator[tuple[Tensor, Tensor]]] | None = None

    @override
    def fetch(self, number: int) -> tuple[Tensor, Tensor | None]:
        """The next batch of the stream. For any other number, a new stream starts there."""
        if self._stream is None or self._stream[0] != number:
            self._stream = (number, self._start(number))
        values, rows = self._read_next(self._stream[1])
        self._stream = (number + 1, self._stream[1])
        parts = self.parts(number)
        drawn = concatenate([part.rows for part in parts])
        self._report(drawn[drawn != rows].tolist())
        values = values.to(self.device, non_blocking=True)
        if self.dataset.augment is not None:
            draws = concatenate([part.draws for part in parts if part.draws is not None])
            values = self.dataset.augment.apply(values, draws)
        labels = None if self.dataset.labels is None else self.dataset.labels[rows]
        return values, None if labels is None else labels.to(self.device)

    def _read_next(self, stream: Iterator[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        files = self.dataset.values
        assert isinstance(files, FileImages)
        try:
            values, rows = next_of(stream, workers=files.workers, remedy=REMEDY)
        except LostDataError:
            self._stream = None
            raise
        if not len(values):
            folder = files.paths[0].parent
            raise NoFileError(
                f"none of the {len(files)} files of the data can be used any more (the first lies "
                f"in {folder}). Put them back, then resume."
            )
        return values, rows

    def _start(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        files = self.dataset.values
        assert isinstance(files, FileImages)
        # Another one reads ahead, so that workers hold nothing that holds them: they end at once.
        ahead = type(self)(
            self.dataset, self.batch_size, seed=self.seed, device=self.device, ranks=self.ranks
        )
        loader = DataLoader(
            Decoder(files, self.dataset.rows),
            batch_sampler=rows_from(ahead, number),
            num_workers=files.workers,
            prefetch_factor=PREFETCHED_BATCHES if files.workers else None,
            pin_memory=self.device.type == "cuda",
            collate_fn=stack,
            # Its own stream, or the loader would draw from the one that a checkpoint holds.
            generator=torch.Generator(),
        )
        return iter(loader)

    def _report(self, rows: list[int]) -> None:
        assert isinstance(self.dataset.values, FileImages)
        for row in set(rows) - self._unusable:
            self._unusable.add(row)
            self._on_unusable(f"{self.dataset.values.paths[row]} cannot be used; the next one is.")


def rows_from(batches: Batches, number: int) -> Iterator[list[int]]:
    """Rows of each batch from `number` on, without end."""
    while True:
        yield concatenate([part.rows for part in batches.parts(number)]).tolist()
        number += 1


def stack(items: list[tuple[np.ndarray, int] | None]) -> tuple[Tensor, Tensor]:
    """Decoded images as uint8 (n, C, H, W), and their rows; both empty if one is missing."""
    there = [item for item in items if item is not None]
    if len(there) < len(items):
        return torch.empty(0), torch.empty(0)
    values = torch.from_numpy(np.stack([pixels for pixels, _ in there]))
    return values, torch.tensor([row for _, row in there])


class Decoder(TorchDataset[tuple[np.ndarray, int] | None]):
    """Decodes a row's file, or the next one that can be used, and says which row that was."""

    def __init__(self, files: FileImages, rows: Tensor | None) -> None:
        """Keep what to read.

        Args:
            files: at least one of which can be used.
            rows: to choose the next one from, int64, sorted; None: all.
        """
        self.files = files
        self.rows = torch.arange(len(files)) if rows is None else rows

    @override
    def __getitem__(self, row: int) -> tuple[np.ndarray, int] | None:
        first = int(torch.searchsorted(self.rows, row))
        for step in range(len(self.rows)):
            used = int(self.rows[(first + step) % len(self.rows)])
            try:
                return np.ascontiguousarray(self.files.load(used)), used
            except UnusableImageError:
                continue
        return None  # an error would come with a traceback
