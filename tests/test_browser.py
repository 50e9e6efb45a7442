"""Pages in a real browser: what people click, type and see (`make test-browser`)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gan_cli.cli import commands
from gan_cli.page.compare_page import write_comparison
from gan_cli.page.run_page import write_run_page
from gan_cli.page.sweep_page import write_sweep_page
from gan_cli.runs.jobs import Record
from tests.conftest import Cli
from tests.pages import start_chromium

pytestmark = pytest.mark.browser
GOLDEN = Path(__file__).parent / "golden" / "0.1.0"
HOSTILE = "<img src=x onerror=alert(1)><script>alert(1)</script>\"'&\x1b"
RUN = "vanilla"


class Browser:
    """Chromium without a window, and what it reported."""

    def __init__(self) -> None:
        self.driver = start_chromium()
        self.driver.set_window_size(1400, 1000)

    def open(self, page: Path) -> None:
        """Load a page, and wait until its charts are drawn."""
        self.complaints()
        self.driver.get(page.resolve().as_uri())
        self.wait_for(
            # On a busy machine the page's scripts may not have run yet.
            "return typeof storedData === 'function' &&"
            " (document.documentElement.dataset.charts || !storedData('curves-data'))"
        )

    def wait_for(self, code: str) -> None:
        """Wait until a script gives a true value."""
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 30).until(lambda _: self.js(code))

    def js(self, code: str, *arguments: Any) -> Any:
        return self.driver.execute_script(code, *arguments)

    def find(self, selector: str) -> Any:
        from selenium.webdriver.common.by import By

        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def keys(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def texts(self, selector: str) -> list[str]:
        code = (
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent.trim())"
        )
        return list(self.js(code, selector))

    def complaints(self) -> list[str]:
        """Warnings and errors of the console, and addresses asked for other than of the page."""
        told = [entry["message"] for entry in self.driver.get_log("browser")]
        for entry in self.driver.get_log("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                url = event["params"]["request"]["url"]
                if not url.startswith(("data:", "blob:", "file:")) or url.endswith(".js"):
                    told.append(url)
        return told


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    opened = Browser()
    yield opened
    opened.driver.quit()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with eleven pictures, each of its own colour, and 2,000 lines."""
    folder = tmp_path_factory.mktemp("runs")
    copied = Path(shutil.copytree(GOLDEN / RUN, folder / RUN))
    shutil.rmtree(copied / "samples", ignore_errors=True)
    (copied / "samples").mkdir()
    for index in range(11):
        color = (20 * index, 0, 0)
        Image.new("RGB", (16, 16), color).save(copied / "samples" / f"step_{100 * index:08d}.png")
    lines = [
        json.dumps(
            {
                "step": step,
                "prob/real": 0.6,
                "prob/fake": step / 2000,
                "loss/d": 1.0,
                "time": step / 10,
            }
        )
        for step in range(1, 2001)
    ]
    (copied / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    return copied


@pytest.fixture(scope="module")
def page(run: Path) -> Path:
    file = run / "report.html"
    write_run_page(run, file)
    return file


def shown(browser: Browser) -> tuple[str, str]:
    """The step that the slider says, and the address of the picture."""
    source = browser.js("return document.querySelector('img.current').src")
    return browser.find("#time-step").text, source


def test_a_page_loads_nothing_and_reports_nothing(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.complaints() == []
    assert (
        browser.js(
            "return performance.getEntriesByType('resource')"
            ".filter((e) => !/^(data|blob):/.test(e.name)).length"
        )
        == 0
    )
    assert browser.js("return document.querySelectorAll('.plot svg').length") >= 2


def test_slider_and_keys_move_the_pictures(browser: Browser, page: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(page)
    at_end = shown(browser)
    assert at_end[0] == "step 1,000"
    browser.js("document.activeElement.blur()")
    browser.keys(Keys.ARROW_LEFT)
    before = shown(browser)
    assert before[0] == "step 900"
    assert before[1] != at_end[1]
    browser.keys(Keys.HOME)
    assert shown(browser)[0] == "step 0"
    browser.find("#time").send_keys(Keys.ARROW_RIGHT)
    assert shown(browser)[0] == "step 100"
    legend = browser.js("return document.querySelector('b[data-curve=\"prob/fake\"]').textContent")
    assert float(legend) == pytest.approx(0.05, abs=0.003)  # the value at step 100
    assert browser.complaints() == []


def test_play_runs_to_the_end_and_stops(browser: Browser, page: Path) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    browser.open(page)
    browser.js("moveTime(8)")
    browser.find("#play").click()
    assert browser.find("#play").get_attribute("aria-pressed") == "true"
    WebDriverWait(browser.driver, 10).until(lambda _: shown(browser)[0] == "step 1,000")
    assert browser.find("#play").get_attribute("aria-pressed") == "false"


def test_curves_zoom_smooth_and_take_logarithms(browser: Browser, page: Path) -> None:
    browser.open(page)
    everything = browser.js("return rowsOf(charts.data.charts[0]).length")
    browser.js("charts.change({from: 500, to: 1000})")
    inside = browser.js("return rowsOf(charts.data.charts[0]).map((row) => row.x)")
    assert 0 < len(inside) < everything
    assert min(inside) >= 500
    assert max(inside) <= 1000
    assert browser.find("#from").get_attribute("value") == "500"
    browser.find("#reset-zoom").click()
    assert browser.js("return rowsOf(charts.data.charts[0]).length") == everything
    smooth = browser.js("return smoothed([1, 1, 1, 5], 0.5)")
    assert smooth == pytest.approx([1, 1, 1, (5 * 0.5 + 0.4375) / 0.9375])
    browser.find("#log-axis").click()
    assert browser.js("return isLogarithmic(charts.data.charts[0], rowsOf(charts.data.charts[0]))")
    assert browser.complaints() == []


def test_ranges_that_are_mistaken_are_mended_or_told(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.js(
        "document.getElementById('from').value = 900; document.getElementById('to').value = 300"
    )
    browser.js("document.getElementById('to').dispatchEvent(new Event('change'))")
    assert browser.js("return [charts.from, charts.to]") == [300, 900]
    browser.js("charts.change({from: 90000, to: null})")
    wait(
        browser,
        "return document.querySelector('.plot').textContent",
        "No logged step lies in this range.",
    )
    browser.find("#reset-zoom").click()
    wait(browser, "return document.querySelectorAll('#chart-0 .plot svg').length", 1)
    assert browser.complaints() == []


def wait(browser: Browser, code: str, value: object) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser.driver, 10).until(lambda _: browser.js(code) == value)


def chart_page(folder: Path, run: Path) -> Path:
    """A run with a key that was logged once, equal curves, and values below 0."""
    copied = Path(shutil.copytree(run, folder / "run"))
    lines = [
        {"step": step, "lr/d": 0.1, "lr/g": 0.1, "value": -1.0 - step / 2000, "time": float(step)}
        for step in range(1, 501)
    ]
    lines[200] |= {"value/best": -1.3, "eval/precision_classifier": 0.99}
    lines[400] |= {"eval/precision_classifier": 1.0}
    (copied / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_run_page(copied, folder / "x.html")
    return folder / "x.html"


def test_charts_show_lone_points_equal_curves_and_limits(
    browser: Browser, tmp_path: Path, run: Path
) -> None:
    browser.open(chart_page(tmp_path, run))
    chart = "charts.data.charts.find((c) => c.title.startsWith('{}'))"
    value, rates = chart.format("Value"), chart.format("Learning")
    figure = f"document.getElementById({value}.id)"
    dots = f"return {figure}.querySelectorAll('.mark-symbol.role-mark path').length"
    assert browser.js(dots) == 1
    assert browser.js(f"return [0, 1].map((i) => isDashed({rates}, i))") == [False, True]
    precision = chart.format("eval/precision")
    low, high = browser.js(f"return withinLimits({precision}, rowsOf({precision}))")
    assert 0 < low < 0.99
    assert high == 1
    browser.find("#log-axis").click()
    wait(browser, f"return Boolean({figure}.querySelector('.axis-note'))", True)
    assert "stays linear" in browser.js(f"return {figure}.querySelector('.axis-note').textContent")
    assert browser.complaints() == []


def test_a_chart_has_a_name_a_table_and_the_step_of_the_pictures(
    browser: Browser, page: Path
) -> None:
    browser.open(page)
    assert browser.find("#chart-0 .plot").get_attribute("tabindex") == "0"
    assert "over steps" in browser.find("#chart-0 .plot").get_attribute("aria-label")
    browser.js("moveTime(2)")
    left = browser.js("return parseFloat(document.querySelector('#chart-0 .now-line').style.left)")
    browser.js("moveTime(8)")
    right = browser.js("return parseFloat(document.querySelector('#chart-0 .now-line').style.left)")
    width = browser.js("return charts.views['chart-0'].width()")
    assert right - left == pytest.approx(600 / 2000 * width, rel=0.02)
    assert "step 800" in browser.find("#values-at").text
    browser.js("document.querySelector('#chart-0 .numbers').open = true")
    wait(browser, "return document.querySelectorAll('#chart-0 .numbers tbody tr').length", 600)
    assert browser.texts("#chart-0 .numbers th") == ["step", "prob/real", "prob/fake"]
    assert browser.complaints() == []


def test_keys_are_left_alone_where_no_pictures_are_seen(browser: Browser, page: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(page)
    browser.js("document.getElementById('machine').scrollIntoView(); document.activeElement.blur()")
    browser.js("moveTime(10); scrollTo(0, document.body.scrollHeight)")
    browser.keys(Keys.HOME)
    assert shown(browser)[0] == "step 1,000"
    browser.js("document.getElementById('time').focus(); scrollTo(0, 0); moveTime(0)")
    browser.keys(" ")
    assert browser.find("#play").get_attribute("aria-pressed") == "true"


def test_a_picture_is_enlarged(browser: Browser, page: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(page)
    browser.js("document.querySelector('img.current').focus()")
    browser.keys(Keys.ENTER)
    assert browser.js("return document.querySelector('dialog.large').open")
    assert browser.find("dialog.large img").get_attribute("src") == shown(browser)[1]
    browser.keys(Keys.ESCAPE)
    assert not browser.js("return document.querySelector('dialog.large').open")


def test_what_is_set_outlives_a_reload(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.find("#theme").click()
    browser.js("moveTime(3); charts.change({smoothing: 0.6})")
    browser.driver.refresh()
    assert browser.js("return document.documentElement.dataset.theme") == "light"
    assert shown(browser)[0] == "step 300"
    assert browser.find("#smoothing").get_attribute("value") == "0.6"


def test_tables_sort(browser: Browser, tmp_path: Path, run: Path) -> None:
    copied = Path(shutil.copytree(run, tmp_path / "run"))
    record = {"step": 1, "eval/parzen": 1234.5, "eval/fid": 7.0, "eval/kid": 0.02}
    record["eval/fid_error"] = 3.0
    (copied / "evaluation.json").write_text(json.dumps(record))
    write_run_page(copied, tmp_path / "x.html")
    browser.open(tmp_path / "x.html")
    browser.find("table.sortable th:nth-child(2) button").click()
    column = "table.sortable tbody td:nth-child(2)"
    assert browser.texts(column) == ["0.02", "7", "1,234"]
    browser.find("table.sortable th:nth-child(2) button").click()
    assert browser.texts(column) == ["1,234", "7", "0.02"]
    assert browser.find("th:nth-child(2)").get_attribute("aria-sort") == "descending"
    errors = "table.sortable tbody td:nth-child(3)"
    for _ in range(2):  # blanks stay last
        browser.find("table.sortable th:nth-child(3) button").click()
        assert browser.texts(errors) == ["± 3", "", ""]


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_fits_its_window(browser: Browser, page: Path, width: int, scheme: str) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.open(page)
    browser.js("sessionStorage.clear()")
    browser.open(page)
    assert browser.js("return document.documentElement.scrollWidth") <= width
    ink = browser.js("return getComputedStyle(document.body).color")
    assert (sum(json.loads(f"[{ink[4:-1]}]")) > 382) is (scheme == "dark")
    text = browser.js("return getComputedStyle(document.querySelector('.plot svg text')).fill")
    assert text == ink
    browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert browser.complaints() == []


def hostile_run(folder: Path, run: Path) -> Path:
    copied = Path(shutil.copytree(run, folder / "<b>run & 'x'"))
    line = {"step": 2001, HOSTILE: 1.0, f"eval/{HOSTILE}": 2.0}
    with (copied / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    with (copied / "train.log").open("a") as file:
        file.write(f"2026-01-01 00:00:00  health at step 5: mode collapse: {HOSTILE}\n")
    return copied


def test_hostile_names_are_text(browser: Browser, tmp_path: Path, run: Path) -> None:
    hostile = hostile_run(tmp_path, run)
    write_run_page(hostile, tmp_path / "a.html")
    write_comparison([hostile, run], tmp_path / "b.html")
    Record(
        "<i>job",
        "m",
        swept={HOSTILE: HOSTILE},
        objective=HOSTILE,
        direction="minimize",
        state="failed",
        message=HOSTILE,
    ).write(tmp_path)
    write_sweep_page(tmp_path, tmp_path / "c.html")
    for name in ("a.html", "b.html", "c.html"):
        browser.open(tmp_path / name)
        assert browser.complaints() == []
        assert browser.js("return document.querySelectorAll('[onerror]').length") == 0
        assert "<script>alert(1)</script>" in browser.js("return document.body.textContent")


def test_a_sweeps_page_filters_and_draws(browser: Browser, tmp_path: Path) -> None:
    for job, value in (("k-1", 3.0), ("k-2", 1.0), ("k-5", 2.0)):
        record = Record(
            job, "m", swept={"k": job[2:]}, objective="eval/fid", direction="minimize", state="done"
        )
        record.write(tmp_path)
        (tmp_path / job).mkdir()
        line = {"step": 1, "eval/fid": value, "eval/fid_error": 0.2}
        (tmp_path / job / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    write_sweep_page(tmp_path, tmp_path / "report.html")
    browser.open(tmp_path / "report.html")
    assert browser.texts("td.job") == ["k-2", "k-5", "k-1"]
    browser.find("#filter").send_keys("k-5")
    visible = (
        "return [...document.querySelectorAll('td.job')]"
        ".filter((e) => e.offsetParent).map((e) => e.textContent)"
    )
    assert browser.js(visible) == ["k-5"]
    assert browser.find("#filter-count").text == "1 of 3"
    assert browser.js("return document.querySelectorAll('#parallel-chart svg').length") == 1
    light, dark = (
        browser.js(f"document.documentElement.dataset.theme = '{theme}'; return strengths()")
        for theme in ("light", "dark")
    )
    brightness = [[sum(bytes.fromhex(c[1:])) for c in colours] for colours in (light, dark)]
    assert brightness[0][0] > brightness[0][1]  # the better, the farther from the paper
    assert brightness[1][0] < brightness[1][1]
    assert browser.complaints() == []


def test_a_page_of_a_run_under_way_loads_itself_anew(
    browser: Browser, tmp_path: Path, run: Path
) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    file = tmp_path / "x.html"
    write_run_page(run, file, running=True, reload=True)
    browser.open(file)
    assert "Under way" in browser.find("#verdict h2").text
    browser.js("scrollTo(0, 600)")
    write_run_page(run, file, running=False, reload=True)
    WebDriverWait(browser.driver, 20).until(
        lambda _: "Under way" not in browser.texts("#verdict h2")[0]
    )
    WebDriverWait(browser.driver, 10).until(lambda _: browser.js("return scrollY") > 300)


@pytest.mark.parametrize("width", [400, 1200])
def test_the_claims_page_loads_nothing_and_its_generators_live(
    cli: Cli, browser: Browser, width: int
) -> None:
    cli("claims=[value,figure_1,sharp_edges]", "fast=true", app=commands.CLAIMS)
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.open(Path("outputs/claims/index.html").resolve())
    for place in ("game-22-1", "game-29-1"):
        selector = f"[data-explorer='{place}']"
        browser.js(f'document.querySelector("{selector}").scrollIntoView()')
        ready = f'return document.querySelector("{selector}").dataset.ready === "true"'
        browser.wait_for(ready)
    pictures = "[...document.querySelectorAll('figure img')]"
    assert browser.js(f"return {pictures}.length") == 3
    assert browser.js(f"return {pictures}.every((e) => e.naturalWidth > 100)")
    assert browser.js("return document.documentElement.scrollWidth") <= width
    browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert browser.complaints() == []
