"""What a run directory tells, as pages need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from gan_cli.settings.defaults import changes

REPORT = "report.html"  # the page of a run, and of a sweep


@dataclass
class Series:
    """The values of one logged key.

    Attributes:
        steps: of the lines that hold it, rising.
        values: what they say.
    """

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Event:
    """Something that happened at a step.

    Attributes:
        step: when.
        kind: `health` or `resumed`.
        text: in words.
    """

    step: int
    kind: str
    text: str


@dataclass
class Story:
    """Everything that a run's files tell.

    Attributes:
        directory: of the run.
        config: of training; empty if it cannot be read.
        series: the numbers of metrics.jsonl, by key.
        lines: how many lines of numbers there are.
        events: findings of the health monitor and resumptions, by step.
        pictures: files of pictures with their steps, by folder.
        evaluation: the flat object of gan-evaluate; empty if there is none.
        machine: versions, machine and data, as the log says them.
        introduction: the run's first lines in words.
        saved: the steps of its checkpoints.
        last_step: the newest step that is known.
        ended: how training ended, as the log says it; empty: it did not, or not in order.
        running: whether a process trains in it now.
        damage: what is missing or cannot be read, each a sentence.
    """

    directory: Path
    config: dict[str, Any] = field(default_factory=dict)
    series: dict[str, Series] = field(default_factory=dict)
    lines: int = 0
    events: list[Event] = field(default_factory=list)
    pictures: dict[str, list[tuple[int, Path]]] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)
    introduction: list[str] = field(default_factory=list)
    saved: list[int] = field(default_factory=list)
    last_step: int = 0
    ended: str = ""
    running: bool = False
    damage: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The run's name: its folder's."""
        return self.directory.resolve().name

    @property
    def kind(self) -> object:
        """Of its data: images, points or pairs; None: not known."""
        data = self.config.get("data")
        return data.get("kind") if isinstance(data, Mapping) else None

    @cached_property
    def changes(self) -> dict[str, tuple[Any, Any]]:
        """Value and default of each key that differs from its default; empty: not known."""
        try:
            return changes(self.config)
        except Exception:  # noqa: BLE001  (a damaged config may hold anything)
            return {}

    @property
    def steps(self) -> int | None:
        """How many steps it should take; None: not known."""
        steps = self.config.get("steps")
        return steps if isinstance(steps, int) and not isinstance(steps, bool) else None

    def newest(self) -> dict[str, float]:
        """The newest value of each key."""
        return {key: series.values[-1] for key, series in self.series.items()}

    def option(self, *path: str) -> object:
        """A value of the config by the names that lead to it; None: there is none."""
        node: object = self.config
        for name in path:
            node = node.get(name) if isinstance(node, Mapping) else None
        return node
