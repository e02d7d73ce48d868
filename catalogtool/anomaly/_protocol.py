"""The leave-one-class-out protocol: a class that nobody was told of are the anomalies."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from catalogtool.anomaly._base import FloatArray, IntArray
from catalogtool.anomaly._scorer import AnomalyScorer
from catalogtool.errors import DataError

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Labelled:
    """Objects with features and classes.

    Attributes
    ----------
    features : ndarray, shape (N, D), float32
    class_index : ndarray, shape (N,), int64
    classes : tuple of str
        Names of the K classes.
    is_test : ndarray, shape (N,), bool
        Objects that teach nothing.
    """

    features: FloatArray
    class_index: IntArray
    classes: tuple[str, ...]
    is_test: BoolArray


@dataclass(frozen=True)
class LeftOut:
    """How well one class was told from the others without having been seen.

    Attributes
    ----------
    auroc : float
        Probability that an object of the class scores higher than one of another class.
    precision : dict of float
        Share of the class among the k highest scores, by k.
    base_rate : float
        Share of the class in the test: the precision of guessing.
    """

    auroc: float
    precision: dict[int, float]
    base_rate: float


def leave_one_out(
    labelled: Labelled, left_out: int, method: str, options: dict[str, Any], seed: int
) -> LeftOut:
    """Fit without a class, and score the test objects of all.

    Raises
    ------
    DataError
        If the test has no object of the class, or of no other.
    """
    known = [index for index in range(len(labelled.classes)) if index != left_out]
    teaches = ~labelled.is_test & (labelled.class_index != left_out)
    test_index = labelled.class_index[labelled.is_test]
    is_anomaly = test_index == left_out
    if not is_anomaly.any() or is_anomaly.all():
        raise DataError(
            f"the test has {int(is_anomaly.sum())} objects of {labelled.classes[left_out]} among "
            f"{len(is_anomaly)}; both that class and others are needed"
        )
    scorer = AnomalyScorer.fit(
        labelled.features[teaches],
        np.searchsorted(known, labelled.class_index[teaches]),
        tuple(labelled.classes[index] for index in known),
        method,
        options,
        seed,
    )
    table = scorer.apply(labelled.features[labelled.is_test])
    scores = table.column("score").to_numpy()
    return LeftOut(
        auroc=float(roc_auc_score(is_anomaly, scores)),
        precision={k: precision_at(is_anomaly, scores, k) for k in (10, 50)},
        base_rate=float(is_anomaly.mean()),
    )


def precision_at(is_anomaly: BoolArray, scores: FloatArray, k: int) -> float:
    """Share of anomalies among the k highest scores; of equal scores the first ones count."""
    best = np.argsort(-scores, kind="stable")[:k]
    return float(is_anomaly[best].mean())


def split(class_index: IntArray, test_share: float, seed: int) -> BoolArray:
    """Which objects are for the test: the same share of every class, drawn by seed."""
    rng = np.random.default_rng(seed)
    is_test = np.zeros(len(class_index), dtype=bool)
    for index in np.unique(class_index):
        own = rng.permutation(np.flatnonzero(class_index == index))
        is_test[own[: max(1, round(test_share * len(own)))]] = True
    return is_test
