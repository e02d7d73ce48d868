"""Distance from the k-th nearest usual object: a yardstick that knows no classes' shapes."""

from typing import Self

import numpy as np
from pydantic import PositiveInt
from scipy.spatial import KDTree

from catalogtool.anomaly import _base
from catalogtool.anomaly._base import Arrays, FloatArray, IntArray


class Options(_base.MethodOptions):
    """Options of the neighbour distance."""

    neighbour: PositiveInt = 5


class Method(_base.Method):
    """Euclidean distance from the k-th nearest object.

    Parameters
    ----------
    features : ndarray, shape (N, D), float32
    class_index : ndarray, shape (N,)
    neighbour : int
        k.
    """

    def __init__(self, features: FloatArray, class_index: IntArray, neighbour: int) -> None:
        self.features = features
        self.class_index = class_index
        self.neighbour = neighbour
        self._all = KDTree(features)
        self._of_class = [
            KDTree(features[class_index == index]) for index in range(int(class_index.max()) + 1)
        ]

    @classmethod
    def fit(
        cls, features: FloatArray, class_index: IntArray, options: _base.MethodOptions, seed: int
    ) -> Self:
        """Keep all objects."""
        del seed
        assert isinstance(options, Options)
        return cls(features, class_index, options.neighbour)

    def score(self, features: FloatArray) -> FloatArray:
        """Distance from the k-th nearest object of any class."""
        return _distance(self._all, features, self.neighbour)

    def distances(self, features: FloatArray) -> FloatArray:
        """Distance from the k-th nearest object of each class."""
        found = [_distance(tree, features, self.neighbour) for tree in self._of_class]
        return np.stack(found, axis=1)

    def to_arrays(self) -> Arrays:
        """The objects."""
        return {"features": self.features, "class_index": self.class_index}

    @classmethod
    def from_arrays(cls, arrays: Arrays, options: _base.MethodOptions) -> Self:
        """Restore them."""
        assert isinstance(options, Options)
        return cls(arrays["features"], arrays["class_index"], options.neighbour)


def _distance(tree: KDTree, features: FloatArray, neighbour: int) -> FloatArray:
    """Distance from the k-th nearest point, or the farthest of fewer."""
    k = min(neighbour, tree.n)
    found, _ = tree.query(features, k=[k])
    distances: FloatArray = found[:, 0].astype(np.float32)
    return distances
