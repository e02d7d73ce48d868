"""Classifiers at the end of networks.

References
----------
The head with a temperature: Saito et al. 2019, ICCV (arXiv:1904.06487), section 3.1.
"""

from typing import Literal, get_args

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import nn
from torch.nn import functional

from catalogtool.networks._base import NetworkOptions
from catalogtool.networks._mixture_head import MixtureHead

Head = Literal["linear", "cosine", "mixture"]
HEADS: tuple[Head, ...] = get_args(Head)


class HeadOptions(NetworkOptions):
    """Options of networks that can have a head of any kind."""

    head: Head = "linear"
    """``cosine``: logits are cosines of features and class weights over the temperature;
    ``mixture``: every class is a Gaussian in a latent space."""
    temperature: PositiveFloat = 0.05
    """Of a cosine head."""
    latent: PositiveInt = 20
    """Dimensions of a mixture's latent space."""


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
    """The head that the options of a network ask for.

    Parameters
    ----------
    options : HeadOptions
        Which head, its temperature or its dimensions.
    features, classes : int
        Length of the feature vectors and number of classes.
    """
    if options.head == "cosine":
        return CosineHead(features, classes, options.temperature)
    if options.head == "mixture":
        return MixtureHead(features, classes, options.latent)
    return nn.Linear(features, classes)
