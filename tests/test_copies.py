"""Copies of training data are found, and nothing else is taken for them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from gan_cli.cli import commands
from gan_cli.data.augment import Augment
from gan_cli.evaluation.copies import chance, closeness, find_copies, measure_copies
from gan_cli.evaluation.subject import Subject
from tests.conftest import Cli
from tests.test_evaluation import Blank, Copier, digits, subject


def normal(n: int, dim: int, *, seed: int) -> Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


def p_of(samples: Tensor, data: Tensor, *, flip: bool = False) -> float:
    """The first half was trained on."""
    training, held_out = data.chunk(2)
    return find_copies(samples, training, held_out, flip=flip).p


def test_closeness_compares_with_the_fifth_nearest() -> None:
    data = torch.tensor([[0.0], [1.0], [2.0], [3.0], [4.0], [50.0]])
    ratios, which = closeness(torch.tensor([[0.0], [-1.0], [49.0]]), data, flip=False)
    assert ratios.tolist() == pytest.approx([0.0, 1 / 5, 1 / 48])
    assert which.tolist() == [0, 0, 5]
    # Five equal data are no evidence: nothing says which of them was copied.
    assert closeness(torch.zeros(1, 1), torch.zeros(6, 1), flip=False)[0].tolist() == [1.0]


def test_the_mirror_image_counts_where_training_mirrors() -> None:
    images = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    mirrored = images[3:4].flip(-1)
    assert closeness(mirrored, images, flip=False)[0].item() > 0.5
    ratio, which = closeness(mirrored, images, flip=True)
    assert (ratio.item(), which.item()) == (pytest.approx(0.0, abs=1e-3), 3)


def test_chance_counts_data_not_samples() -> None:
    assert chance(1, 0, of=100) == pytest.approx(0.5)
    assert chance(10, 0, of=10_000) == pytest.approx(2**-10, rel=0.01)
    assert chance(0, 0, of=100) == 1.0
    # A thousand samples about one datum are one toss of the coin.
    data = normal(400, 20, seed=0)
    crowd = data[:1] + 0.01 * normal(1000, 20, seed=1)
    assert p_of(crowd, data) == 1.0
    assert p_of(data[:20] + 0.01 * normal(20, 20, seed=2), data) < 1e-4


@pytest.mark.parametrize("dim", [1, 2, 30])
@pytest.mark.parametrize("kind", ["as the data", "blurred", "noise", "one point"])
def test_alarms_are_no_more_frequent_than_p_says(dim: int, kind: str) -> None:
    ps = []
    for seed in range(120):
        data, samples = normal(200, dim, seed=seed), normal(150, dim, seed=10_000 + seed)
        if kind == "blurred":
            samples = 0.3 * samples
        elif kind == "noise":
            samples = 5 * samples
        elif kind == "one point":
            samples = 1e-3 * samples + samples[:1]
        ps.append(p_of(samples, data))
    assert sum(p <= 0.05 for p in ps) <= 0.05 * len(ps) + 6
    assert kstest(ps, "uniform", alternative="greater").pvalue > 0.01


@pytest.mark.parametrize("share", [0.0, 0.05])
def test_the_share_of_copies_is_found(share: float) -> None:
    train, _ = digits()
    judged: Subject = subject(Copier(train), n=1000)
    training, _ = judged.real.sample(len(train))
    draws = torch.Generator().manual_seed(0)
    # Samples are blends of two training images, which are copies of neither, and some copies.
    pairs = torch.randint(len(training), (2, 1000), generator=draws)
    samples = (training[pairs[0]] + training[pairs[1]]) / 2
    copied = round(share * 1000)
    noise = 0.02 * torch.randn(copied, *training.shape[1:], generator=draws)
    samples[:copied] = training[pairs[0][:copied]] + noise
    judged.__dict__["samples"] = (samples, None)
    scalars = measure_copies(judged).scalars
    assert scalars["eval/copies"] == pytest.approx(share, abs=0.02)
    assert (scalars["eval/copies_p"] < 1e-3) == (share > 0)


def test_a_g_that_copies_and_one_that_does_not() -> None:
    train, _ = digits()
    copier = measure_copies(subject(Copier(train)))
    assert copier.scalars["eval/copies_p"] < 1e-10
    assert copier.scalars["eval/copies"] > 0.7
    assert (
        copier.scalars["eval/copies_of_held_out"] < copier.scalars["eval/copies_of_training"] / 20
    )
    assert set(copier.pictures) == {"copies"}
    blank = measure_copies(subject(Blank()))
    assert blank.scalars["eval/copies_p"] == 1.0
    assert blank.scalars["eval/copies"] == 0.0


def test_data_that_are_mirrored_in_training() -> None:
    train, _ = digits()
    height, width = train.spec.shape[1:]
    mirroring = replace(train, augment=Augment(height, width, flip=True))
    for dataset, is_found in ((train, False), (mirroring, True)):
        judged = subject(Copier(train))
        judged.real.train = dataset
        judged.__dict__["samples"] = (judged.samples[0].flip(-1), None)
        assert (measure_copies(judged).scalars["eval/copies_p"] < 1e-6) == is_found


def test_the_command(cli: Cli) -> None:
    words = ["data=digits", "steps=2", "sample_every=0"]
    assert cli(*words, "name=a").code == 0
    refused = cli("run=outputs/a", "metrics=copies", app=commands.EVALUATE)
    assert refused.code == 2
    assert "metrics=copies: the data have no test split" in refused.err
    assert cli(*words, "name=few", "data.validation=20").code == 0
    refused = cli("run=outputs/few", "metrics=copies", app=commands.EVALUATE)
    assert "metrics=copies: 20 held-out data show no copies; at least 50" in refused.err
    assert cli(*words, "name=b", "data.validation=300").code == 0
    done = cli("run=outputs/b", "metrics=copies", "n=500", app=commands.EVALUATE)
    assert done.code == 0, done.err
    record = json.loads(Path("outputs/b/evaluation.json").read_text())
    assert record["eval/copies_p"] == 1.0
    assert list(Path("outputs/b/evaluation").glob("copies*.png"))
