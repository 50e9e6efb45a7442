"""D on data held out: measured fairly, nothing in training changes, and overfitting is told."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from gan_cli.runs import checkpoint
from gan_cli.runs.records import read_lines
from gan_cli.settings.build import build_state, load_data
from gan_cli.settings.check import check
from gan_cli.training.health import Health
from gan_cli.training.held_out import HeldOut, held_out_of
from tests.conftest import Cli
from tests.test_config import composed
from tests.test_resume import assert_same_run

CPU = torch.device("cpu")
SHORT = ["sample_every=0", "log_every=1", "eval_every=0", "data.batch_size=20"]
FAMILIES = {
    "vanilla": ["data.validation=300", "regularizer=[instance_noise]"],
    "dcgan": ["model=dcgan", "model.width=4", "data.validation=300", "loss=hinge"],
    "cgan": ["model=cgan", "model.width=4", "data.validation=300"],
    "points": ["data=ring", "data.validation=300"],
}


def looked_at(*overrides: str) -> HeldOut:
    config = composed(*overrides)
    check(config, trusted=True)
    dataset = load_data(config)
    state = build_state(config, dataset, CPU)
    held_out = held_out_of(state.game, dataset, n=config["data"]["batch_size"], seed=0)
    assert held_out is not None
    return held_out


@pytest.mark.parametrize("family", FAMILIES)
def test_a_run_resumes_with_it_bit_for_bit(cli: Cli, family: str) -> None:
    assert cli(*FAMILIES[family], *SHORT, "steps=4", "name=whole").code == 0
    assert cli(*FAMILIES[family], *SHORT, "steps=2", "name=parts").code == 0
    assert cli("resume=outputs/parts", "steps=4").code == 0
    assert_same_run(Path("outputs/whole"), Path("outputs/parts"))
    key = "score/held_out" if family == "dcgan" else "prob/held_out"
    values = [line[key] for line in read_lines(Path("outputs/whole"))]
    assert len(set(values)) == 4


def test_to_look_changes_no_training(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    family = [*FAMILIES["vanilla"], *SHORT, "steps=3"]
    assert cli(*family, "name=looked").code == 0
    monkeypatch.setattr("gan_cli.runs.opening.held_out_of", lambda *_, **__: None)
    assert cli(*family, "name=not").code == 0
    newest = "checkpoints/step_00000003.pt"
    one, other = (checkpoint.read(Path("outputs") / name / newest)["session"]["game"]
                  for name in ("looked", "not"))  # fmt: skip
    assert one["_extra_state"]["rng"].equal(other["_extra_state"]["rng"])
    assert all(torch.equal(one[k], other[k]) for k in one if isinstance(one[k], torch.Tensor)
               and k != "_extra_state")  # fmt: skip


def test_batch_norm_goes_by_the_batch_and_remembers_nothing() -> None:
    held_out = looked_at("model=dcgan", "model.width=4", "data.validation=64",
                         "data.batch_size=64")  # fmt: skip
    game = held_out.game.train()
    before = {key: value.clone() for key, value in game.discriminator.state_dict().items()}
    value = held_out.scalars(7)["prob/held_out"]
    after = game.discriminator.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    x, _ = held_out.dataset.take(torch.arange(64))
    with torch.no_grad():
        expected = torch.sigmoid(game.logits(x, None)).mean().item()
    assert value == pytest.approx(expected, abs=1e-5)  # the same 64, in another order


def test_nothing_is_held_out_unless_asked_for() -> None:
    config = composed("data=ring")
    assert held_out_of(None, load_data(config), n=5, seed=0) is None


def lines_of(own: float, others: float) -> list[Mapping[str, Any]]:
    return [{"prob/real": own, "prob/held_out": others} for _ in range(10)]


def test_the_warning() -> None:
    health = Health()
    said = [messages for line in lines_of(0.9, 0.6) for messages in health.add(line)[1]]
    assert len(said) == 1
    assert "discriminator overfits" in said[0]
    assert "0.900 on its own data and 0.600 on others" in said[0]
    quiet = Health()
    assert not any(quiet.add(line)[1] for line in lines_of(0.7, 0.6))


def test_a_d_with_few_data_overfits_and_says_so(cli: Cli) -> None:
    result = cli(
        "data=digits", "data.validation=1700", "data.batch_size=50", "k=5", "steps=240",
        "model.discriminator.dropout=0", "model.discriminator.dropout_input=0", "log_every=5",
        "model.discriminator.hidden=[200,200]", "model.generator.hidden=[64]", "sample_every=0",
        "optimizer.lr=0.002",
    )  # fmt: skip
    assert result.code == 0
    assert "discriminator overfits" in result.out
