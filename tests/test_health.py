"""Each thing that goes wrong is named by a small real run, and a healthy run stays silent."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_cli.runs.records import without_machine
from gan_cli.theory.density import GaussianMixture
from gan_cli.training.health import RULES, Health, diversity, diversity_within
from tests.conftest import Cli

NARROW = ["model.generator.hidden=[64]", "model.discriminator.hidden=[128]"]
SMALL = ["threads=1", "log_every=5", "sample_every=25", "checkpoint_every=0", "name=run"]


def metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def findings(cli: Cli, *arguments: str) -> tuple[str, set[str]]:
    """What a run says of its health, and the keys it logs."""
    result = cli(*SMALL, *arguments)
    assert result.code == 0, result.err
    keys = {
        key
        for line in metrics(Path("outputs/run"))
        for key in line
        if key.startswith(("health/", "system/data_s"))
    }
    said = "\n".join(line for line in result.out.splitlines() if line.startswith("health at step"))
    log = Path("outputs/run/train.log").read_text().splitlines()
    assert said in "\n".join(line[21:] for line in log if "health" in line)
    return said, keys


def test_a_saturated_game_is_named(cli: Cli) -> None:
    said, keys = findings(cli, *NARROW, "loss=minimax", "k=20", "steps=55", "data.batch_size=32")
    assert "health/discriminator_wins" in keys
    assert "discriminator wins: over 5 lines D(x) is 0.9" in said
    assert "gradient norm of G is" in said
    assert "loss=non_saturating" in said


def test_the_example_of_the_docs_is_named_on_any_machine(cli: Cli) -> None:
    page = (Path(__file__).parent.parent / "docs" / "train.md").read_text()
    assert "`gan-train experiment=vanishing_gradient`:" in page
    assert "health at step 125: discriminator wins: over 5 lines D(x) is 1.0000" in page
    short = ["steps=125", "eval_every=0", "data.samples=2000"]
    result = cli("experiment=vanishing_gradient", "threads=1", "sample_every=0", *short)
    assert result.code == 0
    assert "health at step 125: discriminator wins: over 5 lines D(x) is 1.0000" in result.out


def test_a_winning_generator_and_its_collapse_are_named(cli: Cli) -> None:
    said, keys = findings(cli, "optimizer.lr_d=1e-7", "optimizer.lr_g=0.01", "steps=150")
    assert {"health/generator_wins", "health/mode_collapse"} <= keys
    assert "generator wins: over 10 lines D(G(z)) is" in said
    assert "mode collapse: samples of fixed noise differ only 0.0" in said


@pytest.mark.slow
def test_missing_modes_are_named(cli: Cli) -> None:
    ring = ["data=ring", "noise.dim=2", "optimizer.lr=0.01", "loss=minimax", "sample_every=50"]
    ring += ["data.batch_size=128", "log_every=25", "data.samples=2000"]
    said, keys = findings(cli, *ring, "steps=600")
    assert "health/modes_missing" in keys
    assert "of 8 modes, as for the last 6 looks" in said


def test_oscillation_is_named(cli: Cli) -> None:
    chase = ["data=gaussian", "noise.dim=1", "optimizer.lr=0.05", "sample_every=0"]
    chase += ["data.batch_size=64", "data.samples=2000"]
    said, keys = findings(cli, *chase, "steps=800")
    assert "health/oscillation" in keys
    assert "times between 0.2 and 0.8" in said


def test_slow_data_are_named(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    random = np.random.default_rng(0)
    for i in range(4):
        pixels = random.integers(0, 256, (1200, 1200, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.jpg")
    said, keys = findings(
        cli, "data=image_folder", f"data.root={folder}", "data.image_size=8", "data.cache=false",
        "data.workers=0", "data.batch_size=2", "steps=12", "log_every=1", "sample_every=0",
    )  # fmt: skip
    assert keys == {"system/data_stall"}
    assert "of the time was spent waiting for data" in said
    assert "data.workers" in said


@pytest.mark.slow
def test_healthy_runs_are_silent(cli: Cli) -> None:
    assert findings(cli, "steps=200", "data.batch_size=32") == ("", set())
    ring = ["experiment=ring_modes", "steps=300", "name=ring"]
    result = cli(*SMALL[:-1], *ring)
    assert "health at" not in result.out


@pytest.mark.slow
def test_findings_reach_tensorboard_and_survive_a_resume(cli: Cli) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    saturated = ["threads=1", "log_every=2", "loss=minimax", "k=20", "data.batch_size=32", *NARROW]
    assert cli(*saturated, "steps=60", "name=whole").code == 0
    assert cli(*saturated, "steps=30", "name=halves").code == 0
    assert cli("resume=outputs/halves", "steps=60").code == 0
    events = EventAccumulator("outputs/halves")
    events.Reload()
    assert events.Scalars("health/discriminator_wins")
    assert "health/text_summary" in events.Tags()["tensors"]
    whole, halves = (
        [without_machine(line) for line in metrics(Path(f"outputs/{name}"))]
        for name in ("whole", "halves")
    )
    assert whole == halves


def test_a_finding_is_told_once_and_its_end_is_logged() -> None:
    health = Health()
    bad = {"prob/real": 0.999, "prob/fake": 0.001, "grad_norm/g": 1e-9}
    good = {"prob/real": 0.6, "prob/fake": 0.4, "grad_norm/g": 1.0}
    seen = [health.add(line) for line in [bad] * 12 + [good] * 12 + [bad] * 12]
    logged = [line.get("health/discriminator_wins") for line, _ in seen]
    assert logged[:4] == [None] * 4
    assert logged[4:13] == [1.0] * 8 + [0.0]
    assert logged[13:] == [None] * 15 + [1.0] * 8
    assert sum(len(messages) for _, messages in seen) == 2


def test_lines_without_a_rules_keys_do_not_count() -> None:
    health = Health()
    assert all(health.add({"loss/d": 0.0}) == ({}, []) for _ in range(50))
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_diversity_is_the_mean_pairwise_distance() -> None:
    x = torch.randn(40, 3, 2, 2, generator=torch.Generator().manual_seed(0)).double()
    flat = x.flatten(1)
    squared = torch.cdist(flat, flat).square().sum() / (40 * 39) / 12
    assert diversity(x) == pytest.approx(squared.sqrt().item(), rel=1e-9)
    assert diversity(x[:1].expand(7, 3, 2, 2)) == 0


def test_covered_modes_are_counted() -> None:
    mixture = GaussianMixture(
        torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]]), torch.ones(3) / 10
    )
    points = torch.tensor([[0.1, 0.1], [0.0, 0.29], [5.0, 0.31], [2.0, 2.0]])
    assert mixture.covered(points) == 1
    assert mixture.covered(torch.tensor([[0.0, 4.8], [4.9, 0.0]])) == 2


def test_diversity_within_classes_does_not_see_that_classes_differ() -> None:
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 2])
    centres = 10.0 * labels[:, None].float().expand(-1, 4)
    assert diversity(centres) > 1
    assert diversity_within(centres, labels) == 0
    spread = torch.tensor([[1.0], [-1.0], [0.0], [1.0], [-1.0], [0.0], [9.0]])
    assert diversity_within(centres + spread, labels) == pytest.approx(math.sqrt(2))
