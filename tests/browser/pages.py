"""A real browser without a window, for tests of pages."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from selenium.webdriver.remote.webdriver import WebDriver

Found = TypeVar("Found")

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


@contextmanager
def chromium(
    downloads: Path, width_pix: int = 1500, height_pix: int = 900
) -> "Iterator[WebDriver]":
    """Chromium's driver; skips the test where the browser or its driver is missing."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("no browser: the programs chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(word)
    options.add_argument(f"--window-size={width_pix},{height_pix}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        folder = {"behavior": "allow", "downloadPath": str(downloads)}
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", folder)
        yield driver
    finally:
        driver.quit()


def wait_for(condition: Callable[[], Found], what: str, seconds: float = 20) -> Found:
    """What a condition returns once it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what}: not seen within {seconds} s")


def open_page(driver: "WebDriver", url: str) -> None:
    """Open a vetting page and wait until all of its rows are there."""
    driver.get(url)
    wait_for(lambda: driver.execute_script("return document.body.dataset.ready"), "all rows")


def first_paint_s(driver: "WebDriver") -> float:
    """Time from the start of the navigation to the first content on the screen."""
    script = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    return wait_for(lambda: driver.execute_script(script), "a first paint") / 1000


FLING = """
const [steps, done] = [arguments[0], arguments[1]];
const box = document.getElementById('table');
const area = box.getBoundingClientRect();
let blanks = 0, frames = 0, step = 0;
const longest = [performance.now(), 0];
function look() {
  const now = performance.now();
  longest[1] = Math.max(longest[1], now - longest[0]);
  longest[0] = now;
  for (let y = area.top + 40; y < area.top + box.clientHeight - 4; y += 23) {
    const row = document.elementFromPoint(area.left + 200, y)?.closest('.row');
    if (!row || !row.children[2].textContent) blanks += 1;
  }
  frames += 1;
  if (step === steps) return done({blanks, frames, longest_ms: longest[1]});
  step += 1;
  box.scrollTop = (box.scrollHeight - box.clientHeight) * step / steps;
  requestAnimationFrame(look);
}
requestAnimationFrame(look);
"""
"""Scrolls from the top to the bottom in so many frames, and counts points without a row: a point is
looked at before the page has had a chance to draw for the new place."""
