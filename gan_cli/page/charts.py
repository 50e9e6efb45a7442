"""The charts of a page: which keys belong together, and the lines that say what numbers mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gan_cli.page.story import Series
from gan_cli.runs.meaning import meaning_of

LOG_4, LOG_2 = math.log(4), math.log(2)
Rule = tuple[float, str]  # a value, and what it is


@dataclass(frozen=True)
class Chart:
    """One set of axes.

    Attributes:
        title: above it.
        unit: of the vertical axis.
        keys: logged keys that are drawn, in order; those that a run lacks are left out.
        rules: horizontal lines with their meaning.
        log: whether its axis is logarithmic at first.
        note: how to read it, in a sentence.
    """

    title: str
    unit: str
    keys: tuple[str, ...]
    rules: tuple[Rule, ...] = ()
    log: bool = False
    note: str = ""


def domains(*keys: str) -> tuple[str, ...]:
    """The keys, and those that translation models log for each domain."""
    return tuple(key + suffix for key in keys for suffix in ("", "_a", "_b"))


PROBABILITIES = Chart(
    "What D says",
    "probability of being real",
    domains("prob/real", "prob/fake", "prob/mismatch"),
    ((0.5, "1/2: D cannot tell"),),
    note="D(x) on real data, D(G(z)) on generated ones. They meet at 1/2 where D cannot tell.",
)
SCORES = Chart(
    "D's scores",
    "score",
    domains("score/real", "score/fake", "score/mismatch"),
    note="Only the distance of the curves has a meaning.",
)
VALUE = Chart(
    "Value V(D,G)",
    "nats",
    (*domains("value"), "value/best", "value/measured", "value/measured_refitted"),
    ((-LOG_4, "-log 4: p_g = p_data"),),
    note="What D maximises and G minimises. The best D for this G reaches -log 4 + 2 JSD.",
)
DIVERGENCES = Chart(
    "Divergences",
    "nats",
    (
        "divergence/jsd",
        "divergence/jsd_floor",
        *domains("divergence/jsd_bound"),
        "divergence/kl_data_g",
        "divergence/kl_g_data",
    ),
    ((LOG_2, "log 2: no overlap"), (0.0, "0: equal")),
    note="jsd_bound is what D proves on its batches; jsd is measured against the known density.",
)
LOSSES = Chart("Losses", "loss", (*domains("loss/d"), "loss/g"))
PARTS = Chart(
    "Parts of the loss",
    "loss",
    (*domains("loss/cycle", "loss/identity"), "loss/adversarial_a2b", "loss/adversarial_b2a"),
)
DIVERSITY = Chart(
    "Diversity",
    "mean difference of two samples",
    domains("diversity/fake", "diversity/real"),
    note="If generated data fall far below the data's, G makes the same again and again.",
)
MODES = Chart("Modes", "components", ("modes/covered", "modes/total"))
QUALITY = Chart("Near a mode", "share", ("modes/high_quality",))
ERRORS = Chart(
    "D against the best D",
    "mean |D(x) - D*(x)|",
    ("discriminator/error", "discriminator/error_refitted"),
    ((0.0, "0: D is the best possible"),),
)
GRADIENTS = Chart(
    "Gradient norms",
    "length",
    ("grad_norm/d", "grad_norm/g"),
    log=True,
    note="Near 0, a player learns nothing.",
)
RATES = Chart("Learning rates", "rate", ("lr/d", "lr/g"))
SPEED = Chart("Speed", "real data a second", ("images_per_s",))
WAIT = Chart("Waiting for data", "share of the time", ("system/data_wait",))
MEMORY = Chart("Peak memory", "MiB", ("system/memory_mib", "system/gpu_memory_mib"))

GAME = (
    PROBABILITIES,
    SCORES,
    VALUE,
    DIVERGENCES,
    LOSSES,
    PARTS,
    DIVERSITY,
    MODES,
    QUALITY,
    ERRORS,
    GRADIENTS,
    RATES,
)
MACHINE = (SPEED, WAIT, MEMORY)
#: The values of both losses where p_g = p_data and D = 1/2 (Goodfellow et al. 2014, section 4).
BALANCE = {
    "gan_cli.losses.NonSaturating": ((LOG_4, "log 4: D, balanced"), (LOG_2, "log 2: G, balanced")),
    "gan_cli.losses.Minimax": ((LOG_4, "log 4: D, balanced"), (-LOG_2, "-log 2: G, balanced")),
}
#: Keys that are no curve of their own: clocks, counts, flags and errors.
NO_CURVE = ("time", "health/", "system/data_stall", "divergence/samples", "divergence/cell_std")
#: Values of an evaluation that do not change from one to the next.
CONSTANT = ("_real", "_samples", "_accuracy", "_sigma", "_among", "_trained_on")


def charts_of(series: Mapping[str, Series], config: Mapping[str, Any]) -> list[Chart]:
    """The charts of a run: the game's, one for each metric, what is left, and the machine's."""
    chosen = [chart for chart in GAME if any(key in series for key in chart.keys)]
    if LOSSES in chosen:
        chosen[chosen.index(LOSSES)] = losses_of(config)
    used = {key for chart in (*GAME, *MACHINE) for key in chart.keys}
    rest = [key for key in series if key not in used and is_curve(key, series[key])]
    chosen += [metric_chart(key, series) for key in rest]
    return chosen + [chart for chart in MACHINE if any(key in series for key in chart.keys)]


def losses_of(config: Mapping[str, Any]) -> Chart:
    """The chart of the losses, with their balance where the loss has one without a third term."""
    loss = config.get("loss")
    target = loss.get("_target_") if isinstance(loss, Mapping) else None
    rules = BALANCE.get(str(target), ())
    return Chart(LOSSES.title, LOSSES.unit, LOSSES.keys, rules, note=loss_note(bool(rules)))


def loss_note(has_balance: bool) -> str:
    """How to read losses."""
    told = "A falling loss is no sign of better samples: each player's loss depends on the other."
    return f"{told} The lines are both losses at D = 1/2." if has_balance else told


def is_curve(key: str, series: Series) -> bool:
    """Whether a key that no chart claims gets one of its own."""
    if key.startswith(NO_CURVE) or key.endswith("_error") or key == "eval/samples":
        return False
    if key.startswith("eval/") and len(series.steps) == 1:
        return False  # it stands in the table
    return not (key.startswith("eval/") and key.endswith(CONSTANT) and "identity" not in key)


def metric_chart(key: str, series: Mapping[str, Series]) -> Chart:
    """A chart of its own for a key, with the value of real data as a line where it is known."""
    known = meaning_of(key)
    better = f" {known.better.capitalize()} is better." if known and known.better else ""
    rules: tuple[Rule, ...] = ()
    real = real_of(key)
    if real in series:
        rules = ((series[real].values[-1], "real data"),)
    return Chart(key, "", (key,), rules, note=f"{known.text}.{better}" if known else "")


def real_of(key: str) -> str:
    """The key that says what real data get in place of samples."""
    return {
        "eval/diversity_fake": "eval/diversity_real",
        "eval/nearest_fake": "eval/nearest_test",
        "eval/label_agreement": "eval/classifier_accuracy",
    }.get(key, f"{key}_real")
