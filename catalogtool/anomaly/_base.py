"""The interface of anomaly methods: fit on features of known classes, score any others."""

from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from catalogtool.config._base import Settings

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Arrays = dict[str, npt.NDArray[Any]]


class MethodOptions(Settings):
    """Options of a method; each file has its own ``Options``."""


class Method(ABC):
    """A fitted method. Subclasses are called ``Method`` too.

    Whatever it says of one object depends on that object's features alone.
    """

    @classmethod
    @abstractmethod
    def fit(
        cls, features: FloatArray, class_index: IntArray, options: MethodOptions, seed: int
    ) -> Self:
        """Learn what is usual.

        Parameters
        ----------
        features : ndarray, shape (N, D), float32
            Standardised and finite.
        class_index : ndarray, shape (N,), int64
            Class of each object, 0 to K - 1; every class has some objects.
        options : MethodOptions
            Of this method.
        seed : int
            Seed of weights and batches.
        """

    @abstractmethod
    def score(self, features: FloatArray) -> FloatArray:
        """Score features of shape (M, D); shape (M,), higher is more anomalous."""

    def distances(self, features: FloatArray) -> FloatArray | None:
        """Distances from each class, shape (M, K); None where the method knows no classes."""
        del features
        return None

    @abstractmethod
    def to_arrays(self) -> Arrays:
        """Everything that was learned, as named arrays."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Arrays, options: MethodOptions) -> Self:
        """Restore what `to_arrays` gave."""
