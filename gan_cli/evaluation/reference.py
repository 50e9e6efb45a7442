"""Real data to compare generated ones with, and their features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from gan_cli.data.base import (
    AnyDataset,
    Dataset,
    FiniteDataset,
    PairDataset,
    Progress,
    ShardDataset,
)
from gan_cli.evaluation.cache import cached, identity
from gan_cli.evaluation.encoders import Classifier, Encoder, Inception, classifier_of
from gan_cli.seeding import generator_for
from gan_cli.settings.build import load_data, load_test_data
from gan_cli.settings.targets import Node

READ = 4096  # data read at once


class RealData:
    """Training and test data of one kind, and a classifier of them."""

    def __init__(
        self, train: Dataset, test: Dataset | None, *, device: torch.device, progress: Progress
    ) -> None:
        self.train, self.test, self.device, self._progress = train, test, device, progress
        self._encoded: dict[tuple[str, str, int], Tensor] = {}

    @cached_property
    def classifier(self) -> Classifier:
        """Trained on the training data; only for labelled images."""
        return classifier_of(self.train, self.test, device=self.device, progress=self._progress)

    def sample(self, n: int, *, of_test: bool = False) -> tuple[Tensor, Tensor | None]:
        """The same n real data each time, chosen at random, images in [0, 1]; and their labels.

        Fewer if there are fewer.
        """
        dataset = self.train
        if of_test:
            assert self.test is not None
            dataset = self.test
        order = torch.randperm(len(dataset), generator=generator_for(0, "evaluation"))
        return unit(dataset, order[:n])

    def encoded(self, encoder: Encoder, n: int, *, of_test: bool = False) -> Tensor:
        """Features of n real images, from memory, the cache, or computed now."""
        part = "test" if of_test else "train"
        if (key := (encoder.key, part, n)) not in self._encoded:
            dataset = self.test if of_test else self.train

            def make() -> dict[str, Tensor]:
                return {"features": encoder(self.sample(n, of_test=of_test)[0])}

            name = identity(encoder.key, dataset, n)
            stored = cached(f"features-{name}", make, keys=("features",))
            self._encoded[key] = stored["features"]
        return self._encoded[key]


def unit(dataset: Dataset, places: Tensor) -> tuple[Tensor, Tensor | None]:
    """Chosen data, images in [0, 1] and points as they are, and their labels."""
    parts = [dataset.take(part) for part in places.split(READ)]
    x = torch.cat([values for values, _ in parts])
    if dataset.spec.is_image:
        x = dataset.spec.to_unit(x)
    labels = [part for _, part in parts if part is not None]
    return x, torch.cat(labels) if labels else None


def at_hand(dataset: AnyDataset, n: int, progress: Progress) -> FiniteDataset:
    """Data that can be indexed: the same, or of shards the first n images, with a note on it.

    Raises:
        UserError: the shards have no usable image.
    """
    if not isinstance(dataset, ShardDataset):
        return dataset
    head = dataset.head(n, progress=progress)
    note = f"evaluations hold samples against the first {len(head):,} images of the shards."
    return replace(head, notes=(note,))


class Reference:
    """All real data of a run, read once for all its evaluations."""

    def __init__(
        self,
        config: Node,
        dataset: FiniteDataset,
        *,
        device: torch.device,
        inception: str | None,
        progress: Progress,
    ) -> None:
        """Prepare; nothing is read before it is needed.

        Args:
            config: of the run.
            dataset: its training data.
            device: where encoders run.
            inception: its weights, see `encoders.Inception`; None: not to be used.
            progress: called with how far it is.
        """
        self.config, self.dataset, self.device = config, dataset, device
        self.inception_weights, self.progress = inception, progress

    @cached_property
    def test(self) -> FiniteDataset | None:
        """Data that training never sees; None: there are none."""
        test = load_test_data(self.config, progress=self.progress)
        assert not isinstance(test, ShardDataset), "shards are for training alone"
        return self._scaled(test) if isinstance(test, Dataset) else test

    @property
    def test_is_held_out(self) -> bool:
        """Whether there is no test split, and what `data.validation` holds out takes its place."""
        if self.test is None or self.validation is None:
            return False
        return len(self.test) == len(self.validation) and (
            self.test.fingerprint() == self.validation.fingerprint()
        )

    @cached_property
    def real(self) -> RealData:
        """Of data of one kind."""
        assert isinstance(self.dataset, Dataset)
        test = self.test
        assert test is None or isinstance(test, Dataset)
        return self._real(self.dataset, test)

    @cached_property
    def domains(self) -> dict[str, RealData]:
        """Of two domains, `a` and `b`."""
        assert isinstance(self.dataset, PairDataset)
        test = self.test if isinstance(self.test, PairDataset) else None
        return {
            "a": self._real(self.dataset.a, None if test is None else test.a),
            "b": self._real(self.dataset.b, None if test is None else test.b),
        }

    def _real(self, train: Dataset, test: Dataset | None) -> RealData:
        return RealData(train, test, device=self.device, progress=self.progress)

    @cached_property
    def validation(self) -> Dataset | None:
        """What `data.validation` holds out; None: nothing."""
        if not self.config["data"]["validation"]:
            return None
        held_out = load_data(self.config, part="validation", progress=self.progress)
        assert isinstance(held_out, Dataset)
        return self._scaled(held_out)

    def _scaled(self, held_out: Dataset) -> Dataset:
        """Held-out points as networks see training points."""
        assert isinstance(self.dataset, Dataset)
        return held_out.scaled_like(self.dataset.spec)

    @cached_property
    def inception(self) -> Inception:
        """The Inception network.

        Raises:
            UserError: it cannot be had.
        """
        assert self.inception_weights is not None
        return Inception(self.inception_weights, device=self.device)

    def remember(self, name: str, make: Callable[[], float]) -> float:
        """A number about real data alone, computed once."""
        if name not in self._numbers:
            self._numbers[name] = make()
        return self._numbers[name]

    @cached_property
    def _numbers(self) -> dict[str, float]:
        return {}
