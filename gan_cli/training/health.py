"""Names what goes wrong in training from the numbers it logs, with evidence and a remedy.

Each rule checks the newest lines that hold its keys. Thresholds were set so that the runs of
docs/results.md stay silent.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

Line = Mapping[str, float]
OVERFIT = 0.15  # D(x) on its own data, above that on others
#: Machine-dependent findings are logged under another prefix than the others, see the contract.
PREFIX, MACHINE_PREFIX = "health/", "system/"


@dataclass(frozen=True)
class Rule:
    """One thing that can go wrong.

    Attributes:
        name: as logged.
        keys: what a line must hold to count.
        lines: how many of the newest lines are checked; fewer prove nothing.
        evidence: says what is seen in them, or None if all is well.
        remedy: what to try.
    """

    name: str
    keys: tuple[str, ...]
    lines: int
    evidence: Callable[[Sequence[Line]], str | None]
    remedy: str

    @property
    def key(self) -> str:
        """What it is logged under, 1 while it holds and 0 once it has ended."""
        prefix = MACHINE_PREFIX if self.keys[0].startswith(MACHINE_PREFIX) else PREFIX
        return prefix + self.name

    def concerns(self, line: Line) -> bool:
        """Whether a line holds what the rule looks at."""
        return all(key in line for key in self.keys)

    def evidence_in(self, lines: Sequence[Line]) -> str | None:
        """As `evidence`; a damaged file may hold numbers that nothing can be computed from."""
        try:
            return self.evidence(lines)
        except (ArithmeticError, ValueError):
            return None


def mean(lines: Sequence[Line], key: str) -> float:
    """Mean of a key over lines."""
    return statistics.fmean(line[key] for line in lines)


def discriminator_wins(lines: Sequence[Line]) -> str | None:
    """D(x) -> 1 and D(G(z)) -> 0: nothing that G does matters (Arjovsky & Bottou 2017)."""
    real, fake = mean(lines, "prob/real"), mean(lines, "prob/fake")
    if not (real > 0.98 and fake < 0.02):
        return None
    norms = [line["grad_norm/g"] for line in lines]
    return (
        f"over {len(lines)} lines D(x) is {real:.4f} and D(G(z)) {fake:.2g}; "
        f"the gradient norm of G is {norms[-1]:.2g} ({min(norms):.2g} to {max(norms):.2g})"
    )


def generator_wins(lines: Sequence[Line]) -> str | None:
    """D takes generated data for real and real data for generated."""
    real, fake = mean(lines, "prob/real"), mean(lines, "prob/fake")
    if not (fake > 0.9 or fake - real > 0.1):
        return None
    return f"over {len(lines)} lines D(G(z)) is {fake:.3f}, but D(x) only {real:.3f}"


def collapses(lines: Sequence[Line], suffix: str) -> str | None:
    """Samples of fixed noise have become much more alike, or were and remain so."""
    if lines[-1][f"diversity/real{suffix}"] <= 0:  # all data are the same
        return None
    shares = [line[f"diversity/fake{suffix}"] / line[f"diversity/real{suffix}"] for line in lines]
    newest, most = max(shares[-2:]), max(shares)
    fell = most >= 0.6 and newest < most / 2
    stayed = most < 0.3 and shares[-1] <= shares[0]
    if not (fell or stayed):
        return None
    return (
        f"samples of fixed noise differ only {shares[-1]:.2f} times as much as data do, "
        f"after {most:.2f} times in the last {len(lines)} pictures"
    )


def modes_are_missing(lines: Sequence[Line]) -> str | None:
    """Components of the known density get no samples, and do not come back."""
    covered, total = [line["modes/covered"] for line in lines], lines[-1]["modes/total"]
    if not (max(covered) < total and covered[-1] <= covered[0]):
        return None
    return (
        f"samples reach {covered[-1]:.0f} of {total:.0f} modes, as for the last {len(lines)} looks"
    )


def overfits(lines: Sequence[Line]) -> str | None:
    """D takes the data it was trained on for real, and others less so: it knows them by heart."""
    own, others = mean(lines, "prob/real"), mean(lines, "prob/held_out")
    if own - others < OVERFIT:
        return None
    return f"over {len(lines)} lines D(x) is {own:.3f} on its own data and {others:.3f} on others"


def oscillates(lines: Sequence[Line]) -> str | None:
    """D's verdict on generated data swings between the extremes: the players chase each other."""
    fakes = [line["prob/fake"] for line in lines]
    low, high = 0.2, 0.8
    swings, side = 0, 0
    for fake in fakes:
        now = 1 if fake > high else -1 if fake < low else side
        swings += side not in (now, 0)
        side = now
    if swings < 3:
        return None
    return f"in {len(lines)} lines D(G(z)) swung {swings} times between {low} and {high}"


def data_stall(lines: Sequence[Line]) -> str | None:
    """The training loop waits for data."""
    share = mean(lines, "system/data_wait")
    return f"{share:.0%} of the time was spent waiting for data" if share > 0.4 else None


def collapse_rule(suffix: str) -> Rule:
    """The rule for a set of generated data."""
    return Rule(
        f"mode_collapse{suffix}",
        (f"diversity/fake{suffix}", f"diversity/real{suffix}"),
        6,
        lambda lines: collapses(lines, suffix),
        "a smaller optimizer.lr_g, regularizer=[instance_noise] or regularizer=[r1], "
        "loss=relativistic or least_squares, or a larger data.batch_size",
    )


RULES = (
    Rule(
        "discriminator_wins",
        ("prob/real", "prob/fake", "grad_norm/g"),
        5,  # few, because it may end by itself and has cost those steps all the same
        discriminator_wins,
        "loss=non_saturating if it is minimax, a smaller k or optimizer.lr_d, "
        "regularizer=[instance_noise] or [label_smoothing], model.discriminator.dropout=0.3",
    ),
    Rule(
        "generator_wins",
        ("prob/real", "prob/fake"),
        10,
        generator_wins,
        "a larger k or optimizer.lr_d, a smaller optimizer.lr_g, or a wider discriminator",
    ),
    *(collapse_rule(suffix) for suffix in ("", "_a", "_b", "_within")),
    Rule(
        "modes_missing",
        ("modes/covered", "modes/total"),
        6,
        modes_are_missing,
        "regularizer=[r1] or [instance_noise], a smaller optimizer.lr, or loss=relativistic",
    ),
    Rule(
        "discriminator_overfits",
        ("prob/real", "prob/held_out"),
        10,
        overfits,
        "more data, regularizer=[diffaugment] or [r1], model.discriminator.dropout=0.3, a smaller "
        "discriminator, or an earlier checkpoint",
    ),
    Rule(
        "oscillation",
        ("prob/fake",),
        20,
        oscillates,
        "a smaller optimizer.lr, optimizer.betas=[0.5,0.999] or less momentum, "
        "regularizer=[r1], or ema.decay=0.999 for steadier samples",
    ),
    Rule(
        "data_stall",
        ("system/data_wait",),
        5,
        data_stall,
        "a larger data.workers, or, for folders of images, data.cache=true to decode once",
    ),
)


def diversity(x: Tensor) -> float:
    """How much two of the data differ in a component, root mean square over (n, ...) pairs."""
    variances = x.cpu().double().flatten(1).var(dim=0)
    return math.sqrt(2 * variances.mean().item())


def diversity_within(x: Tensor, labels: Tensor) -> float:
    """As `diversity`, of two data of the same class; classes with one datum do not count.

    Args:
        x: (n, ...).
        labels: (n,).
    """
    groups = [x[labels == label] for label in labels.unique()]
    squares = [diversity(group) ** 2 for group in groups if len(group) > 1]
    return math.sqrt(statistics.fmean(squares)) if squares else 0.0


class Health:
    """Follows the lines of one run."""

    def __init__(self, rules: Sequence[Rule] = RULES) -> None:
        self._rules = rules
        self._lines: dict[str, deque[Line]] = {r.name: deque(maxlen=r.lines) for r in rules}
        self._active: set[str] = set()
        #: Lines since each finding last held: one that comes and goes is reported once.
        self._since: dict[str, int] = {}

    def add(self, line: Line) -> tuple[dict[str, float], list[str]]:
        """Check one more line.

        Returns:
            What to log: 1 for each finding that holds, 0 for each that has just ended; and a
            message for each finding that is new.
        """
        logged: dict[str, float] = {}
        messages: list[str] = []
        for rule in self._rules:
            if rule.concerns(line):
                self._check(rule, line, logged, messages)
        return logged, messages

    def replay(self, lines: Iterable[Line]) -> None:
        """Go by the lines of earlier sessions, as if each had been added; only the newest matter.

        A finding looks at the newest n lines, and whether it is new at n lines before those.
        """
        newest: dict[str, deque[Line]] = {
            r.name: deque(maxlen=2 * r.lines + 1) for r in self._rules
        }
        for line in lines:
            for rule in self._rules:
                if rule.concerns(line):
                    newest[rule.name].append(line)
        for rule in self._rules:
            for line in newest[rule.name]:
                self._check(rule, line, {}, [])

    def _check(self, rule: Rule, line: Line, logged: dict[str, float], messages: list[str]) -> None:
        lines = self._lines[rule.name]
        lines.append(line)
        evidence = rule.evidence_in(lines) if len(lines) == rule.lines else None
        since = self._since.get(rule.name, rule.lines)
        if evidence:
            logged[rule.key] = 1.0
            if since >= rule.lines:
                name = rule.name.replace("_", " ")
                messages.append(f"{name}: {evidence}. Try {rule.remedy}.")
            self._active.add(rule.name)
        elif rule.name in self._active:
            logged[rule.key] = 0.0
            self._active.remove(rule.name)
        self._since[rule.name] = 0 if evidence else since + 1
