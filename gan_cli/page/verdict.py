"""What a run's numbers say, in sentences: how far it is, whether it is healthy, what to try."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from gan_cli.page.story import Series, Story
from gan_cli.runs.log import number
from gan_cli.runs.meaning import better
from gan_cli.runs.summary import against_divergence, how_it_went
from gan_cli.training.health import RULES

GOOD, WATCH, BAD, GOING = "good", "watch", "bad", "going"
WORDS = {GOOD: "no warning", WATCH: "look closer", BAD: "in trouble", GOING: "under way"}
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


@dataclass(frozen=True)
class Verdict:
    """What a page says first.

    Attributes:
        level: one of GOOD, WATCH, BAD and GOING.
        sentences: the first says how far it is.
        advice: what to try, each a sentence.
    """

    level: str
    sentences: tuple[str, ...]
    advice: tuple[str, ...]

    @property
    def word(self) -> str:
        """The level in words."""
        return WORDS[self.level]


@dataclass(frozen=True)
class Finding:
    """A finding of the health monitor: when it held, and what it said.

    Attributes:
        name: in words.
        text: the newest message of the log; empty if the log has none.
        spans: first and last step of each time that it held.
        active: whether it held at the end.
    """

    name: str
    text: str
    spans: tuple[tuple[int, int], ...]
    active: bool


def findings_of(story: Story) -> list[Finding]:
    """All findings of a run, those that still hold first."""
    findings = []
    for rule in RULES:
        series = story.series.get(rule.key)
        name = rule.name.replace("_", " ")
        texts = [e.text for e in story.events if e.kind == "health" and e.text.startswith(name)]
        if series is None and not texts:
            continue
        spans = spans_of(series or Series(), end=story.last_step)
        is_active = bool(series and series.values[-1] > 0)
        findings.append(Finding(name, texts[-1] if texts else "", tuple(spans), is_active))
    return sorted(findings, key=lambda finding: not finding.active)


def spans_of(series: Series, *, end: int) -> list[tuple[int, int]]:
    """From where to where a flag held."""
    spans: list[tuple[int, int]] = []
    start: int | None = None
    for step, value in zip(series.steps, series.values, strict=True):
        if value > 0 and start is None:
            start = step
        if value <= 0 and start is not None:
            spans.append((start, step))
            start = None
    return [*spans, (start, end)] if start is not None else spans


def judge(story: Story, findings: Sequence[Finding]) -> Verdict:
    """The verdict on a run."""
    active = [finding for finding in findings if finding.active]
    has_broken = not (story.running or is_complete(story) or is_stopped(story))
    thin = alike_sentences(story)
    if (has_broken and story.ended) or any(not f.name.startswith("data stall") for f in active):
        level = BAD
    elif active or thin:
        level = WATCH
    elif story.running:
        level = GOING
    else:
        level = WATCH if has_broken or not story.lines else GOOD
    sentences = [how_far(story), *how_it_went(story.newest())]
    sentences += [f"{f.name.capitalize()}: {f.text or 'it holds at the end'}" for f in active]
    if not active and story.lines:
        sentences.append(healthy_sentence(findings))
    sentences += thin
    sentences += best_sentences(story)
    return Verdict(level, tuple(sentences), tuple(advice(story, active)))


def alike_sentences(story: Story) -> list[str]:
    """Says that samples are much more alike than data; the monitor wants more pictures for that."""
    told = []
    newest = story.newest()
    for suffix in ("", "_a", "_b"):
        real, fake = newest.get(f"diversity/real{suffix}", 0), newest.get(f"diversity/fake{suffix}")
        if real > 0 and fake is not None and fake / real < ALIKE:
            told.append(
                f"Samples differ only {fake / real:.2f} times as much as data do: G may make the "
                "same again and again, or has not been trained for long."
            )
    return told


def is_complete(story: Story) -> bool:
    """Whether all steps are done."""
    return story.steps is not None and story.last_step >= story.steps > 0


def is_stopped(story: Story) -> bool:
    """Whether it was stopped in order, by a person or a clock."""
    return story.ended.startswith("stopped ")


def how_far(story: Story) -> str:
    """How far a run is, and how it ended."""
    of_all = f" of {story.steps:,}" if story.steps else ""
    far = f"step {story.last_step:,}{of_all}"
    time = story.series.get("time")
    took = f", {duration(time.values[-1])} of training" if time else ""
    if story.running:
        return f"Under way: {far}{took}."
    if is_complete(story):
        return f"Finished: {far}{took}."
    if is_stopped(story):
        return f"{story.ended[0].upper()}{story.ended[1:]}. It can be resumed."
    if story.ended and not story.ended.startswith("done"):
        return f"Broken off at {far}{took}: {story.ended}"
    if not story.last_step:
        return "Nothing was trained, or nothing of it was recorded."
    return f"Broken off at {far}{took}, without a word in the log: its process was killed."


def healthy_sentence(findings: Sequence[Finding]) -> str:
    """What the health monitor says where nothing is wrong at the end."""
    if not findings:
        return "The health monitor found nothing wrong."
    past = ", ".join(f"{f.name} ({spans_text(f)})" for f in findings)
    return f"The health monitor finds nothing wrong at the end. Before, it found: {past}."


def spans_text(finding: Finding) -> str:
    """When a finding held, in words."""
    if not finding.spans:
        return "see the log"
    shown = [f"step {a:,} to {b:,}" for a, b in finding.spans[:3]]
    more = f" and {len(finding.spans) - 3} more times" if len(finding.spans) > 3 else ""
    return ", ".join(shown) + more


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
    pick = min if direction == "low" else max
    value = pick(series.values)
    step = series.steps[series.values.index(value)]
    last = series.values[-1]
    error = error_at(story, key, step)
    shown = f"{number(value)}{f' ± {number(error)}' if error else ''}"
    if len(series.values) == 1:
        return [f"{key} is {shown} at step {step:,} ({direction} is better)."]
    at_end = step == series.steps[-1]
    if at_end:
        return [f"{key} was best at the end: {shown} at step {step:,} ({direction} is better)."]
    is_equal = error is not None and abs(last - value) <= 2 * error
    end = "no worse within its error" if is_equal else "worse"
    return [
        f"{key} was best at step {step:,}: {shown}. At the end it is {number(last)}, {end} "
        f"({direction} is better)."
    ]


def error_at(story: Story, key: str, step: int) -> float | None:
    """The standard error of a key at a step, or None."""
    errors = story.series.get(f"{key}_error")
    if errors is None or step not in errors.steps:
        return None
    return errors.values[errors.steps.index(step)]


def advice(story: Story, active: Sequence[Finding]) -> list[str]:
    """What to try next."""
    tries = []
    for finding in active:
        remedy = next(
            (rule.remedy for rule in RULES if rule.name.replace("_", " ") == finding.name), ""
        )
        tries.append(f"Against {finding.name}: {remedy}.")
    if "diverged" in story.ended:
        with contextlib.suppress(LookupError, TypeError, ValueError):  # the config is damaged
            tries.append(f"Against divergence: {' or '.join(against_divergence(story.config))}.")
    elif not story.running and not is_complete(story) and story.last_step:
        tries.append("Resume it with the command below.")
    if judge_key(story) is None and story.last_step and not story.running:
        tries.append("Nothing was measured. The command “measure” below says how good samples are.")
    elif not active and is_complete(story) and was_improving(story):
        tries.append("Its best value is its last: more steps may improve it (“go on” below).")
    return tries


def was_improving(story: Story) -> bool:
    """Whether the best value of what was measured is the last one."""
    judge_by = judge_key(story)
    if judge_by is None:
        return False
    values = story.series[judge_by[0]].values
    pick = min if judge_by[1] == "low" else max
    return len(values) > 1 and values[-1] == pick(values)


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if not 0 <= seconds < 1e9:
        return "an unknown time"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
