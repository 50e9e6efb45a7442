"""gan-claims: experiments work with few steps, the exact ones hold, faults turn them red."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from gan_cli.claims import c29_sharp_edges, c31_dcgan_rules, c35_conditional
from gan_cli.claims.base import FAILS, HOLDS, LIMITS, Check, Claim, Outcome
from gan_cli.claims.book import claims, explanation
from gan_cli.claims.drawing import axes
from gan_cli.claims.exact import expectation, variance
from gan_cli.claims.lab import Lab
from gan_cli.cli import commands
from gan_cli.losses import Minimax, NonSaturating
from gan_cli.noise import Normal
from gan_cli.page import render
from gan_cli.theory.divergence import jsd
from gan_cli.training import loop
from tests.conftest import Cli

DOCS = Path(__file__).parent.parent / "docs"
BY_NAME = {claim.name: claim for claim in claims()}
#: Claims that need training: few steps show that they run, not that they hold.
TRAINED = {
    "any_map",
    "conditions",
    "degenerate",
    "figure_1",
    "half",
    "mode_collapse",
    "nash",
    "non_saturating",
    "overfit",
    "pace",
    "piecewise_linear",
    "prior",
    "proposition_1",
    "proposition_2",
    "theorem_1",
    "too_large",
    "vanishing",
    "wasserstein",
} | {claim.name for claim in claims() if claim.runs}


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where runs that claims share are trained once."""
    return tmp_path_factory.mktemp("claims")


def shown(name: str, folder: Path, *, seed: int = 0) -> Outcome:
    return BY_NAME[name].show(Lab(folder, seed=seed, fast=True))


@pytest.mark.parametrize("claim", claims(), ids=lambda claim: claim.name)
@pytest.mark.xdist_group("claims")
def test_each_experiment_gives_a_number_and_a_picture(
    claim: Claim, tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if claim.name in TRAINED:
        monkeypatch.setattr("gan_cli.theory.measure.REFIT_STEPS", 20)
    outcome = shown(claim.name, runs if claim.runs else tmp_path)
    assert all(math.isfinite(check.value) for check in outcome.checks)
    assert outcome.checks[0].limit
    assert outcome.picture.axes
    for plot in outcome.picture.axes:
        assert plot.get_xlabel() or plot.get_xticklabels() or not plot.axison
    if claim.name not in TRAINED:
        assert outcome.verdict in (HOLDS, LIMITS), [c for c in outcome.checks if not c.passes]
        assert shown(claim.name, tmp_path, seed=1).verdict in (HOLDS, LIMITS)


def test_numbers_rise_and_every_claim_is_explained() -> None:
    numbers = [claim.number for claim in claims()]
    assert numbers == sorted(set(numbers))
    for claim in claims():
        text = explanation(claim)
        assert len(text.split("\n\n")) >= 2, claim.name
        assert len(text) > 250, claim.name
        assert claim.statement.endswith(".")
        assert "note" in claim.source


def sections_of(page: str) -> list[str]:
    """What stands below each heading that begins with a number."""
    return re.split(r"^### \d+\. ", (DOCS / page).read_text(encoding="utf-8"), flags=re.MULTILINE)[
        1:
    ]


def test_both_pages_of_the_docs_say_what_the_modules_say() -> None:
    english, chinese = sections_of("claims.md"), sections_of("claims.zh.md")
    texts = yaml.safe_load((DOCS / "claims.zh.yaml").read_text(encoding="utf-8"))
    assert list(texts) == list(BY_NAME)
    for claim, told, retold in zip(claims(), english, chinese, strict=True):
        text = texts[claim.name]
        assert text["of"] == claim.statement, f"{claim.name}: translate the statement anew"
        title, *paragraphs = explanation(claim).split("\n\n")
        assert told.startswith(" ".join(title.split()).rstrip("."))
        assert retold.startswith(text["title"])
        flat = " ".join(told.split())
        for part in (claim.statement, claim.method, *paragraphs):
            assert " ".join(part.split()) in flat, claim.name
        for part in (text["statement"], text["method"]):
            assert part in retold
        for section in (told, retold):
            assert claim.formula in section
            assert claim.source in section
            (picture,) = re.findall(r"!\[.*\]\((.*)\)", section)
            assert (DOCS / picture).is_file()
        # Both have one table of the same numbers, none of which fails.
        values = [re.findall(r"^\| .* \| (.*) \| .* \|$", s, re.MULTILINE) for s in (told, retold)]
        assert len(values[0]) == len(text["checks"]) + 1  # and the heading
        assert values[0][1:] == values[1][1:]
        verdict = "**holds within limits" if "limits" in text else "**holds**"
        assert verdict in told
        assert ("**在一定范围内成立" if "limits" in text else "**成立**") in retold


def wrong_sign(_self: object, fake: Tensor, _real: Tensor | None = None) -> Tensor:
    return torch.nn.functional.softplus(fake).mean()


def half_a_loss(self: NonSaturating, real: Tensor, fake: Tensor) -> Tensor:
    return self.real_term(real)


def generator_first(
    state: Any, turns: Any, *, k: int, g_moves: int, move: Any, log_due: bool
) -> Any:
    batch = loop.draw(state.batches)
    assert g_moves == 1
    scalars = loop.play(turns["g"], state.optimizers["g"], batch=batch, move=move, log_due=log_due)
    for _ in range(k):
        batch = loop.draw(state.batches)
        loop.play(turns["d"], state.optimizers["d"], batch=batch, move=move, log_due=log_due)
    state.step += 1
    return scalars, 0.0


def stale_noise(self: Normal, n: int, *, generator: torch.Generator) -> Tensor:
    return torch.randn(n, self.dim, generator=torch.Generator().manual_seed(0)) * self.std


@pytest.mark.parametrize(
    ("target", "fault", "red"),
    [
        ("gan_cli.losses.Minimax.g", wrong_sign, "generator_descends"),
        ("gan_cli.losses.NonSaturating.d", half_a_loss, "supervised_loss"),
        ("gan_cli.claims.lab.one_step", generator_first, "algorithm_1"),
        ("gan_cli.noise.Normal.sample", stale_noise, "algorithm_1"),
    ],
)
def test_faults_turn_claims_red(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    fault: Callable[..., Any],
    red: str,
) -> None:
    assert shown(red, tmp_path).verdict != FAILS
    monkeypatch.setattr(target, fault)
    assert shown(red, tmp_path).verdict == FAILS


def test_checks_keep_their_limits() -> None:
    assert Check("x", 1.0, at_least=1.0, at_most=1.0).passes
    assert not Check("x", 0.9, at_least=1.0).passes
    assert not Check("x", math.nan, at_most=1.0).passes
    figure, _ = axes("x", "y")
    assert Outcome([Check("x", 1.0, at_most=2.0)], figure).verdict == HOLDS
    assert Outcome([Check("x", 1.0, at_most=2.0)], figure, limits="small x").verdict == LIMITS
    assert Outcome([Check("x", 3.0, at_most=2.0)], figure, limits="small x").verdict == FAILS


def test_integrals() -> None:
    assert expectation(lambda x: x**2, mean=1.0, std=2.0) == pytest.approx(5.0, abs=1e-9)
    assert variance(lambda x: 3 * x, std=2.0) == pytest.approx(36.0, abs=1e-6)


def test_edges_are_differences_of_neighbours() -> None:
    stripes = torch.tensor([0.0, 1.0]).repeat(4, 2)[None, None]  # 4x4: rows equal, columns not
    assert c29_sharp_edges.sharpness(stripes).item() == pytest.approx(0.5)
    assert c29_sharp_edges.sharpness(torch.ones(3, 1, 5, 5)).tolist() == [0.0, 0.0, 0.0]


def test_broken_rules_are_counted() -> None:
    lab = Lab(Path())
    arms = {
        name: lab.experiment(*lab.overrides(name)).game for name in c31_dcgan_rules.ARMS.values()
    }
    broken = {
        name: c31_dcgan_rules.broken_rules(nn.ModuleList([game.generator, game.discriminator]))
        for name, game in arms.items()
    }
    assert broken["digits"] == 0
    assert broken["digits_pooled"] == 2 + 2  # layers that pool, and hidden ones
    assert broken["digits_unnormalised"] == 2 + 1  # of G and of D


def test_the_third_term_moves_the_optimum_only_where_classes_overlap() -> None:
    x = torch.linspace(-12, 12, 201, dtype=torch.float64)

    def moved(apart: float) -> float:
        p, m = (torch.softmax(-((x - mean) ** 2) / 2, dim=0) for mean in (-apart, apart))
        return jsd(p, c35_conditional.best_imitation(p, m, steps=1500))

    assert moved(1) > 0.05
    assert moved(5) < 1e-3


def test_gradients_of_both_losses() -> None:
    logit = torch.tensor([math.log(0.25 / 0.75)], requires_grad=True)
    Minimax(d_weight=1.0).g(logit).backward()
    assert logit.grad is not None
    assert logit.grad.item() == pytest.approx(-0.25)


@pytest.fixture
def _no_vega(monkeypatch: pytest.MonkeyPatch) -> None:
    """This page has no charts; to join the charting library takes a second."""
    monkeypatch.setattr(render, "vega_script", lambda: "")


@pytest.mark.usefixtures("_no_vega")
def test_the_command_writes_results_pictures_and_a_page(cli: Cli) -> None:
    result = cli("claims=[21,value]", "fast=true", app=commands.CLAIMS)
    assert result.code == 0
    assert "2 of 2 hold" in result.out
    folder = Path("outputs/claims")
    entries = json.loads((folder / "claims.json").read_text())
    assert [entry["number"] for entry in entries] == [4, 21]
    for entry in entries:
        assert (folder / entry["folder"] / "picture.png").is_file()
        assert json.loads((folder / entry["folder"] / "data.json").read_text())
    page = (folder / "index.html").read_text()
    assert "V(D,G), the one number that both players fight over." in page
    assert page.count("data:image/png;base64") == 2
    assert "async function startExplorer" not in page  # these have no networks to try
    assert "Their verdicts say nothing" in page


@pytest.mark.usefixtures("_no_vega")
def test_trained_generators_live_in_the_page(cli: Cli) -> None:
    cli("claims=[conditions,sharp_edges,features]", "fast=true", app=commands.CLAIMS)
    page = Path("outputs/claims/index.html").read_text()
    places = re.findall(r'data-explorer="([^"]+)"', page)
    assert places == ["game-29-1", "game-36-1"]  # the run that 29 and 32 share is there once
    for place in places:
        (found,) = re.findall(rf'id="{place}">(.*?)</script>', page)
        payload = json.loads(found)
        assert payload["generator"]["weights"] > 0
        assert payload["check"]["x"]
    assert payload["classes"] == [str(number) for number in range(8)]
    assert "async function startExplorer" in page


@pytest.mark.usefixtures("_no_vega")
def test_a_claim_that_fails_or_breaks_is_code_1(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan_cli.losses.Minimax.g", wrong_sign)
    result = cli("claims=generator_descends", "fast=true", app=commands.CLAIMS)
    assert result.code == 1
    assert "does not hold" in result.out

    def breaks(*_: object) -> Tensor:
        raise RuntimeError("<b>broken</b>")

    monkeypatch.setattr("gan_cli.losses.Minimax.g", breaks)
    assert cli("claims=5", "fast=true", app=commands.CLAIMS).code == 1
    assert "RuntimeError: &lt;b&gt;broken" in Path("outputs/claims/index.html").read_text()


def test_what_lies_in_place_of_a_run_is_left_alone(cli: Cli) -> None:
    place = Path("mine/runs/digits")
    place.mkdir(parents=True)
    (place / "notes.txt").write_text("x")
    result = cli("claims=sharp_edges", "fast=true", "out=mine", app=commands.CLAIMS)
    assert result.code == 2
    assert "out=mine: holds mine/runs/digits" in result.err
    assert (place / "notes.txt").read_text() == "x"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["experiment=ring_modes"], "experiment: no such key"),
        (["claims=theorem_2"], "theorem_1"),
        (["claims=[99]"], "no such claim"),
        (["claims=[]"], "leave it out to show all"),
        (["jobs=0"], "jobs"),
        (["seed=-1"], "seed"),
    ],
)
def test_mistakes_are_one_message(cli: Cli, arguments: list[str], said: str) -> None:
    result = cli(*arguments, app=commands.CLAIMS)
    assert result.code == 2
    assert said in result.err
