"""Points on curves: distances in closed form, uniform in arc length, the metric, and their runs."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gan_cli.cli import commands
from gan_cli.data.curves import Curve, ParallelLines
from gan_cli.evaluation.measures import pieces_reached
from gan_cli.losses import Wasserstein
from gan_cli.seeding import generator_for
from gan_cli.theory.curves import circle, segment, spiral
from tests.conftest import Cli

FEW = ["data.samples=300", "data.batch_size=32", "noise.dim=2", "log_every=1", "threads=1"]


def points(n: int = 500) -> Tensor:
    return 3 * torch.randn(n, 2, dtype=torch.float64, generator=generator_for(0, "points"))


def quiet(what: str, done: int, total: int) -> None:
    """Say nothing of progress."""


def test_distances_to_a_circle_and_a_segment_are_those_of_geometry() -> None:
    x = points()
    distances, positions = circle(2.0).nearest(x)
    torch.testing.assert_close(distances, (x.norm(dim=1) - 2).abs(), atol=2e-6, rtol=0)
    angles = torch.atan2(x[:, 1], x[:, 0]) % (2 * math.pi)
    torch.testing.assert_close(positions, 2 * angles, atol=2e-3, rtol=0)  # a side's length
    distances, positions = segment((-1.0, 0.0), (1.0, 0.0)).nearest(x)
    beyond = (x[:, 0].abs() - 1).clamp_min(0)
    torch.testing.assert_close(distances, torch.hypot(beyond, x[:, 1]))
    torch.testing.assert_close(positions, x[:, 0].clamp(-1, 1) + 1)


def test_lengths_are_those_of_the_integrals() -> None:
    assert circle(2.0).length == pytest.approx(4 * math.pi, rel=1e-6)
    assert segment((0.0, 0.0), (3.0, 4.0)).length == pytest.approx(5.0)
    b, end = 1 / (4 * math.pi), 4 * math.pi  # r = b * angle, to the radius 1 in two turns
    exact = b / 2 * (end * math.sqrt(1 + end**2) + math.asinh(end))
    assert spiral(1.0, 2.0).length == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("curve", [circle(1.0), segment((0.0, 0.0), (0.0, 1.0)), spiral(1.0, 2.0)])
def test_draws_are_uniform_in_arc_length(curve: object) -> None:
    assert isinstance(curve, type(circle(1.0)))
    n = 50_000
    shares = curve.shares(curve.sample(n, generator=generator_for(0, "test")))
    error = math.sqrt(50 / n)  # of a share, in units of 1/50
    assert (shares - 1).abs().max() < 4.5 * error
    assert curve.nearest(curve.at(torch.tensor([0.0, 0.3])))[1].tolist() == pytest.approx([0, 0.3])


def test_a_spirals_nearest_point_is_the_nearest_of_many() -> None:
    curve = spiral(1.0, 3.0)
    fine = curve.at(torch.linspace(0, curve.length, 100_001, dtype=torch.float64))
    x = points(200) / 3
    brute = torch.cdist(x, fine).min(dim=1)[0]
    torch.testing.assert_close(curve.nearest(x)[0], brute, atol=1e-4, rtol=0)


def test_a_piece_is_covered_from_a_third_of_its_share_on() -> None:
    line = segment((0.0, 0.0), (1.0, 0.0))
    middles = (torch.arange(50) + 0.5) / 50
    s = middles.repeat_interleave(300)
    assert pieces_reached(line, s).all()
    few = torch.cat([middles[:1].repeat(98), middles[1:].repeat_interleave(300)])
    assert pieces_reached(line, few).tolist() == [False] + [True] * 49
    enough = torch.cat([middles[:1].repeat(102), middles[1:].repeat_interleave(300)])
    assert pieces_reached(line, enough).all()


@pytest.mark.parametrize("shape", ["circle", "segment", "spiral"])
def test_data_lie_on_the_curve_and_noise_lies_about_it(shape: str) -> None:
    source = Curve(shape=shape, size=1.5, turns=None, std=0.0, samples=4000)  # type: ignore[arg-type]
    data = source.load(seed=1, progress=quiet)
    assert isinstance(data.values, Tensor)
    assert data.values.dtype == torch.float32
    assert source.curve.nearest(data.values)[0].max() < 1e-6
    assert data.values.norm(dim=1).max() <= 1.5 + 1e-6
    assert torch.equal(data.values, source.load(seed=1, progress=quiet).values)  # type: ignore[arg-type]
    assert not torch.equal(data.values, source.load_test(seed=1, progress=quiet).values)  # type: ignore[arg-type]
    noisy = Curve(shape=shape, size=1.5, turns=None, std=0.01, samples=4000)  # type: ignore[arg-type]
    values = noisy.load(seed=1, progress=quiet).values
    assert isinstance(values, Tensor)
    distance = noisy.curve.nearest(values)[0].mean().item()
    assert distance == pytest.approx(0.01 * math.sqrt(2 / math.pi), rel=0.05)


def test_parallel_lines_are_example_1() -> None:
    values = ParallelLines(distance=-0.5, samples=4000).load(seed=0, progress=quiet).values
    assert isinstance(values, Tensor)
    assert (values[:, 0] == -0.5).all()
    assert values[:, 1].min() >= 0
    assert values[:, 1].max() <= 1
    assert values[:, 1].mean().item() == pytest.approx(0.5, abs=0.02)
    theta = torch.tensor(2.0)
    fake = torch.stack([theta.expand(4000), values[:, 1]], dim=1)
    scalars = Wasserstein(d_weight=3.0).output_scalars(3 * values[:, 0], 3 * fake[:, 0])
    assert scalars["wasserstein/estimate"].item() == pytest.approx(3 * -2.5)


def test_the_estimate_is_logged_for_this_loss_alone(cli: Cli) -> None:
    for loss, logged in (("wasserstein", True), ("hinge", False)):
        extra = ["regularizer=weight_clipping"] if logged else []
        assert cli("data=parallel_lines", f"loss={loss}", *extra, *FEW, "steps=1").code == 0
        run = Path(f"outputs/vanilla-parallel_lines-{1 if logged else 2}")
        line = json.loads((run / "metrics.jsonl").read_text().splitlines()[0])
        assert ("wasserstein/estimate" in line) == logged
        if logged:
            assert line["wasserstein/estimate"] == pytest.approx(-line["loss/d"], abs=1e-7)
            gap = line["score/real"] - line["score/fake"]
            assert line["wasserstein/estimate"] == pytest.approx(gap, abs=1e-7)


def test_the_metric_its_picture_and_why_others_do_not_suit(cli: Cli) -> None:
    assert cli("data=curve", *FEW, "steps=2", "eval_every=2", "eval_samples=200").code == 0
    run = "outputs/vanilla-curve-1"
    line = json.loads(Path(run, "metrics.jsonl").read_text().splitlines()[-1])
    assert line["eval/curve_distance"] > 0.01
    assert 0 <= line["eval/curve_covered"] <= line["eval/curve_covered_real"] <= 1
    assert Path(run, "curve", "step_00000002.png").is_file()
    assert cli(f"run={run}", "metrics=[curve]", "n=500", app=commands.EVALUATE).code == 0
    found = json.loads(Path(run, "evaluation.json").read_text())
    assert found["eval/curve_distance_real"] < 1e-6
    rejected = cli(f"run={run}", "metrics=theory", app=commands.EVALUATE)
    assert rejected.code == 2
    assert "no density in the plane" in rejected.err
    assert "These suit: curve" in rejected.err
    assert cli(f"run={run}", app=commands.SAMPLE).code == 0
    assert cli("data=ring", *FEW, "steps=1").code == 0
    rejected = cli("run=outputs/vanilla-ring-1", "metrics=curve", app=commands.EVALUATE)
    assert rejected.code == 2
    assert "data=curve" in rejected.err


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("data.std=-1", "data.std=-1: must be 0"),
        ("data.size=0", "data.size=0: must be positive"),
        ("data.turns=3", "only shape=spiral has turns"),
        ("data.shape=square", "circle, segment, spiral"),
    ],
)
def test_mistakes_are_one_message(cli: Cli, argument: str, said: str) -> None:
    result = cli("data=curve", argument)
    assert result.code == 2
    assert said in result.err
