"""Batch normalisation with statistics and scale of its own for each of two surveys.

References
----------
Chang et al. 2019, CVPR (arXiv:1906.03950).
"""

import copy
from typing import Literal

import torch
from torch import nn

Branch = Literal["source", "target"]


class DomainBatchNorm2d(nn.Module):
    """Two normalisations, of which one is in use.

    Parameters
    ----------
    norm : nn.BatchNorm2d
        Both branches start as copies of it.
    """

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.source = copy.deepcopy(norm)
        self.target = copy.deepcopy(norm)
        self.domain: Branch = "target"

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Normalised feature maps, of the shape that came in."""
        branch = self.source if self.domain == "source" else self.target
        normalised: torch.Tensor = branch(maps)
        return normalised


def split_norms(network: nn.Module) -> None:
    """Give every batch normalisation of a network two branches; those that have stay as they are.

    Afterwards the network uses the target's: that is what catalogs are made with.
    """
    for name, child in list(network.named_children()):
        if isinstance(child, nn.BatchNorm2d):
            setattr(network, name, DomainBatchNorm2d(child))
        elif not isinstance(child, DomainBatchNorm2d):
            split_norms(child)


def has_domain_norm(network: nn.Module) -> bool:
    """Whether normalisations have two branches."""
    return any(isinstance(layer, DomainBatchNorm2d) for layer in network.modules())


def use_domain(network: nn.Module, domain: Branch) -> None:
    """Choose the branch of all forward passes to come; without effect on plain normalisations."""
    for layer in network.modules():
        if isinstance(layer, DomainBatchNorm2d):
            layer.domain = domain
