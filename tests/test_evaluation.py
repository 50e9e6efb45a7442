"""Metrics of models whose worth is known: copies of the data, noise, and true translations."""

import gzip
import json
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import gan_cli
from gan_cli.cli import commands
from gan_cli.data.base import Dataset, PairDataset
from gan_cli.data.digits import Digits
from gan_cli.data.files.cache_place import cache_folder, temporary_cache
from gan_cli.data.pairs import DigitDomains
from gan_cli.errors import UserError
from gan_cli.evaluation import critic_kinds, encoders, label_measures, measures, nash, suited
from gan_cli.evaluation.cache import cached, checksum
from gan_cli.evaluation.critics import Effort
from gan_cli.evaluation.encoders import Inception, classifier_of
from gan_cli.evaluation.features import (
    frechet_distance,
    kernel_distance,
    neighbourhoods,
    pairwise_distance,
)
from gan_cli.evaluation.in_training import Evaluation
from gan_cli.evaluation.measures import share_error
from gan_cli.evaluation.reference import Reference
from gan_cli.evaluation.registry import METRICS, choose, measure
from gan_cli.evaluation.subject import Subject
from gan_cli.games.conditional import ConditionalGAN
from gan_cli.games.cyclegan import CycleGAN
from gan_cli.games.gan import GAN
from gan_cli.losses import NonSaturating
from gan_cli.networks.dcgan import Discriminator
from gan_cli.noise import Uniform
from gan_cli.runs import checkpoint
from gan_cli.runs.directory import read_config
from gan_cli.runs.records import line_at, merge_line, read_lines
from gan_cli.settings.build import load_data
from gan_cli.spec import DataSpec
from tests.conftest import Cli, idx_bytes

CPU = torch.device("cpu")
CONFIG: dict[str, Any] = {"seed": 0, "data": {"validation": 0}}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_measures, "GENERATED", 5000)
    monkeypatch.setattr(nash, "IMAGES", nash.Effort(10, 64, 2e-4))
    for kind in ("VECTORS", "IMAGES"):
        monkeypatch.setattr(critic_kinds, kind, Effort(50, 64, 1e-3))


def digits() -> tuple[Dataset, Dataset]:
    """1,200 digits to learn from, 597 to test with."""
    whole = Digits(image_size=8, pixel_range=(-1, 1)).load(seed=0, progress=lambda *_: None)
    return whole.split(597, mixed=True)


class Copier(nn.Module):
    """G that draws data, of the label asked for if there is one: p_g is p_data's sample."""

    def __init__(self, dataset: Dataset) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(1))
        self.x, labels = dataset.take(torch.arange(len(dataset)))
        assert labels is not None
        self.of = [torch.nonzero(labels == label).flatten() for label in range(10)]

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        where = (z[:, 0] + 1) / 2
        if labels is None:
            return self.x[(where * len(self.x)).long().clamp_max(len(self.x) - 1)]
        rows = [self.of[label] for label in labels.tolist()]
        chosen = [int(row[int(w * (len(row) - 1))]) for row, w in zip(rows, where, strict=True)]
        return self.x[chosen]


class Blank(nn.Module):
    """G that draws one image, whatever it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(1))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return torch.zeros(len(z), 1, 8, 8) + 0.01 * z[:, :1, None, None]


def subject(generator: nn.Module, *, conditional: bool = False, n: int = 600) -> Subject:
    train, test = digits()
    kind: Callable[..., GAN] = ConditionalGAN if conditional else GAN
    game = kind(
        generator,
        nn.Linear(1, 1),
        noise=Uniform(4, low=-1.0, high=1.0),
        loss=NonSaturating(d_weight=1.0),
        spec=train.spec,
        **({"mismatch_weight": 0.0} if conditional else {}),
    )
    game.fix_preview(seed=0)
    reference = Reference(CONFIG, train, device=CPU, inception=None, progress=lambda *_: None)
    reference.__dict__["test"] = test
    return Subject(game, reference, n=n, seed=0)


def found(subject: Subject, *names: str) -> dict[str, float]:
    return measure(subject, names).scalars


def test_copies_of_the_data_are_the_best_and_are_seen_through() -> None:
    train, _ = digits()
    copied = found(
        subject(Copier(train)),
        "frechet_classifier", "kernel_classifier", "prdc_classifier", "parzen", "diversity",
        "nearest",
    )  # fmt: skip
    blank = found(
        subject(Blank()),
        "frechet_classifier", "kernel_classifier", "prdc_classifier", "parzen", "diversity",
    )  # fmt: skip
    assert copied["eval/frechet_classifier"] < 5 * copied["eval/frechet_classifier_real"]
    assert blank["eval/frechet_classifier"] > 50 * copied["eval/frechet_classifier"]
    assert abs(copied["eval/kernel_classifier"]) < 0.02 < blank["eval/kernel_classifier"] / 5
    assert copied["eval/kernel_classifier_error"] > 0
    assert copied["eval/precision_classifier"] > 0.9
    assert copied["eval/coverage_classifier"] > 0.8
    assert blank["eval/coverage_classifier"] < 0.05
    gap = abs(copied["eval/parzen"] - copied["eval/parzen_real"])
    assert gap < 4 * copied["eval/parzen_error"] + 3
    assert blank["eval/parzen"] < copied["eval/parzen"] - 10
    assert copied["eval/diversity_fake"] == pytest.approx(copied["eval/diversity_real"], rel=0.05)
    assert blank["eval/diversity_fake"] < 0.2
    # All that, by heart: the one measure that tells.
    assert copied["eval/nearest_fake"] == pytest.approx(0.0, abs=1e-4)
    assert copied["eval/nearest_test"] > 0.5


def test_errors_tell_how_far_another_seed_is() -> None:
    """The standard error is about the spread over seeds."""
    train, _ = digits()
    base = subject(Copier(train))
    values: dict[str, list[float]] = {
        "eval/frechet_classifier": [],
        "eval/kernel_classifier": [],
        "eval/diversity_fake": [],
    }
    errors: dict[str, float] = {}
    for seed in range(12):
        other = Subject(base.game, base.reference, n=300, seed=seed)
        one = found(other, "frechet_classifier", "kernel_classifier", "diversity")
        for key, several in values.items():
            several.append(one[key])
            errors[key] = one[f"{key}_error"]
    for key, several in values.items():
        spread = float(np.std(several))
        assert spread / 4 < errors[key] < 4 * spread, (key, spread, errors[key])


def test_a_conditional_model_is_held_to_what_it_was_asked_for() -> None:
    train, _ = digits()
    copied = found(subject(Copier(train), conditional=True), "label_agreement", "nn_error")
    blank = found(subject(Blank(), conditional=True), "label_agreement")
    assert copied["eval/classifier_accuracy"] > 0.9
    assert copied["eval/label_agreement"] > 0.9
    assert blank["eval/label_agreement"] == pytest.approx(0.1, abs=0.01)
    assert copied["eval/nn_samples"] == 5000
    assert copied["eval/nn_error_real"] < 0.05
    # 5,000 draws from 1,200 digits hold nearly all of them.
    assert copied["eval/nn_error"] == pytest.approx(copied["eval/nn_error_real"], abs=0.01)


def test_the_features_of_d_are_those_of_all_its_layers() -> None:
    train, _ = digits()
    torch.manual_seed(0)
    discriminator = Discriminator(
        train.spec, width=16, kernel_size=4, norm="batch", norm_affine=True, spectral_norm=False,
        hidden=None, labels="none",
    ).train()  # fmt: skip
    x = train.first(3)
    features = label_measures.pooled_features(discriminator, x)
    discriminator.eval()
    expected, h = [], x
    for layer in discriminator.images:
        h = layer(h, None)
        expected.append(nn.functional.adaptive_max_pool2d(h, 4).flatten(1))
    torch.testing.assert_close(features, torch.cat(expected, dim=1))
    assert features.shape == (3, 16 * sum(part.shape[1] // 16 for part in expected))
    made = subject(Copier(train))
    made.sampler.discriminator = discriminator
    accuracy = found(made, "discriminator_features")["eval/discriminator_features"]
    assert accuracy > 0.8  # even random filters tell digits apart


def test_the_classifier_is_trained_once() -> None:
    train, test = digits()
    told: list[object] = []
    first = classifier_of(train, test, device=CPU, progress=lambda *args: told.append(args))
    told.clear()
    again = classifier_of(train, test, device=CPU, progress=lambda *args: told.append(args))
    assert not told
    x = train.spec.to_unit(test.first(20))
    torch.testing.assert_close(first(x), again(x), atol=0, rtol=0)
    assert again.accuracy == first.accuracy
    assert again.judged_on == 597
    assert classifier_of(train, None, device=CPU, progress=lambda *_: None).judged_on == 240


def test_the_cache_may_be_damaged_or_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    train, test = digits()
    monkeypatch.setattr(encoders, "STEPS", 5)
    monkeypatch.setenv("GAN_TRAIN_CACHE", str(tmp_path))

    def accuracy() -> float:
        return classifier_of(train, test, device=CPU, progress=lambda *_: None).accuracy

    first = accuracy()
    (file,) = (tmp_path / "metrics").glob("classifier-*.pt")
    file.write_bytes(b"nothing")
    assert accuracy() == first
    (tmp_path / "a file").touch()
    monkeypatch.setenv("GAN_TRAIN_CACHE", str(tmp_path / "a file"))
    assert accuracy() == first


@pytest.mark.parametrize("damage", ["zeroed", "missing", "another shape", "no dict", "emptied"])
def test_a_damaged_cache_is_named_and_made_again(
    damage: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train, test = digits()
    monkeypatch.setattr(encoders, "STEPS", 5)
    monkeypatch.setenv("GAN_TRAIN_CACHE", str(tmp_path))

    def features() -> torch.Tensor:
        classifier = classifier_of(train, test, device=CPU, progress=lambda *_: None)
        return classifier(train.spec.to_unit(test.first(20)))

    first = features()
    (file,) = (tmp_path / "metrics").glob("classifier-*.pt")
    stored = torch.load(file, weights_only=True)
    weights = stored["network"]
    last = list(weights)[-2]
    if damage == "zeroed":
        stored["network"] = {key: torch.zeros_like(value) for key, value in weights.items()}
    elif damage == "missing":
        del weights[last]
    elif damage == "another shape":
        weights[last] = torch.zeros(3, 3)
        del stored["sha256"]
        stored["sha256"] = checksum(stored)  # as if it had been written like this
    elif damage == "no dict":
        stored = [1, 2]
    torch.save(stored, file)
    if damage == "emptied":
        file.write_bytes(b"")
    capsys.readouterr()
    torch.testing.assert_close(features(), first, atol=0, rtol=0)
    said = capsys.readouterr().out
    assert f"note: {file} cannot be used (" in said
    assert said.count("\n") == 1
    torch.testing.assert_close(features(), first, atol=0, rtol=0)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("home", ["none", "a file"])
def test_without_a_home_caches_are_temporary(
    home: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("GAN_TRAIN_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    if home == "none":
        monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    else:
        monkeypatch.setenv("HOME", str(tmp_path / "file"))
    temporary_cache.cache_clear()
    folder = cache_folder()
    assert folder == tmp_path / f"gan-train-{os.getuid()}"
    assert cache_folder() == folder
    assert capsys.readouterr().out.count("GAN_TRAIN_CACHE=FOLDER") == 1
    assert sorted(tmp_path.iterdir()) == [tmp_path / "file", folder]
    temporary_cache.cache_clear()
    folder.chmod(0o777)  # others could put things there
    assert cache_folder() != folder
    temporary_cache.cache_clear()


def test_evaluating_changes_nothing() -> None:
    train, _ = digits()
    made = subject(Copier(train))
    made.sampler.seed_noise(0, device=CPU)
    before, state = made.sampler.rng.get_state(), torch.get_rng_state()
    names = choose(None, made, key="metrics", training=True)
    evaluation = Evaluation(made.reference, names, n=600)
    one, two = (evaluation.measure(made.game).scalars for _ in range(2))
    assert one == two
    assert torch.equal(before, made.sampler.rng.get_state())
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fid", "not 1-channel images"),
        ("theory", "p_data is not known"),
        ("label_agreement", "only for models that are asked for labels"),
        ("cycle", "only for models that translate"),
        ("parzenn", "Did you mean parzen?"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, reason: str) -> None:
    with pytest.raises(UserError) as refused:
        choose([name], subject(Blank()), key="metrics", training=False)
    assert reason in str(refused.value)
    assert str(refused.value).startswith(f"metrics={name}")


def test_fid_of_few_or_tiny_images_is_refused() -> None:
    train, _ = digits()
    for shape, n, weights, reason in (
        ((3, 16, 16), 5000, "x", "16 pixels"),
        ((3, 32, 32), 1500, None, "needs inception=FILE"),
        ((3, 32, 32), 1500, "nowhere.pth", "no such file"),
        ((3, 32, 32), 50, None, "inception=FILE"),
    ):
        made = subject(Copier(train), n=n)
        made.sampler.spec = DataSpec(shape, (-1.0, 1.0), 10)
        made.reference.inception_weights = weights
        assert reason in str(METRICS["fid"].unsuited(made))
    made.reference.inception_weights = __file__
    assert "50 data are too few" in str(METRICS["kid"].unsuited(made))
    made.n = 1500
    assert METRICS["kid"].unsuited(made) is None
    assert "1200 data give no covariance of 2048 features" in str(METRICS["fid"].unsuited(made))


class Translator(CycleGAN):
    """A CycleGAN that knows the truth."""

    def __init__(self, pairs: PairDataset) -> None:
        nn.Module.__init__(self)
        self.known = {
            "a2b": (pairs.a.first(len(pairs)), pairs.b.first(len(pairs))),
            "b2a": (pairs.b.first(len(pairs)), pairs.a.first(len(pairs))),
        }
        self.generator = nn.Linear(1, 1)

    @property
    def generators(self) -> nn.Module:
        return self.generator

    def translate(self, x: Tensor, direction: str) -> Tensor:
        given, made = self.known[direction]
        return made[torch.cdist(x.flatten(1), given.flatten(1)).argmin(dim=1)]


def test_true_translations_have_no_error() -> None:
    source = DigitDomains(image_size=8, pixel_range=(-1, 1))
    test = source.load_test(seed=0, progress=lambda *_: None)
    reference = Reference(
        CONFIG, source.load(seed=0, progress=lambda *_: None), device=CPU, inception=None,
        progress=lambda *_: None,
    )  # fmt: skip
    reference.__dict__["test"] = test
    made = Subject(Translator(test), reference, n=300, seed=0)
    names = choose(None, made, key="metrics", training=True)
    assert names == ["cycle", "translation"]
    scalars = found(made, *names)
    assert scalars["eval/translation_a2b"] == pytest.approx(0.0, abs=1e-6)
    assert scalars["eval/cycle_b"] == pytest.approx(0.0, abs=1e-6)
    assert scalars["eval/identity_a2b"] > 0.3
    accuracy = scalars["eval/classifier_accuracy_b"]
    assert scalars["eval/label_agreement_a2b"] == pytest.approx(accuracy, abs=0.05)


def test_our_distances_are_torch_fidelitys() -> None:
    """On the same features, to 1e-4."""
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    generator = torch.Generator().manual_seed(0)
    real = torch.randn(700, 40, generator=generator)
    fake = (
        1.2
        * torch.randn(700, 40, generator=generator)
        @ torch.randn(40, 40, generator=generator).mul(0.1).add(torch.eye(40))
    )
    statistics = [fid_features_to_statistics(x) for x in (real, fake)]
    theirs = fid_statistics_to_metric(*statistics, verbose=False)
    assert frechet_distance(real, fake) == pytest.approx(
        theirs["frechet_inception_distance"], rel=1e-4
    )
    theirs = kid_features_to_metric(real, fake, kid_subsets=1, kid_subset_size=700, verbose=False)
    ours, _ = kernel_distance(real, fake, size=700, subsets=1)
    assert ours == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-4)
    # Theirs takes the generated data first.
    theirs = prc_features_to_metric(fake, real, prc_neighborhood=5, verbose=False)
    found = neighbourhoods(real, fake, k=5)
    assert found["precision"] == pytest.approx(theirs["precision"], abs=1e-4)
    assert found["recall"] == pytest.approx(theirs["recall"], abs=1e-4)


def test_weights_that_are_none_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(b"no weights")
    with pytest.raises(UserError, match="cannot be loaded"):
        Inception(str(file), device=CPU)


@pytest.mark.slow
def test_inception_sees_bytes(tmp_path: Path) -> None:
    """With weights of a file, features are those of torch-fidelity's network on rounded images."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Unloaded(FeatureExtractorInceptionV3):  # its constructor insists on weights
        def load_state_dict(self, *args: object, **more: object) -> None:  # type: ignore[override]
            pass

    file = tmp_path / "weights.pth"
    torch.save({}, file)
    torch.manual_seed(0)
    network = Unloaded("x", ["2048"], feature_extractor_weights_path=str(file))
    torch.save(network.state_dict(), file)
    encoder = Inception(str(file), device=CPU)
    x = torch.rand(4, 3, 32, 32)
    expected = network((x * 255).round().to(torch.uint8))[0]
    torch.testing.assert_close(encoder(x), expected)
    assert expected.shape == (4, 2048)


RUN = ("data=digits", "steps=4", "log_every=2", "sample_every=0", "checkpoint_every=0")


def test_gan_evaluate_writes_everywhere(cli: Cli) -> None:
    assert cli(*RUN, "name=x", "data.validation=300").code == 0
    lines = Path("outputs/x/metrics.jsonl").read_text().splitlines()
    done = cli("run=outputs/x", "n=300", app=commands.EVALUATE)
    assert done.code == 0, done.err
    record = json.loads(Path("outputs/x/evaluation.json").read_text())
    assert record["run"] == str(Path("outputs/x").resolve())
    assert (record["step"], record["seed"], record["samples"]) == (4, 0, 300)
    assert record["weights"] == "as trained"
    assert not any(isinstance(value, dict | list) for value in record.values())
    for key in ("eval/parzen", "eval/frechet_classifier", "eval/coverage_classifier",
                "eval/diversity_fake", "eval/nearest_fake"):  # fmt: skip
        assert key in record
        assert key in done.out
    assert "not measured, as they do not suit the model, the data or n: theory, curve," in done.out
    after = Path("outputs/x/metrics.jsonl").read_text().splitlines()
    assert after[:-1] == lines[:-1]
    assert json.loads(after[-1]).items() >= json.loads(lines[-1]).items()
    assert json.loads(after[-1])["eval/parzen"] == record["eval/parzen"]
    assert list(Path("outputs/x/evaluation").glob("events.out.tfevents.*"))
    assert Path("outputs/x/evaluation/nearest_step_00000004.png").is_file()
    # Another metric of the same samples joins them; other samples do not.
    assert cli("run=outputs/x", "n=300", "metrics=diversity", app=commands.EVALUATE).code == 0
    assert json.loads(Path("outputs/x/evaluation.json").read_text()) == record
    again = ("run=outputs/x/checkpoints/step_00000004.pt", "n=200", "metrics=[diversity]")
    assert cli(*again, "out=other.json", app=commands.EVALUATE).code == 0
    assert "eval/parzen" not in json.loads(Path("other.json").read_text())
    assert Path("outputs/x/metrics.jsonl").read_text().splitlines() == after
    # Nothing is lost: the numbers of more samples are kept, and not mixed with those of fewer.
    fewer = cli("run=outputs/x", "n=20", "metrics=diversity", app=commands.EVALUATE)
    aside = Path("outputs/x/evaluation/earlier_1.json")
    assert f"the earlier evaluation is now {aside}" in fewer.out
    assert "metrics.jsonl keeps its values of 300 samples" in fewer.out
    assert json.loads(aside.read_text()) == record
    assert json.loads(Path("outputs/x/evaluation.json").read_text())["samples"] == 20
    assert Path("outputs/x/metrics.jsonl").read_text().splitlines() == after
    # A resumed run goes on from such a file.
    assert cli("resume=outputs/x", "steps=6").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["metrics=parzn"], "metrics=parzn: use theory, curve, nash_gap, referee, parzen"),
        (["metrics=[fid,parzen]"], "metrics=fid: Inception knows colour photos"),
        (["metrics=parzen"], "metrics=parzen: the data have no test split"),
        (["metrics=7", "n=1"], "n=1: must lie between"),
        (["data.root=x"], "data.root=x: data=digits has no such key"),
        (["out=outputs"], "out=outputs: is a folder"),
    ],
)
def test_gan_evaluate_refuses_in_one_message(cli: Cli, arguments: list[str], message: str) -> None:
    assert cli(*RUN, "name=x").code == 0
    done = cli("run=outputs/x", *arguments, app=commands.EVALUATE)
    assert done.code == 2
    assert message in done.err
    assert not Path("outputs/x/evaluation.json").exists()


def test_help_names_every_metric() -> None:
    for name in METRICS:
        assert name in commands.EVALUATE_HELP


EVALUATED = (
    "data=digits", "sample_every=0", "checkpoint_every=2", "eval_every=2", "eval_samples=200",
    "eval_metrics=[diversity,frechet_classifier]", "objective=eval/frechet_classifier",
)  # fmt: skip


def test_the_best_checkpoint_is_kept_and_resuming_agrees(cli: Cli) -> None:
    assert cli(*EVALUATED, "steps=8", "log_every=2", "keep_last=1", "name=whole").code == 0
    lines = read_lines(Path("outputs/whole"))
    values = {line["step"]: line["eval/frechet_classifier"] for line in lines}
    assert sorted(values) == [2, 4, 6, 8]
    best = checkpoint.read(Path("outputs/whole/checkpoints/best.pt"))
    assert best["step"] == min(values, key=values.__getitem__)
    assert gan_cli.load("outputs/whole/checkpoints/best.pt").step == best["step"]
    assert gan_cli.load("outputs/whole").step == 8

    assert cli(*EVALUATED, "steps=4", "log_every=2", "keep_last=1", "name=parts").code == 0
    assert cli("resume=outputs/parts", "steps=8").code == 0
    resumed = read_lines(Path("outputs/parts"))
    assert {line["step"]: line["eval/frechet_classifier"] for line in resumed} == values
    other = checkpoint.read(Path("outputs/parts/checkpoints/best.pt"))
    assert other["step"] == best["step"]
    for key, value in best["session"]["game"].items():
        if isinstance(value, Tensor):
            assert torch.equal(value, other["session"]["game"][key])


def test_another_objective_begins_another_best(cli: Cli) -> None:
    evaluated = (*EVALUATED[:-1], "eval_metrics=[diversity,nearest]", "log_every=2", "name=x")
    first = cli(*evaluated, "objective=eval/diversity_fake", "steps=4")
    assert first.code == 0, first.err
    assert checkpoint.read(Path("outputs/x/checkpoints/best.pt"))["best"]["objective"] == (
        "eval/diversity_fake"
    )
    done = cli("resume=outputs/x", "steps=8", "objective=eval/nearest_fake", "direction=maximize")
    assert "best.pt was kept by eval/diversity_fake (minimize)" in done.out
    best = checkpoint.read(Path("outputs/x/checkpoints/best.pt"))["best"]
    assert (best["objective"], best["direction"]) == ("eval/nearest_fake", "maximize")
    lines = read_lines(Path("outputs/x"))
    assert best["value"] == max(line["eval/nearest_fake"] for line in lines if line["step"] > 4)
    assert cli("resume=outputs/x", "steps=10").code == 0  # the objective need not be named again
    assert read_config(Path("outputs/x"))["objective"] == "eval/nearest_fake"
    kept = checkpoint.read(Path("outputs/x/checkpoints/best.pt"))["best"]
    assert (kept["objective"], kept["direction"]) == ("eval/nearest_fake", "maximize")
    typo = cli("resume=outputs/x", "steps=12", "objective=eval/typo")
    assert "objective=eval/typo is not among what evaluations measure" in typo.out


def test_nothing_else_is_written_over(cli: Cli) -> None:
    assert cli(*RUN, "name=x").code == 0
    for file in ("outputs/x/checkpoints/step_00000004.pt", "outputs/x/metrics.jsonl"):
        before = Path(file).read_bytes()
        done = cli("run=outputs/x", "metrics=diversity", f"out={file}", app=commands.EVALUATE)
        assert done.code == 2
        assert f"out={file}: exists, and is no evaluation" in done.err
        assert Path(file).read_bytes() == before
    done = cli("run=outputs/x", "metrics=diversity", "out=/proc/x.json", app=commands.EVALUATE)
    assert done.code == 2
    assert "out=/proc/x.json: cannot be written" in done.err
    # A line that cannot be read stays, and so do all others.
    with Path("outputs/x/metrics.jsonl").open("ab") as file:
        file.write(b"{damaged\n")
    before = Path("outputs/x/metrics.jsonl").read_bytes().splitlines()
    assert cli("run=outputs/x", "metrics=diversity", app=commands.EVALUATE).code == 0
    after = Path("outputs/x/metrics.jsonl").read_bytes().splitlines()
    assert after[0] == before[0]
    assert after[-1] == b"{damaged"
    assert json.loads(after[1])["eval/samples"] == 10_000


def test_sigma_is_never_chosen_on_what_it_is_judged_by(cli: Cli) -> None:
    assert cli(*RUN, "name=x", "data.validation=300").code == 0
    model = gan_cli.load("outputs/x")
    reference = Reference(
        model.config, load_data(model.config), device=CPU, inception=None, progress=lambda *_: None
    )
    validation, test = measures.sigma_and_test_data(Subject(model.game, reference, n=9, seed=0))
    assert (len(validation), len(test)) == (150, 150)
    assert torch.cdist(validation.flatten(1), test.flatten(1)).min() > 0


def test_training_refuses_metrics_that_do_not_suit(cli: Cli) -> None:
    done = cli("data=digits", "eval_every=2", "eval_metrics=[fid,theory]", "steps=2")
    assert done.code == 2
    assert "eval_metrics=fid: Inception knows colour photos" in done.err
    assert "eval_metrics=theory: p_data is not known" in done.err
    assert not Path("outputs").exists()
    assert cli("data=digits", "eval_metrics=[1]", "eval_samples=1").code == 2


def test_mnist_has_a_test_split(cli: Cli, mnist_root: Path) -> None:
    random = np.random.default_rng(1)
    folder = mnist_root / "MNIST" / "raw"
    images = idx_bytes(random.integers(0, 256, (120, 28, 28)))
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(random.integers(0, 10, 120)))
    root = f"data.root='{mnist_root}'"
    assert cli("data=mnist", root, "steps=1", "data.batch_size=10", "name=x").code == 0
    done = cli("run=outputs/x", "n=150", "metrics=[parzen,nearest]", app=commands.EVALUATE)
    assert done.code == 0, done.err
    record = json.loads(Path("outputs/x/evaluation.json").read_text())
    assert record["eval/nearest_among"] == 200
    moved = mnist_root.rename(mnist_root.parent / "elsewhere")
    again = ("run=outputs/x", "n=150", "metrics=parzen", app_root := f"data.root={moved}")
    assert app_root
    assert cli(*again, app=commands.EVALUATE).code == 0
    assert cli(*again[:-1], app=commands.EVALUATE).code == 2


def test_few_is_few() -> None:
    train, _ = digits()
    assert suited.too_few(subject(Copier(train), n=50)) is not None
    assert suited.too_few(subject(Copier(train), n=200)) is None


@pytest.mark.slow
@pytest.mark.skipif(
    "GAN_TRAIN_INCEPTION" not in os.environ,
    reason="comparison not run: set GAN_TRAIN_INCEPTION to the file of Inception's weights",
)
def test_fid_and_kid_are_torch_fidelitys() -> None:
    import torch_fidelity

    weights = os.environ["GAN_TRAIN_INCEPTION"]
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randint(0, 256, (2, 100, 3, 32, 32), generator=generator).to(torch.uint8)
    fake = fake // 2
    theirs = torch_fidelity.calculate_metrics(
        input1=list(fake), input2=list(real), fid=True, kid=True, kid_subset_size=100,
        kid_subsets=1, cuda=False, verbose=False, feature_extractor_weights_path=weights,
    )  # fmt: skip
    encoder = Inception(weights, device=CPU)
    ours = [encoder(x.float() / 255) for x in (real, fake)]
    assert frechet_distance(*ours) == pytest.approx(theirs["frechet_inception_distance"], rel=1e-4)
    assert kernel_distance(*ours, size=100, subsets=1)[0] == pytest.approx(
        theirs["kernel_inception_distance_mean"], rel=1e-4
    )


def test_a_full_disk_costs_the_cache_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise RuntimeError(
            "[enforce fail at inline_container.cc:671] unexpected pos 80832 vs 80728"
        )

    monkeypatch.setenv("GAN_TRAIN_CACHE", str(tmp_path))
    monkeypatch.setattr(torch, "save", full)
    made = []
    for _ in range(2):
        found = cached("x", lambda: {"made": made.append(1) or len(made)}, keys=["made"])
        assert found == {"made": len(made)}
    assert len(made) == 2
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".tmp"]


def test_shares_of_none_and_all_are_not_certain() -> None:
    assert math.isclose(share_error(0.0, 500), share_error(1.0, 500))
    assert share_error(0.0, 500) > 0.001
    assert math.isclose(share_error(0.5, 400), 0.025, rel_tol=0.01)


def test_one_pair_has_no_error() -> None:
    value, error = pairwise_distance(torch.tensor([[0.0, 3.0], [4.0, 0.0]]))
    assert value == 5.0
    assert math.isnan(error)


def test_more_samples_replace_fewer_in_metrics(tmp_path: Path) -> None:
    for step in (1, 2):
        merge_line(tmp_path, step, {"loss/d": 1.0, "eval/parzen": 5.0, "eval/samples": 10.0})
    merge_line(tmp_path, 2, {"eval/diversity_fake": 3.0, "eval/samples": 20.0}, afresh=True)
    assert line_at(tmp_path, 1)["eval/parzen"] == 5.0
    assert line_at(tmp_path, 2) == {
        "step": 2, "loss/d": 1.0, "eval/diversity_fake": 3.0, "eval/samples": 20.0,
    }  # fmt: skip
    assert line_at(tmp_path, 3) == {}


@pytest.mark.parametrize(
    ("train", "metric"),
    [
        (["data=ring", "model=vanilla"], "frechet_classifier"),
        (["data=digits", "model=vanilla"], "fid"),
        (["data=image_folder", "data.root=pics", "data.image_size=8"], "frechet_classifier"),
        (["data=image_folder", "data.root=pics", "data.image_size=8"], "fid"),
    ],
)
def test_what_is_offered_instead_suits(cli: Cli, train: list[str], metric: str) -> None:
    Path("pics").mkdir()
    for index in range(8):  # no classes, no test split, gray
        Image.new("L", (8, 8), index * 30).save(f"pics/{index}.png")
    assert cli(*train, "steps=1", "data.batch_size=4", "sample_every=0", "name=r").code == 0
    rejected = cli("run=outputs/r", f"metrics={metric}", "n=120", app=commands.EVALUATE)
    assert rejected.code == 2
    (offered,) = re.findall(r"These suit: ([\w, ]+)", rejected.err)
    assert metric not in offered.split(", ")
    names = ",".join(name for name in offered.split(", ") if name in ("diversity", "nearest"))
    done = cli("run=outputs/r", f"metrics=[{names}]", "n=120", app=commands.EVALUATE)
    assert done.code == 0, done.err


def test_a_second_evaluation_keeps_the_pictures_of_the_first(cli: Cli) -> None:
    assert cli(*RUN, "name=x").code == 0
    folder = Path("outputs/x/evaluation")
    evaluate = ["run=outputs/x", "metrics=nearest", "n=20"]
    assert cli(*evaluate, app=commands.EVALUATE).code == 0
    (first,) = folder.glob("*.png")
    before = first.read_bytes()
    assert cli(*evaluate, app=commands.EVALUATE).code == 0  # the same one again
    assert [path.read_bytes() for path in folder.glob("*.png")] == [before]
    done = cli(*evaluate, "seed=1", app=commands.EVALUATE)
    assert "earlier_1.json, with its pictures" in done.out
    assert first.read_bytes() != before
    assert (folder / f"earlier_1_{first.name}").read_bytes() == before
    assert cli(*evaluate, "seed=2", app=commands.EVALUATE).code == 0
    assert (folder / f"earlier_1_{first.name}").read_bytes() == before
    assert len(list(folder.glob("*.png"))) == 3
