"""Pages in a browser, for tests: a minimal one that holds the explorer, and chromium."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gan_cli.page.explore import SCRIPTS, STYLES

COLOURS = (
    "--ink: #1d2433; --paper: #ffffff; --panel: #f4f5f8; --line: #d5d9e2; --accent: #2457c5; "
    "--muted: #5d6678;"
)
#: What a strict page allows: no addresses, no eval; a worker from the page itself.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; worker-src blob:"
)
START = (
    'const data = document.getElementById("data"); const payload = JSON.parse(data.textContent);'
)
OPEN = 'startExplorer(document.getElementById("explorer"), payload);'


def minimal(payload: object, *, before: str = "", after: str = OPEN) -> str:
    """A page with the explorer's scripts; `before` and `after` them, more script."""
    data = json.dumps(payload).replace("<", "\\u003c")
    scripts = "\n".join(SCRIPTS)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Explorer</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width">'
        f"<style>:root {{ {COLOURS} }} body {{ margin: 1rem; }} {STYLES}</style></head><body>"
        f'<section id="explorer"></section>'
        f'<script type="application/json" id="data">{data}</script>'
        f'<script>"use strict";\n{before}\n{scripts}\n{START}\n{after}</script></body></html>'
    )


class Browser:
    """Chromium without a window."""

    def __init__(self, driver: Any, folder: Path) -> None:
        self.driver, self.folder = driver, folder

    def open(self, page: str, *, width: int = 1400) -> None:
        """Open a page from a file."""
        file = self.folder / "page.html"
        file.write_text(page, encoding="utf-8")
        sizes = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", sizes)
        self.driver.get(file.as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a script."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, true: str, *, seconds: float = 20) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.run(f"return {true}"):
            assert time.monotonic() < end, f"not true in time: {true}"
            time.sleep(0.05)

    def explorer(self, payload: object, *, before: str = "", width: int = 1400) -> None:
        """Open a page with the explorer, and wait until it is ready."""
        self.open(minimal(payload, before=before), width=width)
        self.wait('document.getElementById("explorer").dataset.ready === "true"')

    def complaints(self) -> list[str]:
        """What the console says; each once."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


def start_chromium() -> Any:
    """Selenium's driver of Chromium, which keeps what the console says and what is asked for."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    names = ("chromium", "chromium-browser", "google-chrome")
    options.binary_location = next(filter(None, map(shutil.which, names)))
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    return webdriver.Chrome(options=options, service=service)


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """A browser for the pages of a folder."""
    driver = start_chromium()
    try:
        yield Browser(driver, folder)
    finally:
        driver.quit()
