"""A GAN can fit degenerate distributions, on which a likelihood is no guide.

Points on a circle fill none of the plane. Their density is nought nearly everywhere, and without
bound on the circle itself. Who fits a density by its likelihood finds no best one: here every
doubling of a Gaussian mixture's components makes them half as long and a quarter as wide, and
adds log 4 nats, on held-out data too, and so on for ever. With noise about the circle it would end.

G needs no density. It bends the plane of its noise onto the circle, and D only ever asks whether
points look like data. (Where p_g and p_data share no area, D could win by too much; R1, a penalty
on its slope, keeps the way back open: Mescheder et al. 2018.)
"""

from __future__ import annotations

import itertools
import math

from torch import Tensor

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import DATA, MODEL, THEORY, legend, name, several
from gan_cli.claims.lab import Lab
from gan_cli.theory.curves import PIECES

COMPONENTS = (4, 8, 16, 32, 64)
NOISE = 0.05  # about the circle, where a density exists
SHOWN = 1000


def log_likelihoods(lab: Lab, std: float) -> list[float]:
    """Mean log-likelihood, in nats, of held-out points under mixtures fitted by EM."""
    from sklearn.mixture import GaussianMixture

    n = lab.steps(10_000, fast=1000)
    data = lab.experiment("data=curve", f"data.std={std}", f"data.samples={2 * n}").dataset.values
    assert isinstance(data, Tensor)
    points = data.double().numpy()
    return [
        GaussianMixture(count, reg_covar=1e-12, random_state=lab.seed_for("em") % 2**32)
        .fit(points[:n])
        .score(points[n:])
        for count in (COMPONENTS if not lab.fast else COMPONENTS[:3])
    ]


def show(lab: Lab) -> Outcome:
    """Train a GAN on a circle, and fit mixtures of ever more components to it."""
    steps = lab.steps(1500, fast=10)
    experiment = lab.experiment(
        "data=curve", "data.batch_size=256", "noise.dim=2", "ema.decay=0.99", "regularizer=r1",
        "regularizer.r1.weight=0.1", "optimizer.lr=0.002", "optimizer.betas=[0.5,0.99]",
        "schedule=cosine", f"schedule.decay_steps={steps}", f"steps={steps}",
    )  # fmt: skip
    experiment.play(steps)
    samples, curve = experiment.samples(lab.steps(20_000, fast=500)), experiment.dataset.curve
    assert curve is not None
    distances, positions = curve.nearest(samples)
    shares = curve.shares_of(positions)
    exact, noisy = (log_likelihoods(lab, std) for std in (0.0, NOISE))
    counts = COMPONENTS[: len(exact)]
    gains = [b - a for a, b in itertools.pairwise(exact)]
    figure, (left, right) = several(2, width=3.6)
    name(left, "x1", "x2", title=f"mean distance {distances.mean():.4f}")
    left.plot(*curve.vertices.T, color=DATA, linewidth=5, alpha=0.5, label="the data's circle")
    left.plot(*samples[:SHOWN].T, ".", color=MODEL, markersize=2, label="samples of G")
    left.set_aspect("equal")
    name(right, "components of a Gaussian mixture", "log-likelihood in nats")
    right.semilogx(counts, exact, "o-", base=2, color=THEORY, label="mixture: circle")
    right.semilogx(counts, noisy, "s--", base=2, color="gray", label="mixture: circle and noise")
    legend(figure, columns=2)
    return Outcome(
        [
            Check("mean distance of samples to the circle", distances.mean().item(), at_most=0.02),
            Check(f"least of {PIECES} pieces' shares of samples, over their due",
                  shares.min().item(), at_least=1 / 3),
            Check("least gain in likelihood by twice the components, in nats", min(gains),
                  at_least=math.log(2)),
            Check("last gain where there is noise", noisy[-1] - noisy[-2], at_most=0.1),
        ],
        figure,
        data={"components": counts, "circle": exact, "noise": noisy, "shares": shares.tolist()},
        games={"G on the circle": experiment},
    )  # fmt: skip


CLAIM = Claim(
    24,
    "degenerate",
    statement="A GAN can fit a degenerate distribution, for which likelihood has no maximum.",
    formula="p_data on a curve: log p(x) is -infinity beside it, and unbounded on it",
    source="notes 001 and 002; Goodfellow et al. 2014, section 6",
    method="A GAN on a circle without noise; mixtures fitted to it by EM, on held-out points.",
    show=show,
)
