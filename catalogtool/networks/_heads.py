"""Classifiers at the end of networks.

References
----------
The head with a temperature: Saito et al. 2019, ICCV (arXiv:1904.06487), section 3.1.
"""

import torch
from torch import nn
from torch.nn import functional


class CosineHead(nn.Module):
    """Class logits that depend on the direction of the features alone.

    Parameters
    ----------
    features, classes : int
        Length of the feature vectors and number of classes.
    temperature : float
        Divides the cosines.
    """

    def __init__(self, features: int, classes: int, temperature: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, features))
        nn.init.xavier_normal_(self.weight)
        self.temperature = temperature

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits of shape (B, K)."""
        directions = functional.normalize(features)
        return functional.linear(directions, functional.normalize(self.weight)) / self.temperature


def build_head(features: int, classes: int, temperature: float | None) -> nn.Module:
    """Cosine head of a temperature, or a linear one where there is none.

    Parameters
    ----------
    features, classes : int
        Length of the feature vectors and number of classes.
    temperature : float or None
        Divides the cosines; None: logits are linear in the features.
    """
    if temperature is None:
        return nn.Linear(features, classes)
    return CosineHead(features, classes, temperature)
