"""Honest probabilities on real images: calibration error on DESI before and after calibration.

``CATALOGTOOL_DATA=... python tests/benchmarks/calibration.py [--survey desi] [--seeds 3]
[--first-seed 0] [--shots 10] [--methods source_only fine_tune mme]
[--kinds bias temperature dirichlet] [--plain] [--epochs N] [--stem small]
[--draws 50] [--output FOLDER]``
trains on SDSS, adapts to DESI with a few labels per class, and calibrates with those same labels by
cross-fitting; after ``source_only``, which learned nothing from them, directly. It prints the
expected calibration error (15 bins) on the DESI objects that gave no label, with its bootstrap
uncertainty, and its ratio. ``--plain`` trains without changes of colour, brightness and size, as
networks are that know nothing of the other survey. ``--draws`` calibrates each network of
``source_only`` again with other labels, in every way, which costs no training, and prints what
honest probabilities would measure on as many objects, whose labels are drawn from them: no
calibration can do better. ``--stem large`` takes a network of a sixth of the cost. ``--output``
keeps models, and finds those of earlier runs.
"""

import argparse
import os
import statistics
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from catalogtool.config.run import RunConfig
from catalogtool.config.training import TrainingSpec
from catalogtool.layout import OutputLayout
from catalogtool.production.plan import make_plan
from catalogtool.surveys._recipe import CalibrationKind
from catalogtool.training.calibration import fit_calibration
from catalogtool.training.class_mix import class_mix_weights
from catalogtool.training.context import SingleProcess
from catalogtool.training.labelled import label_domain
from catalogtool.training.metrics import balanced_accuracy, confusion
from catalogtool.training.model import Model, find_model, load_model
from catalogtool.training.predict import predict_examples
from catalogtool.training.reliability import calibration_error
from catalogtool.training.run import run_training


def calibrated_training(
    arguments: argparse.Namespace, output: str, method: str, kind: str, seed: int
) -> Model:
    """A trained and calibrated model."""
    data = Path(os.environ["CATALOGTOOL_DATA"])
    config = RunConfig(
        survey=arguments.survey,
        input=str(data / "galaxy-desi-gz1/desi_gz1_images.parquet"),
        source_input=str(data / "galaxy-sdss-gz1/sdss_gz1_images.parquet"),
        output=output,
        method=method,
        shots=arguments.shots,
        epochs=arguments.epochs,
        seed=seed,
    )
    trained: list[TrainingSpec] = []
    plan = make_plan(config)
    for planned in plan.trainings:
        changes: dict[str, object] = {}
        spec = planned
        if spec.method == method:
            changes["calibration"] = kind
            limits = {"target": plan.target.to_data(), "shots": arguments.shots}
            spec = spec.model_copy(update=limits)
        if arguments.plain:
            changes["augment"] = ("flip", "rotate", "shift")
        training = spec.training.model_copy(update=changes)
        trained.append(
            spec.model_copy(
                update={
                    "training": training,
                    "starts_from": trained[-1].identity if trained else None,
                    "network_options": spec.network_options | {"stem": arguments.stem},
                }
            )
        )
        uri = _train(output, trained[-1])
    return load_model(uri)


def _train(output: str, spec: TrainingSpec) -> str:
    uri = OutputLayout(output).model(spec.identity)
    if find_model(uri) is None:
        run_training(spec, uri, SingleProcess())
    return uri


def predict_labelled(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Predictions for all labelled objects of DESI, and their votes, shape (N, K) each."""
    domain = label_domain(model.spec, "target_labelled")
    every = domain.load(domain.split.validation | domain.split.test, model.spec, (0, 1))
    return predict_examples(model.network, every, torch.device("cpu")), every.votes


def other_draws(
    p: np.ndarray, votes: np.ndarray, shots: int, kind: CalibrationKind, draws: int
) -> np.ndarray:
    """Calibration error before and after, honest one, accuracy before and after: (draws, 5).

    No label of the target taught the network, so that it need not be trained again.
    """
    winners = votes.argmax(axis=1)
    figures = []
    for draw in range(draws):
        order = np.random.default_rng(draw).permutation(len(p))
        chosen = [order[winners[order] == k][:shots] for k in range(votes.shape[1])]
        few = np.concatenate(chosen)
        rest = np.setdiff1d(order, few)
        weights = class_mix_weights(p[few], votes[few], p)
        log_p = np.log(p[few].clip(1e-30))
        calibration = fit_calibration(kind, log_p, votes[few], weights)
        both, truth = (p[rest], calibration.apply_to_array(p[rest])), votes[rest]
        honest = np.random.default_rng(draw).multinomial(1, _normalised(both[1]))
        errors = [calibration_error(each, truth) for each in both]
        right = [balanced_accuracy(confusion(each, truth)) for each in both]
        figures.append([*errors, calibration_error(both[1], honest), *right])
    return np.array(figures)


def _normalised(probabilities: np.ndarray) -> np.ndarray:
    exact = probabilities.astype(np.float64)
    return exact / exact.sum(axis=1, keepdims=True)


def print_draws(figures: np.ndarray, kind: str) -> None:
    """Print means over draws of the labels."""
    before, after, honest, accuracy, accuracy_after = figures.mean(axis=0)
    worse = (figures[:, 1] > figures[:, 0]).mean()
    print(
        f"  {len(figures)} draws of labels, {kind}: ECE {before:.4f} before, {after:.4f} ± "
        f"{figures[:, 1].std():.4f} after ({after / before:.2f}), larger in {worse:.0%}; "
        f"{honest:.4f} if they were honest; balanced accuracy {accuracy:.1%}, {accuracy_after:.1%}",
        flush=True,
    )


def main() -> None:
    """Train, calibrate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--survey", choices=("desi", "desi_spin"), default="desi")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--methods", nargs="+", default=["fine_tune", "mme"])
    parser.add_argument("--kinds", nargs="+", default=["bias"])
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--stem", choices=("small", "strided", "large"), default="small")
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--output")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        output = arguments.output or scratch
        for method, kind in product(arguments.methods, arguments.kinds):
            if method == "source_only" and kind != arguments.kinds[0]:
                continue  # the draws below try every kind on one network
            ratios = []
            for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
                model = calibrated_training(arguments, output, method, kind, seed)
                found: dict[str, Any] = model.metrics["calibration"]
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
                if method == "source_only":
                    p, votes = predict_labelled(model)
                    for each in arguments.kinds:
                        draws = other_draws(p, votes, arguments.shots, each, arguments.draws)
                        print_draws(draws, each)
            print(f"{method}, {kind}: after over before {statistics.median(ratios):.2f} (median)")


if __name__ == "__main__":
    main()
