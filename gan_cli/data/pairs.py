"""Pairs of domains without correspondence: folders of photos, and digits in two looks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from typing_extensions import override

from gan_cli.data.base import Dataset, DataSource, PairDataset, Progress
from gan_cli.data.digits import Digits
from gan_cli.data.disguise import disguise
from gan_cli.data.files.decode import MOST_MEGAPIXELS
from gan_cli.data.files.framing import Framing, reading_of
from gan_cli.data.files.listing import absence, tree_found
from gan_cli.data.files.preprocess import Preprocess, Preprocessing, common_size
from gan_cli.data.files.published import fetch_pair
from gan_cli.data.image_folder import ImageFolder, Pages
from gan_cli.data.images import channels_rule, image_spec, resize, sides
from gan_cli.errors import Problem, Rule, UserError, as_typed, require
from gan_cli.seeding import generator_for
from gan_cli.spec import DataSpec, PairSpec

Domain = Literal["A", "B"]
DOMAINS: tuple[Domain, Domain] = ("A", "B")

TREE_EXPECTED = """\
  expected: two folders of photos, and two more for previews and tests if you like
    ROOT/trainA/1.jpg        ROOT/testA/7.jpg
    ROOT/trainB/2.png        ROOT/testB/8.png
  or any two folders: data.a=FOLDER data.b=FOLDER"""

NOT_PUBLISHED = "only a published pair can be fetched, like data=horse2zebra"
TRAIN_DIGITS, TEST_DIGITS = 700, 397  # in each domain; in both looks


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
        levels: Sequence[float] | None = None,
        background: str = "white",
        pages: Pages = "first",
        max_megapixels: float = MOST_MEGAPIXELS,
    ) -> None:
        self.preprocessing = Preprocessing(
            method=preprocess,
            image_size=image_size,
            load_size=load_size,
            flip=flip,
            reading=reading_of(levels, background, max_megapixels),
        )
        self.pages, self.size = pages, self.preprocessing.size
        require(*folder_rules(root, a=a, b=b), *self.preprocessing.load_size_rules())
        require(
            channels_rule("channels_a", channels_a),
            channels_rule("channels_b", channels_b),
            self.preprocessing.size_rule(),
            public_name_rule(public_name),
            (not download or public_name is not None, "download", download, NOT_PUBLISHED),
        )
        self.data_root, self.public_name = Path(root).expanduser(), public_name
        self.download, self.cache, self.workers = download, cache, workers
        self.channels: dict[Domain, int] = {"A": channels_a, "B": channels_b}
        self.pixel_range = tuple(pixel_range)
        self.root = self.data_root / (public_name or "")
        self.named = a is not None
        self.folders: dict[Domain, Path] = {
            "A": self.root / "trainA" if a is None else Path(a).expanduser(),
            "B": self.root / "trainB" if b is None else Path(b).expanduser(),
        }
        for domain in DOMAINS:  # its constructor checks the other values
            self._training_source(domain, common=self.preprocessing.larger_size)

    @property
    @override
    def spec(self) -> PairSpec:
        """As configured."""
        a, b = (
            image_spec(self.channels[domain], self.size, pixel_range=self.pixel_range, classes=0)
            for domain in DOMAINS
        )
        return PairSpec(a, b)

    @override
    def load(self, *, seed: int, progress: Progress) -> PairDataset:
        """Open or build the caches of both domains, and of the photos for previews.

        Raises:
            UserError: a folder is missing, or holds no usable photo.
        """
        self.require_folders()
        a, b = (self._load(domain, seed=seed, progress=progress) for domain in DOMAINS)
        return PairDataset(a, b, self._examples(seed=seed, progress=progress))

    @override
    def load_test(self, *, seed: int, progress: Progress) -> PairDataset | None:
        """The photos in testA and testB; None: there are none, or none that can be used."""
        examples = self._examples(seed=seed, progress=progress)
        return None if examples is None else PairDataset(*examples)

    def require_folders(self) -> None:
        """Fetch a published pair that is not there, and check that both folders are.

        Raises:
            UserError: one is missing; says what is there instead.
        """
        if self.public_name and not self.named and not self.root.exists():
            fetch_pair(self.public_name, self.data_root, download=self.download)
        missing = [domain for domain in DOMAINS if not self.folders[domain].is_dir()]
        if not missing:
            return
        if self.named:
            raise UserError([self._no_folder(domain) for domain in missing])
        names = " and ".join(f"train{domain}" for domain in missing)
        what = f"{self.root} has" if self.public_name else "has"
        if self.root.is_file():
            advice = f"{absence(self.root)}\n{tree_found(self.root)}\n{TREE_EXPECTED}"
            raise UserError(Problem("data.root", self.data_root, advice))
        advice = f"{what} no {names}.\n{tree_found(self.root)}\n{TREE_EXPECTED}"
        raise UserError(Problem("data.root", self.data_root, advice))

    def _no_folder(self, domain: Domain) -> Problem:
        folder = self.folders[domain]
        return Problem(f"data.{domain.lower()}", folder, f"{absence(folder)}\n{tree_found(folder)}")

    def _root_key(self, domain: Domain) -> str | None:
        """The config key that names a domain's folder; None: trainA and trainB have none."""
        return f"data.{domain.lower()}" if self.named else None

    def _training_source(self, domain: Domain, *, common: tuple[int, int]) -> ImageFolder:
        """The training photos of a domain, all of which have the size `common`, (height, width)."""
        framing = self.preprocessing.framing(self.channels[domain], common_size=common)
        return self._source(self.folders[domain], framing, key=self._root_key(domain))

    def _preview_source(self, domain: Domain, folder: Path) -> ImageFolder:
        framing = self.preprocessing.preview_framing(self.channels[domain])
        return self._source(folder, framing, key=None)

    def _source(self, folder: Path, framing: Framing, *, key: str | None) -> ImageFolder:
        source = ImageFolder(
            root=str(folder),
            channels=framing.channels,
            image_size=framing.image_size,
            load_size=framing.load_size,
            resize=framing.resize,
            crop=framing.crop,
            flip=framing.flip,
            cache=self.cache,
            workers=self.workers,
            pixel_range=self.pixel_range,
            levels=framing.reading.levels,
            background=framing.reading.background,
            pages=self.pages,
            max_megapixels=framing.reading.max_megapixels,
        )
        source.root_key, source.has_classes = key, False
        return source

    def _load(self, domain: Domain, *, seed: int, progress: Progress) -> Dataset:
        """The training photos of a domain."""
        is_cut = self.preprocessing.method == "crop"
        common = self._size_to_cut(domain) if is_cut else self.size
        photos = self._training_source(domain, common=common).load(seed=seed, progress=progress)
        spec = self.spec.a if domain == "A" else self.spec.b
        return replace(photos, spec=spec)

    def _size_to_cut(self, domain: Domain) -> tuple[int, int]:
        """(height, width) that all photos of a domain have, for preprocess=crop.

        Smaller photos than networks see do not count: decoding leaves them out.

        Raises:
            UserError: there are no photos, or only such.
        """
        folder = self.folders[domain]
        height, width = common_size(folder, key=self._root_key(domain), least=self.size)
        if height < self.size[0] or width < self.size[1]:
            advice = (
                f"{folder} holds no photo as large as data.image_size={as_typed(self.size)}. "
                "Use a smaller one, or resize or resize_and_crop."
            )
            raise UserError(Problem("data.preprocess", "crop", advice))
        return height, width

    def _examples(self, *, seed: int, progress: Progress) -> tuple[Dataset, Dataset] | None:
        """The photos in testA and testB; None: there are none, or none that can be used."""
        folders: dict[Domain, Path] = {domain: self.root / f"test{domain}" for domain in DOMAINS}
        if self.named or not all(folder.is_dir() for folder in folders.values()):
            return None
        try:
            a, b = (
                self._preview_source(domain, folder).load(seed=seed, progress=progress)
                for domain, folder in folders.items()
            )
        except UserError:  # training photos do for previews as well
            return None
        return a, b


def public_name_rule(name: str | None) -> Rule:
    """What a published pair may be called, for `gan_cli.errors.require`."""
    is_name = name is None or re.fullmatch(r"[\w-]+", name) is not None
    return is_name, "public_name", name, "is no name of a published pair, like horse2zebra"


def folder_rules(root: str, *, a: str | None, b: str | None) -> tuple[Rule, ...]:
    """How the folders may be named, for `gan_cli.errors.require`."""
    both = "give both folders, a and b, or none for trainA and trainB"
    return (
        (bool(root), "root", root, "give the folder that holds the folders"),
        (a != "", "a", a, "name a folder, or null for trainA"),
        (b != "", "b", b, "name a folder, or null for trainB"),
        (a is None or b is not None, "b", b, both),
        (b is None or a is not None, "a", a, both),
    )


class DigitDomains(DataSource):
    """scikit-learn's digits in gray (A), and other ones in colour (B), with a paired test set."""

    def __init__(self, *, image_size: int | Sequence[int], pixel_range: Sequence[float]) -> None:
        self.size = sides("image_size", image_size)
        self._spec = PairSpec(
            image_spec(1, self.size, pixel_range=pixel_range, classes=10),
            image_spec(3, self.size, pixel_range=pixel_range, classes=10),
        )

    @property
    @override
    def spec(self) -> PairSpec:
        """Gray and coloured digits of one size."""
        return self._spec

    @override
    def load(self, *, seed: int, progress: Progress) -> PairDataset:
        """Disjoint digits in A and B; the test set for previews."""
        a, b, test_a, test_b = self._parts
        return PairDataset(a, b, (test_a, test_b))

    @override
    def load_test(self, *, seed: int, progress: Progress) -> PairDataset:
        """The same digits in both looks, with their labels."""
        return PairDataset(*self._parts[2:], paired=True)

    @cached_property
    def _parts(self) -> tuple[Dataset, Dataset, Dataset, Dataset]:
        """Training digits of A and of B, and test digits in both looks."""
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
