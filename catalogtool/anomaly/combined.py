"""Several methods as one: what only one of them finds unusual still stands out.

``s(x) = mean_m ln(s_m(x) / mean(s_m) + 0.01)``, the inner mean over usual objects. Deep methods see
shapes that a covariance does not, and fold together what is far away; a covariance does not fold.
"""

from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field

from catalogtool.anomaly import _base, load_method, read_method_options
from catalogtool.anomaly._base import Arrays, FloatArray, IntArray
from catalogtool.config._base import Name

_FLOOR = 0.01


class Options(_base.MethodOptions):
    """Options of the combination."""

    methods: Annotated[tuple[Name, ...], Field(min_length=1)] = ("mahalanobis", "mcdsvdd")
    """Methods whose scores are not negative."""
    options: dict[Name, dict[str, Any]] = {}
    """Options of each method."""


class Method(_base.Method):
    """Fitted methods and their mean scores of usual objects.

    Parameters
    ----------
    members : tuple of Method
    means : ndarray, shape (methods,)
    """

    def __init__(self, members: tuple[_base.Method, ...], means: np.ndarray) -> None:
        self.members = members
        self.means = means

    @classmethod
    def fit(
        cls, features: FloatArray, class_index: IntArray, options: _base.MethodOptions, seed: int
    ) -> Self:
        """Fit every method on the same objects."""
        assert isinstance(options, Options)
        members = tuple(
            load_method(name).fit(features, class_index, _options_of(options, name), seed)
            for name in options.methods
        )
        means = [float(member.score(features).mean(dtype=np.float64)) for member in members]
        return cls(members, np.maximum(means, 1e-12))

    def score(self, features: FloatArray) -> FloatArray:
        """Mean logarithm of the relative scores."""
        scores = [
            np.log(np.maximum(member.score(features), 0) / mean + _FLOOR)
            for member, mean in zip(self.members, self.means, strict=True)
        ]
        mean: FloatArray = np.mean(scores, axis=0).astype(np.float32)
        return mean

    def distances(self, features: FloatArray) -> FloatArray | None:
        """Those of the first method that knows classes."""
        for member in self.members:
            found = member.distances(features)
            if found is not None:
                return found
        return None

    def to_arrays(self) -> Arrays:
        """Arrays of the methods, their numbers before their names."""
        arrays: Arrays = {"means": self.means}
        for index, member in enumerate(self.members):
            arrays |= {f"{index}.{name}": a for name, a in member.to_arrays().items()}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Arrays, options: _base.MethodOptions) -> Self:
        """Restore the methods."""
        assert isinstance(options, Options)
        members = []
        for index, name in enumerate(options.methods):
            prefix = f"{index}."
            own = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
            members.append(load_method(name).from_arrays(own, _options_of(options, name)))
        return cls(tuple(members), arrays["means"])


def _options_of(options: Options, name: str) -> _base.MethodOptions:
    return read_method_options(name, options.options.get(name, {}))
