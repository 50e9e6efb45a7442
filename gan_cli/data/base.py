"""What a data source promises, and what it loads."""

from __future__ import annotations

import contextlib
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan_cli.data.augment import Augment
from gan_cli.data.files.decode import UnusableImageError
from gan_cli.data.shards.read import Shards
from gan_cli.errors import UserError
from gan_cli.seeding import generator_for
from gan_cli.spec import AnySpec, DataSpec, PairSpec
from gan_cli.theory.density import GaussianMixture

#: Called with (what, done, total) while something takes long.
Progress = Callable[[str, int, int], None]
AHEAD = 4  # batches that each decoding process prepares ahead
READ = 100  # images read between two moves of the progress bar


@dataclass(frozen=True)
class FileImages:
    """Images that stay in their files and are decoded when drawn.

    Attributes:
        paths: the files.
        read: decodes one, uint8 (C, H, W).
        workers: decoding processes; 0: in this process.
    """

    paths: list[Path]
    read: Callable[[Path], np.ndarray]
    workers: int

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True)
class Dataset:
    """All data, in memory or in files.

    Attributes:
        values: uint8 images (N, C, H, W), which may be mapped from a file; float32 points
            (N, n); or image files.
        labels: int64 (N,), or None.
        spec: shape, range and classes as networks see them.
        density: p_data, where it is known in closed form.
        augment: what is done to each datum anew in every epoch.
        rows: which of the N are part of this data set, int64; None: all.
        identity: fingerprint, where one is known without reading all values.
        notes: what the user should know of how the data were loaded.
    """

    values: Tensor | FileImages
    labels: Tensor | None
    spec: DataSpec
    density: GaussianMixture | None = None
    augment: Augment | None = None
    rows: Tensor | None = None
    identity: str | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values) if self.rows is None else len(self.rows)

    def to_range(self, values: Tensor) -> Tensor:
        """uint8 0..255 -> float32 in the data's range; points as they are."""
        return self.spec.from_bytes(values)

    def mean(self, *, chunk: int = 4096) -> Tensor:
        """Mean of all data in the data's range, float32 of one datum's shape.

        Raises:
            UserError: the images are streamed, and reading them all would cost an epoch.
        """
        if isinstance(self.values, FileImages):
            raise UserError(
                "model.generator.output_bias=marginals: needs all images at once. "
                "Use data.cache=true"
            )
        rows = torch.arange(len(self.values)) if self.rows is None else self.rows
        total = torch.zeros(self.values.shape[1:], dtype=torch.float64)
        for part in rows.split(chunk):
            total += self.to_range(self.values[part]).double().sum(dim=0)
        return (total / len(rows)).float()

    def split(self, held_out: int, *, mixed: bool) -> tuple[Dataset, Dataset]:
        """This data set without `held_out` data, and those.

        Args:
            held_out: how many.
            mixed: choose them at random (the same for all seeds), for data that lie class by
                class; else the last ones, as the 2014 paper did with MNIST.

        Raises:
            UserError: nothing would be left.
        """
        n = len(self)
        if held_out >= n:
            raise UserError(f"data.validation={held_out}: there are only {n} data. Hold out fewer.")
        order = torch.arange(n)
        if mixed:
            order = torch.randperm(n, generator=generator_for(0, "validation"))
        kept, held = order[: n - held_out].sort()[0], order[n - held_out :].sort()[0]
        return replace(self, rows=kept), replace(self, rows=held, augment=None)

    def first(self, n: int) -> Tensor:
        """The first n data (fewer if there are fewer) in the data's range, unaugmented.

        Images that are larger than the spec's, to be cropped anew each time, are cut in the middle.
        """
        rows = torch.arange(min(n, len(self))) if self.rows is None else self.rows[:n]
        if isinstance(self.values, FileImages):
            values = torch.from_numpy(np.stack(self._read_first(self.values, n)))
        else:
            values = self.values[rows]
        return self.to_range(self._middle(values))

    def take(self, places: Tensor) -> tuple[Tensor, Tensor | None]:
        """Data of one's own choice in the data's range, and their labels; unaugmented.

        Args:
            places: int64 (n,), each below the number of data.

        Returns:
            (n, *shape) and (n,), or fewer where image files cannot be used.
        """
        rows = places if self.rows is None else self.rows[places]
        if isinstance(self.values, FileImages):
            found: list[np.ndarray] = []
            usable: list[int] = []
            for row in rows.tolist():
                with contextlib.suppress(UnusableImageError):
                    found.append(self.values.read(self.values.paths[row]))
                    usable.append(row)
            if not found:
                raise UserError(f"{self.values.paths[0].parent}: none of its images can be used.")
            rows, values = torch.tensor(usable), torch.from_numpy(np.stack(found))
        else:
            values = self.values[rows]
        labels = None if self.labels is None else self.labels[rows]
        return self.to_range(self._middle(values)), labels

    def _middle(self, values: Tensor) -> Tensor:
        """Images cut to the spec's size; points as they are."""
        if not self.spec.is_image:
            return values
        (tall, wide), (height, width) = values.shape[2:], self.spec.shape[1:]
        top, left = (tall - height) // 2, (wide - width) // 2
        return values[:, :, top : top + height, left : left + width]

    def _read_first(self, files: FileImages, n: int) -> list[np.ndarray]:
        """The first n files that can be used; the others are told of when they are drawn."""
        found: list[np.ndarray] = []
        rows = range(len(files)) if self.rows is None else self.rows.tolist()
        for row in rows:
            with contextlib.suppress(UnusableImageError):
                found.append(files.read(files.paths[row]))
            if len(found) == n:
                break
        return found

    def fingerprint(self) -> str:
        """Hash of all values and labels, to notice data that changed between two sessions."""
        if self.identity is not None or isinstance(self.values, FileImages):
            return str(self.identity)
        digest = hashlib.sha256(self.values.cpu().contiguous().numpy().tobytes())
        if self.labels is not None:
            digest.update(self.labels.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class PairDataset:
    """Two data sets without correspondence, and held-out images to look at.

    Attributes:
        a: domain A.
        b: domain B.
        examples: held-out images of both domains for previews; None: training images.
        paired: datum i of A and datum i of B show the same, which training never uses.
    """

    a: Dataset
    b: Dataset
    examples: tuple[Dataset, Dataset] | None = None
    paired: bool = False

    def __len__(self) -> int:
        return max(len(self.a), len(self.b))

    @property
    def spec(self) -> PairSpec:
        """Of both domains."""
        return PairSpec(self.a.spec, self.b.spec)

    @property
    def notes(self) -> tuple[str, ...]:
        """Of both domains."""
        return tuple(dict.fromkeys((*self.a.notes, *self.b.notes)))

    def fingerprint(self) -> str:
        """Of both domains."""
        return f"{self.a.fingerprint()}-{self.b.fingerprint()}"


@dataclass(frozen=True)
class ShardDataset:
    """Images that come out of shards one after the other, and cannot be gone back to.

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
            if len(values) % READ == 0:
                progress("reading images", len(values), n)
        if not values:
            raise UserError(f"data.shards: no usable image in {len(self.shards.names)} shards.")
        progress("reading images", n, n)
        return Dataset(
            torch.stack(values), torch.tensor(labels) if self.shards.classes else None, self.spec
        )

    def first(self, n: int) -> Tensor:
        """The first n images (fewer if there are fewer) in the data's range, unaugmented."""
        return self.head(n).first(n)

    def fingerprint(self) -> str:
        """Hash of the shards' names and sizes, to notice data that changed."""
        return self.identity


#: Data that can be counted and chosen from.
FiniteDataset = Dataset | PairDataset
AnyDataset = FiniteDataset | ShardDataset


class DataSource(ABC):
    """A data set as configured. Making one checks its settings and touches no file."""

    #: The data lie in an order that a held-out part must not follow (class by class, say).
    ordered = False
    #: The data come one after the other, and cannot be gone back to.
    streams = False

    @property
    @abstractmethod
    def spec(self) -> AnySpec:
        """Shape, range and classes; of the files, at most their names are looked at."""

    @abstractmethod
    def load(self, *, seed: int, progress: Progress) -> AnyDataset:
        """Read or draw the data.

        Args:
            seed: the run's seed, for sources that draw their data.
            progress: told how far it is, for sources that take long.

        Raises:
            gan_cli.errors.UserError: files are missing or damaged; says which, and what to do.
        """

    def sharing_problem(self, world: int) -> str | None:  # noqa: ARG002
        """Why so many processes cannot share these data, and what would work; None: they can."""
        return None

    def load_test(self, *, seed: int, progress: Progress) -> AnyDataset | None:  # noqa: ARG002
        """The published test split, or whatever else training never sees; None: there is none.

        Raises:
            gan_cli.errors.UserError: its files are there, but damaged.
        """
        return None
