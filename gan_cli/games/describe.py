"""What a game says of itself: networks it needs, pictures it gives, the command it is used by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from gan_cli.spec import DataSpec


@dataclass(frozen=True)
class Preview:
    """Samples to look at.

    Attributes:
        samples: (n, *shape) of `spec`, in its range.
        spec: what they are.
        columns: of a sheet; None: as many as rows.
        captions: one for each image; empty: none.
        translations: generated and real data of each domain, of games between two.
    """

    samples: Tensor
    spec: DataSpec
    columns: int | None = None
    captions: tuple[str, ...] = ()
    translations: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)


@dataclass(frozen=True)
class Roles:
    """Which networks a game needs, and what each gets of the run, by the role it plays."""

    generators: dict[str, dict[str, Any]]
    discriminators: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Use:
    """The command that uses what a game has trained.

    Attributes:
        verb: what it does.
        command: its name.
        keys: what it needs beside the run.
    """

    verb: str
    command: str
    keys: Mapping[str, object] = field(default_factory=dict)
