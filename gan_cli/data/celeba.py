"""CelebA: 202,599 photos of faces (Liu et al. 2015), from torchvision's layout."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from typing_extensions import override

from gan_cli.data.base import Dataset, Progress
from gan_cli.data.files.classes import Folders
from gan_cli.data.files.download import fetch, missing_files, root_above
from gan_cli.data.files.framing import Crop
from gan_cli.data.files.listing import Listing, list_files
from gan_cli.data.image_folder import ImageFolder
from gan_cli.errors import Problem, UserError, did_you_mean, require
from gan_cli.spec import DataSpec

IMAGES, ATTRIBUTES = "img_align_celeba", "list_attr_celeba.txt"
ADDRESS = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"


class CelebA(ImageFolder):
    """Aligned faces, 178x218, scaled and cut as a folder of images is.

    Without an attribute the photos have no labels; with one, 0 and 1 for those without and with it.
    """

    ordered = False
    root_key = None  # data.root names a folder above the photos

    def __init__(
        self,
        *,
        root: str,
        download: bool,
        attribute: str | None,
        image_size: int | Sequence[int],
        load_size: int | Sequence[int] | None,
        crop: Crop,
        flip: bool,
        cache: bool,
        workers: int | None,
        pixel_range: Sequence[float],
        balance: bool = False,
    ) -> None:
        require((bool(root), "root", root, "give the folder that holds (or shall hold) celeba/"))
        self.data_root = root_above(root, "celeba", IMAGES)
        super().__init__(
            root=str(self.data_root / "celeba" / IMAGES),
            channels=3,
            image_size=image_size,
            load_size=load_size,
            resize="cover",
            crop=crop,
            flip=flip,
            cache=cache,
            workers=workers,
            pixel_range=pixel_range,
            balance=balance,
        )
        self.download, self.attribute = download, attribute

    @property
    @override
    def spec(self) -> DataSpec:
        """As configured; two classes if there is an attribute to tell them apart."""
        shape, value_range = self._pixels.shape, self._pixels.value_range
        if self.attribute is None:
            return DataSpec(shape, value_range)
        return DataSpec(shape, value_range, 2, (f"not {self.attribute}", self.attribute))

    @cached_property
    @override
    def folders(self) -> Folders:
        """The photos, in the order of their numbers, with the attribute as label."""
        return Folders(self._labelled())

    def _labelled(self) -> Listing:
        files = list_files(self.root, key=self.root_key).files
        if self.attribute is None:
            return Listing(self.root, files, [], [])
        has_it = self._read_attribute(self.attribute)
        unknown = [name for name in files if name not in has_it]
        if unknown:
            raise UserError(f"{self.root / unknown[0]}: is not listed in {ATTRIBUTES}.")
        return Listing(
            self.root, files, [has_it[name] for name in files], list(self.spec.class_names)
        )

    @override
    def load(self, *, seed: int, progress: Progress) -> Dataset:
        """Open the cache, after downloading the photos if they are not there.

        Raises:
            UserError: they are not there, and cannot be downloaded.
        """
        needed = [self.root] + [self.root.parent / ATTRIBUTES] * (self.attribute is not None)
        if not all(path.exists() for path in needed):
            if not self.download:
                reason = "the files are not there, and data.download=false"
                raise UserError(self._what_to_do(reason))
            from torchvision import datasets

            fetch(lambda: datasets.CelebA(self.data_root, download=True), explain=self._what_to_do)
        return super().load(seed=seed, progress=progress)

    def _read_attribute(self, name: str) -> dict[str, int]:
        """The label of each photo by its file's name: 1 with the attribute, 0 without."""
        file = self.root.parent / ATTRIBUTES
        try:
            _, header, *rows = file.read_text(encoding="ascii").splitlines()
            names = header.split()
            if name not in names:
                hint = did_you_mean(name, names)
                advice = f"{hint} There are: {', '.join(names)}".lstrip()
                raise UserError(Problem("data.attribute", name, advice))
            column = 1 + names.index(name)
            words = [row.split() for row in rows]
            return {row[0]: int(int(row[column]) > 0) for row in words if row}
        except (OSError, ValueError, IndexError) as error:
            raise UserError(f"{file}: cannot be read ({error}).") from error

    def _what_to_do(self, reason: str) -> Problem:
        return missing_files(
            reason,
            root=self.data_root,
            folder=self.data_root / "celeba",
            expected=f"{IMAGES}/ with the photos, and {ATTRIBUTES} for data.attribute",
            address=ADDRESS,
        )
