"""The log form of CycleGAN's losses works too.

The notes write CycleGAN's adversarial terms with logarithms, as in the 2014 paper. Zhu et al. give
that form as well, and then train with least squares, which they found steadier. Both are two
settings of one key here, loss=non_saturating and loss=least_squares, and both must reach one bar.

The notes write the adversarial terms of F with x and y in each other's places; F makes data of A,
so its fakes are F(b) and D_A judges them. That is what is trained.
"""

from __future__ import annotations

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import MODEL, THEORY, legend, name, several
from gan_cli.claims.lab import Lab

FORMS = {"least squares": "domains", "log form": "domains_log"}
WAYS = ("a2b", "b2a")
MOST_ERROR, LEAST_AGREEMENT = 0.07, 0.9  # the bar, for both
UNSEEN = 397


def show(lab: Lab) -> Outcome:
    """Translate unseen digits with a run of each form."""
    n = lab.steps(UNSEEN, fast=20)
    errors, agreements = {}, {}
    for form, run in FORMS.items():
        scalars = lab.measured(run, "translation", n=n).scalars
        errors[form] = [scalars[f"eval/translation_{way}"] for way in WAYS]
        agreements[form] = [scalars[f"eval/label_agreement_{way}"] for way in WAYS]
    figure, (left, right) = several(2, width=3.6)
    for plot, values, limit, what in (
        (left, errors, MOST_ERROR, "error of pixels"),
        (right, agreements, LEAST_AGREEMENT, "label agreement"),
    ):
        name(plot, "", what)
        for offset, (form, color) in enumerate(zip(FORMS, (THEORY, MODEL), strict=True)):
            places = [place + 0.35 * offset for place in range(len(WAYS))]
            plot.bar(places, values[form], width=0.33, color=color, label=form)
        plot.axhline(limit, color="gray", linestyle=":", label="bar")
        plot.set_xticks([0.175, 1.175], ["A to B", "B to A"])
    legend(figure)
    return Outcome(
        [
            check
            for form in FORMS
            for check in (
                Check(f"larger error of pixels, {form}", max(errors[form]), at_most=MOST_ERROR),
                Check(
                    f"smaller label agreement, {form}",
                    min(agreements[form]),
                    at_least=LEAST_AGREEMENT,
                ),
            )
        ],
        figure,
        data={f"{form}, error": values for form, values in errors.items()},
    )


CLAIM = Claim(
    38,
    "log_form",
    statement="CycleGAN trains with the log form of its losses as well as with least squares.",
    formula="E[log D_B(b)] + E[log(1 - D_B(G(a)))], and likewise for D_A and F",
    source="note 003; Zhu et al. 2017, equation 1 and section 4",
    method="One run of each form, held against the true translation on unseen digits.",
    show=show,
    runs=tuple(FORMS.values()),
)
