"""Minibatches from shards, read ahead by worker processes; a resumed run begins a new shard."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader
from typing_extensions import override

from gan_cli.data.datasets import PREFETCHED_BATCHES
from gan_cli.data.files.lost import next_of
from gan_cli.data.shards.dataset import ShardDataset
from gan_cli.data.shards.stream import Delivery, Position, ShardStream, deal_shards
from gan_cli.errors import Problem, UserError
from gan_cli.spec import Batch
from gan_cli.system.ranks import ALONE, Ranks

MOST_NAMED = 100  # things that cannot be used, named from one start of a run to its end


class ShardBatches(Iterator[Batch]):
    """Endless iterator over batches; its state is where each worker of each process is.

    A worker's position moves when a batch is delivered, not when it is read ahead. No shard is
    begun twice in an epoch: a resumed run leaves out what a begun shard and the worker's buffer
    still held.
    """

    def __init__(
        self,
        dataset: ShardDataset,
        batch_size: int,
        *,
        seed: int,
        device: torch.device,
        ranks: Ranks = ALONE,
    ) -> None:
        """Begin with epoch 0.

        Args:
            dataset: at least as many shards as there are workers in all processes.
            batch_size: m, of all processes together.
            seed: of the order.
            device: where batches go.
            ranks: the processes that share each batch.
        """
        self.dataset, self.batch_size, self.ranks = dataset, batch_size, ranks
        self.images_per_batch = batch_size
        self.seed, self.device = seed, device
        self.positions = [Position(0, 0)] * dataset.shards.readers_of(ranks.world)
        self.resume_notes: tuple[str, ...] = ()
        self._stream: Iterator[Delivery] | None = None
        self._named: set[str] = set()
        self._on_unusable: Callable[[str], None] = lambda _: None

    @override
    def __next__(self) -> Batch:
        if self._stream is None:
            self._stream = self._start()
        workers = self.dataset.shards.workers_of(self.ranks.world)
        delivery = next_of(self._stream, workers=workers, remedy="data.workers=0")
        self._report(delivery.unusable)
        if delivery.failure is not None:
            advice = (
                f"{delivery.failure} The last checkpoint is kept: resume when they can be read."
            )
            raise UserError(Problem.about("data.shards", advice))
        self.positions[delivery.reader] = Position(*delivery.position)
        values, labels = delivery.values.to(self.device, non_blocking=True), delivery.labels
        if self.dataset.augment is not None:
            values = self.dataset.augment.apply(values, delivery.draws)
        if labels is not None:
            labels = labels.to(self.device, non_blocking=True)
        return Batch(self.dataset.spec.from_bytes(values), labels)

    def _start(self) -> Iterator[Delivery]:
        workers = self.dataset.shards.workers_of(self.ranks.world)
        stream = ShardStream(
            self.dataset.shards,
            self.batch_size // self.ranks.world,
            seed=self.seed,
            positions=list(self.positions),
            rank=self.ranks.rank,
            world=self.ranks.world,
        )
        with warnings.catch_warnings():
            # The order depends on the number of workers, so the machine's cores do not choose it.
            warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
            loader = DataLoader(
                stream,
                batch_size=None,  # workers fill batches themselves
                num_workers=workers,
                prefetch_factor=PREFETCHED_BATCHES if workers else None,
                pin_memory=self.device.type == "cuda",
                # Its own stream, or the loader would draw from the one that a checkpoint holds.
                generator=torch.Generator(),
            )
            return iter(loader)

    def _report(self, unusable: list[str]) -> None:
        for text in unusable:
            if text in self._named or len(self._named) > MOST_NAMED:
                continue
            self._named.add(text)
            last = f"more than {MOST_NAMED} images cannot be used; no more are named."
            self._on_unusable(text if len(self._named) <= MOST_NAMED else last)

    def watch(self, on_unusable: Callable[[str], None]) -> None:
        """Call `on_unusable` with a sentence, once, for all that cannot be used."""
        self._on_unusable = on_unusable

    def state_dict(self) -> dict[str, Any]:
        """`Position` of all workers, for a checkpoint; all processes must call it together."""
        gathered = self.ranks.gather(self.positions)
        return {"positions": [list(position) for part in gathered for position in part]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume at the next shard of each worker; with another number of them, at the next epoch.

        Raises:
            ValueError: there are no such positions.
        """
        positions = [Position(*pair) for pair in state["positions"]]
        if not positions or not all(
            isinstance(number, int) and 0 <= number < 2**63 for pair in positions for number in pair
        ):
            raise ValueError(f"positions={positions[:3]}...")
        readers, world = len(self.positions), self.ranks.world
        self._stream = None
        if len(positions) == readers * world:
            first = self.ranks.rank * readers
            self.positions = positions[first : first + readers]
            epoch = min(position.epoch for position in positions)
            begun, shards = self._begun(positions, epoch), len(self.dataset.shards.names)
            self.resume_notes = (
                f"data resume at the beginning of a shard, in epoch {epoch + 1} "
                f"({begun} of {shards} shards begun): "
                "what the shards cut short and the shuffle buffers still held is left out of it, "
                "so the run differs from an unbroken one.",
            )
            return
        epoch = 1 + max(position.epoch for position in positions)
        self.positions = [Position(epoch, 0)] * readers
        self.resume_notes = (
            f"data resume at the first shard of epoch {epoch + 1}: their readers were "
            f"{len(positions)}, are now {readers * world}. What was left of epoch {epoch} is left "
            "out, so the run differs from an unbroken one.",
        )

    def _begun(self, positions: list[Position], epoch: int) -> int:
        """How many shards of an epoch were begun: all of theirs, by workers in a later one."""
        shards, slots = len(self.dataset.shards.names), len(positions)
        return sum(
            position.begun
            if position.epoch == epoch
            else len(deal_shards(shards, seed=self.seed, epoch=epoch, slot=slot, slots=slots))
            for slot, position in enumerate(positions)
        )
