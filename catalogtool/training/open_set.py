"""Objects of no known class: figures of how well they are told apart, and the rule of the papers.

That rule's score is the entropy of the class probabilities in nats, which catalogs have as
``entropy``; divided by ln K it lies between 0 and 1. Above a threshold an object counts as unknown.
Catalogs set their flag by a better score, `catalogtool.training.neighbours`.

References
----------
Saito et al. 2020, NeurIPS (arXiv:2002.07953), section 3.2; the harmonic mean: Fu et al. 2020, ECCV
(arXiv:2007.03434), section 5.1.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from catalogtool.catalogs._common import entropy_nat

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

UNKNOWN = -1
"""Label of an object that is of none of the K classes."""


@dataclass(frozen=True)
class OpenSetFigures:
    """How well known objects are classified and unknown ones found.

    Attributes
    ----------
    known_accuracy : float
        Mean recall over the known classes that occur; an object taken for unknown is wrong. NaN
        without any known object.
    unknown_recall : float
        Share of the unknown objects that are taken for unknown; NaN without any.
    """

    known_accuracy: float
    unknown_recall: float

    @property
    def harmonic_mean(self) -> float:
        """``2 a r / (a + r)`` of accuracy and recall; 0 where both are 0."""
        total = self.known_accuracy + self.unknown_recall
        return 2 * self.known_accuracy * self.unknown_recall / total if total else 0.0

    def to_json(self) -> dict[str, float]:
        """All figures by name."""
        return {
            "known_accuracy": self.known_accuracy,
            "unknown_recall": self.unknown_recall,
            "harmonic_mean": self.harmonic_mean,
        }


def middle_threshold(classes: int) -> float:
    """Half the largest entropy of K classes, ``ln(K) / 2``: the rule where there is no other."""
    return math.log(classes) / 2


def predict_open(probabilities: FloatArray, threshold: float) -> IntArray:
    """Most probable class, or `UNKNOWN` where the entropy is above the threshold.

    Parameters
    ----------
    probabilities : ndarray, shape (N, K)
    threshold : float
        Nats.

    Returns
    -------
    ndarray, shape (N,), int64
    """
    is_unknown = entropy_nat(probabilities) > threshold
    return np.where(is_unknown, UNKNOWN, probabilities.argmax(axis=1))


def score_open_set(labels: IntArray, predictions: IntArray) -> OpenSetFigures:
    """Compare predictions with the truth.

    Parameters
    ----------
    labels, predictions : ndarray, shape (N,)
        Classes from 0 on, or `UNKNOWN`.
    """
    recalls = {
        label: float((predictions[labels == label] == label).mean())
        for label in np.unique(labels).tolist()
    }
    unknown = recalls.pop(UNKNOWN, math.nan)
    known = float(np.mean(list(recalls.values()))) if recalls else math.nan
    return OpenSetFigures(known_accuracy=known, unknown_recall=unknown)


def best_threshold(probabilities: FloatArray, labels: IntArray) -> tuple[float, OpenSetFigures]:
    """Threshold with the largest harmonic mean, of all that there are.

    It is chosen by the truth that it is then measured with. So it says how far a method without
    adaptation could come at best, and is no figure of a method that must choose beforehand.

    Parameters
    ----------
    probabilities : ndarray, shape (N, K)
    labels : ndarray, shape (N,)
        Known and unknown objects, at least one of each.

    Returns
    -------
    threshold : float
        Nats; the smallest of several that are equally good.
    figures : OpenSetFigures
        With that threshold.
    """
    entropy = entropy_nat(probabilities)
    order = np.argsort(entropy, kind="stable")
    is_right = (probabilities.argmax(axis=1) == labels)[order]
    sorted_labels = labels[order]
    # Accepting the objects of lowest entropy one by one adds to the recall of their class.
    accuracy = np.zeros(len(labels))
    known = np.unique(labels[labels != UNKNOWN])
    for label in known:
        members = sorted_labels == label
        accuracy += np.cumsum(members & is_right) / members.sum() / len(known)
    strangers = sorted_labels == UNKNOWN
    recall = 1 - np.cumsum(strangers) / strangers.sum()
    total = accuracy + recall
    means = np.divide(2 * accuracy * recall, total, out=np.zeros_like(total), where=total > 0)
    # Objects of one entropy are accepted together: only after the last of them there is a choice.
    is_last = np.append(np.diff(entropy[order]) > 0, True)
    best = int(np.argmax(np.where(is_last, means, -1)))
    return float(entropy[order[best]]), OpenSetFigures(float(accuracy[best]), float(recall[best]))
