"""Tables: text with separators (.csv, .tsv) and Parquet."""

from __future__ import annotations

import csv
import importlib
import importlib.util
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from typing_extensions import override

from gan_cli.data.tables.contents import Contents, Entry
from gan_cli.errors import Problem, UserError, printable

SEPARATORS = (",", ";", "\t")
HEAD_LINES = 50  # read to tell what the columns hold
HEAD_BYTES = 2**20
TEXT = np.dtype("U1")
#: How NumPy names a place that it cannot read; rows count from 0, columns from 1.
UNREAD = re.compile(r"could not convert string (.*) to .* at row (\d+), column (\d+)")
MISSING = frozenset(("", "na", "n/a", "nan", "null", "none"))


class TextTable(Contents):
    """Lines of values, with or without names above them."""

    is_table = True

    def __init__(self, path: Path) -> None:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(islice(iter(lambda: file.readline(HEAD_BYTES), ""), HEAD_LINES))
        lines = [line for line in lines if line.strip()]
        if not lines:
            raise UserError(Problem("data.file", path, "is empty"))
        counts = [(min(line.count(each) for line in lines), each) for each in SEPARATORS]
        self.separator = max(counts, key=lambda pair: pair[0])[1]
        rows = list(csv.reader(lines, delimiter=self.separator))
        self.has_names = not all(is_number(value) for value in rows[0])
        names = rows[0] if self.has_names else [f"x{i + 1}" for i in range(len(rows[0]))]
        names = [name.strip() for name in names]
        if len(set(names)) < len(names) or "" in names:
            advice = "each column needs a name of its own in the first line, or none has one"
            raise UserError(Problem("data.file", path, advice))
        self.names = names
        known = [row for row in rows[self.has_names :] if len(row) == len(names)]
        self._n = max(0, self._count(path) - self.has_names)
        kinds = [self._kind([row[place] for row in known]) for place in range(len(names))]
        super().__init__(
            path, [Entry(name, (self._n,), kind) for name, kind in zip(names, kinds, strict=True)]
        )

    @staticmethod
    def _count(path: Path) -> int:
        with path.open("rb") as file:
            return sum(1 for line in file if line.strip())

    @staticmethod
    def _kind(values: list[str]) -> np.dtype:
        fits = all(is_number(value) or value.strip().lower() in MISSING for value in values)
        return np.dtype(np.float64) if fits else TEXT

    @override
    def read(self, names: Sequence[str]) -> np.ndarray:
        """Columns of numbers, float64 (n, columns); empty places are NaN."""
        return np.atleast_2d(self._load(names, kind=np.float64))

    @override
    def read_labels(self, name: str) -> np.ndarray:
        """One column: whole numbers if all are, else text, (n,)."""
        texts = self._load([name], kind=np.str_)[:, 0]
        texts = np.char.strip(texts)
        if all(map(is_number, texts[:HEAD_LINES].tolist())):
            try:
                return texts.astype(np.float64)
            except ValueError:
                return texts
        return texts

    def _load(self, names: Sequence[str], *, kind: type) -> np.ndarray:
        places = [self.names.index(name) for name in names]
        try:
            return np.loadtxt(
                self.path,
                dtype=kind,
                delimiter=self.separator,
                comments=None,
                quotechar='"',
                skiprows=int(self.has_names),
                usecols=places,
                ndmin=2,
                encoding="utf-8-sig",
                converters=as_number if kind is np.float64 else None,
            )
        except (ValueError, UnicodeDecodeError, csv.Error) as error:
            raise self.wrong(self._explain(str(error))) from error

    def _explain(self, reason: str) -> str:
        if found := UNREAD.search(reason):
            value, row, column = found[1], int(found[2]), int(found[3])
            name = printable(self.names[min(column, len(self.names)) - 1], keep="")
            return f"row {row} (from 0), column {name}: {printable(value, keep='')} is no number"
        return f"cannot be read as a table with {self.separator!r} between values ({reason})"


def as_number(text: str) -> float:
    """A value of a table; where it is missing, NaN, which is reported with its row."""
    return float("nan") if text.strip().lower() in MISSING else float(text)


def is_number(text: str) -> bool:
    """Whether a value of a table is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


class ParquetTable(Contents):
    """Columns of Parquet, by pyarrow; a column of lists of one length holds whole vectors."""

    is_table = True

    def __init__(self, path: Path) -> None:
        if importlib.util.find_spec("pyarrow") is None:
            advice = "Parquet needs pyarrow: pip install 'gan-train[parquet]', or save it as .csv"
            raise UserError(Problem("data.file", path, advice))
        parquet = importlib.import_module("pyarrow.parquet")
        try:
            self._file = parquet.ParquetFile(path)
        except Exception as error:
            reason = str(error).splitlines()[0]
            advice = f"is no Parquet, or damaged ({reason})"
            raise UserError(Problem("data.file", path, advice)) from error
        n, schema = self._file.metadata.num_rows, self._file.schema_arrow
        super().__init__(path, [Entry(field.name, (n,), kind_of(field.type)) for field in schema])

    @override
    def read(self, names: Sequence[str]) -> np.ndarray:
        """Columns of numbers, float64 (n, columns); empty places are NaN."""
        return np.column_stack([self._column(name) for name in names]).astype(np.float64)

    @override
    def read_labels(self, name: str) -> np.ndarray:
        """One column, of whole numbers or text, (n,)."""
        column = self._table([name]).column(0)
        if column.null_count:
            raise self.wrong(f"{column.null_count} rows of {printable(name)} have no label")
        values = column.to_pylist()
        if all(isinstance(value, str | bool) for value in values):
            return np.array([str(value) for value in values])
        return np.asarray(column.to_numpy(zero_copy_only=False))

    def _table(self, names: Sequence[str]):  # type: ignore[no-untyped-def]
        try:
            return self._file.read(columns=list(names))
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise self.wrong(f"is damaged ({reason})") from error

    def _column(self, name: str) -> np.ndarray:
        column = self._table([name]).column(0)
        if not is_list(column.type):
            return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
        rows = column.to_pylist()
        lengths = {len(row) if row is not None else 0 for row in rows}
        if len(lengths) != 1:
            raise self.wrong(f"the lists in {printable(name)} have different lengths")
        return np.array(rows, dtype=np.float64)


def is_list(kind: object) -> bool:
    """Whether a Parquet column holds lists."""
    types = importlib.import_module("pyarrow.types")
    return bool(types.is_list(kind) or types.is_fixed_size_list(kind) or types.is_large_list(kind))


def kind_of(kind: object) -> np.dtype:
    """A Parquet column's type as NumPy's: float64 for numbers and lists of them, else text."""
    types = importlib.import_module("pyarrow.types")
    inner = kind.value_type if is_list(kind) else kind  # type: ignore[attr-defined]
    numbers = types.is_integer(inner) or types.is_floating(inner) or types.is_boolean(inner)
    return np.dtype(np.float64) if numbers else TEXT
