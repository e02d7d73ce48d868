"""Objects of a class that no label knows: how well they are found, and the others classified.

``CATALOGTOOL_DATA=... python tests/benchmarks/open_set.py [simulated] [rings] [--seeds 3]
[--methods deep_astro_uda dance] [--trade-off 0.05] [--field 22] [--stem small] [--steps 1]``
adapts from ``shallow_mock`` to ``deep_mock``, whose lensed arcs are of no known class, and from
SDSS (elliptical, clockwise, anticlockwise) to the galaxies of DESI together with ring galaxies of
DECaLS. No label of the target is used.

Printed are accuracy of the known classes, recall of the unknown ones and their harmonic mean, in
per cent, by four rules: ``none`` calls nothing unknown; ``neighbours`` is what catalogs have;
``entropy`` has the threshold of the method's paper, ln(K) / 2 for ``source_only``; and ``best
entropy`` the one that the truth itself finds best, which no user could choose. ``--field`` draws
another field of the simulation: options chosen by looking belong to another field than the figures.
``--stem large`` takes a network of a sixth of the cost, and ``--steps 0.5`` half the steps.
"""

import argparse
import copy
import os
import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from adaptation_data import _pictures, spins

from catalogtool.adaptation import build_method
from catalogtool.adaptation._losses import label_loss
from catalogtool.config.training import Domain, TrainingSpec
from catalogtool.inputs._base import votes_of
from catalogtool.inputs.simulated import Format
from catalogtool.networks._base import Network
from catalogtool.preprocess.stretch import prepare
from catalogtool.surveys import load_survey
from catalogtool.surveys._recipe import TrainingOptions
from catalogtool.training.context import SingleProcess
from catalogtool.training.examples import Examples
from catalogtool.training.loop import TrainingData, fit
from catalogtool.training.model import build_fresh_network
from catalogtool.training.neighbours import remember
from catalogtool.training.open_set import (
    UNKNOWN,
    OpenSetFigures,
    best_threshold,
    middle_threshold,
    predict_open,
    score_open_set,
)
from catalogtool.training.predict import gather_features, predict_examples

_SOURCE = TrainingOptions(
    batch_size=64,
    learning_rate=2e-3,
    schedule="one_cycle",
    class_balanced=True,
    select="last",
    augment=("flip", "rotate", "shift", "zoom", "jitter"),
    max_epochs=20,
    steps_per_epoch=30,
)
_ADAPTED = _SOURCE.model_copy(
    update={
        "batch_size": 32,
        "unlabelled_batch": 64,
        "learning_rate": 0.01,
        "optimiser": "sgd",
        "weight_decay": 5e-4,
        "schedule": "cosine",
        "domain_norm": True,
        "max_epochs": 10,
    }
)


@dataclass(frozen=True)
class Case:
    """Two surveys; `truth` has a class from 0 on, or `UNKNOWN`, for every cutout of the target."""

    name: str
    classes: tuple[str, ...]
    mirrored: dict[str, str]
    source: Examples
    target: Examples
    truth: np.ndarray


@dataclass(frozen=True)
class Effort:
    """How large the network is, and how long it learns."""

    stem: str
    steps: float
    """Relative to those of the recipes."""


def simulated(field: int) -> Case:
    """The depth experiment, with lensed arcs in the deep survey."""
    source, _ = _drawn("shallow_mock", field - 1)
    target, votes = _drawn("deep_mock", field)
    truth = np.where(np.isfinite(votes).all(axis=1), votes.argmax(axis=1), UNKNOWN)
    classes = load_survey("deep_mock").labels.classes
    return Case("simulated", classes, {}, source, target, truth)


def _drawn(name: str, field: int) -> tuple[Examples, np.ndarray]:
    survey = load_survey(name)
    assert survey.simulation is not None
    simulation = survey.simulation.model_copy(update={"seed": field})
    survey = survey.model_copy(update={"simulation": simulation})
    source = Format(survey, None)
    rows = pa.concat_tables(source.list_objects())
    cutouts, votes = source.read(rows), votes_of(rows, survey)[:, 0]
    images = prepare(cutouts.images, cutouts.mask, "unit")
    return _examples(images, votes), votes


def rings(data: Path) -> Case:
    """Ring galaxies among the ellipticals and spirals of DESI."""
    task = spins(data, 0)
    table = pq.read_table(data / "galaxy-decals-rings/decals_rings_images.parquet")
    is_ring = np.array(table.column("ring").to_pylist()) == 1
    images, _ = _pictures(table.append_column("label", table.column("ring")).filter(is_ring))
    strangers = np.full((len(images), len(task.classes)), np.nan, dtype=np.float32)
    target = _examples(
        np.concatenate([task.pool.images, images]), np.concatenate([task.pool.votes, strangers])
    )
    truth = np.append(task.pool.votes.argmax(axis=1), np.full(len(images), UNKNOWN))
    return Case("rings", task.classes, task.mirrored, task.source, target, truth)


def _examples(images: np.ndarray, votes: np.ndarray) -> Examples:
    count = len(images)
    return Examples(images, votes, np.arange(count), np.zeros(count, dtype=np.int64), flagged=0)


def _spec(
    case: Case, method: str, options: dict[str, Any], seed: int, effort: Effort
) -> TrainingSpec:
    training = _SOURCE if method == "source_only" else _ADAPTED
    epochs = round(effort.steps * training.max_epochs)
    training = training.model_copy(update={"max_epochs": epochs})
    return TrainingSpec(
        network="resnet",
        network_options={"head": "cosine", "stem": effort.stem},
        method=method,
        method_options=options,
        classes=case.classes,
        label_kind="class",
        mirrored=case.mirrored,
        channels=case.source.images.shape[1],
        size_pix=case.source.images.shape[2],
        stretch="unit",
        training=training,
        test_share=0.5,
        label_count=None,
        shots=0,
        seed=seed,
        source=None,
        target=None,
        starts_from=None,
    )


class Bench:
    """Trainings of one case and seed."""

    def __init__(self, case: Case, seed: int, effort: Effort) -> None:
        self.case = case
        self.effort = effort
        self.seed = seed
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.start: Network | None = None

    def run(self, method: str, options: dict[str, Any]) -> dict[str, OpenSetFigures]:
        """Figures of a method by the rule."""
        spec = _spec(self.case, method, options, self.seed, self.effort)
        torch.manual_seed(self.seed)
        network = build_fresh_network(spec)
        if self.start is not None:
            _copy_weights(self.start, network)
        built = build_method(method, network, label_loss("class"), options)
        data: dict[Domain, Examples] = {"source": self.case.source}
        if method != "source_only":
            data["target_unlabelled"] = replace(
                self.case.target, votes=np.full_like(self.case.target.votes, np.nan)
            )
        nobody = self.case.source.take(np.arange(0))
        context = SingleProcess(self.device)
        fit(built, TrainingData(data, nobody), spec, context)
        if method == "source_only":
            self.start = copy.deepcopy(network)
        p = predict_examples(network, self.case.target, self.device)
        truth, middle = self.case.truth, middle_threshold(len(self.case.classes))
        found = {
            "none": score_open_set(truth, p.argmax(axis=1)),
            "best entropy": best_threshold(p, truth)[1],
        }
        own = built.unknown_threshold() or middle
        found["entropy"] = score_open_set(truth, predict_open(p, own))
        labelled = gather_features(network, self.case.source, context, "source")
        features = gather_features(network, self.case.target, context)
        is_unknown = remember(labelled, self.seed).is_unknown(torch.from_numpy(features))
        predicted = np.where(is_unknown, UNKNOWN, p.argmax(axis=1))
        found["neighbours"] = score_open_set(truth, predicted)
        return found


def _copy_weights(start: Network, network: Network) -> None:
    """Weights of a network with one normalisation, for one that may have two."""
    from catalogtool.networks._domain_norm import split_norms

    copied = copy.deepcopy(start)
    split_norms(copied)
    network.load_state_dict(copied.state_dict())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=["simulated", "rings"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", nargs="+", default=["deep_astro_uda", "dance"])
    parser.add_argument("--trade-off", type=float)
    parser.add_argument("--field", type=int, default=22)
    parser.add_argument("--stem", choices=("small", "large"), default="small")
    parser.add_argument("--steps", type=float, default=1.0)
    arguments = parser.parse_args()
    options = {} if arguments.trade_off is None else {"trade_off": arguments.trade_off}
    for name in arguments.cases:
        data = os.environ.get("CATALOGTOOL_DATA", "")
        case = simulated(arguments.field) if name == "simulated" else rings(Path(data))
        known, strangers = (case.truth != UNKNOWN).sum(), (case.truth == UNKNOWN).sum()
        print(f"{name}: {known} known and {strangers} unknown objects", flush=True)
        means: dict[tuple[str, str], list[float]] = {}
        for seed in range(arguments.seeds):
            bench = Bench(case, seed, Effort(arguments.stem, arguments.steps))
            for method in ("source_only", *arguments.methods):
                begin = time.perf_counter()
                found = bench.run(method, {} if method == "source_only" else options)
                spent = time.perf_counter() - begin
                for threshold, figures in found.items():
                    mean = 100 * figures.harmonic_mean
                    means.setdefault((method, threshold), []).append(mean)
                    print(
                        f"  seed {seed}, {method}, {threshold}: known "
                        f"{100 * figures.known_accuracy:.1f}, unknown "
                        f"{100 * figures.unknown_recall:.1f}, harmonic mean {mean:.1f}, "
                        f"{spent:.0f} s",
                        flush=True,
                    )
        for (method, threshold), values in means.items():
            spread = statistics.stdev(values) if len(values) > 1 else float("nan")
            print(f"{name}, {method}, {threshold}: {np.mean(values):.1f} ± {spread:.1f}")


if __name__ == "__main__":
    main()
