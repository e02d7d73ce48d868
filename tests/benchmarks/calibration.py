"""Honest probabilities on real images: calibration error on DESI before and after calibration.

``CATALOGTOOL_DATA=... python tests/benchmarks/calibration.py [--seeds 3] [--shots 10]
[--methods fine_tune mme] [--kinds temperature dirichlet] [--output FOLDER]`` trains on SDSS, adapts
to DESI with a few labels per class, and calibrates with those same labels by cross-fitting. It
prints the expected calibration error (15 bins) on the DESI objects that gave no label, with its
bootstrap uncertainty, and its ratio. ``--output`` keeps models, and finds those of earlier runs.
"""

import argparse
import os
import statistics
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from catalogtool.config.run import RunConfig
from catalogtool.config.training import TrainingSpec
from catalogtool.layout import OutputLayout
from catalogtool.production.plan import make_plan
from catalogtool.training.context import SingleProcess
from catalogtool.training.model import find_model, load_model
from catalogtool.training.run import run_training


def calibrated_training(
    data: Path, output: str, method: str, kind: str, shots: int, seed: int
) -> dict[str, Any]:
    """Record of the calibration of one training."""
    config = RunConfig(
        survey="desi",
        input=str(data / "galaxy-desi-gz1/desi_gz1_images.parquet"),
        source_input=str(data / "galaxy-sdss-gz1/sdss_gz1_images.parquet"),
        output=output,
        method=method,
        shots=shots,
        seed=seed,
    )
    *before, last = make_plan(config).trainings
    training = last.training.model_copy(update={"calibration": kind})
    spec = last.model_copy(update={"training": training})
    for each in (*before, spec):
        uri = _train(output, each)
    record: dict[str, Any] = load_model(uri).metrics["calibration"]
    return record


def _train(output: str, spec: TrainingSpec) -> str:
    uri = OutputLayout(output).model(spec.identity)
    if find_model(uri) is None:
        run_training(spec, uri, SingleProcess())
    return uri


def main() -> None:
    """Train, calibrate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--methods", nargs="+", default=["fine_tune", "mme"])
    parser.add_argument("--kinds", nargs="+", default=["temperature"])
    parser.add_argument("--output")
    arguments = parser.parse_args()
    data = Path(os.environ["CATALOGTOOL_DATA"])
    with tempfile.TemporaryDirectory() as scratch:
        output = arguments.output or scratch
        for method, kind in product(arguments.methods, arguments.kinds):
            ratios = []
            for seed in range(arguments.seeds):
                found = calibrated_training(data, output, method, kind, arguments.shots, seed)
                before, after = found["before"], found["after"]
                ratios.append(after["ece"] / before["ece"])
                print(
                    f"{method}, {kind}, seed {seed}: {found['count']} labels ({found['labels']}); "
                    f"ECE {before['ece']:.4f} ± {before['ece_sd']:.4f} before, "
                    f"{after['ece']:.4f} ± {after['ece_sd']:.4f} after; balanced accuracy "
                    f"{before['balanced_accuracy']:.1%}, {after['balanced_accuracy']:.1%}; "
                    f"1/T {found['weight'][0][0]:.3f}",
                    flush=True,
                )
            print(f"{method}, {kind}: after over before {statistics.median(ratios):.2f} (median)")


if __name__ == "__main__":
    main()
