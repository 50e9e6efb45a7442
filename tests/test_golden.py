"""Runs of released versions are resumed, sampled, evaluated and translated by today's code.

Numbers are held against what that version made of them, within a tolerance for other CPUs and
versions of PyTorch; `benchmarks/proof.py` compares two commits on one machine bit for bit.

Where a version was wrong, `expected.json` holds what is right, and the run itself stays as it was:

- 0.1.0/cgan_mlp, lines 5 to 8: the Wasserstein loss took D's third term alone instead of its
  difference to real data, so D could lower it by a mere shift.
- 0.1.0/ring, divergences and `value/best` of the evaluation: cells were too wide for the modes.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import gan_cli
from gan_cli.cli import commands
from tests.conftest import Cli
from tests.golden.make import COMMON, METRICS, drawn, numbers
from tests.golden.make import RUNS as RUNS_MADE

GOLDEN = Path(__file__).parent / "golden"
RUNS = sorted(path for path in GOLDEN.glob("*/*") if path.is_dir())
#: Relative; steps of tiny networks on other machines differ by a few roundings.
TOLERANCE = 2e-3


@pytest.fixture(params=RUNS, ids=lambda path: f"{path.parent.name}-{path.name}")
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A copy of a golden run in the current folder, and what is expected of it."""
    source: Path = request.param
    run = tmp_path / source.name
    shutil.copytree(source, run, ignore=shutil.ignore_patterns("expected.json"))
    return run, json.loads((source / "expected.json").read_text())


def assert_alike(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """All keys that were, to which later versions may add, and numbers within the tolerance."""
    assert found.keys() >= expected.keys()
    for key, value in expected.items():
        if isinstance(value, int | float):
            assert found[key] == pytest.approx(value, rel=TOLERANCE, abs=1e-4), key
        else:
            assert found[key] == value, key


def test_it_loads(golden: tuple[Path, dict[str, Any]]) -> None:
    run, expected = golden
    assert drawn(run) == pytest.approx(expected["drawn"], rel=TOLERANCE, abs=1e-4)


def test_it_resumes(cli: Cli, golden: tuple[Path, dict[str, Any]]) -> None:
    run, expected = golden
    result = cli(f"resume={run.name}", "steps=8")
    assert result.code == 0, result.err
    found = numbers(run / "metrics.jsonl")
    assert len(found) == len(expected["lines"])
    for line, wanted in zip(found, expected["lines"], strict=True):
        assert_alike(line, wanted)
    assert {path.name for path in run.iterdir()} >= {
        "config.yaml", "checkpoints", "samples", "metrics.jsonl", "train.log",
    }  # fmt: skip


def test_its_own_command_goes_on_with_it(cli: Cli, golden: tuple[Path, dict[str, Any]]) -> None:
    run, _ = golden
    command = [*COMMON, *RUNS_MADE[run.name], f"name={run.name}", "resume=auto", "steps=6"]
    assert cli(*command, "dry_run=true").code == 0
    result = cli(*command, "ema.decay=0.5")
    assert result.code == 2
    assert "ema.decay: was" in result.err


def test_it_is_sampled_and_evaluated(cli: Cli, golden: tuple[Path, dict[str, Any]]) -> None:
    run, expected = golden
    if run.name == "cyclegan":
        Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4).save("ramp.png")
        words = (f"run={run.name}", "input=ramp.png", "output=out", "direction=a2b")
        assert cli(*words, app=commands.TRANSLATE).code == 0
        with Image.open("out/ramp.png") as image:
            translated = np.asarray(image).astype(int)
        assert np.abs(translated - np.array(expected["translated"])).max() <= 1
    else:
        assert cli(f"run={run.name}", "out=samples.png", app=commands.SAMPLE).code == 0
        with Image.open("samples.png") as image:
            assert image.width > 8
    metrics = METRICS.get(run.name, "[diversity,nearest]")
    result = cli(f"run={run.name}", f"metrics={metrics}", "n=200", app=commands.EVALUATE)
    assert result.code == 0, result.err
    found = json.loads((run / "evaluation.json").read_text())
    del found["run"]
    # Tests train classifiers for seconds, so that they err more often than that version's.
    judged = {key for key in expected["evaluation"] if key.startswith("eval/classifier_accuracy")}
    assert judged <= found.keys()
    kept = {key: value for key, value in expected["evaluation"].items() if key not in judged}
    assert_alike(found, kept)


def test_names_in_checkpoints_are_found(golden: tuple[Path, dict[str, Any]]) -> None:
    """Every class that a stored config names, by the name it is stored under."""
    run, _ = golden
    (file,) = (run / "checkpoints").glob("step_*.pt")
    state = torch.load(file, weights_only=True)
    model = gan_cli.load(run)
    assert model.step == state["step"] == 4
    stored = {key for key in state["session"]["game"] if isinstance(key, str)}
    assert stored == {key for key in model.game.state_dict() if key in stored} | {
        key for key in stored if key.startswith("average.") and model.game.average is None
    }
