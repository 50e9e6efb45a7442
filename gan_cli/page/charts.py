"""The charts of a page: which keys belong together, and the lines that say what numbers mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
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
    "probability",
    domains("prob/real", "prob/fake", "prob/held_out", "prob/mismatch"),
    ((0.5, "1/2: D cannot tell"),),
    note="D(x) on real data, D(G(z)) on generated ones. They meet at 1/2 where D cannot tell.",
)
SCORES = Chart(
    "D's scores",
    "score",
    domains("score/real", "score/fake", "score/mismatch"),
    note="Only the distance of the curves has a meaning.",
)
WASSERSTEIN = Chart(
    "Estimate of the Wasserstein distance",
    "distance",
    domains("wasserstein/estimate"),
    ((0.0, "0: equal"),),
    note="D(x) - D(G(z)) on average: at most the distance times D's largest slope.",
)
VALUE = Chart(
    "Value V(D,G)",
    "nats",
    (*domains("value"), "value/best", "value/measured", "value/measured_refitted"),
    ((-LOG_4, "-log 4: p_g = p_data"),),
    note="What D maximises and G minimises. The best D for this G reaches -log 4 + 2 JSD.",
)
DIVERGENCES = Chart(
    "Jensen-Shannon divergence",
    "nats",
    (
        "divergence/jsd",
        "divergence/jsd_floor",
        *domains("divergence/jsd_bound"),
    ),
    ((LOG_2, "log 2: no overlap"), (0.0, "0: equal")),
    note="jsd_bound is what D proves on its batches; jsd is measured against the known density.",
)
KL = Chart(
    "Kullback-Leibler divergences",
    "nats",
    ("divergence/kl_data_g", "divergence/kl_g_data"),
    ((0.0, "0: equal"),),
    note="kl_data_g is large if G misses data, kl_g_data if it makes what the data lack.",
)
LOSSES = Chart("Losses", "loss", (*domains("loss/d"), "loss/g"))
PARTS = Chart(
    "Parts of the loss",
    "loss",
    (*domains("loss/cycle", "loss/identity"), "loss/adversarial_a2b", "loss/adversarial_b2a"),
)
DIVERSITY = Chart(
    "Diversity",
    "difference",
    (
        *domains("diversity/fake", "diversity/real"),
        "diversity/fake_within",
        "diversity/real_within",
    ),
    note="If generated data fall far below the data's, G makes the same again and again.",
)
MODES = Chart("Modes", "components", ("modes/covered", "modes/total"))
QUALITY = Chart("Near a mode", "share", ("modes/high_quality",))
ERRORS = Chart(
    "D against the best D: mean |D(x) - D*(x)|",
    "difference",
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
SPEED = Chart("Speed", "data a second", ("images_per_s",))
WAIT = Chart("Waiting for data", "share", ("system/data_wait",))
MEMORY = Chart("Peak memory", "MiB", ("system/memory_mib", "system/gpu_memory_mib"))

GAME = (
    PROBABILITIES,
    SCORES,
    WASSERSTEIN,
    VALUE,
    DIVERGENCES,
    KL,
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
SHARES = ("probability", "share")  # units of values from 0 to 1
#: G's loss where D = 1/2 (Goodfellow et al. 2014, section 4).
BALANCE_OF_G = {
    "gan_cli.losses.NonSaturating": (LOG_2, "log 2: G, D at 1/2"),
    "gan_cli.losses.Minimax": (-LOG_2, "-log 2: G, D at 1/2"),
}
#: What D's scores aim at, and what is best where it cannot tell.
TARGETS = {
    "gan_cli.losses.LeastSquares": (
        (1.0, "1: target on real data"),
        (0.5, "1/2: D cannot tell"),
        (0.0, "0: target on generated data"),
    )
}
#: Keys that are no curve of their own: clocks, counts, flags and errors.
NO_CURVE = ("time", "health/", "system/data_stall", "divergence/samples", "divergence/cell_std")
#: Values of an evaluation that do not change from one to the next.
CONSTANT = ("_real", "_samples", "_accuracy", "_sigma", "_among", "_trained_on")


def charts_of(series: Mapping[str, Series], config: Mapping[str, Any]) -> list[Chart]:
    """The charts of a run: the game's, one for each metric, what is left, and the machine's."""
    adapted = {
        LOSSES: losses_of(series, config),
        SCORES: scores_of(config),
        VALUE: value_of(series),
        DIVERGENCES: divergences_of(series),
    }
    chosen = [
        adapted.get(chart, chart) for chart in GAME if any(key in series for key in chart.keys)
    ]
    used = {key for chart in (*GAME, *MACHINE) for key in chart.keys}
    rest = [key for key in series if key not in used and is_curve(key, series[key])]
    chosen += [metric_chart(key, series) for key in rest]
    return chosen + [chart for chart in MACHINE if any(key in series for key in chart.keys)]


def loss_in(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config of the loss; empty if it is damaged."""
    loss = config.get("loss")
    return loss if isinstance(loss, Mapping) else {}


def losses_of(series: Mapping[str, Series], config: Mapping[str, Any]) -> Chart:
    """The chart of the losses, with what both players pay where D says 1/2.

    With wrong labels as a third kind of data, D also pays for these; with further terms, as of
    cycles, the lines would say nothing.
    """
    told = "A falling loss is no sign of better samples: each player's loss depends on the other."
    loss = loss_in(config)
    of_g = BALANCE_OF_G.get(str(loss.get("_target_")))
    if of_g is None or "loss/cycle" in series or loss.get("d_weight", 1.0) != 1.0:
        return replace(LOSSES, note=told)
    if not has_mismatch(series):
        return replace(
            LOSSES,
            rules=((LOG_4, "log 4: D at 1/2"), of_g),
            note=f"{told} The lines are both losses at D = 1/2.",
        )
    model = config.get("model")
    weight = model.get("mismatch_weight", 1.0) if isinstance(model, Mapping) else 1.0
    rules: tuple[Rule, ...] = ((LOG_4, "log 4: D tells wrong labels, not samples"), of_g)
    if weight == 1.0:
        rules = ((3 * LOG_2, "3 log 2: D says 1/2 to all"), *rules)
    return replace(
        LOSSES,
        rules=rules,
        note=f"{told} D has a third term here, for real data under wrong labels: saying 1/2 to all "
        "costs it 3 log 2, and log 4 if it is sure of the wrong labels alone.",
    )


def has_mismatch(series: Mapping[str, Series]) -> bool:
    """Whether D also judges real data under wrong labels, so that V has a third term."""
    return "prob/mismatch" in series


def scores_of(config: Mapping[str, Any]) -> Chart:
    """The chart of the scores, with D's targets where its loss has some."""
    rules = TARGETS.get(str(loss_in(config).get("_target_")))
    if rules is None:
        return SCORES
    note = "D aims at 1 on real data and at 0 on generated ones. Where it cannot tell, 1/2 is best."
    return replace(SCORES, rules=rules, note=note)


def value_of(series: Mapping[str, Series]) -> Chart:
    """The chart of V, which the third term of a conditional game pulls down."""
    if not has_mismatch(series):
        return VALUE
    return replace(
        VALUE,
        rules=((-LOG_4, "-log 4: D at 1/2"),),
        note="The two terms of V alone. D also has to reject wrong labels, so it does not "
        "maximise these two, and V can lie below -log 4.",
    )


def divergences_of(series: Mapping[str, Series]) -> Chart:
    """The chart of the JSD; what D proves is less where it has another task besides."""
    if not has_mismatch(series):
        return DIVERGENCES
    return replace(
        DIVERGENCES,
        note="jsd_bound is what D proves on its batches. D also has to reject wrong labels, so it "
        "may prove little: a bound below 0 says nothing.",
    )


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
        "divergence/jsd": "divergence/jsd_floor",
        "eval/diversity_fake": "eval/diversity_real",
        "eval/nearest_fake": "eval/nearest_test",
        "eval/label_agreement": "eval/classifier_accuracy",
    }.get(key, f"{key}_real")
