"""All adaptation methods on the same real images: accuracy by labels per class.

``CATALOGTOOL_DATA=... python tests/benchmarks/adaptation.py digits [--methods mme avda]
[--shots 0 1 3 5 7] [--seeds 5] [--first-seed 0] [--jobs 1] [--plain] --weights FOLDER`` with
``digits`` (MNIST to USPS, 2,000 and 1,800 images), ``framed_digits`` (the same after the margins
of MNIST are cut), ``galaxies`` (SDSS to DESI, two classes) or ``spins`` (three, of which a mirror
image swaps two). Printed are balanced accuracies in per cent on target images that gave no label
and chose nothing, and on the source's test images: mean, standard deviation over seeds, worst. A
seed changes weights, batches and labels. ``oracle`` learns from all labels of the target's pool,
and ``forest`` is a random forest on pixels. ``--plain`` changes no image while training;
``--accuracy`` counts every image the same, as published figures of digits do. ``--stem large``
takes a ResNet of a sixth of the cost, ``--source-steps`` another number of steps of the source's
training.
"""

import argparse
import functools
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))

from adaptation_data import TASKS, Task
from adaptation_recipes import RECIPES, Recipe

from catalogtool.adaptation import build_method, load_method, method_names
from catalogtool.adaptation._losses import cross_entropy
from catalogtool.config.training import Domain, TrainingSpec
from catalogtool.networks import build_network
from catalogtool.networks._base import Network
from catalogtool.networks._domain_norm import split_norms
from catalogtool.training.context import SingleProcess
from catalogtool.training.examples import Examples
from catalogtool.training.loop import TrainingData, fit
from catalogtool.training.metrics import balanced_accuracy, confusion
from catalogtool.training.predict import predict_examples

YARDSTICKS = ("forest", "oracle")


@dataclass(frozen=True)
class Trial:
    """One training and its figures to come."""

    task: str
    method: str
    network_of: str
    """Method whose network it is."""
    shots: int
    seed: int
    plain: bool
    data: str
    accuracy: bool
    """Whether images count the same, not classes."""
    weights: str
    """Folder of the weights that the source taught."""
    stem: str
    """First layers of residual networks."""
    source_steps: int | None
    """Steps in which the source teaches; None: the recipe's."""

    @property
    def start(self) -> Path:
        """Weights that the source taught, one file per network and seed."""
        is_usual = "cosine" in load_method(self.network_of).heads
        network = "usual" if is_usual else self.network_of
        steps = self.source_steps or "all"
        names = (self.task, self.stem, network, self.seed, self.plain, steps)
        return Path(self.weights) / f"{'-'.join(map(str, names))}.pt"

    @property
    def label(self) -> str:
        """What is varied, in words."""
        is_usual = self.network_of in (self.method, "source_only")
        return self.method if is_usual else f"{self.method}, {self.network_of}"


def run_trial(trial: Trial) -> dict[str, Any]:
    """Figures of one trial, in per cent."""
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // trial_jobs()))
    task = read_task(trial.task, trial.data, trial.seed)
    few, test = task.draw(trial.shots, trial.seed)
    begin = time.perf_counter()
    if trial.method == "forest":
        figures = _forest(trial, task, few, test)
    else:
        figures = _adapt(trial, task, few, test)
    found = {
        "method": trial.label,
        "shots": trial.shots,
        "seed": trial.seed,
        **figures,
        "seconds": time.perf_counter() - begin,
    }
    print(json.dumps(found), flush=True)
    return found


@functools.lru_cache(maxsize=4)
def read_task(name: str, data: str, seed: int) -> Task:
    """Images of a task, read once by every process."""
    return TASKS[name](Path(data), seed)


def trial_jobs() -> int:
    """Trials that run at the same time."""
    return int(os.environ.get("BENCHMARK_JOBS", "1"))


def _adapt(trial: Trial, task: Task, few: Examples, test: Examples) -> dict[str, float]:
    name = "source_only" if trial.method == "oracle" else trial.method
    recipes = RECIPES[trial.task]
    if name == "source_only":
        recipe = recipes.for_source(trial.network_of, plain=trial.plain, steps=trial.source_steps)
    else:
        recipe = recipes.for_method(name, plain=trial.plain)
    spec = _spec(trial, name, task, recipe)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = _start(trial, name, spec, task)
    kind = load_method(name)
    sets: dict[Domain, Examples] = {"source": task.source}
    if trial.method == "oracle":
        sets["source"] = _joined(task.source, task.pool)
    if len(few):
        sets["target_labelled"] = few
    sets["target_unlabelled"] = replace(task.pool, votes=np.full_like(task.pool.votes, np.nan))
    wanted = {d: e for d, e in sets.items() if d in kind.domains + kind.optional}
    nobody = task.pool.take(np.arange(0))
    method = build_method(name, network, cross_entropy, spec.method_options)
    torch.manual_seed(trial.seed)
    outcome = fit(method, TrainingData(wanted, nobody), spec, SingleProcess(device))
    figures = {}
    for criterion, kept in outcome.selection.alternatives().items():
        method.load_state_dict(kept.state)
        figures |= _scores(trial, network, task, test, suffix=f" by {criterion}")
    if outcome.selection.last is not None:
        method.load_state_dict(outcome.selection.last.state)
    if trial.method == "source_only":
        torch.save({n: v.cpu() for n, v in network.state_dict().items()}, trial.start)
    return figures | _scores(trial, network, task, test)


def _spec(trial: Trial, name: str, task: Task, recipe: Recipe) -> TrainingSpec:
    _, channels, size, _ = task.source.images.shape
    stem = {"stem": trial.stem} if recipe.network == "resnet" else {}
    return TrainingSpec(
        network=recipe.network,
        network_options=recipe.network_options | stem,
        method=name,
        method_options=recipe.method_options,
        classes=task.classes,
        label_kind="class",
        mirrored=task.mirrored,
        channels=channels,
        size_pix=size,
        stretch="unit",
        training=recipe.training,
        test_share=0.5,
        label_count=None,
        shots=trial.shots,
        seed=trial.seed,
        source=None,
        target=None,
        starts_from=None,
    )


def _start(trial: Trial, name: str, spec: TrainingSpec, task: Task) -> Network:
    torch.manual_seed(trial.seed)
    network = build_network(
        spec.network,
        spec.network_options,
        channels=spec.channels,
        classes=len(task.classes),
        size_pix=spec.size_pix,
    )
    if load_method(name).starts_from is not None:
        network.load_state_dict(torch.load(trial.start, weights_only=True))
    if spec.training.domain_norm:
        split_norms(network)
    return network


def _scores(
    trial: Trial, network: Network, task: Task, test: Examples, suffix: str = ""
) -> dict[str, float]:
    device = next(network.parameters()).device
    target = predict_examples(network, test, device)
    source = predict_examples(network, task.source_test, device, "source")
    return {
        f"target{suffix}": _right(trial, target, test),
        f"source{suffix}": _right(trial, source, task.source_test),
    }


def _right(trial: Trial, probabilities: np.ndarray, examples: Examples) -> float:
    """Share of what is predicted right, in per cent."""
    counts = confusion(probabilities, examples.votes)
    share = counts.trace() / counts.sum() if trial.accuracy else balanced_accuracy(counts)
    return 100 * float(share)


def _forest(trial: Trial, task: Task, few: Examples, test: Examples) -> dict[str, float]:
    from sklearn.ensemble import RandomForestClassifier

    taught = _joined(task.source, few)
    forest = RandomForestClassifier(200, class_weight="balanced", random_state=0)
    forest.fit(_pixels(taught), taught.votes.argmax(axis=1))
    figures = {}
    for name, examples in (("target", test), ("source", task.source_test)):
        figures[name] = _right(trial, forest.predict_proba(_pixels(examples)), examples)
    return figures


def _pixels(examples: Examples) -> np.ndarray:
    """Grey pixels of a quarter of the resolution, or all of small images."""
    grey = examples.images.mean(axis=1)
    step = 2 if grey.shape[-1] > 32 else 1
    return grey[:, ::step, ::step].reshape(len(grey), -1)


def _joined(one: Examples, other: Examples) -> Examples:
    return Examples(
        images=np.concatenate([one.images, other.images]),
        votes=np.concatenate([one.votes, other.votes]),
        object_id=np.concatenate([one.object_id, other.object_id]),
        band=np.concatenate([one.band, other.band]),
        flagged=0,
    )


def trials(arguments: argparse.Namespace) -> Iterator[Trial]:
    """All trials, without those that differ in nothing, and with the starts that they need."""
    asked = [(m, "source_only" if m in YARDSTICKS else m) for m in arguments.methods]
    asked += [("source_only", "avda")] if "avda" in arguments.methods else []
    first = arguments.first_seed
    for names, seed in product(asked, range(first, first + arguments.seeds)):
        yield from _trials_of(arguments, *names, seed)


def _trials_of(
    arguments: argparse.Namespace, method: str, network_of: str, seed: int
) -> Iterator[Trial]:
    blind = method in ("source_only", "oracle")
    for shots in [0] if blind else arguments.shots:
        if method in ("fine_tune", "target_only") and not shots:
            continue
        trial = Trial(
            task=arguments.task,
            method=method,
            network_of=network_of,
            shots=shots,
            seed=seed,
            plain=arguments.plain,
            data=os.environ["CATALOGTOOL_DATA"],
            accuracy=arguments.accuracy,
            weights=arguments.weights,
            stem=arguments.stem,
            source_steps=arguments.source_steps,
        )
        if method in arguments.methods or not trial.start.exists():
            yield trial


def print_table(rows: list[dict[str, Any]]) -> None:
    """Means, spreads and worst draws, by weights that no label chose; the last ones beside them."""
    print(
        f"{'method':<16}{'labels':>7}{'target':>16}{'worst':>8}{'source':>16}{'last weights':>16}"
        f"{'seconds':>9}"
    )
    for method, shots in sorted({(row["method"], row["shots"]) for row in rows}):
        found = [row for row in rows if (row["method"], row["shots"]) == (method, shots)]
        target, source = _chosen(found, "target"), _chosen(found, "source")
        last = np.array([row["target"] for row in found])
        seconds = np.median([row["seconds"] for row in found])
        print(
            f"{method:<16}{shots:>7}{_text(target):>16}{target.min():>8.1f}{_text(source):>16}"
            f"{_text(last):>16}{seconds:>9.0f}"
        )


def _chosen(rows: list[dict[str, Any]], name: str) -> np.ndarray:
    """Figures of the weights that unlabelled images chose, or of the last ones without any."""
    return np.array([row.get(f"{name} by unlabelled", row[name]) for row in rows])


def _text(values: np.ndarray) -> str:
    spread = f" ± {values.std(ddof=1):.1f}" if len(values) > 1 else ""
    return f"{values.mean():.1f}{spread}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=sorted(TASKS))
    everything = [*(set(method_names()) - {"target_only"}), *YARDSTICKS]
    parser.add_argument("--methods", nargs="+", default=sorted(everything))
    parser.add_argument("--shots", nargs="+", type=int, default=[0, 1, 5, 10, 50])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--accuracy", action="store_true")
    parser.add_argument("--weights", required=True, help="folder for weights of the source")
    parser.add_argument("--stem", choices=("small", "strided", "large"), default="small")
    parser.add_argument("--source-steps", type=int)
    arguments = parser.parse_args()
    os.environ["BENCHMARK_JOBS"] = str(arguments.jobs)
    everything = list(trials(arguments))
    rows = []
    # The source teaches first: the others start from its weights.
    for first in (True, False):
        chosen = [trial for trial in everything if (trial.method == "source_only") == first]
        with multiprocessing.get_context("spawn").Pool(arguments.jobs) as pool:
            rows += pool.map(run_trial, chosen, chunksize=1)
    print_table(rows)


if __name__ == "__main__":
    main()
