"""Pairs of domains without correspondence: two folders, public pairs, and digits in two guises."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor

from gan_cli.data.base import Dataset, DataSource, PairDataset, Progress
from gan_cli.data.digits import Digits
from gan_cli.data.files.cache import list_files, tree_found
from gan_cli.data.files.decode import Resize
from gan_cli.data.files.download import fetch, missing_files
from gan_cli.data.image_folder import ImageFolder
from gan_cli.data.images import image_spec, resize, sides
from gan_cli.errors import UserError, require
from gan_cli.seeding import generator_for
from gan_cli.spec import DataSpec, PairSpec

Preprocess = Literal["resize_and_crop", "resize", "crop", "scale_width", "none"]
#: How each is done by `gan_cli.data.files.decode` and a crop.
HOW: dict[str, tuple[Resize, Literal["center", "random"]]] = {
    "resize_and_crop": ("stretch", "random"),
    "resize": ("stretch", "center"),
    "crop": ("none", "random"),
    "scale_width": ("cover", "center"),
    "none": ("none", "center"),
}

TREE_EXPECTED = """\
  expected: two folders of photos, and two more to look at if you like
    ROOT/trainA/1.jpg        ROOT/testA/7.jpg
    ROOT/trainB/2.png        ROOT/testB/8.png
  or any two folders: data.a=FOLDER data.b=FOLDER"""


#: Where the authors of CycleGAN published their pairs.
ADDRESS = "http://efrosgans.eecs.berkeley.edu/cyclegan/datasets/{name}.zip"


class UnpairedFolders(DataSource):
    """Two folders of photos, decoded once into memory-mapped caches.

    With a `public_name` they are a published pair, in a folder of that name below `root`.
    """

    def __init__(  # noqa: PLR0913  (each is a key of the YAML)
        self,
        *,
        root: str,
        public_name: str | None,
        download: bool,
        a: str | None,
        b: str | None,
        channels_a: int,
        channels_b: int,
        image_size: int | Sequence[int],
        load_size: int | Sequence[int] | None,
        preprocess: Preprocess,
        flip: bool,
        cache: bool,
        workers: int | None,
        pixel_range: Sequence[float],
    ) -> None:
        height, width = sides("image_size", image_size)
        crops = preprocess == "resize_and_crop"
        require(
            (bool(root), "root='': give the folder that holds the folders"),
            (a != "", "a='': name a folder, or null for trainA"),
            (b != "", "b='': name a folder, or null for trainB"),
            (
                (a is None) == (b is None),
                "a and b: give both folders, or none for trainA and trainB",
            ),
            (
                not crops or load_size is not None,
                f"load_size={load_size}: preprocess=resize_and_crop needs one, larger than "
                f"image_size={image_size}",
            ),
            (
                crops or load_size is None,
                f"load_size={load_size}: only preprocess=resize_and_crop uses it; set it to null",
            ),
        )
        self.data_root, self.public_name = Path(root).expanduser(), public_name
        self.download = download
        self.root = self.data_root / (public_name or "")
        self.folders = {
            "A": Path(a).expanduser() if a is not None else self.root / "trainA",
            "B": Path(b).expanduser() if b is not None else self.root / "trainB",
        }
        self.named = a is not None
        self.preprocess, self.size = preprocess, (height, width)
        self._settings = {"flip": flip, "cache": cache, "workers": workers}
        self.load_size, self.pixel_range = load_size, tuple(pixel_range)
        self.channels = {"A": channels_a, "B": channels_b}
        larger = sides("load_size", load_size) if load_size is not None else (height + 1, width + 1)
        require(
            (channels_a in (1, 3), f"channels_a={channels_a}: 1 (gray) or 3 (RGB)"),
            (channels_b in (1, 3), f"channels_b={channels_b}: 1 (gray) or 3 (RGB)"),
            (
                min(larger[0] - height, larger[1] - width) >= 0 and larger != (height, width),
                f"load_size={load_size}: must be larger than image_size={image_size}",
            ),
            (
                not download or public_name is not None,
                "download=true: only a published pair can be fetched, like data=horse2zebra",
            ),
        )
        for domain in "AB":  # its constructor checks the other values
            self.domain(domain, self.folders[domain], common=(height + 1, width + 1))

    def domain(
        self, domain: str, folder: Path, *, common: tuple[int, int], plain: bool = False
    ) -> ImageFolder:
        """One domain as a folder of images.

        Args:
            domain: A or B.
            folder: where it lies.
            common: a size that all its photos have, for preprocess=crop.
            plain: to look at: the same size, nothing random.
        """
        how, crop = HOW[self.preprocess]
        if plain:
            how, crop = ("stretch" if how == "stretch" else "cover"), "center"
        load_size = self.load_size
        if crop == "center":
            load_size = None
        elif self.preprocess == "crop":
            load_size = common
            if common == self.size:  # nothing to choose from
                crop, load_size = "center", None
        return ImageFolder(
            root=str(folder),
            channels=self.channels[domain],
            image_size=self.size,
            load_size=load_size,
            resize=how,
            crop=crop,
            flip=bool(self._settings["flip"]) and not plain,
            cache=bool(self._settings["cache"]),
            workers=self._settings["workers"],
            pixel_range=self.pixel_range,
        )

    @property
    def spec(self) -> PairSpec:
        """As configured."""
        a, b = (
            image_spec(self.channels[domain], self.size, self.pixel_range, classes=0)
            for domain in "AB"
        )
        return PairSpec(a, b)

    def load(self, *, seed: int, progress: Progress) -> PairDataset:
        """Open or build the caches of both domains, and of the photos to look at.

        Raises:
            UserError: a folder is missing, or holds no usable photo.
        """
        self.require_folders()
        a, b = (self._load(domain, seed, progress) for domain in "AB")
        return PairDataset(a, b, self._examples(seed, progress))

    def load_test(self, *, seed: int, progress: Progress) -> PairDataset | None:
        """What lies in testA and testB, if anything."""
        examples = self._examples(seed, progress)
        return None if examples is None else PairDataset(*examples)

    def require_folders(self) -> None:
        """Refuse folders that are not there, with what was found instead.

        Raises:
            UserError: one is missing.
        """
        if self.public_name and not self.named and not self.root.exists():
            self._fetch(self.public_name)
        missing = [domain for domain in "AB" if not self.folders[domain].is_dir()]
        if not missing:
            return
        if self.named:
            raise UserError(
                "\n".join(
                    f"data.{domain.lower()}={self.folders[domain]}: no such folder.\n"
                    f"{tree_found(self.folders[domain])}"
                    for domain in missing
                )
            )
        names = " and ".join(f"train{domain}" for domain in missing)
        raise UserError(
            f"data.root={self.root}: has no {names}.\n{tree_found(self.root)}\n{TREE_EXPECTED}"
        )

    def _fetch(self, name: str) -> None:
        address = ADDRESS.format(name=name)

        def explain(reason: str) -> str:
            return missing_files(
                reason,
                root=self.data_root,
                folder=self.root,
                expected="trainA, trainB, testA, testB",
                address=address,
                instead="data=digit_domains",
            )

        if not self.download:
            reason = "the photos are not there; data.download=true fetches them (some 100 MB)"
            raise UserError(explain(reason))
        from torchvision.datasets.utils import download_and_extract_archive

        def download() -> None:
            self.data_root.mkdir(parents=True, exist_ok=True)
            # Moved into place when complete, so that a download cut short leaves nothing behind.
            with tempfile.TemporaryDirectory(dir=self.data_root) as folder:
                download_and_extract_archive(address, folder, remove_finished=True)
                (Path(folder) / name).rename(self.root)

        fetch(download, explain=explain)

    def _load(self, domain: str, seed: int, progress: Progress) -> Dataset:
        folder = self.folders[domain]
        common = common_size(folder) if self.preprocess == "crop" else self.size
        if common[0] < self.size[0] or common[1] < self.size[1]:
            raise UserError(
                f"data.preprocess=crop: {folder} holds photos of {common[0]}x{common[1]} pixels, "
                f"smaller than data.image_size={list(self.size)}. Use resize or resize_and_crop."
            )
        try:
            loaded = self.domain(domain, folder, common=common).load(seed=seed, progress=progress)
        except UserError as error:  # of one folder, by the key of another place
            key = f"data.{domain.lower()}={folder}" if self.named else f"{folder}"
            raise UserError(str(error).replace(f"data.root={folder}", key)) from error
        spec = self.spec.a if domain == "A" else self.spec.b
        # Sub-folders of a domain are no classes here.
        return replace(loaded, labels=None, spec=spec)

    def _examples(self, seed: int, progress: Progress) -> tuple[Dataset, Dataset] | None:
        folders = {domain: self.root / f"test{domain}" for domain in "AB"}
        if self.named or not all(folder.is_dir() for folder in folders.values()):
            return None
        try:
            a, b = (
                self.domain(domain, folder, common=self.size, plain=True).load(
                    seed=seed, progress=progress
                )
                for domain, folder in folders.items()
            )
        except UserError:  # nothing to look at there: training photos do as well
            return None
        return a, b


def common_size(folder: Path) -> tuple[int, int]:
    """The largest (height, width) that all photos of a folder have, from their headers."""
    heights, widths = [], []
    for name in list_files(folder).files:
        try:
            with Image.open(folder / name) as opened:
                widths.append(opened.width)
                heights.append(opened.height)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue  # named when it is decoded
    return (min(heights), min(widths)) if heights else (0, 0)


#: Colours of domain B, as shares of full red, green and blue: dark blue strokes on pale yellow.
STROKE, PAPER = (0.10, 0.20, 0.70), (1.00, 0.90, 0.50)
TRAIN_DIGITS, TEST_DIGITS = 700, 397  # in each domain; in both looks


def disguise(gray: Tensor) -> Tensor:
    """Domain B's look of gray digits: uint8 (n, 1, h, w) -> (n, 3, h, w), invertible.

    White strokes on black become dark blue ones on pale yellow: colour = paper + s (stroke - paper)
    for a stroke of strength s in [0, 1].
    """
    strength = gray.float() / 255.0
    stroke, paper = (torch.tensor(color).view(1, 3, 1, 1) for color in (STROKE, PAPER))
    return ((paper + strength * (stroke - paper)) * 255.0).round_().to(torch.uint8)


class DigitDomains(DataSource):
    """scikit-learn's digits in gray (A), and other ones in colour (B), with a paired test set."""

    def __init__(self, *, image_size: int | Sequence[int], pixel_range: Sequence[float]) -> None:
        self.size = sides("image_size", image_size)
        self._spec = PairSpec(
            image_spec(1, self.size, pixel_range, classes=10),
            image_spec(3, self.size, pixel_range, classes=10),
        )

    @property
    def spec(self) -> PairSpec:
        """Gray and coloured digits of one size."""
        return self._spec

    def load(self, *, seed: int, progress: Progress) -> PairDataset:  # noqa: ARG002
        """Disjoint digits in A and B; the test set for previews."""
        a, b, test_a, test_b = self._parts
        return PairDataset(a, b, (test_a, test_b))

    def load_test(self, *, seed: int, progress: Progress) -> PairDataset:  # noqa: ARG002
        """The same digits in both looks, with their labels."""
        return PairDataset(*self._parts[2:], paired=True)

    @cached_property
    def _parts(self) -> tuple[Dataset, Dataset, Dataset, Dataset]:
        whole = Digits(image_size=8, pixel_range=(0, 1)).load(seed=0, progress=lambda *_: None)
        assert isinstance(whole.values, Tensor)
        assert whole.labels is not None
        gray = resize(whole.values, *self.size)
        order = torch.randperm(len(gray), generator=generator_for(0, "digit domains"))
        in_a, in_b, in_test = order.split([TRAIN_DIGITS, TRAIN_DIGITS, TEST_DIGITS])

        def part(rows: Tensor, images: Tensor, spec: DataSpec) -> Dataset:
            assert whole.labels is not None
            return Dataset(images[rows], whole.labels[rows], spec)

        colour = disguise(gray)
        return (
            part(in_a, gray, self._spec.a),
            part(in_b, colour, self._spec.b),
            part(in_test, gray, self._spec.a),
            part(in_test, colour, self._spec.b),
        )
