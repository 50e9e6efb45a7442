"""What an objective needs of evaluations: the metric that measures it, and when."""

from __future__ import annotations

from collections.abc import Sequence

from gan_cli.errors import Problem
from gan_cli.evaluation.registry import METRICS
from gan_cli.settings.objectives import SHORT, is_measured, short_name_of
from gan_cli.settings.targets import Node


def costly_metric_of(objective: str | None) -> str | None:
    """The metric that measures an objective and is left out in training unless asked for by name.

    Returns:
        Its name; None: the objective is none, or no costly metric's.
    """
    if objective is None:
        return None
    key = objective.removeprefix("eval/").removesuffix("_a").removesuffix("_b")
    return next((name for name, m in METRICS.items() if key in (*m.keys, *m.keys_afterwards)), None)


def objective_problems(config: Node, from_command_line: Sequence[str]) -> list[Problem]:
    """Why an objective would not be measured, or ranks the wrong way round.

    Args:
        config: of the run.
        from_command_line: the keys that the command line names. A run that was stored without
            evaluations goes on without them.
    """
    key, metrics = config["objective"], config["eval_metrics"]
    if not is_measured(key):
        return []
    name, short = short_name_of(key) or key, SHORT.get(short_name_of(key) or "")
    problems = []
    if short is not None and config["direction"] != short.direction:
        advice = f"objective={name} ranks by {key}: use {short.direction}"
        problems.append(Problem("direction", config["direction"], advice))
    if not config["eval_every"] and {"objective", "eval_every"} & set(from_command_line):
        advice = "evaluations measure it: set eval_every=N, the steps between them"
        problems.append(Problem("objective", name, advice))
    metric = costly_metric_of(key)
    if metric is None:
        return problems
    if key.removeprefix("eval/") not in METRICS[metric].keys and not key.endswith(("_a", "_b")):
        known = ", ".join(f"eval/{other}" for other in METRICS[metric].keys)
        advice = f"gan-evaluate measures it, training does not. Use one of {known}"
        problems.append(Problem("objective", name, advice))
    listed = [metrics] if isinstance(metrics, str) else metrics
    if listed is not None and metric not in listed:
        advice = f"lacks {metric}, which measures objective={name}. Add it"
        problems.append(Problem("eval_metrics", metrics, advice))
    return problems
