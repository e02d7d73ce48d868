"""Losses of class logits against labels."""

from typing import Literal

import torch
from torch.nn import functional

from catalogtool.adaptation._base import LabelLoss
from catalogtool.adaptation._separation import entropies

_EPS = 1e-8  # keeps the gradient of the square root finite where prediction and votes agree


def vote_rmse(logits: torch.Tensor, votes: torch.Tensor) -> torch.Tensor:
    """Mean over cutouts of the root-mean-square error over classes.

    ``mean_i sqrt(eps + 1/K sum_k (y_ik - p_ik)^2)`` with ``p = softmax(logits)``: the loss of
    Perez-Carrasco et al. 2019 (arXiv:1810.07857), plus a small eps.

    Parameters
    ----------
    logits : Tensor, shape (B, K)
    votes : Tensor, shape (B, K)
        Fractions that sum to 1.

    Returns
    -------
    Tensor, shape (), float32
    """
    errors = votes - functional.softmax(logits.float(), dim=1)
    return torch.sqrt(_EPS + errors.square().mean(dim=1)).mean()


def cross_entropy(logits: torch.Tensor, votes: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy; one-hot votes are hard labels.

    Parameters
    ----------
    logits, votes : Tensor, shape (B, K)

    Returns
    -------
    Tensor, shape (), float32
    """
    return functional.cross_entropy(logits.float(), votes)


def entropy_regularised(loss: LabelLoss, weight: float) -> LabelLoss:
    """Reward undecided predictions, so that few labels do not end in probabilities of 0 and 1.

    ``L = loss - weight * mean_i H(p_i)`` with the entropy H in nats: for cross-entropy the loss of
    Carrasco-Davis et al. 2021 (arXiv:2008.03309), whose weight is 0.5.

    Parameters
    ----------
    loss : callable
        Loss of logits (B, K) against votes (B, K).
    weight : float
        Of the entropy; 0 leaves the loss as it is.
    """
    if weight == 0:
        return loss
    return lambda logits, votes: loss(logits, votes) - weight * entropies(logits).mean()


def label_loss(kind: Literal["votes", "class"], entropy_weight: float = 0.0) -> LabelLoss:
    """Choose the loss for a survey's kind of labels, and how much entropy counts against it."""
    return entropy_regularised(vote_rmse if kind == "votes" else cross_entropy, entropy_weight)
