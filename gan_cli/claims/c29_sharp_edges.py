"""GANs draw sharp edges; the note that says so has its doubts.

A decoder that is fitted by least squares must answer a code with one image. Where several images
fit, their mean loses least, and a mean of sharp edges is a soft one. G answers to D instead, and to
D a soft edge is a reason to reject. So G takes one of the images and draws it sharply.

Sharpness is measured by one number here: how much neighbouring pixels differ, on average. It is
compared for data held out, for samples of G, and for decoders with G's own network, each digit's
code fitted along with it by least squares (Bojanowski et al. 2018, without their Laplacian). The
fewer numbers a code has, the more images share one, and the softer their mean.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import name, several
from gan_cli.claims.exact import standard_error
from gan_cli.claims.lab import Lab
from gan_cli.pictures import sheet, to_bytes

RUN, SHOWN = "digits", 16
BATCH, RATE = 64, 2e-3
DIMENSIONS = (2, 100)  # of the decoders' codes; G's z has 100


def sharpness(x: Tensor) -> Tensor:
    """Mean difference of neighbouring pixels of images (n, C, H, W), (n,)."""
    down, across = x.diff(dim=2).abs().flatten(1), x.diff(dim=3).abs().flatten(1)
    return torch.cat([down, across], dim=1).mean(dim=1)


def fitted_decoder(lab: Lab, x: Tensor, dim: int, *, steps: int) -> Tensor:
    """Images that a network like G draws from codes like those fitted to data x by squares."""
    network = lab.experiment(*lab.overrides(RUN), f"noise.dim={dim}").game.generator
    codes = nn.Parameter(0.1 * torch.randn(len(x), dim, generator=lab.generator("codes")))
    optimizer = torch.optim.Adam([*network.parameters(), codes], lr=RATE)
    order = lab.generator("order")
    for _ in range(steps):
        rows = torch.randint(len(x), (BATCH,), generator=order)
        loss = (network(codes[rows]) - x[rows]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    fitted = codes.detach()
    spread = torch.linalg.cholesky(torch.cov(fitted.T) + 1e-6 * torch.eye(dim))
    fresh = torch.randn(len(x), dim, generator=lab.generator("fresh")) @ spread.T
    with torch.no_grad():
        drawn: Tensor = network.eval()(fitted.mean(dim=0) + fresh)
    return drawn


def show(lab: Lab) -> Outcome:
    """Compare the edges of data, of G's samples and of the decoder's."""
    model, real = lab.trained(RUN), lab.reference(RUN).real
    assert real.test is not None
    spec = model.sampler.spec
    train = spec.from_unit(real.sample(len(real.train))[0])
    held_out = spec.from_unit(real.sample(len(real.test), of_test=True)[0])
    sets = {
        "data held out": held_out,
        "samples of G": model.sample(len(held_out), seed=lab.seed),
    }
    for dim in DIMENSIONS:
        sets[f"least squares, {dim} numbers"] = fitted_decoder(
            lab, train, dim, steps=lab.steps(600, fast=3)
        )
    edges = {what: sharpness(x) for what, x in sets.items()}
    data, samples, few, many = (values.mean().item() for values in edges.values())
    figure, plots = several(4, width=2.6, height=2.9)
    for plot, (what, x) in zip(plots, sets.items(), strict=True):
        name(plot, "", "", title=f"{what}: {edges[what].mean().item() / data:.2f}")
        plot.imshow(sheet(to_bytes(x[:SHOWN], spec)), cmap="gray")
        plot.axis("off")
    errors = [standard_error(values) / data for values in edges.values()]
    return Outcome(
        [
            Check("edges of samples, as a share of the data's", samples / data, error=errors[1],
                  at_least=0.7, at_most=1.15),
            Check("edges by least squares, codes of 2 numbers", few / data, error=errors[2],
                  at_most=samples / data - 2 * (errors[1] + errors[2])),
            Check("edges by least squares, codes of 100 numbers", many / data, error=errors[3]),
        ],
        figure,
        limits="sharper than least squares where a code leaves the image open; with as many "
        "numbers as z has, least squares is as sharp",
        data={what: values.tolist() for what, values in edges.items()},
    )  # fmt: skip


CLAIM = Claim(
    29,
    "sharp_edges",
    statement="Samples of a GAN have sharp edges.",
    formula="E|x[i+1] - x[i]|, of samples over that of data",
    source="note 002, which doubts it; Goodfellow et al. 2014, section 6",
    method="Differences of neighbouring pixels: data, samples, and a decoder fitted by squares.",
    show=show,
    runs=(RUN,),
)
