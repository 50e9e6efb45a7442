"""Likelihoods need not be computed, and so piecewise linear units are as good as any.

Models fitted by likelihood have to sum over all x, or over all that is hidden, which is often out
of reach. Many of them used smooth units too, as rectified ones went badly in generative models.
In this game likelihood appears nowhere: D and G learn by gradients that flow back through D, and
piecewise linear units (ReLU, maxout) let these flow well. The same game is played with three kinds
of unit in both players, and every call for the likelihood of data is counted: there is none.
Only afterwards is it asked for, to measure how far p_g is from p_data.
"""

from __future__ import annotations

from unittest.mock import patch

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.c02_prior import SETTINGS
from gan_cli.claims.drawing import densities, legend, name, several
from gan_cli.claims.lab import Lab
from gan_cli.theory.density import GaussianMixture

UNITS = {"relu": "ReLU", "maxout": "maxout", "tanh": "tanh"}
PIECES = {"maxout": 2}  # of a unit


def show(lab: Lab) -> Outcome:
    """Train with each kind of unit, count calls for likelihoods, and measure p_g."""
    steps = lab.steps(1000, fast=10)
    figure, plots = several(len(UNITS), width=2.9, height=2.9)
    divergences, calls = {}, 0
    for (unit, label), plot in zip(UNITS.items(), plots, strict=True):
        pieces = PIECES.get(unit, "null")
        both = [
            f"model.{player}.{setting}"
            for player in ("generator", "discriminator")
            for setting in (f"activation={unit}", f"maxout_pieces={pieces}")
        ]
        schedule = f"schedule.decay_steps={steps}"
        experiment = lab.experiment(
            *SETTINGS, *both, schedule, f"steps={steps}", "noise.dim=2", "k=5"
        )
        with patch.object(GaussianMixture, "log_prob", autospec=True) as likelihood:
            experiment.play(steps)
        calls += likelihood.call_count
        theory = experiment.theory(lab.steps(200_000, fast=2000))
        divergences[label] = theory.scalars["divergence/jsd"]
        name(plot, "x", "density", title=f"{label}: JSD {divergences[label]:.4f}")
        densities(plot, theory, experiment.density)
        plot.set_xlim(-3, 3)
        plot.set_ylim(0, 0.6)
    legend(figure)
    checks = [
        Check(f"JSD with {label} units, in nats", value, at_most=0.03)
        for label, value in divergences.items()
    ]
    none = Check("likelihoods of data computed in training", calls, at_most=0)
    return Outcome(
        [*checks, none], figure, data={key: [value] for key, value in divergences.items()}
    )


CLAIM = Claim(
    23,
    "piecewise_linear",
    statement="No likelihood is computed, and piecewise linear units learn as well as smooth ones.",
    formula="ReLU: max(0, h); maxout: max_j h_j; no log p_g(x) anywhere",
    source="note 001; Goodfellow et al. 2014, sections 1 and 2",
    method="One mixture, learned with ReLU, maxout and tanh units in G and D.",
    show=show,
)
