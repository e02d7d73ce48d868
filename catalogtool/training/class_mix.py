"""The class mix of a survey without labels, and weights that give labels that mix.

So many labels per class, or those of another survey, are not a sample of the survey: fitted to
them as they are, probabilities would be right for a mix of classes that it does not have.

References
----------
Lipton et al. 2018, ICML (arXiv:1802.03916); Garg et al. 2020, NeurIPS (arXiv:2003.07554).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]

MIX_SPREAD = 0.1
"""Prior standard deviation of each class's share around equal ones. It yields to a network that
tells the classes apart, as many labels show; without it, a useless one would give any answer."""
_SUM_SPREAD = 1e-3
_LEAST_NOISE = 1e-6


def estimate_class_mix(
    probabilities: FloatArray, votes: FloatArray, population: FloatArray
) -> FloatArray:
    """Share of each class in a population, from predictions alone: shape (K,), its sum 1.

    The mean prediction of the population is that of each class, times its share; labelled cutouts
    say what is predicted for a class. So the mean alone is misleading where a class is preferred.

    Parameters
    ----------
    probabilities, votes : ndarray, shape (M, K)
        Predictions for labelled cutouts, and vote fractions of the same.
    population : ndarray, shape (N, K)
        Predictions for unlabelled cutouts of the survey; at least one.
    """
    from scipy.optimize import nnls  # not loaded by those who only apply a calibration

    classes = votes.shape[1]
    count = np.maximum(votes.sum(axis=0), 1 / len(votes))[:, None]  # (K, 1)
    of_class = votes.T @ probabilities / count  # (K, K)
    scatter = votes.T @ np.square(probabilities) / count - np.square(of_class)
    noise = np.sqrt((scatter / np.maximum(count - 1, 1)).mean() + _LEAST_NOISE)
    equations = (
        (of_class.T, population.mean(axis=0), noise),
        (np.eye(classes), np.full(classes, 1 / classes), MIX_SPREAD),
        (np.ones((1, classes)), np.ones(1), _SUM_SPREAD),
    )
    left = np.concatenate([matrix / spread for matrix, _, spread in equations])
    right = np.concatenate([values / spread for _, values, spread in equations])
    mix: FloatArray = nnls(left, right)[0]
    return mix


def class_mix_weights(
    probabilities: FloatArray, votes: FloatArray, population: FloatArray
) -> FloatArray:
    """Weights, shape (M,), that give labelled cutouts the class mix of a population.

    Parameters are those of `estimate_class_mix`.
    """
    mix = estimate_class_mix(probabilities, votes, population)
    return np.asarray(votes @ (mix / np.maximum(votes.mean(axis=0), 1 / len(votes))))
