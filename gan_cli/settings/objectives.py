"""Objectives: short names of some, and what `patience` needs of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gan_cli.errors import Problem

#: Keys that evaluations measure; all others are logged at other steps, or say how the game stands.
MEASURED = ("divergence/jsd", "divergence/kl_data_g", "divergence/kl_g_data")
MEASURED_GROUPS = ("eval/", "modes/", "discriminator/", "value/")


@dataclass(frozen=True)
class Objective:
    """An objective that has a short name.

    Attributes:
        name: of its key in metrics.jsonl, below `eval/`.
        direction: which values are good.
        metric: that measures it.
    """

    name: str
    direction: str
    metric: str

    @property
    def key(self) -> str:
        """In metrics.jsonl."""
        return f"eval/{self.name}"


#: By their short names.
SHORT = {"referee": Objective("jsd_at_least", direction="minimize", metric="referee")}


def with_key(config: dict[str, Any]) -> dict[str, Any]:
    """A composed config whose objective is a key of metrics.jsonl where it was a short name."""
    short = SHORT.get(str(config["objective"]))
    return config if short is None else {**config, "objective": short.key}


def short_name_of(key: object) -> str | None:
    """The short name of an objective; None: it has none."""
    return next((name for name, objective in SHORT.items() if objective.key == key), None)


def patience_problems(config: Mapping[str, Any]) -> list[Problem]:
    """What `patience` lacks to have any effect."""
    patience, objective = config["patience"], config["objective"]
    if not patience or patience < 0:
        return []
    lacking = []
    if objective is None:
        lacking.append("objective=KEY, such as eval/frechet_classifier or divergence/jsd")
    elif objective not in MEASURED and not objective.startswith(MEASURED_GROUPS):
        lacking.append(
            "an objective that evaluations measure, such as eval/frechet_classifier or "
            f"divergence/jsd, which {objective} is not"
        )
    if not config["eval_every"]:
        lacking.append("eval_every=N, the steps between evaluations")
    return [Problem("patience", patience, f"needs {' and '.join(lacking)}")] if lacking else []
