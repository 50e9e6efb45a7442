"""Paths: relative ones of a run resumed elsewhere, `~`, and Hydra's own folders."""

from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from gan_cli import load
from gan_cli.cli import commands
from gan_cli.runs import checkpoint
from gan_cli.runs.places import find_data
from tests.conftest import Cli

FAST = ["steps=2", "data.batch_size=4", "sample_every=0", "checkpoint_every=2"]
FOLDER = ["data=image_folder", "data.root=pics", "data.image_size=8", "model=vanilla"]


@pytest.fixture
def elsewhere(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A run on data with a relative path, and another folder to work in."""
    pics = tmp_path / "pics"
    pics.mkdir()
    for index in range(8):
        Image.new("L", (8, 8), index * 30).save(pics / f"{index}.png")
    assert cli(*FOLDER, *FAST, "name=f").code == 0
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    return cli


def test_a_run_finds_its_data_from_any_folder(
    elsewhere: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = elsewhere("resume=../outputs/f", "steps=4")
    assert result.code == 0, result.err
    assert f"data.root=pics is not in this folder; taken from {tmp_path}" in result.out
    config = yaml.safe_load((tmp_path / "outputs/f/config.yaml").read_text())
    assert config["data"]["root"] == "pics"  # as typed
    newest = checkpoint.read_newest(tmp_path / "outputs/f/checkpoints").state
    assert newest is not None
    assert newest["environment"]["folder"] == str(tmp_path)
    (tmp_path / "third").mkdir()
    monkeypatch.chdir(tmp_path / "third")  # still known from a third one
    result = elsewhere("resume=../outputs/f", "steps=6")
    assert result.code == 0, result.err
    evaluated = elsewhere("run=../outputs/f", "metrics=diversity", "n=8", app=commands.EVALUATE)
    assert evaluated.code == 0, evaluated.err
    assert "data.root=pics is not in this folder" in evaluated.out


def test_a_path_that_is_given_means_the_current_folder(elsewhere: Cli, tmp_path: Path) -> None:
    result = elsewhere("resume=../outputs/f", "steps=4", "data.root=pics")
    assert result.code == 2
    assert "data.root=pics" in result.err
    (tmp_path / "pics").rename(tmp_path / "other" / "pics")
    result = elsewhere("resume=../outputs/f", "steps=4")
    assert result.code == 0, result.err
    assert "is not in this folder" not in result.out


def test_only_paths_that_are_nowhere_else_are_looked_for(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    config = {"data": {"root": "x", "a": None, "size": 3}}
    located, notes = find_data(config, str(tmp_path))
    assert located["data"]["root"] == str(tmp_path / "x")
    assert len(notes) == 1
    assert config["data"]["root"] == "x"
    for folder, given in ((None, []), (str(tmp_path / "x"), []), (str(tmp_path), ["data.root"])):
        assert find_data(config, folder, given=given) == (config, [])


def test_home_is_known_in_all_paths(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    assert cli(*FAST, "output_dir='~/runs'", "name=v").code == 0
    assert (home / "runs/v/config.yaml").is_file()
    assert cli("resume='~/runs/v'", "steps=3").code == 0
    assert cli(*FAST, "init_from='~/runs/v'", "output_dir='~/runs'", "name=w").code == 0
    sampled = cli("run='~/runs/v'", "out='~/x.png'", "n=4", app=commands.SAMPLE)
    assert sampled.code == 0
    assert (home / "x.png").is_file()
    evaluate = ["run='~/runs/v'", "out='~/e.json'", "metrics=diversity", "n=20"]
    assert cli(*evaluate, app=commands.EVALUATE).code == 0
    assert (home / "e.json").is_file()
    assert cli("-m", *FAST, "seed=1,2", "output_dir='~/runs'", "name=s").code == 0
    assert (home / "runs/s/sweep.csv").is_file()
    assert load("~/runs/v").sample(1).dtype == torch.float32
    assert {path.name for path in tmp_path.iterdir()} == {"home"}
    unknown = cli("run='~nobody-at-all/v'", app=commands.SAMPLE)
    assert unknown.code == 2
    assert "run=~nobody-at-all/v: no such run" in unknown.err


@pytest.mark.parametrize(
    "text",
    ["hydra.run.dir=x", "hydra.job.chdir=true", "hydra.sweep.dir=x", "++hydra.output_subdir=x"],
)
def test_folders_of_hydras_own_are_rejected(cli: Cli, text: str) -> None:
    for arguments in ([text], ["-m", "seed=1,2", text]):
        result = cli(*arguments, *FAST)
        assert result.code == 2
        assert f"{text.lstrip('+')}: has no effect" in result.err
        assert "output_dir=FOLDER says where files go" in result.err
    assert not any(Path().iterdir())


def test_saying_what_hydra_does_anyway_is_fine(cli: Cli) -> None:
    same = ["hydra.run.dir=.", "hydra.job.chdir=false", "hydra.output_subdir=null"]
    assert cli(*same, "dry_run=true").code == 0
