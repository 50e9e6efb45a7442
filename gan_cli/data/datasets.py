"""Data that were loaded: one set of points or images, or two sets that do not belong together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from gan_cli.data.augment import Augment
from gan_cli.data.files.archives import Source, readable
from gan_cli.data.files.decode import UnusableImageError
from gan_cli.errors import Problem, UserError
from gan_cli.seeding import generator_for
from gan_cli.spec import DataSpec, PairSpec
from gan_cli.theory.curves import Polyline
from gan_cli.theory.density import GaussianMixture

#: Called with (what, done, total) while something takes long.
Progress = Callable[[str, int, int], None]
PREFETCHED_BATCHES = 4  # that each reading process prepares ahead


@dataclass(frozen=True)
class FileImages:
    """Images that stay in their files and are decoded when they are drawn.

    Attributes:
        paths: the files, on the disk or in an archive.
        read: decodes one, uint8 (C, H, W), values 0..255; takes a path, and a page if there are
            `pages`.
        workers: decoding processes; 0: in this process.
        pages: page or frame of each file; empty: the first.
    """

    paths: list[Source]
    read: Callable[..., np.ndarray]
    workers: int
    pages: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    def load(self, row: int) -> np.ndarray:
        """Decode one image.

        Raises:
            UnusableImageError: it cannot be used.
        """
        source = readable(self.paths[row])
        return self.read(source, self.pages[row]) if self.pages else self.read(source)

    def usable(self, rows: Iterable[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Those of some rows whose file can be used, each with its pixels, uint8 (C, H, W)."""
        for row in rows:
            try:
                yield row, self.load(row)
            except UnusableImageError:  # reported when training draws it
                continue


@dataclass(frozen=True)
class Dataset:
    """All data, in memory or in files.

    Attributes:
        values: uint8 images (N, C, H, W), values 0..255, or float points (N, n) in their own
            units, either of which may be mapped from a file; or image files.
        labels: int64 (N,), or None.
        spec: shape, range and classes as networks see them.
        density: p_data, where it is known in closed form.
        augment: what is done to each datum anew in every epoch.
        rows: which of the N are part of this data set, int64; None: all.
        identity: fingerprint, where one is known without reading all values.
        notes: what the user should know of how the data were loaded.
        balance: each epoch draws all classes equally often.
        curve: what points of the plane lie on, or about.
        held_out: what was held out of it, for looks at D.
        standardise: networks shall see points of mean 0 and standard deviation 1.
    """

    values: Tensor | FileImages
    labels: Tensor | None
    spec: DataSpec
    density: GaussianMixture | None = None
    augment: Augment | None = None
    rows: Tensor | None = None
    identity: str | None = None
    notes: tuple[str, ...] = ()
    balance: bool = False
    curve: Polyline | None = None
    held_out: Dataset | None = None
    standardise: bool = False

    def __len__(self) -> int:
        return len(self.values) if self.rows is None else len(self.rows)

    def class_counts(self) -> list[int] | None:
        """How many data each class has; None without labels. Unusable image files count too."""
        if self.labels is None or not self.spec.classes:
            return None
        labels = self.labels if self.rows is None else self.labels[self.rows]
        return torch.bincount(labels, minlength=self.spec.classes).tolist()

    def to_range(self, values: Tensor) -> Tensor:
        """uint8 0..255 -> float32 in the data's range; points standardised, if they are to be."""
        return self.spec.from_bytes(values)

    def mean(self, *, chunk: int = 4096) -> Tensor:
        """Mean of all data in the data's range, float32 of one datum's shape.

        Args:
            chunk: data read at once.

        Raises:
            UserError: the images are streamed, and reading them all would cost an epoch.
        """
        if isinstance(self.values, FileImages):
            raise UserError(
                Problem(
                    "model.generator.output_bias",
                    "marginals",
                    "needs all images at once. Use data.cache=true",
                )
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
            advice = f"there are only {n} data. Hold out fewer."
            raise UserError(Problem("data.validation", held_out, advice))
        order = torch.arange(n)
        if mixed:
            order = torch.randperm(n, generator=generator_for(0, "validation"))
        kept, held = order[: n - held_out].sort()[0], order[n - held_out :].sort()[0]
        return replace(self, rows=kept), replace(self, rows=held, augment=None)

    def scaled_like(self, spec: DataSpec) -> Dataset:
        """The same data; networks see points with the mean and the spread of `spec`."""
        held_out = None if self.held_out is None else self.held_out.scaled_like(spec)
        scaled = replace(self.spec, mean=spec.mean, std=spec.std)
        return replace(self, spec=scaled, held_out=held_out)

    def first(self, n: int) -> Tensor:
        """The first n data (fewer if there are fewer) in the data's range, unaugmented.

        Images that are stored larger than the spec's, for random crops, are cut in the middle.

        Returns:
            float32 (n, *shape).

        Raises:
            UserError: no image file can be used.
        """
        if isinstance(self.values, FileImages):
            files = range(len(self.values)) if self.rows is None else self.rows.tolist()
            _, values = self._read(self.values, files, most=n)
        else:
            rows = torch.arange(min(n, len(self))) if self.rows is None else self.rows[:n]
            values = self.values[rows]
        return self.to_range(self._middle(values))

    def take(self, places: Tensor) -> tuple[Tensor, Tensor | None]:
        """Chosen data in the data's range, and their labels; unaugmented.

        Args:
            places: int64 (n,), each below the number of data.

        Returns:
            float32 (n, *shape) and int64 (n,), or fewer where image files cannot be used.

        Raises:
            UserError: none of the image files can be used.
        """
        rows = places if self.rows is None else self.rows[places]
        if isinstance(self.values, FileImages):
            rows, values = self._read(self.values, rows.tolist(), most=len(rows))
        else:
            values = self.values[rows]
        labels = None if self.labels is None else self.labels[rows]
        return self.to_range(self._middle(values)), labels

    def _read(self, files: FileImages, rows: Iterable[int], *, most: int) -> tuple[Tensor, Tensor]:
        """The first `most` of some rows whose files can be used: which they are, and pixels."""
        images = list(islice(files.usable(rows), most))
        if not images:
            raise UserError(f"{files.paths[0].parent}: none of its images can be used.")
        usable = torch.tensor([row for row, _ in images])
        return usable, torch.from_numpy(np.stack([pixels for _, pixels in images]))

    def _middle(self, values: Tensor) -> Tensor:
        """Images cut to the spec's size; points as they are."""
        if not self.spec.is_image:
            return values
        (stored_height, stored_width), (height, width) = values.shape[2:], self.spec.shape[1:]
        top, left = (stored_height - height) // 2, (stored_width - width) // 2
        return values[:, :, top : top + height, left : left + width]

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
    """Two data sets without correspondence, and held-out images for previews.

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

    def preview_images(self, n: int) -> tuple[Tensor, Tensor]:
        """The same number of images of both domains, held-out ones if there are any.

        Args:
            n: at most so many of each.

        Returns:
            float32 (n, *shape of A) and (n, *shape of B), each in its data's range.

        Raises:
            UserError: no image file of a domain can be used.
        """
        a, b = self.examples or (self.a, self.b)
        images_a, images_b = a.first(n), b.first(n)
        rows = min(len(images_a), len(images_b))
        return images_a[:rows], images_b[:rows]

    def fingerprint(self) -> str:
        """Of both domains."""
        return f"{self.a.fingerprint()}-{self.b.fingerprint()}"
