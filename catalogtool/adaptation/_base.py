"""The interface of adaptation methods: named losses of a batch from up to three domains."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from catalogtool.config._base import Settings
from catalogtool.config.training import Domain
from catalogtool.networks._base import Network

LossTerms = dict[str, torch.Tensor]
LabelLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Mean loss of logits (B, K) against vote fractions (B, K)."""


class MethodOptions(Settings):
    """Options of a method; each file has its own ``Options``."""


@dataclass(frozen=True)
class DomainBatch:
    """Cutouts of one domain.

    Attributes
    ----------
    images : Tensor, shape (B, C, H, W), float32
        Prepared and augmented cutouts.
    votes : Tensor, shape (B, K), float32, or None
        Vote fractions (one-hot for hard labels); None for the unlabelled domain.
    """

    images: torch.Tensor
    votes: torch.Tensor | None


class Method(nn.Module):
    """How a network learns. Files of this folder export ``Options`` and ``Method``.

    The network and anything else that is trained are submodules, so that optimiser and checkpoint
    find them.

    Parameters
    ----------
    network : Network
        The network that the catalog will use.
    label_loss : callable
        Loss of logits against votes, chosen by the survey's kind of labels.
    options : MethodOptions
        The file's own options.
    """

    domains: ClassVar[tuple[Domain, ...]]
    """What every batch holds."""
    starts_from: ClassVar[str | None] = None
    """Method whose trained weights this one starts from; None: fresh weights."""

    def __init__(self, network: Network, label_loss: LabelLoss, options: MethodOptions) -> None:
        super().__init__()
        self.network = network
        self.label_loss = label_loss
        self.options = options

    @abstractmethod
    def forward(self, batches: dict[Domain, DomainBatch], progress: float) -> LossTerms:
        """Losses of one step; the loop minimises their sum and logs each by name.

        Parameters
        ----------
        batches : dict
            One batch per domain of `domains`.
        progress : float
            Share of the training that is done, 0 to 1.
        """
