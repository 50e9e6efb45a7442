"""What a run's numbers say, in sentences: how far it is, whether it is healthy, what to try."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from gan_cli.page.measured import (
    alike_sentences,
    best_sentences,
    contradictions,
    judge_key,
    was_improving,
)
from gan_cli.page.story import Series, Story
from gan_cli.runs.summary import against_divergence, how_it_went
from gan_cli.training.health import RULES

GOOD, WATCH, BAD, GOING = "good", "watch", "bad", "going"

#: Of the default number of steps, below which a run was short.
SHORT = 0.5
WORDS = {GOOD: "no warning", WATCH: "look closer", BAD: "in trouble", GOING: "under way"}


@dataclass(frozen=True)
class Verdict:
    """What a page says first.

    Attributes:
        level: one of GOOD, WATCH, BAD and GOING.
        sentences: the first says how far it is.
        advice: what to try, each a sentence.
        reason: why it is not good, a sentence; empty if it is.
    """

    level: str
    sentences: tuple[str, ...]
    advice: tuple[str, ...]
    reason: str = ""

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
        texts = [
            e.text for e in story.events if e.kind == "health" and e.text.startswith(f"{name}:")
        ]
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
    doubts = [*contradictions(story), *alike_sentences(story)]
    if (has_broken and story.ended) or any(not f.name.startswith("data stall") for f in active):
        level = BAD
    elif active or doubts:
        level = WATCH
    elif story.running:
        level = GOING
    else:
        level = WATCH if has_broken or not story.lines else GOOD
    told = [f"{f.name.capitalize()}: {f.text or 'it holds at the end'}" for f in active]
    sentences = [how_far(story), *resumed_sentences(story), *how_it_went(story.newest()), *doubts]
    sentences += told
    if not active and story.lines:
        sentences.append(healthy_sentence(findings))
    sentences += best_sentences(story)
    reason = next(iter([*told, *doubts]), "") if level in (WATCH, BAD) else ""
    return Verdict(level, tuple(sentences), tuple(advice(story, active)), reason)


def is_complete(story: Story) -> bool:
    """Whether all steps are done."""
    return story.steps is not None and story.last_step >= story.steps > 0


def is_stopped(story: Story) -> bool:
    """Whether it was stopped in order, by a person or a clock."""
    return story.ended.startswith("stopped ")


def has_settled(story: Story) -> bool:
    """Whether patience stopped it, as it no longer improved."""
    return story.ended.startswith("stopped by patience=")


def how_far(story: Story) -> str:
    """How far a run is, and how it ended."""
    of_all = f" of {story.steps:,}" if story.steps else ""
    far = f"step {story.last_step:,}{of_all}"
    time = story.series.get("time")
    took = f", {duration(time.values[-1])} of training" if time else ""
    if story.running:
        return f"Under way: {far}{took}."
    if is_complete(story):
        return f"Finished: {far}{took}{short_text(story)}."
    if is_stopped(story):
        goes_on = "A larger patience goes on" if has_settled(story) else "It can be resumed"
        return f"{story.ended[0].upper()}{story.ended[1:]}. {goes_on}."
    if story.ended and not story.ended.startswith("done"):
        return f"Broken off at {far}{took}: {story.ended}"
    if not story.last_step:
        return "Nothing was trained, or nothing of it was recorded."
    silent = f"Broken off at {far}{took}, without a word in the log: its process was killed."
    unread = f"It got to {far}{took}. The log that would say how it ended cannot be read."
    return silent if story.introduction else unread


def short_text(story: Story) -> str:
    """Says that a run was short, by the default of its model and data; empty if it was not."""
    default = default_steps(story)
    if default is None:
        return ""
    return f", {100 * story.last_step / default:.2g} % of the default {default:,} steps"


def default_steps(story: Story) -> int | None:
    """The default number of steps of the model and the data, if the run has far fewer."""
    default = default_of(story, "steps")
    is_short = isinstance(default, int) and 0 < story.last_step < SHORT * default
    return default if isinstance(default, int) and is_short else None


def default_of(story: Story, key: str) -> object:
    """The default of a key that the run has changed; None: it is unchanged, or not known."""
    return story.changes[key][1] if key in story.changes else None


def resumed_sentences(story: Story) -> list[str]:
    """How often the run was resumed, if it was."""
    steps = [f"{event.step:,}" for event in story.events if event.kind == "resumed"]
    if not steps:
        return []
    times = "once" if len(steps) == 1 else f"{len(steps)} times"
    shown = ", ".join(steps[:6]) + (", …" if len(steps) > 6 else "")
    return [f"Resumed {times}, at step {shown}."]


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
            tries.append(
                f"Against divergence: {' or '.join(against_divergence(story.config))}"
                f"{rate_text(story)}."
            )
    elif not (story.running or is_complete(story) or has_settled(story)) and story.saved:
        tries.append("Resume it with the command below.")
    if is_complete(story) and not story.running and short_text(story):
        tries.append("It was short: go on with it (“go on” below).")
    if judge_key(story) is None and story.saved and not story.running:
        tries.append(
            "Nothing was measured: the command “measure” below says how good samples are, and "
            "eval_every=N in training shows when they are best."
        )
    elif not active and is_complete(story) and was_improving(story):
        tries.append("Its best value is its last: more steps may improve it (“go on” below).")
    return tries


def rate_text(story: Story) -> str:
    """The learning rate as it was, and its default if that is another."""
    rate, default = story.option("optimizer", "lr"), default_of(story, "optimizer.lr")
    if not isinstance(rate, int | float):
        return ""
    usual = f", the default is {default:g}" if isinstance(default, int | float) else ""
    return f" (optimizer.lr is {rate:g}{usual})"


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if not 0 <= seconds < 1e9:
        return "an unknown time"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
