"""The prior p_z is ours to choose: uniform or Gaussian, of any dimension.

G only reshapes what it is fed. Noise on the line has to be stretched and squeezed until it lies as
the data do; noise in 16 dimensions has to be added up into one number. Nothing in the game asks
which of these it is, only that p_z is easy to draw from and rich enough: here four priors lead to
one and the same mixture of two Gaussians.

A uniform prior ends at -1 and 1, the data's tails do not. It is the hardest of the four, since G
must stretch its ends without bound.
"""

from __future__ import annotations

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import densities, legend, name, several
from gan_cli.claims.lab import Lab

PRIORS = {
    "uniform, 1-D": ("noise=uniform", "noise.dim=1"),
    "Gaussian, 1-D": ("noise=normal", "noise.dim=1"),
    "uniform, 2-D": ("noise=uniform", "noise.dim=2"),
    "Gaussian, 16-D": ("noise=normal", "noise.dim=16"),
}
SETTINGS = (
    "data=mixture_1d", "data.means=[-0.8,0.8]", "data.stds=[0.5,0.5]", "data.weights=[0.5,0.5]",
    "data.batch_size=256", "k=2", "ema.decay=0.99", "optimizer.lr=0.002",
    "optimizer.betas=[0.5,0.99]", "schedule=cosine", "model.generator.hidden=[64,64]",
    "model.discriminator.hidden=[64,64]", "regularizer=r1", "regularizer.r1.weight=0.02",
)  # fmt: skip

MAXOUT_D = ("model.discriminator.activation=maxout", "model.discriminator.maxout_pieces=2")


def show(lab: Lab) -> Outcome:
    """Train from each prior, and measure how far p_g is from p_data."""
    steps = lab.steps(1500, fast=10)
    figure, plots = several(len(PRIORS), width=2.4, height=2.9)
    divergences = {}
    for (label, prior), plot in zip(PRIORS.items(), plots, strict=True):
        experiment = lab.experiment(
            *SETTINGS, *MAXOUT_D, f"schedule.decay_steps={steps}", f"steps={steps}", *prior
        )
        experiment.play(steps)
        theory = experiment.theory(lab.steps(200_000, fast=2000))
        divergences[label] = theory.scalars["divergence/jsd"]
        name(plot, "x", "density", title=f"{label}\nJSD {divergences[label]:.4f}")
        densities(plot, theory, experiment.density)
        plot.set_xlim(-3, 3)
        plot.set_ylim(0, 0.6)
    legend(figure)
    checks = [
        Check(f"JSD from a prior that is {label}, in nats", value, at_most=0.03)
        for label, value in divergences.items()
    ]
    return Outcome(checks, figure, data={key: [value] for key, value in divergences.items()})


CLAIM = Claim(
    2,
    "prior",
    statement="The prior p_z may be uniform or Gaussian, on the line or in many dimensions.",
    formula="z ~ p_z, x = G(z), p_g = the distribution of G(z)",
    source="note 000; Goodfellow et al. 2014, section 3",
    method="One mixture of two Gaussians, learned from four priors.",
    show=show,
)
