"""Networks on real ZTF alerts beside a random forest on the same inputs.

``CATALOGTOOL_DATA=... python tests/benchmarks/stamp_classes.py {cutouts,metadata,scores}
[--recipes ...] [--folds 0 1 2 3 4] [--inner]``
"""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parent))

from ztf_alerts_data import AUXILIARY, CLASSES, METADATA, Alerts, folds, quantiles, read_alerts

from catalogtool.adaptation import build_method
from catalogtool.adaptation._losses import cross_entropy, entropy_regularised
from catalogtool.config.training import TrainingSpec
from catalogtool.networks import build_network
from catalogtool.networks._base import Network
from catalogtool.preprocess.metadata import pack
from catalogtool.surveys._definition import TrainingOptions
from catalogtool.training.context import SingleProcess
from catalogtool.training.examples import Examples
from catalogtool.training.loop import TrainingData, fit
from catalogtool.training.predict import predict_examples

_UNKNOWN = -9.0
"""Stands for an auxiliary target that is not known."""


@dataclass(frozen=True)
class Recipe:
    size_pix: int = 21
    stretch: str = "minmax"
    network: str = "stamp_classifier"
    options: dict[str, Any] = field(default_factory=lambda: {"kernel": 3, "dropout": 0.2})
    pretraining: int = 0
    steps: int = 400
    rate: float = 1e-3
    backbone: float = 1.0
    decay: float = 1e-4
    entropy: float = 0.0
    augment: tuple[str, ...] = ("flip", "shift")
    members: int = 1


S = Recipe()
RECIPES = {
    "paper": Recipe(options={"kernel": 3, "dropout": 0.5}, entropy=0.5, augment=(), steps=300, decay=0),
    "looser": S,
    "asinh": replace(S, stretch="asinh"),
    "pre": replace(S, stretch="asinh", pretraining=600),
    "pre_minmax": replace(S, pretraining=600),
    "ms": Recipe(size_pix=63, stretch="asinh", network="multi_scale", options={"dropout": 0.5}),
    "ms_pre": Recipe(size_pix=63, stretch="asinh", network="multi_scale", options={"dropout": 0.5}, pretraining=600),
}


def stretched(images: np.ndarray, recipe: Recipe) -> np.ndarray:
    side = images.shape[-1]
    start = (side - recipe.size_pix + 1) // 2
    cut = slice(start, start + recipe.size_pix)
    out = images
    if recipe.stretch == "asinh":
        flat = images.reshape(*images.shape[:2], -1)
        median = np.nanmedian(flat, axis=2)[..., None, None]
        sigma = 1.4826 * np.nanmedian(np.abs(flat - median[..., 0]), axis=2)[..., None, None]
        out = np.arcsinh((images - median) / (2 * np.maximum(sigma, 1e-6))) / 3
        out = out[:, :, cut, cut]
    else:
        out = images[:, :, cut, cut]
        low = np.nanmin(out, axis=(2, 3), keepdims=True)
        high = np.nanmax(out, axis=(2, 3), keepdims=True)
        out = (out - low) / np.where(high > low, high - low, 1)
    return np.nan_to_num(out).astype(np.float32)


def examples(images, votes, group) -> Examples:
    return Examples(images, votes.astype(np.float32), group, np.zeros(len(group), np.int64), 0)


def train(network: Network, data: Examples, loss, recipe: Recipe, steps: int, seed: int, balanced: bool, backbone: float):
    spec = TrainingSpec(
        network=recipe.network, network_options={}, method="source_only",
        classes=tuple(f"c{i}" for i in range(data.votes.shape[1])), label_kind="class",
        channels=data.images.shape[1], size_pix=data.images.shape[-1], stretch="unit",
        training=TrainingOptions(batch_size=64, max_epochs=1, steps_per_epoch=steps, learning_rate=recipe.rate,
            weight_decay=recipe.decay, backbone_factor=backbone, augment=recipe.augment, class_balanced=balanced, select="last"),
        test_share=0.5, label_count=None, shots=None, seed=seed, source=None, target=None, starts_from=None)
    method = build_method("source_only", network, loss)
    fit(method, TrainingData({"source": data}, data.take(np.arange(0))), spec, SingleProcess())


def auxiliary_loss(logits, votes):
    known = votes > _UNKNOWN / 2
    errors = functional.smooth_l1_loss(logits.float(), votes, reduction="none", beta=0.3)
    return (errors * known).sum() / known.sum()


def fresh(recipe, channels, classes, seed, **more):
    torch.manual_seed(seed)
    return build_network(recipe.network, recipe.options | more, channels=channels, classes=classes, size_pix=recipe.size_pix)


_PRE: dict = {}


def member(alerts, images, votes, taught, excluded, recipe, seed, names, task):
    start = None
    if recipe.pretraining:
        pool = np.flatnonzero(~np.isin(alerts.object_id, alerts.object_id[excluded]))
        aux = tuple(n for n in AUXILIARY if not (task == "scores" and n == "drb"))
        targets = np.nan_to_num(quantiles(alerts.table(aux), pool), nan=_UNKNOWN)
        pre = fresh(recipe, images.shape[1], targets.shape[1], seed)
        train(pre, examples(images[pool], targets[pool], alerts.object_id[pool]), auxiliary_loss, recipe, recipe.pretraining, seed, False, 1.0)
        start = {k: v for k, v in pre.state_dict().items() if not k.startswith("head")}
    packed = images
    more = {}
    if names:
        more["metadata"] = names
        packed = pack(images, alerts.table(names))
    net = fresh(recipe, packed.shape[1], votes.shape[1], seed, **more)
    if names:
        net.fit_metadata(torch.from_numpy(alerts.table(names)[taught]))
    if start is not None:
        own = net.state_dict()
        net.load_state_dict({k: v for k, v in start.items() if k in own and own[k].shape == v.shape}, strict=False)
    loss = entropy_regularised(cross_entropy, recipe.entropy)
    train(net, examples(packed[taught], votes[taught], alerts.object_id[taught]), loss, recipe, recipe.steps, seed, True, recipe.backbone)
    return net, packed


def predict(net, packed, votes, which, names):
    some = packed[which]
    n = -1 if names else some.shape[1]
    flipped = some.copy()
    flipped[:, :n] = some[:, :n, :, ::-1]
    group = np.zeros(len(which), np.int64)
    return sum(predict_examples(net, examples(np.ascontiguousarray(x), votes[which], group), torch.device("cpu")) for x in (some, flipped)) / 2


def forest(features, labels, seed):
    f = RandomForestClassifier(300, class_weight="balanced", random_state=seed, min_samples_leaf=1)
    return f.fit(features, labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=("cutouts", "metadata", "scores"))
    parser.add_argument("--recipes", nargs="+", default=["looser"])
    parser.add_argument("--folds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--inner", action="store_true")
    arguments = parser.parse_args()
    alerts = read_alerts(Path(os.environ["CATALOGTOOL_DATA"]))
    if arguments.task == "scores":
        labels = np.where(np.isfinite(alerts.columns["drb"]), alerts.columns["drb"] >= 0.5, -1).astype(int)
        classes = 2
    else:
        labels = np.array([CLASSES.index(c) if c in CLASSES else -1 for c in alerts.weak_class])
        classes = 4
    labelled = np.flatnonzero(labels >= 0)
    votes = np.eye(classes)[labels]
    names = METADATA if arguments.task == "metadata" else ()
    tests = [labelled[t] for t in folds(labels[labelled], alerts.object_id[labelled])]

    def score(p, which):
        if arguments.task == "scores":
            return 100 * roc_auc_score(labels[which], p[:, 1])
        return 100 * balanced_accuracy_score(labels[which], p.argmax(1))

    for name in arguments.recipes:
        recipe = RECIPES[name]
        images = stretched(alerts.images, recipe)
        rows = []
        for fold in arguments.folds:
            begin = time.perf_counter()
            test = tests[fold]
            taught = np.setdiff1d(labelled, test)
            excluded = test
            if arguments.inner:
                inner = folds(labels[taught], alerts.object_id[taught], seed=fold + 1)[0]
                excluded = np.concatenate([test, taught[inner]])
                test, taught = taught[inner], np.delete(taught, inner)
            p = 0
            singles = []
            for m in range(recipe.members):
                net, packed = member(alerts, images, votes, taught, excluded, recipe, fold + 100 * m, names, arguments.task)
                one = predict(net, packed, votes, test, names)
                singles.append(score(one, test))
                p = p + one
            took = time.perf_counter() - begin
            features = images[:, :, ::1, ::1].reshape(len(images), -1) if recipe.size_pix <= 31 else stretched(alerts.images, S).reshape(len(images), -1)
            table = np.nan_to_num(alerts.table(METADATA), nan=-1)
            found = {"forest": score(forest(features[taught], labels[taught], fold).predict_proba(features[test]), test)}
            if names:
                found["forest_meta"] = score(forest(table[taught], labels[taught], fold).predict_proba(table[test]), test)
                both = np.concatenate([features, table], axis=1)
                found["forest_both"] = score(forest(both[taught], labels[taught], fold).predict_proba(both[test]), test)
            rows.append({"net": score(p, test), "single": np.mean(singles), **found, "seconds": took})
            print(name, fold, {k: round(float(v), 1) for k, v in rows[-1].items()}, flush=True)
        print(name, "MEAN", {k: f"{np.mean([r[k] for r in rows]):.1f}±{np.std([r[k] for r in rows]):.1f}" for k in rows[0]}, flush=True)


if __name__ == "__main__":
    main()
