"""What measurements say of a run, in sentences: when it was best, and what contradicts D."""

from __future__ import annotations

import math
from typing import TypeGuard

from gan_cli.page.story import Story
from gan_cli.runs.log import number
from gan_cli.runs.meaning import better

#: Keys by which a run is judged if it has no objective: the first that it logs.
JUDGES = (
    "divergence/jsd",
    "eval/frechet_classifier",
    "eval/fid",
    "eval/translation_a2b",
    "eval/kernel_classifier",
    "eval/parzen",
    "eval/cycle_a",
)
#: Diversity of samples, as a share of the data's, below which a person should look.
ALIKE = 0.4
#: Measured values that contradict a D that says 1/2: a JSD of so large a share of log 2, so small
#: a share of samples near a mode, a D so far from the best one.
FAR_JSD, FEW_NEAR, FAR_D = 0.1, 0.8, 0.1


def judge_key(story: Story) -> tuple[str, str] | None:
    """The key that says how good a run is, and which values are better; None: nothing measured."""
    objective = story.config.get("objective")
    if isinstance(objective, str) and objective in story.series:
        is_low = story.config.get("direction") != "maximize"
        return objective, "low" if is_low else "high"
    for key in JUDGES:
        if key in story.series and (direction := better(key)):
            return key, direction
    return None


def best_sentences(story: Story) -> list[str]:
    """When the run was at its best, by what was measured."""
    judge_by = judge_key(story)
    if judge_by is None:
        return []
    key, direction = judge_by
    series = story.series[key]
    value = best_of(series.values, direction)
    step, last_step = series.steps[series.values.index(value)], series.steps[-1]
    error = error_at(story, key, step)
    shown = f"{number(value)}{f' ± {number(error)}' if error else ''}"
    told = []
    if len(series.values) == 1:
        told.append(f"{key} is {shown} at step {step:,} ({direction} is better).")
        told.append("It was measured once: eval_every=N shows when a run is best.")
    elif step == last_step:
        told.append(
            f"The last evaluation was the best: {key} is {shown} at step {step:,} "
            f"({direction} is better)."
        )
    else:
        last = series.values[-1]
        is_equal = error is not None and abs(last - value) <= 2 * error
        end = "no worse within its error" if is_equal else "worse"
        told.append(
            f"{key} was best at step {step:,}: {shown}. At the end it is {number(last)}, {end} "
            f"({direction} is better)."
        )
    if last_step < story.last_step and not story.running:
        told.append(
            f"It was last measured at step {last_step:,} of {story.last_step:,}; the last weights "
            "were not measured: the command “measure” below does it."
        )
    return told


def best_of(values: list[float], direction: str) -> float:
    """The best of some values."""
    return min(values) if direction == "low" else max(values)


def error_at(story: Story, key: str, step: int) -> float | None:
    """The standard error of a key at a step, or None."""
    errors = story.series.get(f"{key}_error")
    if errors is None or step not in errors.steps:
        return None
    return errors.values[errors.steps.index(step)]


def was_improving(story: Story) -> bool:
    """Whether the best value of what was measured is the last one."""
    judge_by = judge_key(story)
    if judge_by is None:
        return False
    values = story.series[judge_by[0]].values
    return len(values) > 1 and values[-1] == best_of(values, judge_by[1])


def alike_sentences(story: Story) -> list[str]:
    """Says that samples are much more alike than data; the monitor wants more pictures for that."""
    told = []
    newest = story.newest()
    for suffix in ("", "_a", "_b"):
        share = diversity_share(newest, suffix)
        if share is not None and share < ALIKE:
            told.append(
                f"Samples differ only {share:.2f} times as much as data do: G may make the "
                "same again and again, or has not been trained for long."
            )
    within = diversity_share(newest, "_within")
    if within is not None and within < ALIKE:
        told.append(
            f"Samples of one class differ only {within:.2f} times as much as data of one class do: "
            "G makes nearly the same picture of a class, whatever z is."
        )
    return told


def diversity_share(numbers: dict[str, float], suffix: str) -> float | None:
    """Diversity of samples as a share of the data's; None: not logged."""
    real, fake = numbers.get(f"diversity/real{suffix}", 0.0), numbers.get(f"diversity/fake{suffix}")
    return fake / real if fake is not None and real > 0 else None


def contradictions(story: Story) -> list[str]:
    """What was measured of a known density and contradicts a D that cannot tell data apart."""
    values = {**story.newest(), **story.evaluation}
    told = []
    jsd, near = values.get("divergence/jsd"), values.get("modes/high_quality")
    error = values.get("discriminator/error")
    if is_value(jsd) and jsd > FAR_JSD * math.log(2):
        floor = values.get("divergence/jsd_floor")
        above = f", and its floor is {number(floor)}" if is_value(floor) else ""
        told.append(
            f"p_g is far from p_data: their JSD is {jsd / math.log(2):.0%} of log 2, where nothing "
            f"overlaps{above}."
        )
    if is_value(near) and near < FEW_NEAR:
        told.append(f"Only {near:.0%} of the samples lie near a mode.")
    if is_value(error) and error > FAR_D:
        told.append(
            f"D is far from the best D (they differ by {error:.2f} on average), so D(x) near 1/2 "
            "proves little."
        )
    return told


def is_value(value: object) -> TypeGuard[float]:
    """Whether it is a number that can be compared."""
    return isinstance(value, int | float) and math.isfinite(value)
