"""The explorer used as a person would, by keys and clicks, in a browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gan_cli.page.explore import explorer
from tests.conftest import Cli
from tests.pages import Browser, chromium, minimal

pytestmark = pytest.mark.browser
TINY = ["steps=4", "data.batch_size=16", "sample_every=0", "eval_every=0", "threads=1", "name=run"]
HOSTILE = "<img src=x onerror=alert(1)>"
#: A number for what a canvas shows, so that a change of it is seen.
SHOWN = (
    "const text = document.querySelector(arguments[0]).toDataURL();"
    "let h = 0;"
    "for (let i = 0; i < text.length; i++) h = (Math.imul(h, 31) + text.charCodeAt(i)) | 0;"
    "return h;"
)
BIG, PATH, SUM = (
    ".explorer-big",
    ".explorer-row:nth-of-type(2) .explorer-middle",
    ".explorer-row:nth-of-type(3) .explorer-middle",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("pages")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _quiet(browser: Browser) -> Iterator[None]:
    """No page complains, or asks for anything from elsewhere."""
    browser.complaints()
    yield
    assert not browser.complaints()
    asked = browser.run("return performance.getEntriesByType('resource').map((e) => e.name)")
    assert [name for name in asked if not name.startswith("blob:")] == []


def payload_of(cli: Cli, *arguments: str) -> dict[str, Any]:
    done = cli(*TINY, *arguments)
    assert done.code == 0, done.err
    payload = explorer(Path("outputs/run")).payload
    assert payload is not None
    return payload


class Hands:
    """Keys, and looks at what they did."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser

    def press(self, *keys: str) -> None:
        """Keys for the element that has the focus."""
        self.browser.driver.switch_to.active_element.send_keys(*keys)

    def tab_to(self, name: str) -> None:
        """Press Tab until the element of that text or label has the focus."""
        for _ in range(80):
            keys = self.keys
            self.browser.driver.switch_to.active_element.send_keys(keys.TAB)
            if self.focused() == name:
                return
        pytest.fail(f"Tab does not reach {name!r}")

    @property
    def keys(self) -> Any:
        """Names of keys."""
        from selenium.webdriver import Keys

        return Keys

    def focused(self) -> str:
        """What a screen reader calls the element that has the focus."""
        name: str = self.browser.run(
            "const e = document.activeElement;"
            "return e.getAttribute('aria-label') ||"
            " (e.labels && e.labels[0] ? e.labels[0].textContent : e.textContent);"
        )
        return name

    def shown(self, canvas: str) -> int:
        """What a canvas shows."""
        number: int = self.browser.run(SHOWN, canvas)
        return number

    def changes(self, canvas: str, before: int) -> None:
        """Wait until a canvas shows something else."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if self.shown(canvas) != before:
                return
        pytest.fail(f"{canvas} did not change")


@pytest.fixture
def hands(browser: Browser) -> Hands:
    return Hands(browser)


def test_a_new_sample_and_sliders(cli: Cli, browser: Browser, hands: Hands) -> None:
    browser.explorer(payload_of(cli, "noise.dim=24"))
    before = hands.shown(BIG)
    hands.tab_to("New sample")
    hands.press(hands.keys.ENTER)
    hands.changes(BIG, before)
    hands.tab_to("Seed")
    assert browser.run("return document.activeElement.value") == "2"
    hands.tab_to("z1")
    before = hands.shown(BIG)
    hands.press(hands.keys.ARROW_RIGHT * 20)
    hands.changes(BIG, before)
    hands.tab_to("Show more (10 of 24)")
    hands.press(hands.keys.ENTER)
    count = "return document.querySelectorAll('.explorer-noise input').length"
    assert browser.run(count) == 20
    hands.press(hands.keys.ENTER)
    assert browser.run(count) == 24
    assert browser.run("return document.querySelector('.explorer-noise button').hidden")
    hands.tab_to("Show fewer")
    hands.press(hands.keys.ENTER)
    sliders = "[...document.querySelectorAll('.explorer-noise .explorer-slider')]"
    assert browser.run(f"return {sliders}.filter((e) => e.offsetParent).length") == 10


def test_the_seed_gives_the_same_again(cli: Cli, browser: Browser, hands: Hands) -> None:
    browser.explorer(payload_of(cli))
    first = hands.shown(BIG)
    hands.tab_to("New sample")
    hands.press(hands.keys.ENTER)
    hands.changes(BIG, first)
    second = hands.shown(BIG)
    hands.tab_to("Seed")
    hands.press(hands.keys.CONTROL + "a")
    hands.press("1", hands.keys.ENTER)
    hands.changes(BIG, second)
    assert hands.shown(BIG) == first


def test_paths_and_sums(cli: Cli, browser: Browser, hands: Hands) -> None:
    browser.explorer(payload_of(cli))
    hands.tab_to("start: sample 1")
    hands.press(hands.keys.ENTER)
    status = "return document.querySelector('.explorer-choose [role=status]').textContent"
    assert browser.run(status) == "Choose the picture for start, or press Escape."
    hands.press(hands.keys.ESCAPE)
    assert browser.run(status).startswith("Click a picture")
    hands.press(hands.keys.ENTER)
    before = hands.shown(PATH)
    browser.run("document.querySelectorAll('.explorer-grid button')[4].focus()")
    assert hands.focused() == "Sample 5"
    hands.press(hands.keys.SPACE)
    hands.changes(PATH, before)
    assert hands.focused() == "start: sample 5", "the focus goes back to what was filled"
    hands.tab_to("Path")
    before = hands.shown(PATH)
    hands.press(hands.keys.HOME)
    hands.changes(PATH, before)
    start = ".explorer-row:nth-of-type(2) button:first-of-type canvas"
    assert hands.shown(PATH) == hands.shown(start), "t = 0 is the start"
    hands.tab_to("C: sample 3")
    before = hands.shown(SUM)
    hands.press(hands.keys.ENTER)
    browser.run("document.querySelectorAll('.explorer-grid button')[7].click()")
    hands.changes(SUM, before)


def test_the_sum_of_a_and_a_without_a_is_a(cli: Cli, browser: Browser, hands: Hands) -> None:
    browser.explorer(payload_of(cli, "noise=spherical"))
    browser.run(
        "const slot = (name) => [...document.querySelectorAll('.explorer-row button')]"
        ".find((b) => b.getAttribute('aria-label').startsWith(name + ':'));"
        "const tiles = document.querySelectorAll('.explorer-grid button');"
        "for (const name of ['A', 'B', 'C']) { slot(name).click(); tiles[5].click(); }"
    )
    browser.wait(
        "document.querySelector('.explorer-row:nth-of-type(3) button')"
        ".getAttribute('aria-label') === 'A: sample 6'"
    )
    tile = ".explorer-grid button:nth-of-type(6) canvas"
    for _ in range(100):
        if hands.shown(SUM) == hands.shown(tile):
            return
    pytest.fail("A - A + A is not A")


def test_classes(cli: Cli, browser: Browser, hands: Hands) -> None:
    payload = payload_of(cli, "model=cgan", "model.width=8")
    payload["classes"][3] = HOSTILE
    browser.explorer(payload)
    before = hands.shown(BIG)
    hands.tab_to(HOSTILE)
    hands.press(hands.keys.SPACE)
    hands.changes(BIG, before)
    assert browser.run("return document.activeElement.getAttribute('aria-pressed')") == "true"
    assert browser.run("return document.querySelector('#explorer img')") is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["data=mixture_1d", "noise.dim=1"],
        ["data=ring"],
        ["data=gaussian", "loss=wasserstein", "regularizer=weight_clipping"],
        ["model=cgan", "model.backbone=mlp", "data=ring"],
    ],
)
def test_points(cli: Cli, browser: Browser, hands: Hands, arguments: list[str]) -> None:
    browser.explorer(payload_of(cli, *arguments))
    chart = ".explorer-chart"
    before = hands.shown(chart)
    readout = "return document.querySelector('.explorer-readout').textContent"
    text = browser.run(readout)
    count = browser.run("return parseInt(document.querySelector('.explorer-count').textContent)")
    assert count == 6000 or ("model=cgan" in arguments and count > 100)
    assert ("D's score" if "loss=wasserstein" in arguments else "D(x)") in text
    hands.tab_to("z1")
    hands.press(hands.keys.ARROW_LEFT * 30)
    hands.changes(chart, before)
    assert browser.run(readout) != text
    before = hands.shown(chart)
    browser.run(
        "document.documentElement.style.setProperty('--accent', '#aa0000');"
        "document.documentElement.className = 'dark';"
    )
    hands.changes(chart, before)
    before = hands.shown(chart)
    browser.run("document.querySelector('.explorer-main').focus()")
    hands.press(hands.keys.ENTER)
    hands.changes(chart, before)


def test_without_a_worker(cli: Cli, browser: Browser, hands: Hands) -> None:
    payload = payload_of(cli)
    for broken in (
        "window.Worker = function () { throw new Error('no'); };",
        "window.Worker = undefined;",
        "window.Worker = class { postMessage() { setTimeout(() => this.onerror(new Event('e'))); }"
        " terminate() {} };",
    ):
        browser.explorer(payload, before=broken)
        text = browser.run("return document.getElementById('explorer').textContent")
        assert "Computed in the page" in text
        hands.shown(BIG)
    browser.explorer(payload)
    text = browser.run("return document.getElementById('explorer').textContent")
    assert "Computed in a worker" in text
    assert "Largest difference from PyTorch" in text


def test_what_cannot_run_is_said(cli: Cli, browser: Browser) -> None:
    payload = payload_of(cli)
    payload["generator"]["steps"][0]["name"] = "riddle"
    browser.open(minimal(payload))
    browser.wait("document.getElementById('explorer').textContent.includes('riddle')")


def test_wrong_numbers_are_said(cli: Cli, browser: Browser) -> None:
    payload = payload_of(cli)
    payload["check"]["x"][0] += 0.5
    browser.explorer(payload)
    text = browser.run("return document.getElementById('explorer').textContent")
    assert "differ from PyTorch" in text


@pytest.mark.parametrize("arguments", [["model=cgan", "model.width=8"], ["data=ring"], []])
def test_narrow_screens(cli: Cli, browser: Browser, arguments: list[str]) -> None:
    browser.explorer(payload_of(cli, *arguments), width=400)
    assert browser.run("return document.documentElement.scrollWidth") <= 400


@pytest.mark.parametrize("arguments", [["model=cgan", "model.width=8"], ["data=mixture_1d"]])
def test_everything_has_a_name(cli: Cli, browser: Browser, arguments: list[str]) -> None:
    browser.explorer(payload_of(cli, *arguments))
    nameless = browser.run(
        "return [...document.querySelectorAll('button, input, canvas')].filter((e) =>"
        " !e.closest('[aria-hidden=true]') && !(e.getAttribute('aria-label')"
        " || (e.labels && e.labels.length) || e.textContent.trim())).map((e) => e.outerHTML)"
    )
    assert nameless == []
    outline = browser.run(
        "const b = document.querySelector('.explorer-main'); b.focus({ focusVisible: true });"
        "return getComputedStyle(b).outlineStyle"
    )
    assert outline == "solid"


def test_the_page_opens_without_the_explorer(browser: Browser) -> None:
    browser.open(minimal({}, after=""))
    assert browser.run("return typeof startExplorer") == "function"
