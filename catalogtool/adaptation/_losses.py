"""Losses of class logits against labels."""

from typing import Literal

import torch
from torch.nn import functional

from catalogtool.adaptation._base import LabelLoss

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


def entropy_regularised(weight: float) -> LabelLoss:
    """Cross-entropy less a multiple of the entropy of the predictions.

    ``mean_i (-sum_c y_ic ln p_ic + beta sum_c p_ic ln p_ic)``: the loss of Carrasco-Davis et al.
    2021 (arXiv:2008.03309), whose beta is 0.5. It keeps what is certain from saturating at 1.

    Parameters
    ----------
    weight : float
        beta; 0 is the cross-entropy.
    """

    def loss(logits: torch.Tensor, votes: torch.Tensor) -> torch.Tensor:
        logs = functional.log_softmax(logits.float(), dim=1)
        return ((weight * logs.exp() - votes) * logs).sum(dim=1).mean()

    return loss


def label_loss(kind: Literal["votes", "class"], entropy_weight: float = 0.0) -> LabelLoss:
    """Choose the loss for a survey's kind of labels; entropy counts beside classes alone."""
    if kind == "votes":
        return vote_rmse
    return entropy_regularised(entropy_weight) if entropy_weight else cross_entropy
