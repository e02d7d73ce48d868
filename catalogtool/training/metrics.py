"""How well probabilities agree with labels."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
LabelKind = Literal["votes", "class"]


def sample_rmse(probabilities: FloatArray, votes: FloatArray) -> FloatArray:
    """Root-mean-square error over classes of every cutout: shape (M,).

    Parameters
    ----------
    probabilities, votes : ndarray, shape (M, K)
    """
    errors = np.asarray(probabilities, dtype=np.float64) - votes
    rmse: FloatArray = np.sqrt(np.mean(errors**2, axis=1))
    return rmse


def confusion(probabilities: FloatArray, votes: FloatArray) -> npt.NDArray[np.int64]:
    """Counts by plurality of the votes (rows) and predicted class (columns): shape (K, K)."""
    classes = votes.shape[1]
    pairs = votes.argmax(axis=1) * classes + probabilities.argmax(axis=1)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def balanced_accuracy(counts: npt.NDArray[np.int64]) -> float:
    """Mean recall over the classes that occur, from a confusion matrix."""
    occurring = counts.sum(axis=1) > 0
    recalls = counts.diagonal()[occurring] / counts.sum(axis=1)[occurring]
    return float(recalls.mean())


def mean_cross_entropy(probabilities: FloatArray, votes: FloatArray) -> float:
    """Mean cross-entropy of probabilities against votes, in nats."""
    floor = np.finfo(np.float32).tiny
    return float(-(votes * np.log(np.maximum(probabilities, floor))).sum(axis=1).mean())


def information(probabilities: FloatArray) -> float:
    """Mutual information of cutouts and predicted classes, in nats: between 0 and ln K.

    The entropy of the mean prediction less the mean entropy of the predictions: large where each
    prediction is sure and all classes are predicted. It needs no labels, and it prefers equally
    frequent classes.

    References
    ----------
    Krause et al. 2010, NeurIPS 23; as a judge of domain adaptation Musgrave et al. 2022
    (arXiv:2208.07360).

    Parameters
    ----------
    probabilities : ndarray, shape (M, K)
        At least one row.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    return float(_entropy(p.mean(axis=0)) - _entropy(p).mean())


def _entropy(probabilities: FloatArray) -> FloatArray:
    """Entropy over the last axis, in nats."""
    floor = np.finfo(np.float64).tiny
    return -(probabilities * np.log(np.maximum(probabilities, floor))).sum(axis=-1)  # type: ignore[no-any-return]


def class_shares(probabilities: FloatArray) -> list[float]:
    """Share of each class among the predicted ones, from probabilities (M, K), M at least 1."""
    counts = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1])
    shares: list[float] = (counts / len(probabilities)).tolist()
    return shares


def evaluate(probabilities: FloatArray, votes: FloatArray) -> dict[str, Any]:
    """All figures of a set of cutouts, as JSON values; only the count where there are none.

    Parameters
    ----------
    probabilities, votes : ndarray, shape (M, K)

    Returns
    -------
    dict
        ``rmse`` is the mean of the cutouts' own errors, ``global_rmse`` the root of the mean
        square over all of them, which is never smaller.
    """
    if not len(votes):
        return {"count": 0}
    errors = sample_rmse(probabilities, votes)
    counts = confusion(probabilities, votes)
    return {
        "count": len(votes),
        "rmse": float(errors.mean()),
        "global_rmse": float(np.sqrt(np.mean(errors**2))),
        "accuracy": float(counts.trace() / counts.sum()),
        "balanced_accuracy": balanced_accuracy(counts),
        "loss": mean_cross_entropy(probabilities, votes),
        "confusion": counts.tolist(),
    }


def evaluate_by_band(
    probabilities: FloatArray,
    votes: FloatArray,
    band: npt.NDArray[np.int64],
    names: tuple[str, ...],
) -> dict[str, dict[str, Any]]:
    """The same figures for every band by itself."""
    return {
        name: evaluate(probabilities[band == index], votes[band == index])
        for index, name in enumerate(names)
    }


def selection_score(figures: dict[str, Any], kind: LabelKind) -> tuple[float, float]:
    """What the best epoch has the least of: error, or balanced error and then loss."""
    if kind == "votes":
        return (figures["rmse"], figures["loss"])
    return (1 - figures["balanced_accuracy"], figures["loss"])
