"""How well unusual objects are found: one class after the other is left out, and is the anomaly.

``python tests/benchmarks/anomalies.py [--sets eros crts alerce] [--seeds 5] [--methods ...]``

prints AUROC (mean and standard deviation over seeds), precision at 10 and 50, and seconds per fit,
for every method and left-out class; and how uniform the p-values of held-out usual objects are.
Real tables are read from CATALOGTOOL_DATA. Three tenths of the objects of every class are for the
test, drawn by a hash of their names, the same for all seeds; a seed changes weights, batches and
what is held out for p-values. Of small sets the seed draws the test as well.
"""

import argparse
import csv
import hashlib
import os
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from scipy.stats import ks_2samp

from catalogtool.anomaly import method_names
from catalogtool.anomaly._protocol import Labelled, leave_one_out, split
from catalogtool.anomaly._scorer import AnomalyScorer

DATA = Path(os.environ.get("CATALOGTOOL_DATA", "../shared/data"))
TEST_TENTHS = 3


def eros(_: int) -> Labelled:
    """Variable stars of EROS-1: magnitudes, period, asymmetry and scatter."""
    with (DATA / "eros1-variable-stars/train.csv").open() as file:
        rows = list(csv.DictReader(file))
    values = {
        name: np.array([float(row[name]) for row in rows])
        for name in rows[0]
        if name not in {"", "Unnamed: 0"}
    }
    positive = {name: np.log(np.maximum(values[name], 1e-3)) for name in values}
    features = np.stack(
        [
            values["magnitude_b"],
            values["magnitude_r"],
            values["magnitude_b"] - values["magnitude_r"],
            positive["period"],
            positive["asym_b"],
            positive["asym_r"],
            values["log_p_not_variable"],
            positive["sigma_flux_b"],
            positive["sigma_flux_r"],
            values["num_points_good_b"],
            values["num_points_good_r"],
        ],
        axis=1,
    )
    names = [next(iter(row.values())) for row in rows]
    is_test = np.array([_tenth(name) < TEST_TENTHS for name in names])
    classes = ("eclipsing", "cepheid", "rr_lyrae", "mira")
    return Labelled(
        features.astype(np.float32), values["type"].astype(np.int64) - 1, classes, is_test
    )


def crts(seed: int) -> Labelled:
    """Transients of CRTS: 56 light-curve features; classes with 29 objects or more."""
    table = pq.read_table(DATA / "crts-mantra-500/feets_features.parquet").to_pandas()
    with (DATA / "crts-mantra-500/objects.csv").open() as file:
        class_of = {row["id"]: row["classification"] for row in csv.DictReader(file)}
    ids = table.index if "id" not in table.columns else table["id"]
    found = np.array([class_of.get(str(name).removeprefix("TranID"), "") for name in ids])
    return _small(
        table.drop(columns="id", errors="ignore"), found, ("SN", "CV", "Blazar", "AGN"), seed
    )


def alerce(seed: int) -> Labelled:
    """Light-curve features of ALeRCE: 98 objects, far too few for the published figures."""
    import pandas as pd

    features = pd.read_csv(
        DATA / "alerce-lc-features/100_objects_features.csv", index_col="objectId"
    )
    labels = pd.read_csv(DATA / "alerce-lc-features/100_objects_labels.csv", index_col="objectId")
    found = labels.reindex(features.index)["classALeRCE"].to_numpy(dtype=object)
    found = np.array([str(name) for name in found])
    names, counts = np.unique(found, return_counts=True)
    common = tuple(names[counts >= 8].tolist())
    numeric = features.select_dtypes("number")
    return _small(numeric.loc[:, numeric.notna().mean() > 0.9], found, common, seed)


def _small(table: object, found: np.ndarray, classes: tuple[str, ...], seed: int) -> Labelled:
    """Objects of some classes; unknown values are filled with the median of a feature."""
    chosen = np.isin(found, classes)
    values = np.asarray(table, dtype=np.float64)[chosen]  # type: ignore[call-overload]
    values[~np.isfinite(values)] = np.nan
    values = np.where(np.isnan(values), np.nanmedian(values, axis=0), values)
    # Heavy tails: features of light curves span many powers of ten.
    features = np.arcsinh(values / (np.median(np.abs(values), axis=0) + 1e-12))
    index = np.array([classes.index(name) for name in found[chosen]])
    return Labelled(
        features.astype(np.float32), index, classes, split(index, TEST_TENTHS / 10, seed)
    )


def _tenth(name: str) -> int:
    return int(hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest(), 16) % 10


SETS = {"eros": eros, "crts": crts, "alerce": alerce}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--methods", nargs="+", default=list(method_names()))
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.sets:
        classes = SETS[name](0).classes
        print(f"{name}: AUROC, left out: {', '.join(classes)}; mean; precision at 10, 50; seconds")
        for method in arguments.methods:
            print(f"  {method:<20}{_line(name, method, arguments.seeds)}", flush=True)
        _uniformity(name)


def _line(name: str, method: str, seeds: int) -> str:
    auroc, precise, seconds = [], [], []
    for seed in range(seeds):
        labelled = SETS[name](seed)
        begin = time.perf_counter()
        found = [
            leave_one_out(labelled, index, method, {}, seed)
            for index in range(len(labelled.classes))
        ]
        seconds.append((time.perf_counter() - begin) / len(found))
        auroc.append([one.auroc for one in found])
        precise.append([[one.precision[k] for k in (10, 50)] for one in found])
    each = np.array(auroc)
    spread = each.std(axis=0, ddof=1) if seeds > 1 else np.zeros(each.shape[1])
    text = "  ".join(f"{m:.3f} ± {s:.3f}" for m, s in zip(each.mean(axis=0), spread, strict=True))
    at = np.mean(precise, axis=(0, 1))
    return f"{text}   {each.mean():.3f}   {at[0]:.2f} {at[1]:.2f}   {np.median(seconds):.1f} s"


def _uniformity(name: str) -> None:
    """Kolmogorov-Smirnov test of p-values of test objects of known classes."""
    labelled = SETS[name](0)
    teaches = ~labelled.is_test
    scorer = AnomalyScorer.fit(
        labelled.features[teaches],
        labelled.class_index[teaches],
        labelled.classes,
        "combined",
        {},
        seed=0,
    )
    table = scorer.apply(labelled.features[labelled.is_test])
    scores, p = (table.column(name).to_numpy() for name in ("score", "p_value"))
    found = ks_2samp(scores, scorer.held_out)
    print(
        f"  scores of {len(p)} usual test objects against {len(scorer.held_out)} held out: KS "
        f"{found.statistic:.3f}, p {found.pvalue:.2f}; {(p <= 0.05).mean():.1%} of p-values at or "
        "below 0.05\n"
    )


if __name__ == "__main__":
    main()
