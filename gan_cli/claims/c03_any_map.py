"""G can be any differentiable map, and D any that ends between 0 and 1.

The theorems speak of functions, not of networks. Perceptrons are one choice. To see it, the same
game is played twice for the same data, N(1, 0.5^2): once G is a perceptron with two hidden
layers, once it has a single number t and computes G(z) = z/2 + t. Both get gradients through D,
and both reach the data, because both can express them.
"""

from __future__ import annotations

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import densities, legend, name, several
from gan_cli.claims.lab import Given, Lab

START = -2.0  # t, three units away from the data
SETTINGS = (
    "data=gaussian", "data.mean=1", "data.batch_size=256", "noise.dim=1", "k=2", "ema.decay=0.99",
    "model.discriminator.fourier_features=64", "optimizer.lr=0.002", "optimizer.betas=[0.5,0.99]",
    "schedule=cosine",
)  # fmt: skip


def show(lab: Lab) -> Outcome:
    """Train both generators, and measure how far each p_g is from p_data."""
    steps = lab.steps(2500, fast=20)
    generators = {"a perceptron": None, "one number": Given(lambda z, t: z / 2 + t, [START])}
    figure, plots = several(2, width=3.4)
    divergences = {}
    for (label, generator), plot in zip(generators.items(), plots, strict=True):
        schedule = f"schedule.decay_steps={steps}"
        rate = "optimizer.lr_g=0.002" if generator is None else "optimizer.lr_g=0.005"
        experiment = lab.experiment(
            *SETTINGS, schedule, f"steps={steps}", rate, generator=generator
        )
        experiment.play(steps)
        theory = experiment.theory(lab.steps(200_000, fast=2000))
        divergences[label] = theory.scalars["divergence/jsd"]
        name(plot, "x", "density", title=f"G is {label}")
        densities(plot, theory, experiment.density)
        plot.set_xlim(-2, 4)
    legend(figure)
    checks = [
        Check(f"JSD of G as {label}, in nats", value, at_most=0.03)
        for label, value in divergences.items()
    ]
    return Outcome(checks, figure, data={key: [value] for key, value in divergences.items()})


CLAIM = Claim(
    3,
    "any_map",
    statement="G may be any differentiable map of z, and D any map into (0, 1).",
    formula="G: z -> x differentiable; D: x -> (0, 1)",
    source="notes 000 and 002; Goodfellow et al. 2014, section 3",
    method="A perceptron and a G of one number are trained on N(1, 0.5^2).",
    show=show,
)
