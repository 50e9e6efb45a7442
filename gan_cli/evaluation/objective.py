"""What an objective with a short name needs of evaluations."""

from __future__ import annotations

from gan_cli.errors import Problem
from gan_cli.evaluation.registry import METRICS
from gan_cli.settings.objectives import SHORT, short_name_of
from gan_cli.settings.targets import Node


def objective_problems(config: Node) -> list[Problem]:
    """Why an objective with a short name would not be measured, or ranks the wrong way round."""
    name = short_name_of(config["objective"])
    if name is None:
        return []
    objective, metrics = SHORT[name], config["eval_metrics"]
    if objective.metric not in METRICS:
        advice = (
            f"this version has no metric {objective.metric}, which measures {objective.key}. "
            "Use a key that evaluations log, such as divergence/jsd or eval/frechet_classifier"
        )
        return [Problem("objective", name, advice)]
    problems = []
    if config["direction"] != objective.direction:
        advice = f"objective={name} ranks by {objective.key}: use {objective.direction}"
        problems.append(Problem("direction", config["direction"], advice))
    if not config["eval_every"]:
        advice = "evaluations measure it: set eval_every=N, the steps between them"
        problems.append(Problem("objective", name, advice))
    listed = [metrics] if isinstance(metrics, str) else metrics
    if listed is not None and objective.metric not in listed:
        advice = f"lacks {objective.metric}, which measures objective={name}. Add it"
        problems.append(Problem("eval_metrics", metrics, advice))
    return problems
