"""The vetting page of many candidates: time to build, bytes, first paint and scrolling in Chromium.

``python tests/benchmarks/vetting_page.py [--candidates 10000] [--size 63] [--loads 7]`` makes up
candidates, writes their page, and opens it from the disk in a new browser each time. Scrolling is
watched frame by frame: by steps of a script, and by a gesture as of a finger. Points of the table
without a row are counted before the page could draw for the new place.
"""

import argparse
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path += [str(Path(__file__).parents[1] / name) for name in ("quality", "browser")]

from pages import FLING, chromium, first_paint_s, open_page
from vetting_samples import make_sample

WATCH = """
const box = document.getElementById('table');
const area = box.getBoundingClientRect();
window.watched = {blanks: 0, frames: 0, longest_ms: 0};
let last = performance.now();
(function look(now) {
  watched.longest_ms = Math.max(watched.longest_ms, now - last);
  last = now;
  for (let y = area.top + 40; y < area.top + box.clientHeight - 4; y += 23) {
    const row = document.elementFromPoint(area.left + 200, y)?.closest('.row');
    if (!row || !row.children[2].textContent) watched.blanks += 1;
  }
  watched.frames += 1;
  requestAnimationFrame(look);
})(last);
"""
ACTIONS = {
    "next candidate (j)": "press('j')",
    "sort by magnitude": "document.querySelector('#heading [data-key=magnitude_ab]').click()",
    "filter by class": (
        "const f = document.getElementById('class'); f.value = 'sn'; "
        "f.dispatchEvent(new Event('input'))"
    ),
    "pick (p)": "press('p')",
}
TIMED = """
const press = key =>
  document.body.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
const start = performance.now();
%s;
document.body.offsetHeight;
return performance.now() - start;
"""


def build(folder: Path, candidates: int, size_pix: int) -> str:
    """Write the page and say what it cost; returns its address."""
    sample = make_sample(candidates, size_pix)
    start = time.perf_counter()
    address = sample.write(folder).as_uri()
    seconds = time.perf_counter() - start
    sizes: dict[str, list[int]] = {}
    for file in folder.rglob("*.*"):
        sizes.setdefault(file.name.split("-")[0], []).append(file.stat().st_size)
    print(f"{candidates} candidates of {size_pix} pixels, written in {seconds:.1f} s")
    for kind, found in sorted(sizes.items()):
        print(f"  {kind:12s} {len(found):4d} files, {sum(found) / 2**20:7.2f} MiB")
    print(f"  peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    return address


def paint(folder: Path, address: str, loads: int) -> None:
    """Open the page in so many new browsers."""
    paints, complete = [], []
    for _ in range(loads):
        with chromium(folder) as driver:
            start = time.perf_counter()
            open_page(driver, address)
            complete.append(time.perf_counter() - start)
            paints.append(first_paint_s(driver))
    for name, times in (("first paint", paints), ("all rows there", complete)):
        print(f"{name}: median {statistics.median(times):.3f} s, slowest {max(times):.3f} s")


def scroll(folder: Path, address: str) -> None:
    """Scroll and act on the page."""
    with chromium(folder) as driver:
        open_page(driver, address)
        for steps in (20, 100, 400):
            print(
                f"scrolled by script in {steps} steps:", driver.execute_async_script(FLING, steps)
            )
        driver.execute_script("document.getElementById('table').scrollTop = 0")
        driver.execute_script(WATCH)
        gesture = {"x": 300, "y": 500, "yDistance": -60_000, "speed": 20_000, "preventFling": False}
        driver.execute_cdp_cmd("Input.synthesizeScrollGesture", gesture)
        print("scrolled by a gesture:", driver.execute_script("return watched"))
        for name, script in ACTIONS.items():
            times = [driver.execute_script(TIMED % script) for _ in range(9)]
            print(f"{name}: median {statistics.median(times):.1f} ms, slowest {max(times):.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=63)
    parser.add_argument("--loads", type=int, default=7)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        address = build(folder, asked.candidates, asked.size)
        paint(folder, address, asked.loads)
        scroll(folder, address)


if __name__ == "__main__":
    main()
