"""The textbooks train gan-train's own networks, and the benchmark counts what it says it counts."""

import io
import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from gan_cli.settings.build import build_game, make

pytest.importorskip("benchmarks.rows", reason="a source distribution has no benchmarks")

from benchmarks import bench, growth, textbook, textbook_cyclegan
from benchmarks.mutations import MUTANTS, Mutant
from benchmarks.roofline import Flops, count, count_step
from benchmarks.rows import ROWS, composed
from benchmarks.runs import images_per_second, shown, unpack_mnist
from gan_cli.data.mnist import MNIST

CPU = torch.device("cpu")
ROOT = Path(__file__).parent.parent


def both(row: str) -> tuple[dict[str, nn.Module], dict[str, nn.Module]]:
    """The textbook's networks and gan-train's, by role; weights of the second are the first's."""
    config = composed(*ROWS[row].train, "performance=plain")
    game = build_game(config, make(config, "data").spec, CPU)
    if row == "cyclegan":
        g, d = textbook_cyclegan.generator(blocks=9), textbook_cyclegan.discriminator()
        ours = {"g": game.generators["a2b"], "d": game.discriminators["a"]}  # type: ignore[index]
    else:
        g, d = textbook.LESSONS[row].networks()
        ours = {"g": game.generators, "d": game.discriminators}
    theirs = {"g": g, "d": d}
    for role, network in theirs.items():
        take_weights(ours[role], network)
    return theirs, ours


def take_weights(target: nn.Module, source: nn.Module) -> None:
    """Copy parameters in order: those of linear maps written as 4x4 convolutions, as matrices."""
    pairs = zip(target.parameters(), source.parameters(), strict=True)
    with torch.no_grad():
        for to, given in pairs:
            if to.shape != given.shape:  # of one pixel to 4x4, or of 4x4 to one number
                matrix = given.flatten(1)
                given = matrix if matrix.shape == to.shape else matrix.T  # noqa: PLW2901
            assert to.shape == given.shape
            to.copy_(given)


def size(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("row", list(ROWS))
def test_textbook_trains_the_same_networks(row: str) -> None:
    theirs, ours = both(row)
    for role in ("g", "d"):
        assert size(theirs[role]) == size(ours[role])
        theirs[role].double().eval()
        ours[role].double().eval()
    labels = (torch.tensor([3, 7]),)
    seen = labels if row == "cgan" else ()
    z = torch.randn(2, textbook.LESSONS[row].noise_dim if row in textbook.LESSONS else 0)
    if row == "cyclegan":
        z = torch.rand(2, 3, 32, 32)
    z = z.double()
    with torch.no_grad():
        x = theirs["g"](z, *seen)
        torch.testing.assert_close(ours["g"](z, *seen), x, rtol=1e-9, atol=1e-12)
        judged: Tensor = ours["d"](x, *seen)
        if row != "cyclegan":  # its textbook takes least squares of D's plain outputs
            judged = torch.sigmoid(judged)
        shape = judged.shape
        torch.testing.assert_close(judged, theirs["d"](x, *seen).view(shape), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("row", list(textbook.LESSONS))
def test_textbook_has_the_same_numbers(row: str) -> None:
    config, lesson = composed(*ROWS[row].train), textbook.LESSONS[row]
    assert config["data"]["image_size"] == lesson.image_size
    assert config["data"]["batch_size"] == ROWS[row].batch
    assert config["noise"]["_target_"].endswith("Normal")
    assert config["noise"]["dim"] == lesson.noise_dim
    assert config["optimizer"]["lr"] == lesson.lr
    assert config["optimizer"]["betas"] == [0.5, 0.999]
    assert config["k"] == 1
    assert config["loss"]["_target_"].endswith("NonSaturating")
    assert config["loss"]["d_weight"] == 1
    assert config["model"].get("mismatch_weight", 0) == 0


def test_flops_are_those_of_a_step_without_needless_gradients() -> None:
    layer, x = nn.Linear(3, 5), torch.randn(7, 3)
    assert count(lambda: layer(x).sum().backward()) == {"gemm": 2 * 2 * 7 * 3 * 5, "conv": 0}
    narrow = ("model.generator.hidden=[8]", "model.discriminator.hidden=[8]")
    found = count_step(("model=vanilla", "data=mnist", "data.batch_size=4", *narrow))
    d = [784 * 8, 8 * 1]
    g = [64 * 8, 8 * 784]
    # D: G forward; D forward and weight gradients on two batches, and input gradients but the
    # first layer's. G: both forward, D's input gradients, G's weights and all but its first inputs.
    d_turn = sum(g) + 2 * (2 * sum(d) + d[1])
    g_turn = sum(g) + sum(d) + sum(d) + sum(g) + g[1]
    assert found == Flops(gemm=2 * 4 * (d_turn + g_turn), conv=0)
    rates = {"gemm_fp32": 2.0, "conv_fp32": 4.0}
    assert Flops(gemm=6, conv=8).seconds(rates, "fp32") == 5


def test_speed_is_taken_between_the_first_and_the_last_line() -> None:
    lines = [
        {"step": 50, "time": 9.0},
        {"step": 100, "time": 10.0},
        {"step": 120, "diversity/fake": 1.0},
        {"step": 150, "time": 13.0},
    ]
    assert images_per_second(lines, 8) == 100 * 8 / 4
    assert images_per_second(lines[:1], 8) is None
    assert shown([3.0, 1.0, 2.0]) == "2.00 (1.00-3.00)"
    assert shown([1234.0]) == "1,234"


@pytest.mark.parametrize("images", [50, 800])
def test_data_sets_of_other_sizes_begin_with_mnists_images(
    mnist_root: Path, tmp_path: Path, images: int
) -> None:
    raw = mnist_root / "MNIST" / "raw"
    for kind in ("images-idx3", "labels-idx1"):  # the tiny one has no test data
        packed = raw / f"train-{kind}-ubyte.gz"
        suffix = ".gz" if packed.is_file() else ""
        (raw / f"t10k-{kind}-ubyte{suffix}").write_bytes(
            (raw / f"train-{kind}-ubyte{suffix}").read_bytes()
        )
    unpack_mnist(mnist_root, tmp_path / "whole")
    root = growth.resized(tmp_path / "whole", tmp_path / "other", images)
    how = {"variant": "MNIST", "download": False, "image_size": 28, "pixel_range": [-1, 1]}
    whole, other = (
        MNIST(root=str(folder), **how).load(seed=0, progress=lambda *_: None)
        for folder in (mnist_root, root)
    )
    assert len(other) == images
    rows = torch.arange(images) % len(whole)
    assert torch.equal(other.values, whole.values[rows])
    assert torch.equal(other.labels, whole.labels[rows])


def test_growth_goes_over_a_factor_of_four_and_data_over_sixteen(tmp_path: Path) -> None:
    for axis, factors in growth.AXES.items():
        assert factors[-1] == factors[0] * (16 if axis == "images" else 4)
    points = [growth.Point(case, 1.0 + case.batch, 2.0 + case.width) for case in growth.cases()]
    for base in growth.BASES.values():
        for axis, factors in growth.AXES.items():
            line = growth.on_axis(points, base, axis)
            start = getattr(base, axis)
            assert [getattr(point.case, axis) / start for point in line] == list(factors)
    growth.plot(points, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_tables_show_the_better_textbook_and_the_share_of_the_roofline() -> None:
    results = bench.Results(
        first_steps={"mlp": [3.0]},
        import_torch=[2.0],
        rates=[dict.fromkeys(("gemm_fp32", "conv_fp32", "gemm_bf16", "conv_bf16"), 1e9)],
        flops={"mlp": Flops(gemm=64e6, conv=0)},
        records={
            "mlp": {"checkpoint_waited_s": [0.01], "checkpoint_written_s": [0.1], "evaluation_s": 5}
        },
    )
    for tool, speed in zip((*bench.TEXTBOOKS, "fp32", "bf16"), (200, 150, 500, 600), strict=True):
        for change in (-10, 0, 20):
            measure = {"images_per_s": speed + change, "peak_mib": 700.0, "first_step_s": 2.5}
            results.add("mlp", tool, measure)
    assert results.ratio("mlp", "fp32") == 2.5
    assert results.roofline("mlp", "fp32") == 1000
    assert bench.summary(results, ["mlp"])["mlp"]["bf16_share"] == 0.6
    console = Console(width=150, record=True, file=io.StringIO())
    console.print(bench.speed_table(results), bench.cost_table(results))
    text = console.export_text()
    for cell in ("200 (190-220)", "500 (490-520)", "2.50", "3.00", "50% / 60%", "0.010", "700"):
        assert cell in text
    json.dumps(asdict(results))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_faults_fit_the_code(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.old) == 1
    compile(text.replace(mutant.old, mutant.new), mutant.file, "exec")


def test_the_table_of_faults_is_of_these() -> None:
    page = (ROOT / "docs" / "mutants.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| ")][1:]
    assert [row[0].removeprefix("| ") for row in rows] == [mutant.name for mutant in MUTANTS]
    caught = sum(row[2] == "caught" for row in rows)
    assert f"{caught} of {len(rows)} are caught" in page
    assert len(rows) - caught <= len(rows) // 30
