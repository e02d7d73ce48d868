"""A method with everything around it: scaling of features, p-values, names of classes."""

import json
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import safetensors
import safetensors.numpy

from catalogtool.anomaly import load_method, read_method_options
from catalogtool.anomaly._base import FloatArray, IntArray, Method
from catalogtool.anomaly._conformal import p_values
from catalogtool.errors import DataError

_HELD_OUT = 0.25
"""Share of the objects that say how rare a score is, and teach nothing."""
_FEWEST = 4
"""Objects of a class without which it cannot be divided."""
_CLIP = 6.0
"""Standardised features beyond this say no more: networks would extrapolate wildly."""
_HEADER = "catalogtool"


@dataclass(frozen=True)
class Scaling:
    """Standardisation of features; constant ones stay 0.

    Attributes
    ----------
    mean, spread : ndarray, shape (D,), float32
    """

    mean: FloatArray
    spread: FloatArray

    @classmethod
    def of(cls, features: FloatArray) -> Self:
        """Measure mean and standard deviation."""
        spread = features.std(axis=0, dtype=np.float64)
        # What varies by rounding alone is constant.
        constant = spread <= 1e-6 * np.abs(features).max(axis=0, initial=0)
        return cls(
            features.mean(axis=0, dtype=np.float64).astype(np.float32),
            np.where(constant, np.inf, spread).astype(np.float32),
        )

    def apply(self, features: FloatArray) -> FloatArray:
        """Standardise features of shape (M, D)."""
        scaled: FloatArray = np.clip((features - self.mean) / self.spread, -_CLIP, _CLIP)
        return scaled.astype(np.float32)


@dataclass(frozen=True)
class AnomalyScorer:
    """A fitted scorer.

    Attributes
    ----------
    method : Method
        Fitted on scaled features.
    method_name, options
        How to restore it.
    classes : tuple of str
        Classes of usual objects.
    scaling : Scaling
    centres : ndarray, shape (K, D), float32
        Means of the classes in scaled features, for methods that know no classes.
    held_out : ndarray, shape (n,), float32
        Scores of usual objects that taught nothing, ascending.
    """

    method: Method
    method_name: str
    options: dict[str, Any]
    classes: tuple[str, ...]
    scaling: Scaling
    centres: FloatArray
    held_out: FloatArray

    @classmethod
    def fit(
        cls,
        features: FloatArray,
        class_index: IntArray,
        classes: tuple[str, ...],
        method: str,
        options: dict[str, Any],
        seed: int,
    ) -> Self:
        """Learn what is usual.

        Parameters
        ----------
        features : ndarray, shape (N, D), float32
        class_index : ndarray, shape (N,), int64
            Class of each object.
        classes : tuple of str
            Names of the K classes.
        method : str
            Name of a method.
        options : dict
            Its options.
        seed : int
            Of the objects that are held out, of weights and of batches.

        Raises
        ------
        DataError
            If a feature is not finite, or a class has too few objects.
        ConfigError
            If the method does not know an option.
        """
        settings = read_method_options(method, options)
        _refuse_unusable(features, class_index, classes)
        is_held_out = _hold_out(class_index, len(classes), seed)
        scaling = Scaling.of(features[~is_held_out])
        scaled, index = scaling.apply(features[~is_held_out]), class_index[~is_held_out]
        fitted = load_method(method).fit(scaled, index, settings, seed)
        centres = [scaled[index == k].mean(axis=0) for k in range(len(classes))]
        held_out = np.sort(fitted.score(scaling.apply(features[is_held_out])))
        named = (fitted, method, settings.to_json(), classes)
        return cls(*named, scaling, np.stack(centres), held_out)

    def apply(self, features: FloatArray) -> pa.Table:
        """Score features of shape (M, D).

        Returns
        -------
        pa.Table
            M rows: ``score`` (higher is more anomalous), ``p_value``, ``nearest_class`` and
            ``distances`` from the K classes.

        Raises
        ------
        DataError
            If a feature is not finite.
        """
        _refuse_infinite(features)
        scaled = self.scaling.apply(features)
        scores = self.method.score(scaled)
        distances = self.method.distances(scaled)
        if distances is None:
            distances = ((scaled[:, None] - self.centres) ** 2).sum(axis=2)
        nearest = np.asarray(self.classes)[distances.argmin(axis=1)]
        flat = pa.array(np.ascontiguousarray(distances, dtype=np.float32).ravel())
        ends = np.arange(len(scores) + 1, dtype=np.int32) * len(self.classes)
        return pa.table(
            {
                "score": pa.array(scores),
                "p_value": pa.array(p_values(scores, self.held_out)),
                "nearest_class": pa.array(nearest, pa.string()),
                "distances": pa.ListArray.from_arrays(pa.array(ends), flat),
            }
        )

    def to_bytes(self) -> bytes:
        """Everything as one safetensors file."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "scaling.mean": self.scaling.mean,
            "scaling.spread": self.scaling.spread,
            "centres": self.centres,
            "held_out": self.held_out,
        }
        arrays |= {f"method.{name}": array for name, array in self.method.to_arrays().items()}
        names = {"method": self.method_name, "options": self.options, "classes": self.classes}
        whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        return safetensors.numpy.save(whole, {_HEADER: json.dumps(names, sort_keys=True)})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Restore a scorer.

        Raises
        ------
        ValueError
            If the file is damaged.
        """
        try:
            arrays = safetensors.numpy.load(data)
            names = json.loads(_metadata(data)[_HEADER])
            prefix = "method."
            own = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
            settings = read_method_options(names["method"], names["options"])
            method = load_method(names["method"]).from_arrays(own, settings)
            scaling = Scaling(arrays["scaling.mean"], arrays["scaling.spread"])
            named = (method, names["method"], names["options"], tuple(names["classes"]))
            return cls(*named, scaling, arrays["centres"], arrays["held_out"])
        except (safetensors.SafetensorError, KeyError, RuntimeError) as error:
            raise ValueError(f"not a scorer: {error}") from error


def _metadata(data: bytes) -> dict[str, str]:
    """Texts in the header of a safetensors file."""
    length = int.from_bytes(data[:8], "little")
    header: dict[str, dict[str, str]] = json.loads(data[8 : 8 + length])
    return header["__metadata__"]


def _hold_out(class_index: IntArray, classes: int, seed: int) -> npt.NDArray[np.bool_]:
    """The same share of every class, drawn by seed."""
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(class_index), dtype=bool)
    for index in range(classes):
        own = rng.permutation(np.flatnonzero(class_index == index))
        chosen[own[: round(_HELD_OUT * len(own))]] = True
    return chosen


def _refuse_unusable(features: FloatArray, class_index: IntArray, classes: tuple[str, ...]) -> None:
    _refuse_infinite(features)
    counts = np.bincount(class_index, minlength=len(classes))
    small = [f"{name} {n}" for name, n in zip(classes, counts, strict=True) if n < _FEWEST]
    if small:
        raise DataError(
            f"too few objects to say what is usual: {', '.join(small)}; at least {_FEWEST} of "
            "every class are needed. Add some, or leave the class out"
        )


def _refuse_infinite(features: FloatArray) -> None:
    broken = ~np.isfinite(features).all(axis=1)
    if broken.any():
        raise DataError(
            f"features of {int(broken.sum())} of {len(features)} objects are NaN or infinite, the "
            f"first in row {int(broken.argmax())}; leave these objects out or fill the values"
        )
