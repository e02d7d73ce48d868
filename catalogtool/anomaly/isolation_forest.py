"""Isolation forest: random cuts set apart what is unusual after few of them.

Grown by scikit-learn; stored as plain arrays, and scored from these.
"""

from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import PositiveInt
from sklearn.ensemble import IsolationForest

from catalogtool.anomaly import _base
from catalogtool.anomaly._base import Arrays, FloatArray, IntArray


class Options(_base.MethodOptions):
    """Options of the isolation forest, with the published defaults."""

    trees: PositiveInt = 100
    samples: PositiveInt = 256
    """Objects that each tree sees."""


class Method(_base.Method):
    """Trees as arrays, one row per tree, filled up to the largest.

    Parameters
    ----------
    arrays : dict of ndarray, shape (T, nodes)
        ``left`` and ``right``: children; ``feature`` and ``threshold``: the cut, left is at or
        below it; ``length``: path length at a leaf; a node without cut is its own child.
    samples : float
        Objects that each tree saw.
    """

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays

    @classmethod
    def fit(
        cls, features: FloatArray, class_index: IntArray, options: _base.MethodOptions, seed: int
    ) -> Self:
        """Grow the trees; classes are not looked at."""
        del class_index
        assert isinstance(options, Options)
        samples = min(options.samples, len(features))
        forest = IsolationForest(n_estimators=options.trees, max_samples=samples, random_state=seed)
        forest.fit(features)
        trees = [_tree(grown.tree_) for grown in forest.estimators_]
        nodes = max(len(tree["left"]) for tree in trees)
        arrays: Arrays = {
            name: np.stack([np.pad(tree[name], (0, nodes - len(tree[name]))) for tree in trees])
            for name in trees[0]
        }
        return cls({**arrays, "samples": np.array([samples], dtype=np.float64)})

    def score(self, features: FloatArray) -> FloatArray:
        """``2^(-mean path length / c(samples))``, between 0 and 1."""
        left, right, feature = (self.arrays[name] for name in ("left", "right", "feature"))
        threshold, length = self.arrays["threshold"], self.arrays["length"]
        trees = np.arange(len(left))
        rows = np.arange(len(features))[:, None]
        node = np.zeros((len(features), len(left)), dtype=np.int64)  # (M, T)
        while True:
            is_left = features[rows, feature[trees, node]] <= threshold[trees, node]
            following = np.where(is_left, left[trees, node], right[trees, node])
            if (following == node).all():
                break
            node = following
        mean = length[trees, node].mean(axis=1)
        scores: FloatArray = np.exp2(-mean / average_path(self.arrays["samples"])[0])
        return scores.astype(np.float32)

    def to_arrays(self) -> Arrays:
        """The trees."""
        return self.arrays

    @classmethod
    def from_arrays(cls, arrays: Arrays, options: _base.MethodOptions) -> Self:
        """Restore them."""
        del options
        return cls(arrays)


def average_path(count: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mean path length of an unsuccessful search among so many objects, ``c(n)``."""
    n = np.asarray(count, dtype=np.float64)
    many = 2 * (np.log(np.maximum(n - 1, 1)) + np.euler_gamma) - 2 * (n - 1) / np.maximum(n, 1)
    found: npt.NDArray[np.float64] = np.where(n > 2, many, np.where(n == 2, 1.0, 0.0))
    return found


def _tree(tree: object) -> dict[str, npt.NDArray[np.generic]]:
    """Arrays of one tree of scikit-learn."""
    left, right = (np.array(getattr(tree, f"children_{side}")) for side in ("left", "right"))
    own = np.arange(len(left))
    is_leaf = left < 0
    depth = np.zeros(len(left))
    for node in np.flatnonzero(~is_leaf):  # parents come before their children
        depth[[left[node], right[node]]] = depth[node] + 1
    return {
        "left": np.where(is_leaf, own, left),
        "right": np.where(is_leaf, own, right),
        "feature": np.where(is_leaf, 0, np.array(getattr(tree, "feature"))),  # noqa: B009
        "threshold": np.array(getattr(tree, "threshold")),  # noqa: B009 - no type information
        "length": depth + average_path(np.array(getattr(tree, "n_node_samples"))),  # noqa: B009
    }
