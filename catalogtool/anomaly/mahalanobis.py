"""Distance from the nearest class in units of that class's own spread: the yardstick.

``s(x) = min_k (x - m_k)^T C_k^-1 (x - m_k)`` with the mean and covariance of each class.
"""

from typing import Annotated, Self

import numpy as np
from pydantic import Field

from catalogtool.anomaly import _base
from catalogtool.anomaly._base import Arrays, FloatArray, IntArray


class Options(_base.MethodOptions):
    """Options of the Mahalanobis distance."""

    shrinkage: Annotated[float, Field(gt=0, le=1)] = 0.02
    """Share of a sphere in every covariance: it keeps classes with fewer objects than features
    invertible."""


class Method(_base.Method):
    """Class-wise Mahalanobis distance.

    Parameters
    ----------
    means : ndarray, shape (K, D), float64
    whiteners : ndarray, shape (K, D, D), float64
        ``W_k`` with ``C_k^-1 = W_k^T W_k``.
    """

    def __init__(self, means: np.ndarray, whiteners: np.ndarray) -> None:
        self.means = means
        self.whiteners = whiteners

    @classmethod
    def fit(
        cls, features: FloatArray, class_index: IntArray, options: _base.MethodOptions, seed: int
    ) -> Self:
        """Measure mean and covariance of each class."""
        del seed
        assert isinstance(options, Options)
        means, whiteners = [], []
        for index in range(int(class_index.max()) + 1):
            rows = features[class_index == index].astype(np.float64)
            means.append(rows.mean(axis=0))
            whiteners.append(_whitener(rows - means[-1], options.shrinkage))
        return cls(np.stack(means), np.stack(whiteners))

    def score(self, features: FloatArray) -> FloatArray:
        """Distance from the nearest class."""
        nearest: FloatArray = self.distances(features).min(axis=1)
        return nearest

    def distances(self, features: FloatArray) -> FloatArray:
        """Squared distance from each class."""
        found = np.empty((len(features), len(self.means)), dtype=np.float32)
        for index, (mean, whitener) in enumerate(zip(self.means, self.whiteners, strict=True)):
            # Not a matrix product: its sums would depend on how many objects come together.
            white = np.einsum("md,ed->me", features - mean, whitener, optimize=False)
            found[:, index] = (white**2).sum(axis=1)
        return found

    def to_arrays(self) -> Arrays:
        """Means and whiteners."""
        return {"means": self.means, "whiteners": self.whiteners}

    @classmethod
    def from_arrays(cls, arrays: Arrays, options: _base.MethodOptions) -> Self:
        """Restore them."""
        del options
        return cls(arrays["means"], arrays["whiteners"])


def _whitener(centred: np.ndarray, shrinkage: float) -> np.ndarray:
    covariance = centred.T @ centred / max(len(centred) - 1, 1)
    sphere = max(np.trace(covariance) / len(covariance), 1e-6)
    covariance = (1 - shrinkage) * covariance + shrinkage * sphere * np.eye(len(covariance))
    return np.asarray(np.linalg.inv(np.linalg.cholesky(covariance)))
