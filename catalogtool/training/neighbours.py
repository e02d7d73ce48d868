"""How unlike all labelled objects an object is: the score by which unknown classes are found.

The score is the mean distance from an object to the nearest labelled ones, between the directions
of their features. Probabilities cannot tell: a network is as sure of an object of no known class as
of any other, and adaptation makes it surer. The threshold is a quantile of the scores that the
labelled objects have among each other.

References
----------
Sun et al. 2022, ICML (arXiv:2204.06507); their score is the distance to one neighbour, the k-th.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

_NEAREST = 5
_SHARE_KEPT = 0.9
"""Share of the labelled objects that the threshold calls known."""
_LIMIT = 2000
"""Labelled objects that are remembered: a megabyte for features of length 128."""
_ROWS = 1000  # whose distances are in memory at once


@dataclass(frozen=True)
class Neighbours:
    """Labelled objects as a network sees them.

    Attributes
    ----------
    directions : Tensor, shape (M, D), float32
        Features of the labelled objects, as unit vectors.
    threshold : Tensor, shape (), float32
        Score above which an object is of no known class.
    """

    directions: torch.Tensor
    threshold: torch.Tensor

    def to_tensors(self) -> dict[str, torch.Tensor]:
        """The numbers by name, as `Neighbours` takes them."""
        return {"directions": self.directions, "threshold": self.threshold}

    def describe(self) -> dict[str, float]:
        """How many they are and the threshold, as JSON values."""
        return {"count": len(self.directions), "threshold": float(self.threshold)}

    def score(self, features: torch.Tensor) -> torch.Tensor:
        """Mean distance (B,), 0 to 2, of features (B, D) to the nearest labelled objects."""
        return _mean_of_nearest(features, self.directions, skip=0)

    def is_unknown(self, features: torch.Tensor) -> npt.NDArray[np.bool_]:
        """Whether objects are of no known class: shape (B,), from features (B, D)."""
        found: npt.NDArray[np.bool_] = (self.score(features) > self.threshold).numpy()
        return found


def remember(features: npt.NDArray[np.float32], seed: int) -> Neighbours:
    """Labelled objects to compare with, and the threshold that follows from them.

    Parameters
    ----------
    features : ndarray, shape (M, D)
        Of labelled cutouts, at least two; in any order, and each counts once.
    seed : int
        Draws those that are kept, where there are many.
    """
    features = np.unique(features, axis=0)  # several workers may have the same few cutouts
    order = np.random.default_rng(seed).permutation(len(features))[:_LIMIT]
    directions = functional.normalize(torch.from_numpy(features[order]).float())
    among = _mean_of_nearest(directions, directions, skip=1)  # the nearest of each is itself
    return Neighbours(directions, torch.quantile(among, _SHARE_KEPT))


def _mean_of_nearest(features: torch.Tensor, others: torch.Tensor, *, skip: int) -> torch.Tensor:
    """Mean distance (B,) to the nearest of other unit vectors (M, D), the first `skip` left out."""
    count = min(_NEAREST + skip, len(others))
    means = [features.new_zeros(0)]
    for rows in torch.split(functional.normalize(features), _ROWS):
        cosines = (rows @ others.T).topk(count, dim=1).values[:, skip:]
        means.append((2 - 2 * cosines).clamp(min=0).sqrt().mean(dim=1))
    return torch.cat(means)
