"""One-class support vector machine with a Gaussian kernel.

Fitted by scikit-learn; stored as support vectors, and scored from these.
"""

from typing import Annotated, Self

import numpy as np
from pydantic import Field
from scipy.spatial.distance import cdist
from sklearn.svm import OneClassSVM

from catalogtool.anomaly import _base
from catalogtool.anomaly._base import Arrays, FloatArray, IntArray

_BLOCK = 1024


class Options(_base.MethodOptions):
    """Options of the support vector machine, with the published default."""

    nu: Annotated[float, Field(gt=0, le=1)] = 0.01
    """Upper limit on the share of usual objects outside of the boundary."""


class Method(_base.Method):
    """Support vectors.

    Parameters
    ----------
    arrays : dict of ndarray
        ``vectors`` (S, D), ``weights`` (S,), ``offset`` (1,), ``gamma`` (1,).
    """

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays

    @classmethod
    def fit(
        cls, features: FloatArray, class_index: IntArray, options: _base.MethodOptions, seed: int
    ) -> Self:
        """Find the support vectors; classes are not looked at."""
        del class_index, seed
        assert isinstance(options, Options)
        gamma = 1 / (features.shape[1] * max(float(features.var()), 1e-12))
        machine = OneClassSVM(kernel="rbf", nu=options.nu, gamma=gamma).fit(features)
        return cls(
            {
                "vectors": np.ascontiguousarray(machine.support_vectors_, dtype=np.float64),
                "weights": np.ascontiguousarray(machine.dual_coef_[0]),
                "offset": np.array(machine.intercept_),
                "gamma": np.array([gamma]),
            }
        )

    def score(self, features: FloatArray) -> FloatArray:
        """Negative decision function; above 0 outside of the boundary."""
        vectors, weights = self.arrays["vectors"], self.arrays["weights"]
        parts = [np.zeros(0, dtype=np.float32)]
        for start in range(0, len(features), _BLOCK):
            rows = features[start : start + _BLOCK].astype(np.float64)
            kernel = np.exp(-self.arrays["gamma"] * cdist(rows, vectors, "sqeuclidean"))
            inside = (kernel * weights).sum(axis=1) + self.arrays["offset"]
            parts.append((-inside).astype(np.float32))
        return np.concatenate(parts)

    def to_arrays(self) -> Arrays:
        """Support vectors and their weights."""
        return self.arrays

    @classmethod
    def from_arrays(cls, arrays: Arrays, options: _base.MethodOptions) -> Self:
        """Restore them."""
        del options
        return cls(arrays)
