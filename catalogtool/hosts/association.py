"""Which source is the host: the network's votes and the shapes of the sources, weighed together.

Every source of a field and "none of them" have a utility that is linear in a few numbers; the
probabilities are their softmax (McFadden's conditional logit). The weights are learned from scenes
that did not teach the network. So two plausible hosts are two candidates with probabilities, and
not the point between them, and a transient without a host has a probability of its own.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from catalogtool.hosts.sources import Sources, directional_radius, separation_pix

Floats = npt.NDArray[np.float64]

SOURCE_TERMS = (
    "log_vote_radii",
    "log_vote_separation",
    "log_light_radii",
    "log_separation",
    "log_signal",
    "log_size",
    "compactness",
    "vote_share",
)
NOBODY_TERMS = ("one", "log_scatter", "log_least_light_radii", "log_least_vote_separation")
_PENALTY = 1e-3
_SOFTENING = 0.3
"""Radii below which distances are as good as 0."""


@dataclass(frozen=True)
class Field:
    """What is known of one transient's surroundings.

    Attributes
    ----------
    terms : ndarray, shape (S, 8)
        `SOURCE_TERMS` of every source.
    nobody : ndarray, shape (4,)
        `NOBODY_TERMS`.
    """

    terms: Floats
    nobody: Floats


def describe_field(sources: Sources, votes: Floats, x: float, y: float) -> Field:
    """Numbers that tell hosts from other sources.

    Parameters
    ----------
    sources : Sources
        At least one.
    votes : ndarray, shape (8, 2)
        Places x and y that the network votes for, in pixels of the image.
    x, y : float
        Place of the transient.
    """
    mean = votes.mean(axis=0)
    vote_radii = directional_radius(sources, *mean)
    vote_separation = separation_pix(sources, *mean)
    light_radii = directional_radius(sources, x, y)
    each = np.stack([directional_radius(sources, *vote) for vote in votes])  # (8, S)
    share = np.bincount(each.argmin(axis=1), minlength=len(sources)) / len(votes)
    signal = np.maximum(sources.flux / sources.noise, 1.0)
    area = sources.a * sources.b
    terms = np.stack(
        [
            np.log(vote_radii + _SOFTENING),
            np.log(vote_separation + 1),
            np.log(light_radii + _SOFTENING),
            np.log(separation_pix(sources, x, y) + 1),
            np.log(signal),
            np.log(sources.a),
            np.log(np.maximum(sources.peak * area / np.maximum(sources.flux, 1e-9), 1e-3)),
            share,
        ],
        axis=1,
    )
    nobody = np.array(
        [
            1.0,
            np.log(scatter(votes) + 1),
            np.log(light_radii.min() + _SOFTENING),
            np.log(vote_separation.min() + 1),
        ]
    )
    return Field(terms, nobody)


def scatter(votes: Floats) -> float:
    """Root-mean-square distance of votes (8, 2) from their mean, in pixels."""
    return float(np.sqrt(((votes - votes.mean(axis=0)) ** 2).sum(axis=1).mean()))


@dataclass(frozen=True)
class Association:
    """Learned weights.

    Attributes
    ----------
    source_weights : ndarray, shape (8,)
    nobody_weights : ndarray, shape (4,)
    """

    source_weights: Floats
    nobody_weights: Floats

    def probabilities(self, field: Field) -> Floats:
        """Probability of every source, and last that of none of them; shape (S + 1,)."""
        utility = np.append(field.terms @ self.source_weights, field.nobody @ self.nobody_weights)
        weights = np.exp(utility - utility.max())
        probabilities: Floats = weights / weights.sum()
        return probabilities

    @classmethod
    def fit(cls, fields: list[Field], hosts: list[int]) -> Self:
        """Learn weights that make the true hosts probable.

        Parameters
        ----------
        fields : list of Field
        hosts : list of int
            Index of the host among the sources of each field; -1: none of them.
        """
        sizes = np.array([len(field.terms) for field in fields])
        terms = np.concatenate([field.terms for field in fields])
        nobody = np.stack([field.nobody for field in fields])
        owner = np.repeat(np.arange(len(fields)), sizes)
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        chosen = np.array(hosts)
        has_host = chosen >= 0
        rows = starts[has_host] + chosen[has_host]
        count = terms.shape[1]

        def loss(weights: Floats) -> tuple[float, Floats]:
            utility = terms @ weights[:count]
            none = nobody @ weights[count:]
            highest = np.maximum(np.maximum.reduceat(utility, starts), none)
            share = np.exp(utility - highest[owner])
            alone = np.exp(none - highest)
            total = np.add.reduceat(share, starts) + alone
            log_total = np.log(total) + highest
            value = log_total.sum() - utility[rows].sum() - none[~has_host].sum()
            gradient = np.concatenate(
                [
                    terms.T @ (share / total[owner]) - terms[rows].sum(axis=0),
                    nobody.T @ (alone / total) - nobody[~has_host].sum(axis=0),
                ]
            )
            penalty = _PENALTY * len(fields)
            value += 0.5 * penalty * (weights**2).sum()
            return value / len(fields), (gradient + penalty * weights) / len(fields)

        start = np.zeros(count + nobody.shape[1])
        found = minimize(loss, start, jac=True, method="L-BFGS-B")
        return cls(found.x[:count], found.x[count:])


def true_source(sources: Sources, x: float, y: float, reach: float = 2.0) -> int:
    """Source that a host at a place is: the one whose ellipse is nearest; -1 if none is near."""
    if not len(sources):
        return -1
    radii = directional_radius(sources, x, y)
    best = int(radii.argmin())
    near = radii[best] <= reach or separation_pix(sources, x, y)[best] <= reach
    return best if near else -1
