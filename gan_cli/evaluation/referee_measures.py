"""The referee as a metric: how data and samples are parted, and the keys of what it says."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import torch
from torch import Tensor

from gan_cli.data.base import Dataset
from gan_cli.evaluation import critic_kinds
from gan_cli.evaluation.critics import Part
from gan_cli.evaluation.measures import mean
from gan_cli.evaluation.referee import Candidate, Verdict, referee
from gan_cli.evaluation.reference import RealData, Reference, unit
from gan_cli.evaluation.subject import Results, Subject
from gan_cli.evaluation.translation_measures import WAYS, translate
from gan_cli.games.from_noise import FromNoise
from gan_cli.games.translating import Direction
from gan_cli.seeding import derive_seed, generator_for
from gan_cli.spec import DataSpec
from gan_cli.system.stopping import polled
from gan_cli.theory.density import GaussianMixture

FEWEST = 50  # held-out data below which nothing can be certified but the crudest faults
STOP, MOST_STOP = 0.25, 1000  # share of held-out data that stop a critic, and at most so many
MOST_IMAGES, MOST_POINTS, MOST_TRANSLATED = 20_000, 200_000, 1000  # at most so many fit a critic
DRAWN = 50_000  # at least so many draws from a known density fit one
EACH, ENOUGH = 4, 1000  # samples for each datum, at most, where data are few; enough to stop by
BLOCK = 4096  # samples made at once
FITTED, STOPPING, JUDGED = PURPOSES = ("fitted", "stop", "judged")
RANKING = ("jsd_at_least", "jsd_estimate", "tv_at_least")  # numbers by which runs are compared
Data = tuple[Tensor, Tensor | None]


def no_held_out(subject: Subject) -> str | None:
    """Why there is nothing to judge on; None: there is."""
    if density_of(subject) is not None:
        have = subject.n
    elif subject.reference.test is None:
        advice = "put images into its test folders"
        if isinstance(subject.game, FromNoise):
            advice = "train with data.validation=N, which holds N out"
        return f"needs real data that training never saw, and there are none; {advice}"
    else:
        have = min(subject.n, *(len(held_out(subject, real)) for real in real_of(subject).values()))
    return None if have >= FEWEST else f"{have} data certify nothing; at least n={FEWEST} held out"


def prepare_map(reference: Reference) -> None:
    """Train, or fetch, the classifiers that images are seen through."""
    if isinstance(reference.dataset, Dataset):
        kinds = [reference.real]
    else:
        kinds = list(reference.domains.values())
    for real in kinds:
        if real.train.spec.is_image and real.train.spec.classes > 1:
            _ = real.classifier


def measure_referee(subject: Subject) -> Results:
    """What a critic certifies, in each domain; of two domains also the mean of the distances.

    Images are seen through a map. The pixels themselves tell real from generated long before
    samples are good, so they are judged besides, but not in training.
    """
    began = time.monotonic()
    scalars: dict[str, float] = {}
    for suffix, real in polled(real_of(subject).items()):
        if isinstance(subject.game, FromNoise):
            parts, spec = parts_of_samples(subject), subject.game.spec
            spec = spec if subject.game.conditional else replace(spec, classes=0, class_names=())
        else:
            parts = parts_of_translations(subject, suffix[1:])
            spec = replace(real.train.spec, classes=0, class_names=())
        scalars |= judged_by_all(subject, real, parts, spec, suffix=suffix)
    for key in (f"eval/{name}" for name in RANKING if not isinstance(subject.game, FromNoise)):
        scalars[key] = (scalars[f"{key}_a"] + scalars[f"{key}_b"]) / 2
        errors = (scalars[f"{key}_{domain}_error"] for domain in "ab")
        scalars[f"{key}_error"] = math.hypot(*errors) / 2
    return Results(scalars | {"system/referee_seconds": time.monotonic() - began})


def judged_by_all(
    subject: Subject, real: RealData, parts: list[Part], spec: DataSpec, *, suffix: str
) -> dict[str, float]:
    """The numbers of each critic, under keys that end in `suffix`."""
    device, seed = subject.reference.device, subject.seed
    scalars = {
        f"eval/referee_judged{suffix}": float(len(parts[-1].real)),
        f"eval/referee_fitted{suffix}": float(len(parts[0].real)),
    }

    def judge(candidates: list[Candidate], parts: list[Part], suffix: str) -> dict[str, float]:
        return numbers(referee(candidates, *parts, seed=seed, device=device), suffix)

    if not spec.is_image:
        return scalars | judge(critic_kinds.of_points(spec, parts[0]), parts, suffix)
    mapped = [part.mapped(lambda x: seen_through_map(x, real)) for part in parts]
    of_map = DataSpec((mapped[0].real.shape[1],), None, classes=spec.classes)
    candidates = critic_kinds.of_vectors(of_map, mapped[0])
    if subject.in_training:
        return scalars | judge([kind.hurried() for kind in candidates], mapped, suffix)
    scalars |= judge(candidates, mapped, suffix)
    return scalars | judge(critic_kinds.of_images(spec), parts, f"_pixels{suffix}")


def numbers(verdict: Verdict, suffix: str) -> dict[str, float]:
    """A verdict by log key; a bound's error is that of the mean that it bounds."""
    jsd, tv = (f"eval/{name}_at_least{suffix}" for name in ("jsd", "tv"))
    estimate = f"eval/jsd_estimate{suffix}"
    scalars = mean(verdict.values, estimate)
    return scalars | {
        jsd: verdict.jsd_at_least,
        f"{jsd}_error": scalars[f"{estimate}_error"],
        tv: verdict.tv_at_least,
        f"{tv}_error": mean(verdict.leads, tv)[f"{tv}_error"],
        f"eval/two_sample_p{suffix}": verdict.p,
    }


def seen_through_map(x: Tensor, real: RealData) -> Tensor:
    """Features of the data's own classifier, or coarse pixels where the data have no classes.

    Both are fixed before anything is judged: the classifier learns from training data alone.

    Args:
        x: images, uint8 (n, C, H, W).
        real: of their kind.

    Returns:
        Float32 (n, d).
    """
    if real.train.spec.classes <= 1:
        return critic_kinds.coarse(x)
    return torch.cat([real.classifier(part.float() / 255) for part in x.split(BLOCK)])


def parts_of_samples(subject: Subject) -> list[Part]:
    """What fits, stops and is judged, of a model that draws samples from noise.

    A conditional model is asked for the labels of the real data, and critics see them.
    """
    game = subject.sampler
    drawn = drawn_data(subject) if density_of(subject) else parted_data(subject, subject.real)
    parts = []
    for purpose, (x, labels) in zip(PURPOSES, drawn, strict=True):
        labels = labels if game.conditional else None  # noqa: PLW2901
        wanted = ENOUGH if purpose == STOPPING else subject.n
        each = max(1, min(EACH, wanted // len(x)))
        asked = None if labels is None else labels.repeat(each)
        fake = samples(subject, each * len(x), asked, purpose=purpose)
        parts.append(Part(as_bytes(x) if game.spec.is_image else x, fake, labels))
    return parts


def samples(subject: Subject, n: int, labels: Tensor | None, *, purpose: str) -> Tensor:
    """Fresh samples that nothing else sees: points, or images rounded to bytes as in files."""
    game = subject.sampler
    seed = derive_seed(subject.seed, "referee", purpose)
    z, made = game.draw_noise(n, seed=seed), []
    for rows in polled(torch.arange(n).split(BLOCK)):
        asked = None if labels is None else labels[rows].to(z.device)
        x = game.map_noise(z[rows.to(z.device)], asked).float().cpu()
        made.append(as_bytes(game.spec.to_unit(x)) if game.spec.is_image else x)
    return torch.cat(made)


def parts_of_translations(subject: Subject, target: str) -> list[Part]:
    """What fits, stops and is judged, of translations into one domain.

    A real image of the domain and a translation of one of the other make a pair of the judged part.
    Where the truth of translations is known these belong together, which changes no bound: pairs
    are independent of each other.
    """
    direction, source = next((way, start) for way, start, end in WAYS if end == target)
    domains = subject.reference.domains
    parts = []
    for (x, _), (inputs, _) in zip(
        parted_data(subject, domains[target]), parted_data(subject, domains[source]), strict=True
    ):
        n = min(len(x), len(inputs))
        fake = translated(subject, domains[source].train.spec.from_unit(inputs[:n]), direction)
        parts.append(Part(as_bytes(x[:n]), fake))
    return parts


def translated(subject: Subject, x: Tensor, direction: Direction) -> Tensor:
    """Translations of images in their domain's range, rounded to bytes as in files."""
    game = subject.translator
    return as_bytes(game.target_of(direction).to_unit(translate(game, x, direction)))


def parted_data(subject: Subject, real: RealData) -> list[Data]:
    """Training data that fit a critic, held-out data that stop it, and others to judge."""
    held, n = held_out(subject, real), subject.n
    order = shuffled(len(held), subject.seed, "held out")
    stop = min(round(STOP * len(held)), MOST_STOP, n)
    most = MOST_TRANSLATED
    if isinstance(subject.game, FromNoise):
        most = MOST_IMAGES if real.train.spec.is_image else MOST_POINTS
    fitted = shuffled(len(real.train), subject.seed, "train")[: min(most, fitted_by(subject))]
    return [
        unit(real.train, fitted), unit(held, order[:stop]), unit(held, order[stop : stop + n]),
    ]  # fmt: skip


def drawn_data(subject: Subject) -> list[Data]:
    """Fresh draws from a known density for each purpose."""
    density, n = density_of(subject), subject.n
    assert density is not None
    kind = "in training" if subject.in_training else "afterwards"
    sizes = (min(max(DRAWN, 2 * n), MOST_POINTS), max(FEWEST, round(STOP * n)), n)
    return [
        density.sample(size, generator=generator_for(subject.seed, "referee", purpose, kind))
        for purpose, size in zip(PURPOSES, sizes, strict=True)
    ]


def fitted_by(subject: Subject) -> int:
    """How many data fit a critic, if there are so many."""
    return subject.n if subject.in_training else 2 * subject.n


def density_of(subject: Subject) -> GaussianMixture | None:
    """What fresh real data are drawn from; None: it is not known."""
    dataset = subject.reference.dataset
    return dataset.density if isinstance(dataset, Dataset) else None


def real_of(subject: Subject) -> dict[str, RealData]:
    """The data of each domain, by the end of its keys."""
    if isinstance(subject.game, FromNoise):
        return {"": subject.real}
    return {f"_{domain}": real for domain, real in subject.reference.domains.items()}


def held_out(subject: Subject, real: RealData) -> Dataset:
    """Real data that training never saw.

    In training those of `data.validation`, if there are test data besides: what chooses a
    checkpoint does not certify it.
    """
    assert real.test is not None
    validation = subject.reference.validation if subject.in_training else None
    if validation is None or len(validation) < FEWEST:
        return real.test
    return validation


def shuffled(n: int, seed: int, *purpose: str) -> Tensor:
    """Numbers 0 to n - 1 in an order of their own."""
    return torch.randperm(n, generator=generator_for(seed, "referee", *purpose))


def as_bytes(x: Tensor) -> Tensor:
    """Images in [0, 1], rounded to what a file keeps, uint8; black where they are no numbers."""
    return x.nan_to_num(0.0).mul(255).round_().clamp_(0, 255).to(torch.uint8)
