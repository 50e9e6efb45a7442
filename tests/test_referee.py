"""The referee certifies what is true and most of it, for a seed the same, and moves nothing."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gan_cli.claims.lab import Given, Lab
from gan_cli.cli import commands
from gan_cli.data.pairs import DigitDomains
from gan_cli.evaluation import critic_kinds
from gan_cli.evaluation.critics import Effort, Part, scale_and_bias, terms
from gan_cli.evaluation.referee import referee
from gan_cli.evaluation.referee_measures import as_bytes, no_held_out, parts_of_samples
from gan_cli.evaluation.reference import Reference
from gan_cli.evaluation.registry import METRICS, choose, measure
from gan_cli.evaluation.subject import Subject
from gan_cli.spec import DataSpec, PairSpec
from gan_cli.theory.density import GaussianMixture
from tests.conftest import Cli
from tests.test_evaluation import CONFIG, Blank, Copier, Translator, digits
from tests.test_evaluation import subject as of_digits

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POINTS", "VECTORS", "IMAGES"):
        monkeypatch.setattr(critic_kinds, name, Effort(150, 128, 3e-3))


def gaussians(mean: float, *, n: int, in_training: bool = False) -> Subject:
    """p_data is N(0, 1), p_g N(mean, 1)."""
    experiment = Lab(Path()).experiment(
        "data=gaussian", "data.mean=0", "data.std=1", "noise.dim=1",
        generator=Given(lambda z, t: t + z, [mean]),
        discriminator=Given(lambda x, w: w * x[:, 0], [0.0]),
    )  # fmt: skip
    reference = Reference(
        CONFIG, experiment.dataset, device=CPU, inception=None, progress=lambda *_: None
    )
    reference.__dict__["test"] = None  # fresh draws take its place
    return Subject(experiment.game, reference, n=n, seed=0, in_training=in_training)


def jsd_of_shift(mean: float) -> float:
    x = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    p, q = (torch.exp(-((x - m) ** 2) / 2) / math.sqrt(2 * math.pi) for m in (0, mean))
    middle = (p + q) / 2
    value = p * (p / middle).log() + q * (q / middle).log()
    return torch.trapezoid(value, x).item() / 2


@pytest.mark.parametrize("mean", [0.7, 2.0])
def test_the_bound_is_true_and_most_of_the_truth(mean: float) -> None:
    values = measure(gaussians(mean, n=20_000), ["referee"]).scalars
    truth = jsd_of_shift(mean)
    assert 0.6 * truth < values["eval/jsd_at_least"] < truth
    error = values["eval/jsd_estimate_error"]
    assert values["eval/jsd_estimate"] == pytest.approx(truth, abs=4 * error + 0.05 * truth)
    tv = math.erf(mean / 2 / math.sqrt(2))  # 2 Phi(mean / 2) - 1
    assert 0.8 * tv < values["eval/tv_at_least"] < tv
    assert values["eval/two_sample_p"] < 1e-6
    assert values["eval/referee_judged"] == 20_000


def test_equal_distributions_are_not_told_apart() -> None:
    """Each number may be wrong in 5 of 100 cases: more than 2 of 8 would be odd."""
    subject, verdicts = gaussians(0.0, n=1000), []
    for seed in range(8):
        subject.seed = seed
        verdicts.append(measure(subject, ["referee"]).scalars)
    for key in ("eval/jsd_at_least", "eval/tv_at_least"):
        assert sum(values[key] > 0 for values in verdicts) <= 2
    assert sum(values["eval/two_sample_p"] <= 0.05 for values in verdicts) <= 2


def test_one_seed_gives_one_verdict_and_nothing_moves() -> None:
    subject = gaussians(1.0, n=500)
    game = subject.sampler
    game.seed_noise(0, device=CPU)
    before = {key: value.clone() for key, value in game.state_dict().items()
              if isinstance(value, Tensor)}  # fmt: skip
    streams = torch.get_rng_state(), game.rng.get_state()

    def verdict() -> dict[str, float]:
        values = measure(subject, ["referee"]).scalars
        return {key: value for key, value in values.items() if not key.startswith("system/")}

    assert verdict() == verdict()
    assert all(torch.equal(game.state_dict()[key], value) for key, value in before.items())
    assert torch.equal(streams[0], torch.get_rng_state())
    assert torch.equal(streams[1], game.rng.get_state())
    assert all(p.requires_grad and p.grad is None for p in game.parameters())
    assert game.training


def test_training_and_certificate_draw_different_points() -> None:
    one, other = (
        parts_of_samples(gaussians(1.0, n=100, in_training=flag))[2].real for flag in (True, False)
    )
    assert not torch.equal(one, other)


def test_terms_have_the_mean_of_theorem_1() -> None:
    """D = 1/2 certifies nothing; D* attains the JSD; each datum goes with its own samples."""
    nothing = terms(torch.zeros(4, dtype=torch.float64), torch.zeros(8, dtype=torch.float64))
    assert nothing.tolist() == pytest.approx([0.0] * 4)
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(200_000, generator=draws, dtype=torch.float64)
    y = torch.randn(400_000, generator=draws, dtype=torch.float64) + 1
    best = terms(0.5 - x, 0.5 - y)  # log p/q of N(0, 1) and N(1, 1)
    assert best.mean().item() == pytest.approx(jsd_of_shift(1.0), abs=0.003)
    part = Part(torch.arange(3), torch.arange(6), torch.tensor([7, 8, 9]))
    assert part.labels_of_fake is not None
    assert part.labels_of_fake.tolist() == [7, 8, 9, 7, 8, 9]


def test_calibration_finds_scale_and_bias() -> None:
    draws = torch.Generator().manual_seed(0)
    x, y = (torch.randn(100_000, generator=draws).double() + m for m in (0.0, 1.0))
    scale, bias = scale_and_bias(10 * (0.5 - x) + 3, 10 * (0.5 - y) + 3)
    assert scale == pytest.approx(0.1, abs=0.005)
    assert bias == pytest.approx(-0.3, abs=0.02)
    # Real and generated may come apart completely.
    scale, bias = scale_and_bias(x.clamp(-1, 1) + 5, y.clamp(-1, 1) - 5)
    assert math.isfinite(scale)
    assert math.isfinite(bias)


def test_images_are_judged_as_bytes() -> None:
    """8-bit data against the same with fractions of a level are the same images."""
    train, test = digits()
    levels = test.spec.to_unit(test.take(torch.arange(590))[0])
    assert torch.equal(as_bytes(levels), as_bytes(levels + 0.3 / 255))
    assert as_bytes(torch.tensor([math.nan, -1.0, 2.0])).tolist() == [0, 0, 255]
    spec = DataSpec(train.spec.shape, (-1.0, 1.0))
    parts = [Part(a, b) for a, b in (as_bytes(levels).view(5, 2, 59, 1, 8, 8))[:3]]
    verdict = referee(critic_kinds.of_images(spec), *parts, seed=0, device=CPU)
    assert verdict.jsd_at_least == 0.0
    assert verdict.p > 0.01


@pytest.mark.parametrize("conditional", [False, True])
def test_images_on_pixels_and_through_a_map(conditional: bool) -> None:
    blank = measure(of_digits(Blank(), conditional=conditional), ["referee"]).scalars
    for end in ("", "_pixels"):
        assert 0.6 < blank[f"eval/jsd_at_least{end}"] < math.log(2)
        assert blank[f"eval/tv_at_least{end}"] > 0.9
        assert blank[f"eval/two_sample_p{end}"] < 1e-6
    good = measure(of_digits(Copier(digits()[1]), conditional=conditional), ["referee"]).scalars
    for end in ("", "_pixels"):
        assert good[f"eval/jsd_at_least{end}"] < 0.1


class Liar(Copier):
    """Draws the next digit, in place of the one asked for."""

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        assert labels is not None
        return super().forward(z, (labels + 1) % 10)


def test_a_conditional_model_is_judged_with_its_labels() -> None:
    """The images alone are right; only a critic that sees labels can tell."""
    values = measure(of_digits(Liar(digits()[0]), conditional=True), ["referee"]).scalars
    assert values["eval/jsd_at_least"] > 0.3


def test_translations_are_judged_in_both_domains() -> None:
    source = DigitDomains(image_size=8, pixel_range=(-1, 1))
    test = source.load_test(seed=0, progress=lambda *_: None)
    reference = Reference(
        CONFIG, source.load(seed=0, progress=lambda *_: None), device=CPU, inception=None,
        progress=lambda *_: None,
    )  # fmt: skip
    reference.__dict__["test"] = test
    game = Translator(test)
    game.spec = PairSpec(test.a.spec, test.b.spec)
    values = measure(Subject(game, reference, n=300, seed=0), ["referee"]).scalars
    for end in ("_a", "_b", "_pixels_a", "_pixels_b"):
        assert values[f"eval/jsd_at_least{end}"] == 0.0
        assert values[f"eval/two_sample_p{end}"] == 1.0  # each translation is its pair
    errors = [values[f"eval/jsd_at_least_{domain}_error"] for domain in "ab"]
    assert values["eval/jsd_at_least"] == 0.0
    assert values["eval/jsd_at_least_error"] == pytest.approx(math.hypot(*errors) / 2)
    estimates = [values[f"eval/jsd_estimate_{domain}"] for domain in "ab"]
    assert values["eval/jsd_estimate"] == pytest.approx(sum(estimates) / 2)


def test_without_held_out_data_it_is_refused(cli: Cli) -> None:
    short = ["steps=1", "sample_every=0", "eval_every=0", "name=run"]
    assert cli(*short).code == 0
    result = cli("run=outputs/run", "metrics=referee", app=commands.EVALUATE)
    assert result.code == 2
    assert "data.validation=N" in result.err


def test_too_few_data_are_refused() -> None:
    reason = no_held_out(gaussians(0.0, n=20))
    assert reason is not None
    assert "20 data certify nothing" in reason
    few = of_digits(Blank())
    few.reference.__dict__["test"] = digits()[1].split(30, mixed=True)[1]
    reason = no_held_out(few)
    assert reason is not None
    assert "30 data" in reason
    names: Callable[..., Any] = choose
    assert "referee" not in names(None, few, key="metrics", training=False)
    assert METRICS["referee"].costly


@pytest.mark.parametrize(
    "model",
    [["data=ring", "noise.dim=2"],
     ["model=dcgan", "model.width=4", "data.validation=100"]],
    ids=["points", "images"],
)  # fmt: skip
def test_the_metric_in_training_and_afterwards(cli: Cli, model: list[str]) -> None:
    each = ["eval_every=2", "eval_metrics=[referee]", "eval_samples=100"]
    assert cli(*model, *each, "steps=2", "sample_every=0", "name=run").code == 0
    line = json.loads(Path("outputs/run/metrics.jsonl").read_text().splitlines()[-1])
    assert line["eval/jsd_at_least"] > 0.2
    assert line["eval/jsd_at_least_error"] == line["eval/jsd_estimate_error"] > 0
    assert "eval/jsd_at_least_pixels" not in line  # they take longest, and say least
    result = cli("run=outputs/run", "metrics=[referee]", "n=200", app=commands.EVALUATE)
    assert result.code == 0, result.err
    values = json.loads(Path("outputs/run/evaluation.json").read_text())
    assert values["eval/jsd_at_least"] > 0.2
    assert ("eval/jsd_at_least_pixels" in values) == ("model=dcgan" in model)


def test_the_benchmark_knows_the_truth() -> None:
    bench = pytest.importorskip("benchmarks.referee", reason="a source distribution has none")
    means = torch.zeros(1, 1)
    p, q = (GaussianMixture(means + mean, torch.ones(1)) for mean in (0.0, 0.7))
    assert bench.true_jsd(p, q) == pytest.approx(jsd_of_shift(0.7), abs=1e-6)
    p, q = (
        GaussianMixture(m, torch.ones(1)) for m in (torch.zeros(1, 2), torch.tensor([[0.7, 0]]))
    )
    assert bench.true_jsd(p, q) == pytest.approx(jsd_of_shift(0.7), abs=1e-5)
    kinds = [bench.known_case(number) for number in range(12)]
    assert bench.true_jsd(*kinds[0]) == pytest.approx(0.0, abs=1e-9)
    assert {p.means.shape[1] for p, _ in kinds} == {1, 2}
    outcomes = [bench.judge_known(number, draws=2000) for number in (7, 11)]
    assert all(o.verdict.jsd_at_least <= o.truth for o in outcomes)
    assert "2 of 2" in bench.row_of_known(outcomes)[1]
    images = bench.images_of(None)
    outcomes = [bench.judge_halves(number, images) for number in range(2)]
    assert "2 splits" in bench.row_of_halves(outcomes, name="digits")[0]
