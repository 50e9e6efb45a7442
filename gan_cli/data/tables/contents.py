"""What a file of arrays holds, known before it is read, and the choice of data and labels in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gan_cli.errors import Problem, UserError, did_you_mean, printable

#: Names that arrays of data and of labels go by, in any case.
DATA_NAMES = ("samples", "images", "data", "x", "x_train", "train_x", "train_images", "features")
LABEL_NAMES = (
    "labels", "label", "y", "y_train", "train_y", "train_labels", "targets", "target", "class",
    "classes",
)  # fmt: skip
AUTO = "auto"
MOST_NAMED = 30  # arrays in a message
NUMBERS = "biuf"  # kinds of numpy's types that are real numbers


@dataclass(frozen=True)
class Entry:
    """One array of a file, or one column of a table.

    Attributes:
        name: as a config names it.
        shape: the first size counts the data.
        dtype: of its values; of columns, float64 or text.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def text(self) -> str:
        """Name, type and shape, as messages list them."""
        kind = "objects" if self.dtype.kind == "O" else self.dtype.name
        kind = "text" if self.dtype.kind in "US" else kind
        return f"{printable(self.name, keep='')} ({kind}, {'x'.join(map(str, self.shape)) or '-'})"

    @property
    def is_numbers(self) -> bool:
        """Whether it holds real numbers."""
        return self.dtype.kind in NUMBERS


class Contents(ABC):
    """An opened file.

    Attributes:
        path: of the file.
        entries: its arrays or columns.
    """

    #: Whether it is a table, whose columns are the coordinates of vectors.
    is_table = False

    def __init__(self, path: Path, entries: list[Entry]) -> None:
        self.path, self.entries = path, entries

    @abstractmethod
    def read(self, names: Sequence[str]) -> np.ndarray:
        """One array; or columns side by side, float64 (n, columns). May be mapped from the file.

        Raises:
            UserError: they cannot be read.
        """

    @abstractmethod
    def read_labels(self, name: str) -> np.ndarray:
        """An array or a column of labels, (n,), of any type.

        Raises:
            UserError: they cannot be read.
        """

    def entry(self, name: str, *, key: str) -> Entry:
        """The entry of a name.

        Args:
            name: as a config has it.
            key: of that config, for messages.

        Raises:
            UserError: there is none.
        """
        for entry in self.entries:
            if entry.name == name:
                return entry
        hint = did_you_mean(name, [entry.name for entry in self.entries])
        what = "column" if self.is_table else "array"
        advice = f"{self.path} has no such {what}. {hint + ' ' if hint else ''}{self.listed}"
        raise UserError(Problem(key, name, advice))

    @property
    def listed(self) -> str:
        """What the file holds, as a sentence."""
        texts = [entry.text for entry in self.entries[:MOST_NAMED]]
        more = len(self.entries) - MOST_NAMED
        return f"It holds: {', '.join(texts) or 'nothing'}" + (f" and {more} more" * (more > 0))

    def wrong(self, advice: str) -> UserError:
        """That the file cannot be used."""
        return UserError(Problem("data.file", self.path, advice))


@dataclass(frozen=True)
class Choice:
    """Which part of a file is data, and which labels.

    Attributes:
        samples: names of the data's array, or of the columns.
        labels: of the labels; None: there are none.
        notes: what was guessed, as sentences.
    """

    samples: list[str]
    labels: str | None
    notes: tuple[str, ...]


def choose(contents: Contents, samples: str | Sequence[str], labels: str | None) -> Choice:
    """Decide what is what, by the config, or by names and shapes where that leaves no doubt.

    Args:
        contents: of the file.
        samples: `auto`, a name, or for tables a list of names.
        labels: `auto`, a name, or None: none are used.

    Raises:
        UserError: a name does not exist, or one must be given.
    """
    asked = None if samples == AUTO else [samples] if isinstance(samples, str) else list(samples)
    for name in asked or []:
        contents.entry(name, key="data.samples")
    if labels not in (AUTO, None):
        contents.entry(str(labels), key="data.labels")
    if contents.is_table:
        return _columns(contents, asked, labels)
    if asked is not None and len(asked) != 1:
        raise UserError(Problem("data.samples", asked, "name one array; only tables take a list"))
    chosen = asked[0] if asked else _samples(contents, labels)
    n = next(entry for entry in contents.entries if entry.name == chosen).shape[:1]
    guessed = _labels(contents, chosen, n) if labels == AUTO else labels
    notes = []
    if len(contents.entries) > 1 and (asked is None or (labels == AUTO and guessed)):
        said = f"data.samples={printable(chosen, keep='')}"
        said += f" and data.labels={'null' if guessed is None else printable(guessed, keep='')}"
        notes.append(f"of {contents.path.name}, {said} are used. {contents.listed}.")
    return Choice([chosen], guessed, tuple(notes))


def _samples(contents: Contents, labels: str | None) -> str:
    """The one array that must be the data."""
    able = [entry for entry in contents.entries if entry.name != labels]
    if len(able) == 1:
        return able[0].name
    named = [entry for entry in able if entry.name.lower() in DATA_NAMES]
    large = [entry for entry in able if len(entry.shape) > 1]
    for found in (named, large):
        if len(found) == 1:
            return found[0].name
    advice = f"name the data's array: in {contents.path} more than one could be. {contents.listed}"
    if not able:
        advice = f"{contents.path} holds no array that could be data"
    raise UserError(Problem("data.samples", AUTO, advice))


def _labels(contents: Contents, samples: str, n: tuple[int, ...]) -> str | None:
    """The one array that must be the labels: by its name, or alone as whole numbers or text."""
    able = [entry for entry in contents.entries if entry.name != samples and entry.shape == n]
    named = [entry for entry in able if entry.name.lower() in LABEL_NAMES]
    whole = [entry for entry in able if entry.dtype.kind in "iuUS"]
    for found in (named, whole):
        if len(found) == 1:
            return found[0].name
    return None


def _columns(contents: Contents, asked: list[str] | None, labels: str | None) -> Choice:
    """Of a table: all columns of numbers but that of the labels are data."""
    named = [entry.name for entry in contents.entries if entry.name.lower() in LABEL_NAMES]
    if labels == AUTO:
        beside_x = any(entry.name.lower() == "x" for entry in contents.entries)  # a coordinate
        free = [name for name in named if name not in (asked or ())]
        free = [name for name in free if not (beside_x and name.lower() == "y")]
        labels = free[0] if len(free) == 1 else None
    columns = [entry for entry in contents.entries if entry.name != labels]
    chosen = [entry for entry in columns if asked is None or entry.name in asked]
    if asked is not None:  # in the order that was asked for
        chosen.sort(key=lambda entry: asked.index(entry.name))
    texts = [entry for entry in chosen if not entry.is_numbers]
    if texts or not chosen:
        able = ",".join(entry.name for entry in columns if entry.is_numbers)
        what = ", ".join(entry.text for entry in texts[:MOST_NAMED]) or "no column is left"
        advice = f"only numbers can be data: {what}. Choose columns: data.samples=[{able}]"
        if labels is None and len(texts) == 1:
            advice += f"; for classes, data.labels={printable(texts[0].name, keep='')}"
        raise UserError(Problem("data.samples", asked or AUTO, advice))
    names = [entry.name for entry in chosen]
    shown = ", ".join(printable(name, keep="") for name in names[:MOST_NAMED])
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    note = f"of {contents.path.name}, {len(names)} columns are data ({shown}{more}), "
    note += "and no column labels." if labels is None else f"and {printable(labels)} are labels."
    return Choice(names, labels, (note,))
