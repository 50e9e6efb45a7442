"""Images or vectors from a file of arrays (.npz, .npy) or a table (.csv, .tsv, .parquet)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from typing_extensions import override

from gan_cli.data.base import Dataset, DataSource, Progress
from gan_cli.data.images import image_spec, sides
from gan_cli.data.tables.classes import Labels, labels_of
from gan_cli.data.tables.columns import ParquetTable, TextTable
from gan_cli.data.tables.contents import AUTO, Choice, Contents, choose
from gan_cli.data.tables.numpy_files import DAMAGE, ArchiveFile, NumpyFile
from gan_cli.data.tables.values import (
    Layout,
    as_images,
    as_vectors,
    constant_columns,
    fingerprint,
    layout_of,
    range_of,
    require_finite,
)
from gan_cli.errors import Problem, UserError, require
from gan_cli.spec import DataSpec

KINDS: dict[str, Callable[[Path], Contents]] = {
    ".npy": NumpyFile,
    ".npz": ArchiveFile,
    ".csv": TextTable,
    ".tsv": TextTable,
    ".parquet": ParquetTable,
}
MOST_NAMED = 10  # constant columns in a note


@dataclass(frozen=True)
class Opened:
    """A file whose headers and labels were read.

    Attributes:
        contents: what it holds.
        choice: which part of that is used.
        layout: of the data.
        labels: of the data; None: there are none.
    """

    contents: Contents
    choice: Choice
    layout: Layout
    labels: Labels | None


class Arrays(DataSource):
    """Images (n, H, W[, C]) or vectors (n, d), with or without labels."""

    ordered = True  # often class by class

    def __init__(
        self,
        *,
        file: str | None,
        samples: str | Sequence[str],
        labels: str | None,
        range: Sequence[float] | None,  # noqa: A002  (the name of the key)
        image_size: int | Sequence[int] | None,
        standardise: bool,
        pixel_range: Sequence[float],
    ) -> None:
        """Keep the settings; nothing is read yet.

        Args:
            file: what to read.
            samples: `auto`, the array's name in an .npz, or for tables a column or a list of them.
            labels: `auto`, the name of the labels' array or column, or None: none are used.
            range: values of images that are black and white; None: those of the type.
            image_size: N or (height, width) to scale images to, in pixels; None: their own.
            standardise: show networks vectors of mean 0 and standard deviation 1.
            pixel_range: that networks see images in.
        """
        kinds = ", ".join(KINDS)
        suffix = Path(file or "").suffix.lower()
        rising = range is None or (len(range) == 2 and range[0] < range[1])
        require(
            (bool(file), "file", file, f"name the file of the data ({kinds})"),
            (not file or suffix in KINDS, "file", file, f"must end in {kinds}"),
            (rising, "range", range, "must be [low,high], the first the smaller one, or null"),
        )
        self.file, self.samples, self.label_key = Path(file or "").expanduser(), samples, labels
        self.range = None if range is None else (float(range[0]), float(range[1]))
        self.image_size = None if image_size is None else sides("image_size", image_size)
        self.standardise, self.pixel_range = standardise, pixel_range
        image_spec(1, (1, 1), pixel_range=pixel_range, classes=0)

    @cached_property
    def opened(self) -> Opened:
        """The file, and what of it is used.

        Raises:
            UserError: there is no such file, or none that can be used.
        """
        contents = open_file(self.file)
        choice = choose(contents, self.samples, self.label_key)
        layout = self._layout(contents, choice)
        labels = None
        if choice.labels is not None:
            entry = contents.entry(choice.labels, key="data.labels")
            if entry.dtype.kind == "O" or entry.dtype.names:
                raise contents.wrong(f"{entry.text} are objects, which are never unpickled")
            if entry.shape[:1] != contents.entry(choice.samples[0], key="data.samples").shape[:1]:
                chosen = contents.entry(choice.samples[0], key="data.samples").text
                raise contents.wrong(f"labels {entry.text} are not as many as the data {chosen}")
            n = entry.shape[0]
            labels = labels_of(contents.read_labels(choice.labels), n, wrong=contents.wrong)
        return Opened(contents, choice, layout, labels)

    def _layout(self, contents: Contents, choice: Choice) -> Layout:
        """What the chosen array is, by its header."""
        entry = contents.entry(choice.samples[0], key="data.samples")
        if contents.is_table:
            if not entry.shape[0]:
                raise contents.wrong("has no rows")
            vectors = contents.read(choice.samples) if isinstance(contents, ParquetTable) else None
            return Layout((len(choice.samples) if vectors is None else vectors.shape[1],))
        if not entry.is_numbers:
            what = "objects, which are never unpickled" if entry.dtype.kind == "O" else "no numbers"
            raise contents.wrong(f"{entry.text} holds {what}. Save it as an array of numbers")
        layout = layout_of(entry.shape)
        if isinstance(layout, str):
            raise contents.wrong(f"{entry.name} {layout}")
        return layout

    @property
    @override
    def spec(self) -> DataSpec:
        """By the file's headers, with the classes of its labels."""
        opened = self.opened
        layout, labels = opened.layout, opened.labels
        classes, names = (0, ()) if labels is None else (labels.count, labels.names)
        if not layout.is_image:
            problems = [
                Problem(
                    f"data.{key}", value, "is of images, and the file holds vectors. Set it to null"
                )
                for key, value in (("range", self.range), ("image_size", self.image_size))
                if value is not None
            ]
            if problems:
                raise UserError(problems)
            return DataSpec(layout.shape, None, classes, names)
        size = self.image_size or (layout.shape[1], layout.shape[2])
        return image_spec(
            layout.shape[0], size, pixel_range=self.pixel_range, classes=classes, class_names=names
        )

    @override
    def load(self, *, seed: int, progress: Progress) -> Dataset:
        """Check all values, and map them, or read them if they are compressed or no floats.

        Raises:
            UserError: values cannot be used; says which.
        """
        opened, spec = self.opened, self.spec
        contents = opened.contents
        try:
            array = contents.read(opened.choice.samples)
        except MemoryError as error:
            raise contents.wrong(f"is larger than the memory ({error})") from error
        except DAMAGE as error:
            raise contents.wrong(f"cannot be read ({error})") from error
        numbers = None if opened.labels is None else opened.labels.numbers
        identity = fingerprint(array) + ("" if numbers is None else fingerprint(numbers.numpy()))
        notes = list(opened.choice.notes)
        if opened.layout.is_image:
            require_finite(array, wrong=contents.wrong)
            levels = range_of(array, self.range, wrong=contents.wrong)
            if levels != (0.0, 255.0):
                low, high = levels
                notes.append(f"images are kept as 8 bits: {low:g} is 0, {high:g} is 255.")
            height, width = spec.shape[1:]
            values = as_images(array, opened.layout, levels, size=(height, width))
            if array.dtype != "uint8" or levels != (0.0, 255.0):
                spec = replace(spec, levels=levels)
            return Dataset(values, numbers, spec, identity=identity, notes=tuple(notes))
        values = as_vectors(array, wrong=contents.wrong)
        if constant := constant_columns(values):
            shown = ", ".join(map(str, constant[:MOST_NAMED]))
            more = ", ..." if len(constant) > MOST_NAMED else ""
            notes.append(
                f"coordinates {shown}{more} (from 0) are the same in all {len(values)} data: D can "
                "tell any sample that differs there. Leave them out, if they need not be generated."
            )
        return Dataset(
            values, numbers, spec, identity=identity, notes=tuple(notes),
            standardise=self.standardise,
        )  # fmt: skip


def open_file(path: Path) -> Contents:
    """A file of one of the kinds, by its headers.

    Raises:
        UserError: there is none, or it is damaged.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such file"
        raise UserError(Problem("data.file", path, what))
    try:
        return KINDS[path.suffix.lower()](path)
    except UserError:
        raise
    except MemoryError as error:
        raise UserError(Problem("data.file", path, f"its header is too large ({error})")) from error
    except DAMAGE as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        advice = f"is no {path.suffix.lower()}, or damaged ({reason})"
        raise UserError(Problem("data.file", path, advice)) from error


def kind_of_file(file: object, samples: object = AUTO) -> str:
    """`images` or `points`, by the headers of a file; `points` for one that cannot be used.

    Presets that depend on the kind of data (layer widths) are chosen by it while the config is
    composed. Whatever is wrong with the file is reported later, when the config is checked.
    """
    try:
        contents = open_file(Path(str(file)).expanduser())
        if contents.is_table:
            return "points"
        names = samples if isinstance(samples, str) else [str(name) for name in samples]  # type: ignore[attr-defined]
        choice = choose(contents, names, None)
        layout = layout_of(contents.entry(choice.samples[0], key="data.samples").shape)
    except (UserError, KeyError, OSError, TypeError):
        return "points"
    return "images" if isinstance(layout, Layout) and layout.is_image else "points"
