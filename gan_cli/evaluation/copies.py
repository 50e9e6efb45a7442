"""Does G copy its training data? A test that raises false alarms no more often than it says.

A G that knows p_data but not its training data comes as near to data that it never saw. So each
sample is held against training data and as many held-out data, and asked: is the nearest of them
one that G learnt from? Without copying that is a fair coin, whatever samples look like: which
of the real data are called training data and which held-out is then chance (they are exchangeable).
G may draw blurs, noise or one picture for ever; it may lie nearer to all data, but to both alike.

Only samples that are suspiciously near to one datum toss the coin: at most half as far from it as
from the fifth nearest, which is the nearest but for a few duplicates. And each datum tosses once,
however many samples crowd about it. Of K such data the number of training data is hypergeometric.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from gan_cli.evaluation.reference import RealData
from gan_cli.evaluation.subject import Results, Subject
from gan_cli.pictures import Picture, sheet, titled, to_bytes
from gan_cli.spec import DataSpec
from gan_cli.system.stopping import polled

MOST = 10_000  # training data, and as many held-out ones
FEWEST = 50  # of each; fewer show nothing but a G that copies all the time
NEIGHBOUR = 5  # which nearest datum the distance of the nearest is held against
#: How near makes a sample suspicious; the smaller ones find exact copies among many near misses.
RATIOS = (1 / 2, 1 / 4, 1 / 8, 1 / 16)
LARGEST = 32  # pixels of the longer side that are compared
BLOCK = 500  # samples compared at once
SHOWN = 10  # samples in the picture
COPIES = "copies"  # the picture's name


@dataclass(frozen=True)
class Copies:
    """What the test says.

    Attributes:
        p: how likely so many training data would be copied, or more, by a G that copies none.
        training: training data that a sample is suspiciously near to.
        held_out: held-out data likewise: as many again are there by chance.
        excess: samples near training data, less those near held-out data.
        error: of that number, if G copies none.
        ratios: distance of each sample to the nearest datum, over that to the fifth; (n,).
        which: that datum, training data first; int64 (n,).
    """

    p: float
    training: int
    held_out: int
    excess: float
    error: float
    ratios: Tensor
    which: Tensor


def find_copies(samples: Tensor, training: Tensor, held_out: Tensor, *, flip: bool) -> Copies:
    """Test whether samples lie nearer to training data than to data that G never saw.

    Args:
        samples: (n, ...).
        training: what G learnt from, (m, ...), m at least NEIGHBOUR.
        held_out: as many of the same kind, chosen by chance.
        flip: G saw data mirrored, too; images only.
    """
    m = len(training)
    if len(held_out) != m:
        raise ValueError(f"{m} training data and {len(held_out)} held-out ones: give as many")
    ratios, which = closeness(samples, torch.cat([training, held_out]), flip=flip)
    p, counts = 1.0, []
    for ratio in RATIOS:
        near = torch.bincount(which[ratios <= ratio], minlength=2 * m)
        hit = near > 0
        counts.append((int(hit[:m].sum()), int(hit[m:].sum())))
        p = min(p, len(RATIOS) * chance(*counts[-1], of=m))
        if ratio == RATIOS[0]:
            excess = (near[:m].sum() - near[m:].sum()).item()
            error = near.double().square().sum().sqrt().item()
    return Copies(p, *counts[0], excess, error, ratios, which)


def chance(training: int, held_out: int, *, of: int) -> float:
    """How likely so many of K data are among `of` training data, drawn from twice as many."""
    from scipy.stats import hypergeom

    return float(hypergeom.sf(training - 1, 2 * of, of, training + held_out))


def closeness(x: Tensor, data: Tensor, *, flip: bool) -> tuple[Tensor, Tensor]:
    """How much nearer the nearest datum is than the fifth: 0 for a copy, 1 for no difference.

    Args:
        x: (n, ...).
        data: (N, ...), N at least NEIGHBOUR.
        flip: the mirror image of a datum is as good as itself.

    Returns:
        The ratio (n,), and which datum is nearest, int64 (n,).
    """
    others, ratios, which = data.flatten(1), [], []
    for part in polled(x.split(BLOCK)):
        distances = torch.cdist(part.flatten(1), others)
        if flip:
            distances = distances.minimum(torch.cdist(part.flip(-1).flatten(1), others))
        nearest = distances.topk(NEIGHBOUR, largest=False)
        first, fifth = nearest.values[:, 0], nearest.values[:, -1]
        ratios.append(torch.where(fifth > 0, first / fifth, torch.ones_like(first)))
        which.append(nearest.indices[:, 0])
    return torch.cat(ratios), torch.cat(which)


def too_few_held_out(subject: Subject) -> str | None:
    """Why there is not enough to compare with; None: there is."""
    have = compared(subject.real)
    return None if have >= FEWEST else f"{have} held-out data show no copies; at least {FEWEST}"


def compared(real: RealData) -> int:
    """How many training data, and held-out ones."""
    assert real.test is not None
    return min(len(real.train), len(real.test), MOST)


def measure_copies(subject: Subject) -> Results:
    """The test, the share of copies, and a picture of what looks most like copies."""
    real, m, spec = subject.real, compared(subject.real), subject.sampler.spec
    training, held_out = real.sample(m)[0], real.sample(m, of_test=True)[0]
    samples = subject.samples[0]
    augment = real.train.augment
    found = find_copies(
        *(small(x) if spec.is_image else x for x in (samples, training, held_out)),
        flip=augment is not None and augment.flip,
    )
    # Copies of training data that were not searched go unseen, in proportion.
    one = len(real.train) / m / len(samples)
    scalars = {
        "eval/copies": min(1.0, max(0.0, found.excess * one)),
        "eval/copies_error": found.error * one,
        "eval/copies_p": found.p,
        "eval/copies_of_training": float(found.training),
        "eval/copies_of_held_out": float(found.held_out),
    }
    if not spec.is_image:
        return Results(scalars)
    return Results(scalars, {COPIES: draw_copies(samples, training, held_out, found, spec)})


def small(x: Tensor) -> Tensor:
    """Images of at most LARGEST pixels along a side: a copy is one from afar, too."""
    scale = LARGEST / max(x.shape[2:])
    if scale >= 1:
        return x
    size = tuple(max(1, round(side * scale)) for side in x.shape[2:])
    return torch.cat([interpolate(part, size, mode="area") for part in x.split(BLOCK)])


def draw_copies(
    samples: Tensor, training: Tensor, held_out: Tensor, found: Copies, spec: DataSpec
) -> Picture:
    """The samples that look most like copies, above the real data that they are nearest to."""
    chosen = found.ratios.argsort(stable=True)[:SHOWN]
    which = found.which[chosen]
    of_training = which < len(training)
    places = which.remainder(len(training))
    nearest = torch.stack(
        [(training if seen else held_out)[i] for seen, i in zip(of_training, places, strict=True)]
    )
    kinds = ["training" if seen else "held out" for seen in of_training.tolist()]
    captions = [f"{ratio:.2f}" for ratio in found.ratios[chosen].tolist()] + kinds
    picture = sheet(
        to_bytes(torch.cat([samples[chosen], nearest]), DataSpec(spec.shape, (0.0, 1.0))),
        columns=len(chosen),
        captions=captions,
        rows=["sample", "nearest datum"],
    )
    below = "the most suspicious; numbers: distance to the nearest datum over that to the fifth"
    return titled(picture, f"{below}; p = {found.p:.2g}")
