"""CIFAR-10 and SVHN, 32x32 colour photos in ten classes, read or downloaded by torchvision.

Both file formats can hold code or be malformed; torchvision compares the files with the published
checksums before it reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from gan_cli.data.base import Dataset, Progress
from gan_cli.data.files.download import fetch, missing_files, root_above
from gan_cli.data.images import ImageSource
from gan_cli.errors import Problem, UserError, require


class SmallPhotos(ImageSource):
    """What both have in common.

    Attributes:
        folder: where the files lie below `root`.
        expected: their names.
        test_file: one of the test images.
        address: of the page that publishes them.
    """

    folder, expected, address, test_file = "", "", "", ""

    def __init__(
        self,
        *,
        root: str,
        download: bool,
        flip: bool,
        class_names: tuple[str, ...],
        image_size: int | Sequence[int],
        pixel_range: Sequence[float],
    ) -> None:
        super().__init__(
            channels=3,
            classes=10,
            class_names=class_names,
            image_size=image_size,
            pixel_range=pixel_range,
            flip=flip,
        )
        require((bool(root), "root", root, "give the folder that holds (or shall hold) the files"))
        self.root, self.download = root_above(root, *[self.folder] * bool(self.folder)), download

    def open(self, *, train: bool, download: bool) -> tuple[Tensor, Tensor]:
        """The training or test images, uint8 (N, 3, 32, 32), and labels, int64 (N,).

        Raises:
            RuntimeError: files are not there, or their checksums differ from the published ones.
            OSError: they cannot be read.
        """
        raise NotImplementedError

    @override
    def load(self, *, seed: int, progress: Progress) -> Dataset:
        """Read the training images and labels, downloading them first if they are not there.

        Raises:
            UserError: they are not there or damaged, and cannot be downloaded.
        """
        try:
            images, labels = self.open(train=True, download=False)
        except (RuntimeError, OSError) as error:  # torchvision: "not found or corrupted"
            if not self.download:
                reason = "the files are not there or damaged, and data.download=false"
                raise UserError(self._what_to_do(reason)) from error
            downloaded: list[tuple[Tensor, Tensor]] = []
            fetch(
                lambda: downloaded.append(self.open(train=True, download=True)),
                explain=self._what_to_do,
            )
            ((images, labels),) = downloaded
        return self.dataset(images, labels)

    @override
    def load_test(self, *, seed: int, progress: Progress) -> Dataset | None:
        """The test images, downloading them first if that is allowed; None: not there.

        Raises:
            UserError: they are there, but damaged.
        """
        try:
            return self.dataset(*self.open(train=False, download=self.download))
        except (RuntimeError, OSError) as error:
            file = self.root / self.folder / self.test_file
            if not file.exists():
                return None
            advice = f"{file} is damaged. Remove it, or fetch it again from {self.address}."
            raise UserError(Problem("data.root", self.root, advice)) from error

    def _what_to_do(self, reason: str) -> Problem:
        return missing_files(
            reason,
            root=self.root,
            folder=self.root / self.folder,
            expected=self.expected,
            address=self.address,
        )


class CIFAR10(SmallPhotos):
    """50,000 training photos of ten kinds of things (Krizhevsky 2009)."""

    folder, expected = "cifar-10-batches-py", "data_batch_1 to data_batch_5, batches.meta"
    test_file = "test_batch"
    address = "https://www.cs.toronto.edu/~kriz/cifar.html"

    def __init__(
        self,
        *,
        root: str,
        download: bool,
        flip: bool,
        image_size: int | Sequence[int],
        pixel_range: Sequence[float],
    ) -> None:
        names = "airplane automobile bird cat deer dog frog horse ship truck"
        super().__init__(
            root=root,
            download=download,
            flip=flip,
            class_names=tuple(names.split()),
            image_size=image_size,
            pixel_range=pixel_range,
        )

    @override
    def open(self, *, train: bool, download: bool) -> tuple[Tensor, Tensor]:
        """All five training batches, or the test batch."""
        from torchvision import datasets

        files: Any = datasets.CIFAR10(self.root, train=train, download=download)
        images = torch.from_numpy(files.data).permute(0, 3, 1, 2).contiguous()
        return images, torch.tensor(files.targets)


class SVHN(SmallPhotos):
    """73,257 house numbers' digits (Netzer et al. 2011)."""

    folder, expected, test_file = "", "train_32x32.mat", "test_32x32.mat"
    address = "http://ufldl.stanford.edu/housenumbers"

    def __init__(
        self,
        *,
        root: str,
        download: bool,
        image_size: int | Sequence[int],
        pixel_range: Sequence[float],
    ) -> None:
        super().__init__(
            root=root,
            download=download,
            flip=False,  # mirrored digits are none
            class_names=(),
            image_size=image_size,
            pixel_range=pixel_range,
        )

    @override
    def open(self, *, train: bool, download: bool) -> tuple[Tensor, Tensor]:
        """The training digits, without the extra ones, or the test digits."""
        from torchvision import datasets

        split = "train" if train else "test"
        files: Any = datasets.SVHN(str(self.root), split=split, download=download)
        return torch.from_numpy(files.data), torch.from_numpy(files.labels).long()
