"""KL >= 0, it is 0 only between equals, and it is not symmetric.

KL(p || q) = E_p[log p - log q] asks: how surprised is somebody who expects q and meets p? So
KL(p_data || p_g) punishes a G that lacks what the data have, and KL(p_g || p_data) one that makes
what the data lack. A G that lost a mode is bad by the first and good by the second; a G that
covers too much is the other way round. The product logs both as divergence/kl_data_g and
kl_g_data.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import DATA, MODEL, legend, name, several
from gan_cli.claims.exact import expectation
from gan_cli.claims.lab import Lab
from gan_cli.theory.density import GaussianMixture
from gan_cli.theory.divergence import Cells, kl

BINS = 20_000


def mixture(means: list[float], stds: list[float], weights: list[float]) -> GaussianMixture:
    """Gaussians on the line."""
    return GaussianMixture(torch.tensor(means)[:, None], torch.tensor(stds), torch.tensor(weights))


P = mixture([-2.0, 2.0], [0.5, 0.5], [0.5, 0.5])
MODELS = {
    "equal": P,
    "lost a mode": mixture([-2.0, 2.0], [0.5, 0.5], [0.999, 0.001]),
    "covers too much": mixture([0.0], [3.0], [1.0]),
}


def integral(p: GaussianMixture, q: GaussianMixture) -> float:
    """KL(p || q) by quadrature: the mean over p's components of E[log p - log q]."""

    def ratio(x: Tensor) -> Tensor:
        return p.log_prob(x[:, None]) - q.log_prob(x[:, None])

    components = zip(p.weights.tolist(), p.means[:, 0].tolist(), p.stds.tolist(), strict=True)
    terms = [w * expectation(ratio, mean=mean, std=std) for w, mean, std in components]
    return float(sum(terms))


def show(lab: Lab) -> Outcome:  # noqa: ARG001  (nothing is drawn)
    """Compute both divergences for three models, in cells and by quadrature."""
    cells = Cells(mixture([-2.0, 2.0, 0.0], [0.5, 0.5, 3.0], [1.0, 1.0, 1.0]), bins=BINS)
    masses = {label: cells.masses(q).clamp_min(1e-280) for label, q in MODELS.items()}
    both = {
        label: (kl(masses["equal"], masses[label]), kl(masses[label], masses["equal"]))
        for label in MODELS
    }
    exact = {label: (integral(P, q), integral(q, P)) for label, q in MODELS.items()}
    worst = max(
        abs(a - b) for label in MODELS for a, b in zip(both[label], exact[label], strict=True)
    )
    figure, plots = several(3, width=3.0)
    x = torch.linspace(-7, 7, 700)[:, None]
    for plot, (label, q) in zip(plots, MODELS.items(), strict=True):
        forward, backward = both[label]
        title = f"{label}\nKL(data, g) {forward:.3g}, KL(g, data) {backward:.3g}"
        name(plot, "x", "density", title=title)
        plot.fill_between(x[:, 0], P.log_prob(x).exp(), color=DATA, alpha=0.4, label="p_data")
        plot.plot(x, q.log_prob(x).exp(), color=MODEL, label="p_g")
    legend(figure)
    lost, wide = both["lost a mode"], both["covers too much"]
    return Outcome(
        [
            Check("largest distance from quadrature, in nats", worst, at_most=1e-3),
            Check("KL of equals", max(map(abs, both["equal"])), at_most=1e-12),
            Check("smallest KL of two that differ", min(*lost, *wide), at_least=0.1),
            Check("a lost mode: KL(data, g) over KL(g, data)", lost[0] / lost[1], at_least=2),
            Check("too wide: KL(g, data) over KL(data, g)", wide[1] / wide[0], at_least=2),
        ],
        figure,
        data={label: list(values) for label, values in both.items()},
    )


CLAIM = Claim(
    16,
    "kullback_leibler",
    statement="KL is never negative, 0 only between equals, and not symmetric.",
    formula="KL(p || q) = E_p[log p(x) - log q(x)] >= 0",
    source="note 002",
    method="The product's divergence for three models, against quadrature.",
    show=show,
)
