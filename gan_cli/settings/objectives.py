"""Objectives: short names of some, when evaluations measure them, and what `patience` needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gan_cli.errors import Problem

#: Keys that evaluations measure; all others are logged at other steps, or say how the game stands.
MEASURED = ("divergence/jsd", "divergence/kl_data_g", "divergence/kl_g_data")
MEASURED_GROUPS = ("eval/", "modes/", "discriminator/", "value/")
EVALUATIONS = 10  # of a run that is ranked by what they measure, if no cadence is given


@dataclass(frozen=True)
class Objective:
    """An objective that has a short name.

    Attributes:
        key: in metrics.jsonl.
        direction: which values are good.
    """

    key: str
    direction: str


#: By their short names.
SHORT = {"referee": Objective("eval/jsd_at_least", direction="minimize")}


def with_key(config: dict[str, Any]) -> dict[str, Any]:
    """A composed config whose objective is a key of metrics.jsonl where it was a short name."""
    short = SHORT.get(str(config["objective"]))
    return config if short is None else {**config, "objective": short.key}


def short_name_of(key: object) -> str | None:
    """The short name of an objective; None: it has none."""
    return next((name for name, objective in SHORT.items() if objective.key == key), None)


def is_measured(objective: str | None) -> bool:
    """Whether an objective is logged at evaluations alone."""
    if objective is None:
        return False
    return objective in MEASURED or objective.startswith(MEASURED_GROUPS)


def with_evaluations(
    config: dict[str, Any], from_command_line: Sequence[str]
) -> tuple[dict[str, Any], list[str]]:
    """The config of a new run with evaluations if its objective needs some, and a note on them.

    `eval_every` given as 0 stays 0, which `check` rejects.
    """
    lacking = not config["eval_every"] and "eval_every" not in from_command_line
    steps = config["steps"]
    if not (lacking and is_measured(config["objective"]) and isinstance(steps, int) and steps > 0):
        return config, []
    every = max(1, steps // EVALUATIONS)
    note = f"eval_every={every}, because evaluations measure objective={config['objective']}."
    return {**config, "eval_every": every}, [note]


def patience_problems(config: Mapping[str, Any]) -> list[Problem]:
    """What `patience` lacks to have any effect."""
    patience, objective = config["patience"], config["objective"]
    if not patience or patience < 0:
        return []
    lacking = []
    if objective is None:
        lacking.append("objective=KEY, such as eval/frechet_classifier or divergence/jsd")
    elif not is_measured(objective):
        lacking.append(
            "an objective that evaluations measure, such as eval/frechet_classifier or "
            f"divergence/jsd, which {objective} is not"
        )
    if not config["eval_every"]:
        lacking.append("eval_every=N, the steps between evaluations")
    return [Problem("patience", patience, f"needs {' and '.join(lacking)}")] if lacking else []
