"""Images of the Hugging Face hub, or of local folders that its `datasets` library reads."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import override

from gan_cli.data.base import Dataset, Progress
from gan_cli.data.files.archive_index import Member
from gan_cli.data.files.archives import Archive, ArchivePath, Source
from gan_cli.data.files.classes import Folders
from gan_cli.data.files.decode import MOST_MEGAPIXELS, Resize, UnusableImageError
from gan_cli.data.files.framing import Crop
from gan_cli.data.files.listing import Listing
from gan_cli.data.image_folder import ImageFolder
from gan_cli.data.tables.classes import NO_NAME, labels_of
from gan_cli.errors import Problem, SettingsError, UserError, require

AUTO = "auto"
HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
SAVED = ("dataset_dict.json", "state.json")  # what `save_to_disk` leaves


@dataclass(frozen=True, eq=False)
class Rows(Archive):
    """The images of a table, which are files by their numbers.

    Attributes:
        table: of the datasets library, whose images are not decoded.
        column: with the images.
    """

    table: Any = None
    column: str = field(default="")

    @override
    def read(self, name: str) -> bytes:
        """The file of a row's image."""
        try:
            image = self.table[self.members[name].start][self.column]
            if image is None:
                raise UnusableImageError("the row holds no image")
            held = image["bytes"]
            return bytes(held) if held is not None else Path(image["path"]).read_bytes()
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise UnusableImageError(f"cannot be read ({error})") from error


class RowPath(ArchivePath):
    """All rows, or one of them."""

    @override
    def __truediv__(self, name: str) -> RowPath:
        return RowPath(self.archive, name)

    @override
    def resolve(self) -> RowPath:
        """The same: a table is told from others by its fingerprint, which is in each version."""
        return self


class HuggingFace(ImageFolder):
    """One split of a data set with a column of images, and maybe one of classes."""

    root_key = "data.path"
    address_key = "data.path"

    def __init__(  # noqa: PLR0913  (each is a key of the YAML)
        self,
        *,
        path: str | None,
        subset: str | None,
        split: str,
        test_split: str | None,
        image: str,
        label: str | None,
        channels: int,
        image_size: int | Sequence[int],
        load_size: int | Sequence[int] | None,
        resize: Resize,
        crop: Crop,
        flip: bool,
        cache: bool,
        workers: int | None,
        pixel_range: Sequence[float],
        levels: Sequence[float] | None = None,
        background: str = "white",
        max_megapixels: float = MOST_MEGAPIXELS,
        balance: bool = False,
    ) -> None:
        require_package()
        local = Path(path or "").expanduser().exists()
        advice = "give a folder or file that is there, or a name of the hub, like ylecun/mnist"
        require(
            (bool(path) and (local or bool(HUB_NAME.fullmatch(path or ""))), "path", path, advice)
        )
        super().__init__(
            root=str(path), channels=channels, image_size=image_size, load_size=load_size,
            resize=resize, crop=crop, flip=flip, cache=cache, workers=workers,
            pixel_range=pixel_range, levels=levels, background=background,
            max_megapixels=max_megapixels, balance=balance,
        )  # fmt: skip
        self.path, self.subset, self.split, self.test_split = str(path), subset, split, test_split
        self.image, self.label = image, label

    @property
    @override
    def addresses(self) -> tuple[str, ...]:
        """The hub's name, if the path is none of this machine."""
        return () if self.root.exists() else (self.path,)

    @cached_property
    @override
    def place(self) -> Source:
        """The rows of the split.

        Raises:
            UserError: they cannot be had.
        """
        return self.folders.train.root

    @cached_property
    @override
    def folders(self) -> Folders:
        """The rows of the split, with their classes.

        Raises:
            UserError: they cannot be had, or it is not clear which columns hold what.
        """
        return Folders(self._listing(self._table(self.split), self.split))

    @override
    def load_test(self, *, seed: int, progress: Progress) -> Dataset | None:
        """The rows of `test_split`; None: there is no such split.

        Raises:
            UserError: its classes are not those of training.
        """
        if self.test_split is None:
            return None
        try:
            table = self._table(self.test_split)
        except UnknownSplitError:
            return None
        listing = self._listing(table, self.test_split)
        if listing.classes != self.listing.classes:
            advice = f"its classes are not those of data.split={self.split}. Use null"
            raise UserError(Problem("data.test_split", self.test_split, advice))
        return replace(self._load(listing, progress=progress), augment=None)

    def _table(self, split: str) -> Any:
        """One split as the datasets library reads it.

        Raises:
            UnknownSplitError: there is no such split.
            UserError: the data cannot be had.
        """
        datasets = importlib.import_module("datasets")
        key = "data.split" if split == self.split else "data.test_split"
        try:
            if any((self.root / name).is_file() for name in SAVED):
                saved = datasets.load_from_disk(str(self.root))
                if not hasattr(saved, "keys"):  # one table, without splits
                    if split != self.split:
                        raise UnknownSplitError(Problem(key, split, "the folder has no splits"))
                    return saved
                if split not in saved:
                    advice = f"there is no such split, but {', '.join(map(str, saved))}"
                    raise UnknownSplitError(Problem(key, split, advice))
                return saved[split]
            if self.root.is_file():
                kind = {".parquet": "parquet", ".arrow": "arrow"}.get(self.root.suffix.lower())
                if kind is None:
                    advice = "is a file, and only .parquet and .arrow are read. Give a folder"
                    raise UserError(Problem("data.path", self.root, advice))
                return datasets.load_dataset(kind, data_files=str(self.root), split=split)
            place = str(self.root) if self.root.exists() else self.path
            return datasets.load_dataset(place, self.subset, split=split)
        except UserError:
            raise
        except Exception as error:  # the library, the network and the disk fail in many ways
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            if "unknown split" in reason.lower():  # its own words
                raise UnknownSplitError(Problem(key, split, f"{self.path}: {reason}")) from error
            here = "" if self.root.exists() else "no such folder here, and "
            advice = f"{here}the datasets library cannot load it ({reason})"
            raise UserError(Problem("data.path", self.path, advice)) from error

    def _listing(self, table: Any, split: str) -> Listing:
        """The rows of a table as files, with their classes."""
        datasets = importlib.import_module("datasets")
        column = self._image_column(table, datasets)
        mark = getattr(table, "_fingerprint", "")
        classes, labels, notes = self._classes(table, datasets)
        plain = table.select_columns([column]).cast_column(column, datasets.Image(decode=False))
        width = len(str(max(0, len(plain) - 1)))
        names = [f"{row:0{width}d}" for row in range(len(plain))]
        members = {name: Member(row, 0, 0, f"{mark}-{row}") for row, name in enumerate(names)}
        where = Path(f"{self.path}[{split}]")
        rows = Rows(where, members, table=plain, column=column)
        if not names:
            raise UserError(Problem("data.path", self.path, f"split {split} has no rows"))
        return Listing(RowPath(rows), names, labels, classes, tuple(notes))

    def _image_column(self, table: Any, datasets: Any) -> str:
        """The column with the images."""
        listed = ", ".join(
            f"{name} ({type(kind).__name__})" for name, kind in table.features.items()
        )
        able = [name for name, kind in table.features.items() if isinstance(kind, datasets.Image)]
        if self.image == AUTO and len(able) == 1:
            return str(able[0])
        if self.image in able:
            return self.image
        advice = "name a column of images" if self.image == AUTO else "is no column of images"
        raise UserError(Problem("data.image", self.image, f"{advice}. Columns: {listed}"))

    def _classes(self, table: Any, datasets: Any) -> tuple[list[str], list[int], list[str]]:
        """Names of the classes, the class of each row, and what is to be said."""
        if self.label is None:
            return [], [], []
        name = self.label
        if name == AUTO:
            able = [
                n for n, kind in table.features.items() if isinstance(kind, datasets.ClassLabel)
            ]
            if len(able) != 1:
                return [], [], [f"no labels: {len(able)} columns hold classes."]
            name = able[0]
        if name not in table.features:
            advice = f"there is no such column, but {', '.join(table.features)}"
            raise UserError(Problem("data.label", name, advice))

        def wrong(sentence: str) -> UserError:
            return UserError(Problem("data.label", name, sentence))

        kind = table.features[name]
        values = np.array(table.with_format(None)[name][:])
        found = labels_of(values, len(table), wrong=wrong)
        note = [f"labels are those of the column {name}."]
        if not isinstance(kind, datasets.ClassLabel):
            known = found.names or tuple(map(str, range(found.count)))
            return list(known), found.numbers.tolist(), note
        if values.min() < 0:
            raise wrong(f"{(values < 0).sum()} rows have no class. data.label=null uses none")
        names = list(kind.names)
        if len(set(names)) < len(names) or any(
            set(each) & NO_NAME or each in ("", ".", "..") for each in names
        ):
            note.append(
                "classes go by their numbers, because their names cannot be folders' names."
            )
            names = list(map(str, range(len(names))))
        return names, values.tolist(), note


class UnknownSplitError(UserError):
    """The data set has no split of that name."""


def require_package() -> None:
    """Check that the datasets library is installed.

    Raises:
        SettingsError: it is not; says how to install it.
    """
    if importlib.util.find_spec("datasets") is None:
        advice = "needs datasets: pip install 'gan-train[huggingface]'"
        raise SettingsError([Problem("data", "huggingface", advice, is_full=True)])
