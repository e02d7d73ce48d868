"""Real images: train on SDSS, adapt to DESI with a few labels per class, catalog DESI.

``CATALOGTOOL_DATA=... python tests/benchmarks/sdss_to_desi.py [--seeds 3] [--shots 0 5 10 50]``
runs ``catalogtool produce`` for every seed and number of labels. It prints the balanced accuracy,
in per cent, on the DESI objects whose labels were not used and on the SDSS test split: mean and
sample standard deviation over the seeds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

_UNSEEN = "catalog, labels never seen"
_KEPT = "source survey, test split"


def main() -> None:
    """Run all productions and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--shots", type=int, nargs="+", default=[0, 5, 10, 50])
    parser.add_argument("--output", help="folder that keeps models and runs")
    arguments = parser.parse_args()
    data = Path(os.environ["CATALOGTOOL_DATA"])
    with tempfile.TemporaryDirectory() as scratch:
        output = arguments.output or scratch
        for shots in arguments.shots:
            runs = [_produce(data, output, shots, seed) for seed in range(arguments.seeds)]
            print(f"{shots:3d} labels per class: {_text(runs, _UNSEEN)} {_text(runs, _KEPT)}")


def _produce(data: Path, output: str, shots: int, seed: int) -> dict[str, dict[str, float]]:
    command = [
        *(sys.executable, "-m", "catalogtool", "produce", "--survey", "desi", "--json"),
        *("--input", str(data / "galaxy-desi-gz1/desi_gz1_images.parquet")),
        *("--source-input", str(data / "galaxy-sdss-gz1/sdss_gz1_images.parquet")),
        *("--shots", str(shots), "--seed", str(seed), "--output", output),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    outcome = json.loads(done.stdout)
    for name in (_UNSEEN, _KEPT):
        figures = outcome["figures"][name]
        print(f"  seed {seed}, {shots} labels, {name}: {figures['balanced_accuracy']:.1%}")
    sys.stdout.flush()
    figures: dict[str, dict[str, float]] = outcome["figures"]
    return figures


def _text(runs: list[dict[str, dict[str, float]]], name: str) -> str:
    values = [100 * figures[name]["balanced_accuracy"] for figures in runs]
    spread = statistics.stdev(values) if len(values) > 1 else float("nan")
    return f"{name}: {statistics.mean(values):.1f} ± {spread:.1f};"


if __name__ == "__main__":
    main()
