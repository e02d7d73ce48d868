"""Honest probabilities on real images: calibration error on DESI before and after calibration.

``CATALOGTOOL_DATA=... python tests/benchmarks/calibration.py [--seeds 3] [--shots 10]
[--methods fine_tune mme] [--kinds temperature dirichlet] [--plain] [--epochs N] [--output FOLDER]``
trains on SDSS, adapts to DESI with a few labels per class, and calibrates with those same labels by
cross-fitting. It prints the expected calibration error (15 bins) on the DESI objects that gave no
label, with its bootstrap uncertainty, and its ratio. ``--plain`` trains without changes of colour,
brightness and size, as networks are that know nothing of the other survey: they are surer than
right. ``--output`` keeps models, and finds those of earlier runs.
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
    arguments: argparse.Namespace, output: str, method: str, kind: str, seed: int
) -> dict[str, Any]:
    """Record of the calibration of one training."""
    data = Path(os.environ["CATALOGTOOL_DATA"])
    config = RunConfig(
        survey="desi",
        input=str(data / "galaxy-desi-gz1/desi_gz1_images.parquet"),
        source_input=str(data / "galaxy-sdss-gz1/sdss_gz1_images.parquet"),
        output=output,
        method=method,
        shots=arguments.shots,
        epochs=arguments.epochs,
        seed=seed,
    )
    trained: list[TrainingSpec] = []
    for spec in make_plan(config).trainings:
        changes: dict[str, object] = {}
        if spec.method == method:
            changes["calibration"] = kind
        if arguments.plain:
            changes["augment"] = ("flip", "rotate", "shift")
        training = spec.training.model_copy(update=changes)
        before = trained[-1].identity if trained else None
        trained.append(spec.model_copy(update={"training": training, "starts_from": before}))
        uri = _train(output, trained[-1])
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
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--output")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        output = arguments.output or scratch
        for method, kind in product(arguments.methods, arguments.kinds):
            ratios = []
            for seed in range(arguments.seeds):
                found = calibrated_training(arguments, output, method, kind, seed)
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
