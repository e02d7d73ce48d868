"""Calibration of a trained network: a few numbers that turn its logits into honest probabilities.

``temperature`` divides all logits by one number, which changes no predicted class; ``bias`` adds a
number per class besides, for a network that prefers one; ``dirichlet`` is an affine map of the
log-probabilities, which also corrects confusions of classes.

References
----------
Guo et al. 2017, ICML (arXiv:1706.04599), section 4.2; Alexandari et al. 2020, ICML
(arXiv:1901.06852), section 4; Kull et al. 2019, NeurIPS (arXiv:1910.12656).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import log_softmax, softmax

from catalogtool.surveys._recipe import CalibrationKind

FloatArray = npt.NDArray[np.floating[Any]]

TEMPERATURE_SPREAD = 0.5
"""Prior standard deviation of ln T. Without one, labels that are all predicted right, as twenty
often are, would make every probability 1. Of eleven networks with twenty labels each, 0.7 spoils
more of those that are honest, and 0.3 mends less of those that are not."""
BIAS_SPREAD = 1.0
"""Prior standard deviation of each class's bias."""
DIRICHLET_SPREAD = 0.5
"""Prior standard deviation of each number of the affine map around the best temperature."""
_LARGEST_LOG_T = 5.0


@dataclass(frozen=True)
class Calibration:
    """Calibrated logits are ``log_softmax(logits) @ weight.T + bias``.

    Attributes
    ----------
    weight : Tensor, shape (K, K), float32
        The identity over T for a temperature T.
    bias : Tensor, shape (K,), float32
    """

    weight: torch.Tensor
    bias: torch.Tensor

    def to_tensors(self) -> dict[str, torch.Tensor]:
        """The numbers by name, as `Calibration` takes them."""
        return {"weight": self.weight, "bias": self.bias}

    def apply(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Calibrated probabilities (B, K) of a network's own, in float32 on the processor."""
        log_p = torch.log(probabilities.float().clamp(min=torch.finfo(torch.float32).tiny))
        log_p = torch.log_softmax(log_p, dim=1)
        return torch.softmax(log_p @ self.weight.T + self.bias, dim=1)

    def apply_to_array(self, probabilities: FloatArray) -> npt.NDArray[np.float32]:
        """The same for an array (M, K)."""
        tensor = torch.from_numpy(np.asarray(probabilities, dtype=np.float32))
        calibrated: npt.NDArray[np.float32] = self.apply(tensor).numpy()
        return calibrated


def fit_calibration(
    kind: CalibrationKind, logits: FloatArray, votes: FloatArray, weights: FloatArray | None = None
) -> Calibration:
    """Fit a calibration to logits and labels: maximum a posteriori, and deterministic.

    Parameters
    ----------
    kind : {"temperature", "bias", "dirichlet"}
        What is fitted.
    logits : ndarray, shape (M, K)
        Of cutouts whose labels did not teach the network; it is too sure of the others.
    votes : ndarray, shape (M, K)
        Vote fractions, one-hot for hard labels.
    weights : ndarray, shape (M,), or None
        How much each cutout counts, up to a factor; None: all the same.

    Returns
    -------
    Calibration
        The prior's, which changes nothing, where there is no label.
    """
    log_p = log_softmax(np.asarray(logits, dtype=np.float64), axis=1)
    share = _effective(weights, len(log_p))
    log_t = _fit_temperature(log_p, votes, share)
    bias: FloatArray = np.zeros(votes.shape[1])
    if kind == "bias":
        log_t, bias = _fit_biased(log_p, votes, share, log_t)
    weight: FloatArray = np.exp(-log_t) * np.eye(votes.shape[1])
    if kind == "dirichlet":
        weight, bias = _fit_affine(log_p, votes, share, weight)
    return Calibration(
        weight=torch.from_numpy(weight.astype(np.float32)),
        bias=torch.from_numpy(bias.astype(np.float32)),
    )


def _effective(weights: FloatArray | None, count: int) -> FloatArray:
    """Weights whose sum is the number of equally weighted cutouts that say as much."""
    if weights is None or not count:
        return np.ones(count)
    effective: FloatArray = weights * (weights.sum() / np.square(weights).sum())
    return effective


def _fit_temperature(log_p: FloatArray, votes: FloatArray, share: FloatArray) -> float:
    def loss(log_t: float) -> float:
        misfit, _ = _misfit(log_p / np.exp(log_t), votes, share)
        return misfit + (log_t / TEMPERATURE_SPREAD) ** 2 / 2

    bounds = (-_LARGEST_LOG_T, _LARGEST_LOG_T)
    from scipy.optimize import minimize_scalar  # not loaded by those who only apply a calibration

    return float(minimize_scalar(loss, bounds=bounds, method="bounded").x)


def _fit_biased(
    log_p: FloatArray, votes: FloatArray, share: FloatArray, start: float
) -> tuple[float, FloatArray]:
    """Log of T, and bias (K,), from the best temperature without any."""

    def loss(numbers: FloatArray) -> tuple[float, FloatArray]:
        log_t, bias = numbers[0], numbers[1:]
        scaled = log_p / np.exp(log_t)
        misfit, excess = _misfit(scaled + bias, votes, share)
        prior = (log_t / TEMPERATURE_SPREAD) ** 2 + np.square(bias / BIAS_SPREAD).sum()
        gradient_t = log_t / TEMPERATURE_SPREAD**2 - (excess * scaled).sum()
        gradient = np.append(gradient_t, excess.sum(axis=0) + bias / BIAS_SPREAD**2)
        return misfit + prior / 2, gradient

    found = _minimise(loss, np.append(start, np.zeros(votes.shape[1])))
    return float(found[0]), found[1:]


def _fit_affine(
    log_p: FloatArray, votes: FloatArray, share: FloatArray, start: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Weight (K, K) and bias (K,), from the prior's weight; the loss is convex."""
    classes = votes.shape[1]
    inputs = np.column_stack([log_p, np.ones(len(log_p))])  # (M, K + 1)
    prior = np.column_stack([start, np.zeros(classes)])  # (K, K + 1)

    def loss(flat: FloatArray) -> tuple[float, FloatArray]:
        change = flat.reshape(prior.shape) - prior
        misfit, excess = _misfit(inputs @ (prior + change).T, votes, share)
        gradient = excess.T @ inputs + change / DIRICHLET_SPREAD**2
        return misfit + np.square(change / DIRICHLET_SPREAD).sum() / 2, gradient.ravel()

    fitted = _minimise(loss, prior.ravel()).reshape(prior.shape)
    return fitted[:, :-1], fitted[:, -1]


def _misfit(scores: FloatArray, votes: FloatArray, share: FloatArray) -> tuple[float, FloatArray]:
    """Cross-entropy of logits (M, K), and its gradient."""
    misfit = -(share[:, None] * votes * log_softmax(scores, axis=1)).sum()
    expected = votes.sum(axis=1, keepdims=True) * softmax(scores, axis=1)
    return float(misfit), share[:, None] * (expected - votes)


def _minimise(
    loss: Callable[[FloatArray], tuple[float, FloatArray]], start: FloatArray
) -> FloatArray:
    """Minimum of a loss that has a gradient."""
    from scipy.optimize import minimize

    found: FloatArray = minimize(
        loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000}
    ).x
    return found
