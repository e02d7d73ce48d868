"""The interface of networks: cutouts in, class logits out."""

from abc import abstractmethod

import torch
from torch import nn

from catalogtool.config._base import Settings


class NetworkOptions(Settings):
    """Options of a network; each file has its own ``Options``."""


class Network(nn.Module):
    """Feature extractor and classifier.

    Files of this folder export ``Options`` and ``Network(options, channels, classes, size_pix)``.
    """

    head: nn.Module
    """What makes logits of features; everything else is the backbone."""
    pixel_channels: int
    """Channels that are pixels, not facts; `build_network` sets it."""
    size_pix: int
    """Side of the cutouts; `build_network` sets it."""

    @abstractmethod
    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Embed cutouts of shape (B, C, H, W) as vectors of shape (B, D)."""

    @abstractmethod
    def classify(self, features: torch.Tensor) -> torch.Tensor:
        """Logits of shape (B, K) from features of shape (B, D)."""

    def fit_metadata(self, values: torch.Tensor) -> None:
        """Learn centre and scale of facts, shape (N, F), NaN where unknown, before training.

        Networks that see pixels alone have nothing to learn.
        """

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of shape (B, K); class probabilities are their softmax."""
        return self.classify(self.features(images))
