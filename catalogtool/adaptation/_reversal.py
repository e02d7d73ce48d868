"""Gradient reversal: what is minimised behind it is maximised before it.

References
----------
Ganin & Lempitsky 2015, ICML (arXiv:1409.7495), section 3.1.
"""

import math
from typing import Any, cast

import torch


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: torch.Tensor, factor: float) -> torch.Tensor:  # noqa: ANN401 - torch's own
        context.factor = factor
        return values.view_as(values)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:  # noqa: ANN401
        return -context.factor * gradient, None


def reverse_gradient(values: torch.Tensor, factor: float = 1.0) -> torch.Tensor:
    """The values as they are, with gradients multiplied by ``-factor``.

    Parameters
    ----------
    values : Tensor
        Of any shape.
    factor : float
        Strength of the reversal.
    """
    return cast("torch.Tensor", _Reversal.apply(values, factor))  # type: ignore[no-untyped-call]


def ramp(progress: float, steepness: float = 10.0) -> float:
    """Strength that grows from 0 to 1 with the share of the training that is done.

    ``2 / (1 + exp(-steepness * progress)) - 1`` (Ganin & Lempitsky 2015, section 4.2).
    """
    return 2 / (1 + math.exp(-steepness * progress)) - 1
