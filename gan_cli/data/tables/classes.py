"""Labels of arrays and tables as classes: their names, and each datum's number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gan_cli.errors import UserError, printable

MOST_CLASSES = 1000  # more are measurements rather than classes
MOST_NAMED = 5
NO_NAME = set("/\\\0")  # names of classes become names of folders


@dataclass(frozen=True)
class Labels:
    """Labels of all data.

    Attributes:
        numbers: the class of each, int64 (n,).
        names: of the classes; empty: numbers are their names.
        count: how many classes.
    """

    numbers: Tensor
    names: tuple[str, ...]
    count: int


def labels_of(values: np.ndarray, n: int, *, wrong: Callable[[str], UserError]) -> Labels:
    """Classes from an array of labels: whole numbers, or text.

    Args:
        values: one for each datum, of any type but objects.
        n: how many data there are.
        wrong: makes the error of a sentence.

    Raises:
        UserError: they are no classes, or not as many as the data.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        shape = "x".join(map(str, values.shape))
        raise wrong(f"labels must be one number or name for each datum, and are {shape}")
    if len(values) != n:
        raise wrong(f"there are {n} data, but {len(values)} labels")
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    if values.dtype.kind not in "biufU":
        raise wrong(f"labels must be whole numbers or text, and are of type {values.dtype}")
    if values.dtype.kind == "f":
        values = whole(values, wrong=wrong)
    known, numbers = np.unique(values, return_inverse=True)
    if len(known) > MOST_CLASSES:
        raise wrong(
            f"labels have {len(known)} different values, so they are no classes (at most "
            f"{MOST_CLASSES}). data.labels=null uses none"
        )
    names = tuple(str(value) for value in known.tolist())
    bad = [name for name in names if name in ("", ".", "..") or set(name) & NO_NAME]
    if bad:
        shown = ", ".join(repr(printable(name, keep="")) for name in bad[:MOST_NAMED])
        raise wrong(f"classes cannot be called {shown}: names of folders are made of them")
    counting = names == tuple(map(str, range(len(names))))
    return Labels(torch.from_numpy(numbers.astype(np.int64)), () if counting else names, len(names))


def whole(values: np.ndarray, *, wrong: Callable[[str], UserError]) -> np.ndarray:
    """Floats that are whole numbers, as int64.

    Raises:
        UserError: one is not; says in which rows.
    """
    broken = ~np.isfinite(values) | (values != np.rint(values)) | (np.abs(values) > 2**53)
    rows = np.flatnonzero(broken)
    if len(rows):
        shown = ", ".join(f"{values[row]:g} in row {row}" for row in rows[:MOST_NAMED])
        raise wrong(
            f"{len(rows)} of {len(values)} labels are no whole numbers ({shown}). Classes are "
            "whole numbers or names; data.labels=null uses none"
        )
    return values.astype(np.int64)
