"""DCGAN's rules: no pooling, no fully connected hidden layer, batch norm.

Convolutional GANs would not train until Radford, Metz and Chintala found an architecture that did.
Its rules: strides in place of pooling, no fully connected hidden layers, batch norm in both players
except at G's output and D's input, ReLU in G and LeakyReLU in D.

The rules are read off the networks that gan-train builds. Two more runs break them: one pools and
has hidden layers, one has no batch norm. All three make digits, which are held against real ones by
the Frechet distance between features of a classifier (0 would be equal; data held out against data
trained on give the floor).
"""

from __future__ import annotations

from torch import nn

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import DATA, THIRD, axes
from gan_cli.claims.lab import Lab

ARMS = {
    "the rules": "digits",
    "pooling, hidden layers": "digits_pooled",
    "no batch norm": "digits_unnormalised",
}
DISTANCE = "eval/frechet_classifier"
SAMPLES = 1500  # as many as there are real digits


def broken_rules(networks: nn.ModuleList) -> int:
    """How many layers break the rules: pooling, dense layers in between, missing batch norm."""
    count = 0
    for network in networks:
        layers = list(network.modules())
        count += sum(isinstance(m, nn.MaxPool2d | nn.AvgPool2d) for m in layers)
        count += sum(isinstance(m, nn.Linear) for m in layers) - 1  # the first of G, the last of D
        convolutions = sum(isinstance(m, nn.Conv2d | nn.ConvTranspose2d) for m in layers)
        # Of G's layers the output has none; of D's, the input.
        wanted = convolutions if any(isinstance(m, nn.Tanh) for m in layers) else convolutions - 1
        count += wanted - sum(isinstance(m, nn.BatchNorm2d) for m in layers)
    return count


def show(lab: Lab) -> Outcome:
    """Count broken rules, and compare what comes out."""
    n = lab.steps(SAMPLES, fast=200)
    broken, distances, errors = {}, {}, {}
    for arm, run in ARMS.items():
        game = lab.trained(run).sampler
        broken[arm] = broken_rules(nn.ModuleList([game.generator, game.discriminator]))
        scalars = lab.measured(run, "frechet_classifier", n=n).scalars
        distances[arm], errors[arm] = scalars[DISTANCE], scalars[f"{DISTANCE}_error"]
    floor = scalars[f"{DISTANCE}_real"]
    ruled, pooled, unnormalised = ARMS
    gain = distances[unnormalised] - distances[ruled]
    error = (errors[unnormalised] ** 2 + errors[ruled] ** 2) ** 0.5
    figure, plot = axes("Fréchet distance on a classifier's features", "")
    plot.barh(list(ARMS), list(distances.values()), xerr=list(errors.values()), color=THIRD)
    plot.axvline(floor, color=DATA, linestyle=":", label="real data")
    plot.invert_yaxis()
    plot.legend(frameon=False)
    return Outcome(
        [
            Check("layers of gan-train's networks that break a rule", broken[ruled], at_most=0),
            Check("layers of the arms that do", broken[pooled] + broken[unnormalised], at_least=5),
            Check("Frechet distance gained by batch norm", gain, error=error, at_least=2 * error),
            Check("distance under the rules", distances[ruled], error=errors[ruled]),
            Check("distance with pooling", distances[pooled], error=errors[pooled]),
        ],
        figure,
        limits="batch norm is what helps digits of 16 pixels; pooling and hidden layers change "
        "little there, and not always for the worse",
        data={"distance": list(distances.values()), "error": list(errors.values())},
    )


CLAIM = Claim(
    31,
    "dcgan_rules",
    statement="Strides in place of pooling, no hidden dense layers and batch norm make GANs train.",
    formula="0 pooling, 0 dense layers in between, batch norm but at G's output and D's input",
    source="note 001; Radford et al. 2015, section 3",
    method="The rules read off the built networks; runs that keep and break them compared.",
    show=show,
    runs=tuple(ARMS.values()),
)
