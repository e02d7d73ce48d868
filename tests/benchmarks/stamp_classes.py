"""Networks on real ZTF alerts, and beside them a random forest that sees the same numbers.

``python tests/benchmarks/stamp_classes.py {cutouts,metadata,scores,labelled} ...
[--recipes multi_scale] [--folds 0 1 2 3 4] [--members 1] [--inner]``

``cutouts`` and ``metadata``: balanced accuracy, in per cent, on the weak classes asteroid, SN, VS
and AGN, from cutouts alone, or with 17 facts of the packet, none of which is a position.
``scores``: area under the curve of real (drb >= 0.5) against bogus from cutouts alone; drb is
another network's output. ``labelled``: a network that all weak classes taught, on the cutouts with
classes of ALeRCE, whose objects taught nothing.

Folds hold classes in equal shares and objects once. ``--inner`` splits off a fifth of the alerts
that teach and scores on them instead: recipes are chosen by it, test folds are for the final
figures. Probabilities are means over cutouts and their mirror images; the networks themselves take
the mean over the symmetries of the square, or over quarter turns. CATALOGTOOL_DATA names the folder
of the data. It needs h5py.
"""

import argparse
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
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parent))

from stamp_recipes import RECIPES, Recipe, build, teach
from ztf_alerts_data import (
    AUXILIARY,
    CLASSES,
    METADATA,
    Alerts,
    folds,
    quantiles,
    read_alerts,
    read_labelled,
)

from catalogtool.adaptation._losses import label_loss
from catalogtool.networks._base import Network
from catalogtool.preprocess.metadata import pack
from catalogtool.preprocess.multi_scale import reduce_cutouts
from catalogtool.preprocess.preparation import Preparation
from catalogtool.preprocess.stretch import prepare
from catalogtool.training.examples import Examples
from catalogtool.training.predict import predict_examples

QUESTIONS = ("cutouts", "metadata", "scores", "labelled")
_TREES = 300
_UNKNOWN = -9.0  # stands for an auxiliary target that is not known


@dataclass(frozen=True)
class Question:
    """What is asked of the alerts.

    Attributes
    ----------
    labels : ndarray, shape (N,), int
        -1 where unknown.
    classes : int
    metadata : tuple of str
        Facts that are seen besides pixels.
    auxiliary : tuple of str
        Facts that pretraining may learn.
    """

    labels: np.ndarray
    classes: int
    metadata: tuple[str, ...]
    auxiliary: tuple[str, ...]

    def score(self, probabilities: np.ndarray, which: np.ndarray) -> float:
        """Balanced accuracy, or the area under the curve of two classes, in per cent."""
        truth = self.labels[which]
        if self.classes == 2:
            return 100 * float(roc_auc_score(truth, probabilities[:, 1]))
        return 100 * float(balanced_accuracy_score(truth, probabilities.argmax(axis=1)))


@dataclass(frozen=True)
class Prepared:
    """All alerts as a recipe's network and the forest see them."""

    images: np.ndarray
    """Shape (N, C, H, W), without metadata."""
    facts: np.ndarray
    """Shape (N, F)."""
    object_id: np.ndarray

    def examples(self, which: np.ndarray, votes: np.ndarray, *, with_facts: bool) -> Examples:
        """Some alerts and their votes."""
        images = self.images[which]
        return Examples(
            images=pack(images, self.facts[which]) if with_facts else images,
            votes=votes.astype(np.float32),
            object_id=self.object_id[which],
            band=np.zeros(len(which), dtype=np.int64),
            flagged=0,
        )

    def numbers(self) -> dict[str, np.ndarray]:
        """What a forest sees: levels of large cutouts, or the pixels of small ones; the facts."""
        images = self.images
        if images.shape[-1] == 63:
            images = reduce_cutouts(torch.from_numpy(images), "multi_scale").numpy()
        pixels = images.reshape(len(images), -1)
        if not self.facts.shape[1]:
            return {"forest": pixels}
        facts = np.nan_to_num(self.facts, nan=-1)
        return {"forest": np.concatenate([pixels, facts], axis=1), "forest on facts": facts}


def ask(question: str, alerts: Alerts) -> Question:
    """Labels of a question, and what may answer it."""
    if question == "scores":
        drb = alerts.columns["drb"]
        labels = np.where(np.isfinite(drb), drb >= 0.5, -1).astype(int)
        return Question(labels, 2, (), tuple(name for name in AUXILIARY if name != "drb"))
    labels = np.array([CLASSES.index(n) if n in CLASSES else -1 for n in alerts.weak_class])
    return Question(labels, len(CLASSES), METADATA if question == "metadata" else (), AUXILIARY)


def see(alerts: Alerts, recipe: Recipe, metadata: tuple[str, ...]) -> Prepared:
    """Crop and scale all cutouts."""
    cropped = Preparation(recipe.size_pix, recipe.stretch).crop(alerts.images)
    pixels = prepare(cropped, np.zeros(cropped.shape, dtype=bool), recipe.stretch)
    facts = alerts.table(metadata) if metadata else np.zeros((len(alerts), 0), np.float32)
    return Prepared(pixels, facts, alerts.object_id)


def auxiliary_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean robust error of the facts that are known."""
    known = targets > _UNKNOWN
    errors = functional.smooth_l1_loss(logits.float(), targets, reduction="none", beta=0.3)
    return (errors * known).sum() / known.sum()


def pretrain(
    alerts: Alerts, seen: Prepared, question: Question, recipe: Recipe, pool: np.ndarray, seed: int
) -> dict[str, torch.Tensor]:
    """Weights of a backbone that tells from pixels what the survey says of some alerts."""
    targets = quantiles(alerts.table(question.auxiliary), pool)[pool]
    network = build(recipe, seen.images.shape[1], targets.shape[1], ())
    examples = seen.examples(pool, np.nan_to_num(targets, nan=_UNKNOWN), with_facts=False)
    steps = recipe.pretraining_steps
    teach(network, examples, auxiliary_loss, recipe, steps=steps, seed=seed, balanced=False)
    return {n: v for n, v in network.state_dict().items() if n.startswith("convolutions")}


def trained(
    alerts: Alerts,
    seen: Prepared,
    question: Question,
    recipe: Recipe,
    taught: np.ndarray,
    hidden: np.ndarray,
    seed: int,
) -> Network:
    """A network that some alerts taught; nothing is learnt from objects of the hidden ones."""
    torch.manual_seed(seed)
    start = {}
    if recipe.pretraining_steps:
        pool = np.flatnonzero(~np.isin(alerts.object_id, alerts.object_id[hidden]))
        start = pretrain(alerts, seen, question, recipe, pool, seed)
    network = build(recipe, seen.images.shape[1], question.classes, question.metadata)
    network.load_state_dict(start, strict=False)
    votes = np.eye(question.classes)[question.labels[taught]]
    examples = seen.examples(taught, votes, with_facts=bool(question.metadata))
    loss = label_loss("class", recipe.entropy_weight)
    names = question.metadata
    teach(network, examples, loss, recipe, steps=recipe.steps, seed=seed, metadata=names)
    return network


def predict(network: Network, seen: Prepared, which: np.ndarray, question: Question) -> np.ndarray:
    """Class probabilities, the mean over cutouts and their mirror images."""
    votes = np.zeros((len(which), question.classes))
    views = [seen, replace(seen, images=seen.images[..., ::-1])]
    found = [view.examples(which, votes, with_facts=bool(question.metadata)) for view in views]
    device = torch.device("cpu")
    return np.mean([predict_examples(network, some, device) for some in found], axis=0)


def splits(
    question: Question, alerts: Alerts, chosen: list[int], *, inner: bool
) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """Fold, alerts that teach, alerts to score on, and alerts that nothing may be learnt from."""
    labelled = np.flatnonzero(question.labels >= 0)
    labels, objects = question.labels, alerts.object_id
    tests = folds(labels[labelled], objects[labelled])
    for fold in chosen:
        test = labelled[tests[fold]]
        taught = np.setdiff1d(labelled, test)
        if not inner:
            yield fold, taught, test, test
            continue
        part = folds(labels[taught], objects[taught], seed=fold + 1)[0]
        yield fold, np.delete(taught, part), taught[part], np.concatenate([test, taught[part]])


def run(question: Question, alerts: Alerts, name: str, arguments: argparse.Namespace) -> None:
    """Train and score on every fold, and print figures as they come."""
    recipe = RECIPES[name]
    seen = see(alerts, recipe, question.metadata)
    rows = []
    chosen = splits(question, alerts, arguments.folds, inner=arguments.inner)
    for fold, taught, test, hidden in chosen:
        begin = time.perf_counter()
        parts = []
        for member in range(arguments.members):
            seed = fold + 100 * member
            network = trained(alerts, seen, question, recipe, taught, hidden, seed)
            parts.append(predict(network, seen, test, question))
        row = {
            "network": question.score(np.mean(parts, axis=0), test),
            "one member": float(np.mean([question.score(part, test) for part in parts])),
            "seconds": time.perf_counter() - begin,
        }
        for kind, numbers in seen.numbers().items():
            forest = RandomForestClassifier(_TREES, class_weight="balanced", random_state=fold)
            forest.fit(numbers[taught], question.labels[taught])
            row[kind] = question.score(forest.predict_proba(numbers[test]), test)
        rows.append(row)
        print(f"{name}, fold {fold}:", _text(row, "{:.1f}".format), flush=True)
    columns = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    print(f"{name}, mean:", _text(columns, _spread), flush=True)


def _text(row: dict[str, Any], form: Any) -> str:  # noqa: ANN401
    return ", ".join(f"{key} {form(value)}" for key, value in row.items())


def _spread(values: np.ndarray) -> str:
    return f"{values.mean():.1f} ± {values.std(ddof=1) if len(values) > 1 else 0:.1f}"


def run_labelled(alerts: Alerts, data: Path, name: str, members: int) -> None:
    """Teach with all weak classes but those of the test's objects; print a confusion matrix."""
    pixels, labels, names = read_labelled(data)
    question = ask("cutouts", alerts)
    taught = np.flatnonzero((question.labels >= 0) & ~np.isin(alerts.names, names))
    own = np.flatnonzero(np.isin(alerts.names, names))
    recipe = RECIPES[name]
    seen = see(alerts, recipe, ())
    test = see(replace(alerts, images=pixels, object_id=np.arange(len(pixels))), recipe, ())
    every = np.arange(len(pixels))
    networks = [
        trained(alerts, seen, question, recipe, taught, own, 100 * member)
        for member in range(members)
    ]
    winners = np.mean([predict(n, test, every, question) for n in networks], axis=0).argmax(axis=1)
    forest = RandomForestClassifier(_TREES, class_weight="balanced", random_state=0)
    forest.fit(seen.numbers()["forest"][taught], question.labels[taught])
    guesses = forest.predict(test.numbers()["forest"])
    truth = np.array([CLASSES.index(label) for label in labels])
    for who, found in (("network", winners), ("forest", guesses)):
        print(
            f"{name}, {who}: {(found == truth).sum()} of {len(truth)} right, balanced accuracy "
            f"{100 * balanced_accuracy_score(truth, found):.1f}"
        )
        for index, label in enumerate(CLASSES):
            counts = np.bincount(found[truth == index], minlength=len(CLASSES))
            print(f"  {label:>8}: {dict(zip(CLASSES, counts.tolist(), strict=True))}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("questions", nargs="+", choices=QUESTIONS)
    parser.add_argument("--recipes", nargs="+", default=["multi_scale"], choices=RECIPES)
    parser.add_argument("--folds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--members", type=int, default=1)
    parser.add_argument("--inner", action="store_true")
    arguments = parser.parse_args()
    data = Path(os.environ["CATALOGTOOL_DATA"])
    alerts = read_alerts(data)
    for name, question in product(arguments.recipes, arguments.questions):
        if question == "labelled":
            run_labelled(alerts, data, name, arguments.members)
        else:
            print(question, flush=True)
            run(ask(question, alerts), alerts, name, arguments)


if __name__ == "__main__":
    main()
