"""How the workers of all processes share shards, and how each reads its shards.

In each epoch all shards are put into an order that is a function of (seed, epoch) and dealt out to
the workers of all processes, so that each shard is read by one worker. A worker mixes the images of
its shards in a buffer, which it empties before its next epoch begins; it waits for no other.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info
from typing_extensions import override

from gan_cli.data.files.decode import UnusableImageError
from gan_cli.data.shards.read import Sample, Shards, UnreadableShardError
from gan_cli.seeding import derive_seed, generator_for

MOST_FAILURES = 10  # shards in a row that cannot be read, before a run gives up
MOST_NAMED = 20  # things that cannot be used, reported with one batch


class Position(NamedTuple):
    """Where a worker is: its epoch, and how many of its shards of that epoch it has begun."""

    epoch: int
    begun: int


class Delivery(NamedTuple):
    """One worker's batch, and where the worker was when it was complete.

    Attributes:
        values: uint8 (n, C, H, W), values 0..255.
        labels: int64 (n,), or None.
        draws: float32 (n, 3), in [0, 1), for `Augment.apply`.
        reader: the worker's number in its process.
        position: its `Position`.
        unusable: what was skipped, and why, as sentences.
        failure: why there is no batch, nor will be one, as a sentence; None: there is one.
    """

    values: Tensor
    labels: Tensor | None
    draws: Tensor
    reader: int
    position: tuple[int, int]
    unusable: list[str]
    failure: str | None


class ShardStream(IterableDataset[Delivery]):
    """Batches for one process, without end; each of its workers fills whole batches."""

    def __init__(
        self, shards: Shards, n: int, *, seed: int, positions: Sequence[Position], rank: int,
        world: int,
    ) -> None:  # fmt: skip
        """Keep what to read; nothing is read yet.

        Args:
            shards: what to read.
            n: images in a batch.
            seed: of the order.
            positions: where each worker of this process begins.
            rank: this process among all.
            world: how many processes there are.
        """
        self.shards, self.n, self.seed, self.positions = shards, n, seed, positions
        self.rank, self.world = rank, world

    @override
    def __iter__(self) -> Iterator[Delivery]:
        worker = get_worker_info()
        number = 0 if worker is None else worker.id
        readers = len(self.positions)
        reader = Reader(
            self.shards,
            seed=self.seed,
            slot=self.rank * readers + number,
            slots=self.world * readers,
            position=self.positions[number],
        )
        images = reader.images()
        while True:
            try:
                drawn = [next(images) for _ in range(self.n)]
            except UnreadableShardError as error:  # a DataLoader would add a traceback to its words
                nothing = torch.empty(0)
                yield Delivery(
                    nothing, None, nothing, number, reader.at, reader.unusable, str(error)
                )
                return
            values = torch.from_numpy(np.stack([pixels for pixels, _, _ in drawn]))
            labels = torch.tensor([label for _, label, _ in drawn]) if self.shards.classes else None
            draws = torch.tensor([draw for _, _, draw in drawn])
            unusable, reader.unusable = reader.unusable, []
            yield Delivery(values, labels, draws, number, reader.at, unusable, None)


class Reader:
    """One worker's way through its shards, epoch after epoch."""

    def __init__(
        self, shards: Shards, *, seed: int, slot: int, slots: int, position: Position
    ) -> None:
        """Start with the shard after those that were begun.

        Args:
            shards: all of them.
            seed: of the order.
            slot: this worker among all workers of all processes.
            slots: how many there are.
            position: where it begins.
        """
        self.shards, self.seed, self.slot, self.slots = shards, seed, slot, slots
        self.epoch, self.begun = position
        self.unusable: list[str] = []
        self._random = random.Random(derive_seed(seed, "shard reader", slot, *position))  # noqa: S311
        self._failed: set[str] = set()  # shards in a row that gave nothing

    @property
    def at(self) -> Position:
        """Its position now."""
        return Position(self.epoch, self.begun)

    def images(self) -> Iterator[tuple[np.ndarray, int, list[float]]]:
        """Images that can be used, without end.

        Yields:
            Pixels, uint8 (C, H, W); the label, 0 where none are read; three draws for `Augment`.

        Raises:
            UnreadableShardError: many shards in a row cannot be read, or none has a usable image.
        """
        import webdataset

        fruitless: set[str] = set()
        while True:
            names = self.names()[self.begun :]
            samples = self._samples(names)
            if self.shards.buffer > 1:
                mix = webdataset.shuffle(
                    self.shards.buffer, initial=self.shards.buffer, rng=self._random
                )
                samples = mix(samples)
            has_image = False
            for sample in samples:
                try:
                    pixels, label = self.shards.decode(sample)
                except UnusableImageError as error:
                    where = f"{sample['__url__']}: {sample['__key__']}"
                    self._report(f"{where} cannot be used ({error}); the next one is.")
                    continue
                has_image = True
                yield pixels, label, [self._random.random() for _ in range(3)]
            fruitless = set() if has_image else fruitless | set(names)
            if len(fruitless) == len(self.shards.names):
                raise UnreadableShardError("none of them has an image to be used.")
            self.epoch, self.begun = self.epoch + 1, 0

    def names(self) -> list[str]:
        """This worker's shards of its epoch, in order."""
        numbers = deal_shards(
            len(self.shards.names),
            seed=self.seed,
            epoch=self.epoch,
            slot=self.slot,
            slots=self.slots,
        )
        return [self.shards.names[number] for number in numbers]

    def _samples(self, names: list[str]) -> Iterator[Sample]:
        """The samples of some shards, one shard after the other."""
        for name in names:
            self.begun += 1
            has_sample = False
            try:
                for sample in self.shards.read(name):
                    has_sample = True
                    self._failed.clear()
                    yield sample
                if not has_sample:
                    self._report(f"{name} holds no files; the next shard is read.")
            except UnreadableShardError as error:
                self._report(f"{name} cannot be read to its end ({error}); the next shard is.")
                if has_sample:
                    continue
                self._failed.add(name)
                if len(self._failed) == min(MOST_FAILURES, len(self.shards.names)):
                    raise UnreadableShardError(
                        f"{len(self._failed)} in a row cannot be read, the last being {name} "
                        f"({error})."
                    ) from error

    def _report(self, text: str) -> None:
        if len(self.unusable) < MOST_NAMED:
            self.unusable.append(text)


def deal_shards(n: int, *, seed: int, epoch: int, slot: int, slots: int) -> list[int]:
    """Deal out n shards in an epoch: those that one of `slots` workers reads, in order.

    Where n does not divide by the workers, those that get one more differ from epoch to epoch, so
    that no worker runs ahead of the others for long.
    """
    order = torch.randperm(n, generator=generator_for(seed, "shards", epoch)).tolist()
    return order[(slot + epoch) % slots :: slots]
