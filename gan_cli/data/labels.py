"""Labels as people write them: numbers, names, or lists of them, checked against the classes."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gan_cli.errors import Problem, SettingsError, did_you_mean
from gan_cli.spec import DataSpec

#: A number, or a name, which YAML may read as another type: a folder can be called 0.5 or true.
Label = int | float | str | bool | None
#: One label or several; in a tensor or an array always numbers.
Labels = Label | Sequence[Label] | Tensor | np.ndarray
EXPECTED = "a whole number, a class name, or a list of these"  # as messages say it
NAMED = 20  # classes that a message names


def numbers_of(labels: Labels, spec: DataSpec) -> list[int]:
    """The numbers of one label or several.

    Raises:
        TypeError: one is neither a whole number nor the name of a class.
        SettingsError: one does not exist, or means two classes; or there are none.
    """
    if isinstance(labels, Tensor | np.ndarray):
        values = labels.flatten().tolist()
        return [_existing(whole("labels", value, expected=EXPECTED), spec) for value in values]
    several = list(labels) if isinstance(labels, list | tuple | range) else [labels]
    if not several:
        raise SettingsError([Problem("labels", [], "name at least one")])
    return [_number_of(label, spec) for label in several]


def _number_of(label: object, spec: DataSpec) -> int:
    names = list(spec.class_names)
    named = [number for number, name in enumerate(names) if is_name(name, label)]
    if len(named) == 1 and not is_whole(label):
        return named[0]
    if isinstance(label, str):
        return _existing(label, spec)
    number = whole("labels", label, expected=EXPECTED)
    if number in range(spec.classes) and named not in ([], [number]):
        advice = (
            f"is the name of class number {named[0]}, and the number of class {names[number]!r}. "
            "Name the class you want in quotes within the argument: "
            f"'labels=\"{number}\"' or 'labels=\"{names[number]}\"'"
        )
        raise SettingsError([Problem("labels", number, advice)])
    return named[0] if len(named) == 1 else _existing(number, spec)


def _existing(label: int | str, spec: DataSpec) -> int:
    """A label that is a number of a class.

    Raises:
        SettingsError: it is not.
    """
    names = list(spec.class_names)
    if isinstance(label, int) and 0 <= label < spec.classes:
        return label
    choices = f", or names: {', '.join(names[:NAMED])}" if names else ""
    hint = did_you_mean(label, names)
    advice = f"there are 0 to {spec.classes - 1}{choices}" + (f". {hint}" if hint else "")
    raise SettingsError([Problem("labels", label, advice)])


def is_name(name: str, label: object) -> bool:
    """Whether a class's name is what a person wrote and YAML read as `label`."""
    if isinstance(label, bool) or label is None:
        return name.lower() == ("null" if label is None else str(label).lower())
    if isinstance(label, float) and name != str(label):
        try:
            return float(name) == label
        except ValueError:
            return False
    return name == str(label)


def is_whole(value: object) -> bool:
    """Whether a value is a whole number; NumPy's and PyTorch's count, true and false do not."""
    if isinstance(value, bool | np.bool_) or getattr(value, "dtype", None) == torch.bool:
        return False
    try:
        operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def whole(
    name: str, value: object, *, least: int | None = None, expected: str = "a whole number"
) -> int:
    """An argument that must be a whole number.

    Args:
        name: of the argument, for the message.
        value: of the argument.
        least: what it may be at least; None: anything.
        expected: what it may be, in words.

    Raises:
        TypeError: it is of another type.
        SettingsError: it is less than `least`.
    """
    if not is_whole(value):
        kind = type(value).__name__
        raise TypeError(f"{name}={value!r}: is of type {kind}, but must be {expected}")
    number = operator.index(value)  # type: ignore[arg-type]
    if least is not None and number < least:
        raise SettingsError([Problem(name, number, f"must be at least {least}")])
    return number


def require_floats(name: str, value: object) -> None:
    """Check that an argument is a tensor of floating-point numbers.

    Raises:
        TypeError: it is not.
    """
    expected = "a torch.Tensor of floating-point numbers"
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}: is of type {type(value).__name__}, but must be {expected}")
    if not value.is_floating_point():
        raise TypeError(f"{name}: holds {value.dtype}, but must be {expected}")
