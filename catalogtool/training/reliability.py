"""Whether probabilities mean what they say: expected calibration error and reliability tables.

The confidence of a prediction is the probability of its class. In a bin of equal confidence the
share of right predictions should be that confidence (Guo et al. 2017, arXiv:1706.04599).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]

BINS = 15
"""Bins of equal width between 0 and 1, as in Guo et al. 2017."""
_DRAWS = 400


def harden(votes: FloatArray) -> FloatArray:
    """One-hot labels of the class with most votes: shape (M, K)."""
    hard: FloatArray = np.eye(votes.shape[1])[votes.argmax(axis=1)]
    return hard


def reliability_table(
    probabilities: FloatArray, votes: FloatArray, bins: int = BINS
) -> list[dict[str, Any]]:
    """Confidence and accuracy in bins of confidence; bins without predictions are left out.

    Parameters
    ----------
    probabilities : ndarray, shape (M, K)
    votes : ndarray, shape (M, K)
        The accuracy of a prediction is the share of the votes for its class: 0 or 1 where labels
        are hard.
    bins : int
        Bins of equal width; a confidence on an edge belongs to the bin above, and 1 to the last.

    Returns
    -------
    list of dict
        ``low``, ``high``, ``count``, ``confidence`` and ``accuracy`` of every bin.
    """
    confidence, accuracy = _confidence_and_accuracy(probabilities, votes)
    bin_of = _bin_of(confidence, bins)
    table = []
    for index in np.unique(bin_of).tolist():
        members = bin_of == index
        table.append(
            {
                "low": index / bins,
                "high": (index + 1) / bins,
                "count": int(members.sum()),
                "confidence": float(confidence[members].mean()),
                "accuracy": float(accuracy[members].mean()),
            }
        )
    return table


def calibration_error(probabilities: FloatArray, votes: FloatArray, bins: int = BINS) -> float:
    """Expected calibration error: mean over predictions of their bin's gap.

    ``sum_b n_b / M |accuracy_b - confidence_b|``, at least one prediction.
    """
    confidence, accuracy = _confidence_and_accuracy(probabilities, votes)
    return _error(accuracy - confidence, _bin_of(confidence, bins), bins)


def error_uncertainty(
    probabilities: FloatArray, votes: FloatArray, bins: int = BINS, seed: int = 0
) -> float:
    """Standard deviation of the calibration error over resamples of the predictions.

    A bootstrap with replacement. Resampling widens gaps, so that the mean of the resamples lies
    above the error itself; only their spread is used.
    """
    confidence, accuracy = _confidence_and_accuracy(probabilities, votes)
    gap, bin_of = accuracy - confidence, _bin_of(confidence, bins)
    draws = np.random.default_rng(seed).integers(len(gap), size=(_DRAWS, len(gap)))
    return float(np.std([_error(gap[draw], bin_of[draw], bins) for draw in draws]))


def describe_reliability(probabilities: FloatArray, votes: FloatArray) -> dict[str, Any]:
    """All of it as JSON values; ``ece_hard`` is against the class with most votes."""
    return {
        "count": len(votes),
        "ece": calibration_error(probabilities, votes),
        "ece_sd": error_uncertainty(probabilities, votes),
        "ece_hard": calibration_error(probabilities, harden(votes)),
        "table": reliability_table(probabilities, votes),
    }


def _confidence_and_accuracy(
    probabilities: FloatArray, votes: FloatArray
) -> tuple[FloatArray, FloatArray]:
    rows, predicted = np.arange(len(votes)), probabilities.argmax(axis=1)
    return (
        probabilities[rows, predicted].astype(np.float64),
        votes[rows, predicted].astype(np.float64),
    )


def _bin_of(confidence: FloatArray, bins: int) -> npt.NDArray[np.int64]:
    return np.minimum((confidence * bins).astype(np.int64), bins - 1)


def _error(gap: FloatArray, bin_of: npt.NDArray[np.int64], bins: int) -> float:
    return float(np.abs(np.bincount(bin_of, weights=gap, minlength=bins)).sum() / len(gap))
