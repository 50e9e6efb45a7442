"""The table of what was measured: values with errors, and what real data or a perfect G get."""

from __future__ import annotations

from typing import Any

from gan_cli.page.charts import real_of
from gan_cli.page.story import Story
from gan_cli.runs.log import number
from gan_cli.runs.meaning import better, meaning_of

#: How keys of evaluations begin.
MEASURED = ("eval/", "divergence/", "discriminator/", "value/", "modes/high_quality")


def evaluation_rows(story: Story) -> list[dict[str, str]]:
    """What was measured: by gan-evaluate, else the newest evaluation of training."""
    newest = {key: value for key, value in story.newest().items() if is_measured(key)}
    steps: dict[str, object] = {key: story.series[key].steps[-1] for key in newest}
    record: dict[str, Any] = dict(newest)
    for key, value in story.evaluation.items():
        if is_measured(key):
            record[key], steps[key] = value, story.evaluation.get("step", "")
    rows = []
    for key, value in record.items():
        if key.endswith("_error") or isinstance(value, str) or key == "eval/samples":
            continue
        if any(real_of(other) == key for other in record if other != key):
            continue
        known = meaning_of(key)
        step = steps[key]
        rows.append(
            {
                "key": key,
                "value": number(value),
                "error": error_text(record.get(f"{key}_error")),
                "step": f"{step:,}" if isinstance(step, int | float) else "",
                "real": yardstick(key, record),
                "better": better(key) or "",
                "meaning": known.text if known else "",
            }
        )
    return rows


def yardstick(key: str, record: dict[str, Any]) -> str:
    """What real data get in place of samples, else the value that nothing can beat."""
    real = record.get(real_of(key))
    if isinstance(real, int | float):
        return number(real)
    known = meaning_of(key)
    return "" if known is None or known.perfect is None else f"{known.perfect:g} is perfect"


def error_text(error: object) -> str:
    """A standard error as tables show it; empty if it is not known."""
    return f"± {number(error)}" if isinstance(error, int | float) else ""


def is_measured(key: str) -> bool:
    """Whether a key is of an evaluation."""
    return key.startswith(MEASURED) and key != "divergence/jsd_bound"
