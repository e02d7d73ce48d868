"""Classifiers at the end of networks.

References
----------
The head with a temperature: Saito et al. 2019, ICCV (arXiv:1904.06487), section 3.1.
"""

import torch
from pydantic import PositiveFloat
from torch import nn
from torch.nn import functional

from catalogtool.networks._base import NetworkOptions


class HeadOptions(NetworkOptions):
    """Options of networks that can have a head of either kind."""

    cosine_head: bool = False
    """Whether logits are cosines of features and class weights over the temperature."""
    temperature: PositiveFloat = 0.05


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


def build_head(options: HeadOptions, features: int, classes: int) -> nn.Module:
    """Cosine head, or a linear one, as the options of a network say.

    Parameters
    ----------
    options : HeadOptions
        Which head, and its temperature.
    features, classes : int
        Length of the feature vectors and number of classes.
    """
    if options.cosine_head:
        return CosineHead(features, classes, options.temperature)
    return nn.Linear(features, classes)
