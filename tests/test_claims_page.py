"""The claims' page where readers play: what is in it, and that a browser computes the same."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gan_cli.claims import alive, c12_oscillation, c16_kullback_leibler
from gan_cli.claims.alive import EXPERIMENTS, OWN, scripts_for
from gan_cli.claims.book import claims
from gan_cli.claims.lab import Lab
from gan_cli.claims.page import write_book
from gan_cli.cli import commands
from gan_cli.losses import Loss, Minimax, NonSaturating, value
from gan_cli.page import render
from gan_cli.theory.density import GaussianMixture
from gan_cli.theory.divergence import Cells, jsd, kl
from tests.conftest import Cli
from tests.pages import POLICY, Browser, chromium

SCRIPTS = Path(render.__file__).parent / "scripts"
BY_NUMBER = {claim.number: claim for claim in claims()}


@pytest.fixture(autouse=True)
def _no_vega(monkeypatch: pytest.MonkeyPatch) -> None:
    """This page has no charts; to join the charting library takes a second."""
    monkeypatch.setattr(render, "vega_script", lambda: "")


def page_of(folder: Path, *numbers: int) -> str:
    """A page of claims that were not shown, as if all of them held."""
    results = [
        {
            "number": number, "folder": "nothing", "verdict": "holds", "checks": [], "limits": "",
            "seconds": 1.0, "statement": claim.statement, "formula": claim.formula,
            "source": claim.source, "method": claim.method,
        }
        for number, claim in BY_NUMBER.items() if number in numbers
    ]  # fmt: skip
    write_book(folder / "index.html", results, seed=0, fast=True)
    return (folder / "index.html").read_text()


# What is in the page.


def test_an_experiment_lies_under_its_claims_picture(cli: Cli) -> None:
    cli("claims=[4,16]", "fast=true", app=commands.CLAIMS)
    page = Path("outputs/claims/index.html").read_text()
    section = page[page.index('id="claim-16"') :]
    picture, place = section.index("<figure>"), section.index('data-alive="densities"')
    assert picture < place < section.index("<table>")
    assert page.count("data-alive=") == 1
    assert page.count("aliveWidgets.densities =") == 1
    assert "aliveWidgets.circle =" not in page


def test_no_experiment_no_scripts(tmp_path: Path) -> None:
    page = page_of(tmp_path, 4, 5)
    assert "data-alive" not in page
    assert "startAlive" not in page
    assert scripts_for([]) == ()


@pytest.mark.parametrize("number", EXPERIMENTS)
def test_settings_are_those_of_the_claim(number: int, tmp_path: Path) -> None:
    page = page_of(tmp_path, number)
    (kind,) = re.findall(r'data-alive="(\w+)"', page)
    assert kind in OWN
    settings = json.loads(json.dumps(EXPERIMENTS[number].settings()))
    if kind == "densities":
        assert sum(settings["data"]["weights"]) == pytest.approx(1)
        assert settings["means"][0] <= settings["mean"] <= settings["means"][1]
        assert settings["stds"][0] <= settings["std"] <= settings["stds"][1]
    assert f"hidden>\n<p><strong>Try it.</strong> {EXPERIMENTS[number].caption}" in html.unescape(
        page
    )


def test_scripts_are_short_and_do_nothing_that_a_strict_page_refuses() -> None:
    files = sorted((SCRIPTS / "claims").glob("*.js"))
    assert {f"claims/{file.name}" for file in files} == {
        name for name in scripts_for(EXPERIMENTS.values()) if name.startswith("claims/")
    }
    for file in files:
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")  # a name, no address
        assert text.startswith('"use strict";')
        assert len(text.splitlines()) <= 200
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                     "new Function", "import(", "http:", "https:", "</script", "url("):  # fmt: skip
            assert word not in text, word


# In a browser.


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("pages")) as opened:
        yield opened


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Browser:
    """The page with all experiments; it must not complain, or ask for anything."""
    page = page_of(tmp_path, *EXPERIMENTS)
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}; img-src data:">'
    requests(browser)
    browser.complaints()
    browser.open(page.replace("<head>", f"<head>{policy}"), width=400)
    return browser


def requests(browser: Browser) -> list[str]:
    """What has been asked for since the last call, but for the page itself."""
    events = [json.loads(entry["message"])["message"]
              for entry in browser.driver.get_log("performance")]  # fmt: skip
    urls = [event["params"]["request"]["url"] for event in events
            if event["method"] == "Network.requestWillBeSent"]  # fmt: skip
    return [url for url in urls if not url.startswith(("data:", "file:"))]


def place(number: int) -> str:
    return f'document.querySelector("#claim-{number} .alive")'


def press(browser: Browser, number: int, text: str) -> None:
    browser.run(
        f"[...{place(number)}.querySelectorAll('button')]"
        ".find((button) => button.textContent === arguments[0]).click()",
        text,
    )


def numbers(browser: Browser, number: int) -> list[str]:
    code = f"return [...{place(number)}.querySelectorAll('dd')].map((e) => e.textContent)"
    return list(browser.run(code))


def slide(browser: Browser, number: int, index: int, to: float) -> None:
    browser.run(
        f"const input = {place(number)}.querySelectorAll('input')[arguments[0]];"
        "input.value = arguments[1]; input.dispatchEvent(new Event('input'));",
        index, to,
    )  # fmt: skip


@pytest.mark.browser
@pytest.mark.parametrize("number", [13, 14, 16, 17])
@pytest.mark.parametrize(("shift", "std"), [(0.0, 1.0), (0.5, 0.6), (-1.0, 1.4)])
def test_divergences_are_the_products(
    opened: Browser, number: int, shift: float, std: float
) -> None:
    data = EXPERIMENTS[number].settings()["data"]
    p = GaussianMixture(*(torch.tensor(data[key]) for key in ("means", "stds", "weights")))
    p.means = p.means[:, None]
    mean = float((p.weights @ p.means).item()) + shift
    q = GaussianMixture(torch.tensor([[mean]]), torch.tensor([std]))
    found = opened.run(
        "return aliveDivergences(arguments[0], aliveNormal(arguments[1], arguments[2]))",
        data, mean, std,
    )  # fmt: skip
    both = torch.cat([p.means, q.means]), torch.cat([p.stds, q.stds])
    cells = Cells(GaussianMixture(*both), bins=40_000)
    expected = jsd(cells.masses(p), cells.masses(q))
    assert found["jsd"] == pytest.approx(expected, abs=1e-4)
    assert found["value"] == pytest.approx(2 * expected - math.log(4), abs=1e-4)
    assert found["forward"] == pytest.approx(c16_kullback_leibler.integral(p, q), abs=1e-4)
    assert found["backward"] == pytest.approx(c16_kullback_leibler.integral(q, p), abs=1e-4)
    inside = kl(cells.masses(p).clamp_min(1e-280), cells.masses(q).clamp_min(1e-280))
    assert found["forward"] == pytest.approx(inside, abs=1e-3)


@pytest.mark.browser
def test_equal_densities_are_the_equilibrium(opened: Browser) -> None:
    for number in (13, 14, 16, 17):
        press(opened, number, "p_g = p_data")
        shown = [float(text) for text in numbers(opened, number)]
        assert shown == pytest.approx([-math.log(4), -math.log(4), 0, 0, 0], abs=1e-4)
    slide(opened, 13, 2, 1.0)  # any other D gets less
    shown = [float(text) for text in numbers(opened, 13)]
    l = torch.tensor(0.99, dtype=torch.float64)  # noqa: E741  (the slider's nearest place)
    assert shown[0] == pytest.approx(value(l[None], l[None]).item(), abs=1e-4)
    assert shown[1] == pytest.approx(-math.log(4), abs=1e-4)
    assert not opened.complaints()
    assert not requests(opened)


@pytest.mark.browser
def test_the_circle_is_the_loops(opened: Browser, tmp_path: Path) -> None:
    walked = c12_oscillation.paths(Lab(tmp_path), 100)
    for loss, path in walked.items():
        found = opened.run(
            "return alivePath(arguments[0], arguments[1], arguments[2], 100)",
            loss, c12_oscillation.RATE, c12_oscillation.GAMMA,
        )  # fmt: skip
        assert torch.tensor(found).sub(torch.tensor(path)).abs().max() < 1e-6, loss
    press(opened, 12, "V (minimax)")
    _, kept, _, expected = numbers(opened, 12)
    assert float(kept.rstrip(" %")) == pytest.approx(100, abs=2)
    assert float(expected) == 1.0
    press(opened, 12, "V with R1")
    _, _, a_step, expected = numbers(opened, 12)
    assert float(expected) == pytest.approx(math.sqrt(1 - 0.05 * 0.2), abs=1e-5)
    assert float(a_step) == pytest.approx(float(expected), abs=1e-4)
    assert not opened.complaints()


def by_autograd(
    loss: Loss, d: list[float], g: list[float], real: list[float], z: list[float]
) -> tuple[Tensor, Tensor]:
    """Gradients of both players' losses, (3,) and (2,)."""
    a, b, c, t, s = (
        torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (*d, *g)
    )  # fmt: skip

    def logit(x: Tensor) -> Tensor:
        return a + b * x + c * x**2

    x, noise = torch.tensor(real).double(), torch.tensor(z).double()
    made = t + s * noise
    of_d = torch.autograd.grad(loss.d(logit(x), logit(made.detach())), (a, b, c))
    of_g = torch.autograd.grad(loss.g(logit(made)), (t, s))
    return torch.stack(of_d), torch.stack(of_g)


@pytest.mark.browser
@pytest.mark.parametrize("name", ["minimax", "non_saturating"])
def test_gradients_are_autograds(opened: Browser, name: str) -> None:
    loss = Minimax(d_weight=1.0) if name == "minimax" else NonSaturating(d_weight=1.0)
    d, g = [0.3, -0.7, 0.4], [-1.2, 0.8]
    generator = torch.Generator().manual_seed(0)
    real, z = torch.randn(2, 64, dtype=torch.float64, generator=generator).tolist()
    of_d, of_g = opened.run(
        "const [d, g, real, z, loss] = arguments;"
        "const made = z.map((v) => g[0] + g[1] * v);"
        "return [aliveGradientD(d, real, made), aliveGradientG(d, g, z, loss)];",
        d, g, real, z, name,
    )  # fmt: skip
    expected_d, expected_g = by_autograd(loss, d, g, real, z)
    assert torch.tensor(of_d).double().sub(expected_d).abs().max() < 1e-6
    assert torch.tensor(of_g).double().sub(expected_g).abs().max() < 1e-6


@pytest.mark.browser
def test_moves_come_in_the_order_of_algorithm_1(opened: Browser) -> None:
    settings = {"mean": 1, "std": 0.5, "batch": 64, "start": [-1, 1], "seed": 1}
    order = opened.run(
        "const game = aliveGame(arguments[0]); const how = { k: 3, rate: 0.1, loss: 'minimax' };"
        "return Array.from({ length: 8 }, () => aliveMove(game, how)).join('');",
        settings,
    )  # fmt: skip
    assert order == "dddgdddg"
    said = f"return {place(8)}.querySelector('[role=status]').textContent"
    for words in ("1 of 3", "2 of 3", "3 of 3", "G has moved: step 1"):
        press(opened, 8, "One move")
        assert words in opened.run(said)


@pytest.mark.browser
def test_a_game_ends_at_the_data_and_stops(opened: Browser) -> None:
    first = numbers(opened, 22)
    press(opened, 22, "Play")
    opened.wait(f"{place(22)}.querySelector('dd').textContent > 40")
    press(opened, 22, "Pause")
    assert numbers(opened, 22) != first
    opened.run(  # what Play does, at once
        "window.game = aliveGame(JSON.parse(arguments[0]));"
        "for (let i = 0; i < 5000; i++) aliveStep(game, { k: 5, rate: 0.1, loss: 'minimax' });",
        json.dumps(EXPERIMENTS[22].settings()),
    )  # fmt: skip
    assert opened.run("return aliveStanding(game).jsd") < 0.01
    assert opened.run("return aliveStanding(game).value") == pytest.approx(-math.log(4), abs=0.02)
    press(opened, 22, "Start again")
    assert numbers(opened, 22) == first
    assert not opened.complaints()
    assert not requests(opened)


@pytest.mark.browser
def test_a_keyboard_is_enough(opened: Browser) -> None:
    from selenium.webdriver import ActionChains, Keys

    before = numbers(opened, 17)
    opened.run(f"{place(17)}.querySelector('input').focus()")
    ActionChains(opened.driver).send_keys(Keys.ARROW_RIGHT).perform()
    assert numbers(opened, 17) != before
    ActionChains(opened.driver).send_keys(Keys.TAB, Keys.TAB, Keys.ENTER).perform()
    assert float(numbers(opened, 17)[2]) == 0.0  # p_g = p_data
    names = f"[...{place(22)}.querySelectorAll('input')].map((e) => e.labels[0].textContent)"
    assert opened.run(f"return {names}") == ["k, moves of D a step", "Rate"]


@pytest.mark.browser
def test_nothing_is_wider_than_a_telephone(opened: Browser) -> None:
    assert opened.run("return document.documentElement.scrollWidth") <= 400
    assert alive.EXPERIMENTS.keys() == {
        int(identity) for identity in opened.run(
            "return [...document.querySelectorAll('.alive svg')]"
            ".map((e) => e.closest('section').id.slice(6))"
        )
    }  # fmt: skip
