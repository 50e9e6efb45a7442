"""What a data source promises, and the data sets that it may load."""

from __future__ import annotations

from abc import ABC, abstractmethod

from gan_cli.data.datasets import Dataset, FileImages, PairDataset, Progress
from gan_cli.data.shards.dataset import ShardDataset
from gan_cli.errors import Problem
from gan_cli.spec import AnySpec

#: What a data source that a user writes imports from here.
__all__ = [
    "AnyDataset",
    "DataSource",
    "Dataset",
    "FileImages",
    "FiniteDataset",
    "PairDataset",
    "Progress",
    "ShardDataset",
]

#: Data that can be counted and chosen from.
FiniteDataset = Dataset | PairDataset
AnyDataset = FiniteDataset | ShardDataset


class DataSource(ABC):
    """A data set as configured. Making one checks its settings and touches no file."""

    #: The data lie in an order that a held-out part must not follow (class by class, say).
    ordered = False
    #: The key that names the addresses.
    address_key = "data.shards"
    #: The data come one after the other, and nobody can ask for one by its number.
    streams = False

    @property
    @abstractmethod
    def spec(self) -> AnySpec:
        """Shape, range and classes. To tell classes, a source may open a file of each.

        Raises:
            gan_cli.errors.UserError: the files that tell the classes are missing.
        """

    @abstractmethod
    def load(self, *, seed: int, progress: Progress) -> AnyDataset:
        """Read or draw the data.

        Args:
            seed: the run's seed, for sources that draw their data.
            progress: called with how far it is, by sources that take long.

        Raises:
            gan_cli.errors.UserError: files are missing or damaged; says which, and what to do.
        """

    def sharing_problem(self, world: int) -> Problem | None:
        """Why so many processes cannot share these data; None: they can.

        Args:
            world: how many processes.

        Returns:
            A problem with a whole key, like `data.workers`.
        """
        del world
        return None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where data are fetched from that are not on this machine, other than well-known sets.

        A config from a checkpoint needs the user's word for them (`settings/trust.py`).
        """
        return ()

    def load_test(self, *, seed: int, progress: Progress) -> AnyDataset | None:
        """The published test split, or whatever else training never sees; None: there is none.

        Args:
            seed: the run's seed, for sources that draw their data.
            progress: called with how far it is, by sources that take long.

        Raises:
            gan_cli.errors.UserError: its files are there, but damaged.
        """
        del seed, progress
        return None
