"""LeNet: a small network for digits and small cutouts.

References
----------
LeCun et al. 1998, Proc. IEEE 86, 2278; with the widths of Caffe's digit network, which papers on
MNIST and USPS share.
"""

from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import nn

from catalogtool.errors import ConfigError
from catalogtool.networks._base import Network as BaseNetwork
from catalogtool.networks._heads import HeadOptions, build_head

MIN_SIZE_PIX = 16
_KERNEL_PIX = 5


class Options(HeadOptions):
    """Options of LeNet."""

    widths: tuple[PositiveInt, PositiveInt, PositiveInt] = (20, 50, 500)
    """Channels of the two convolutions, and length of the features."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the features that are dropped in training."""


class Network(BaseNetwork):
    """Two convolutions of 5 x 5 pixels, each followed by pooling, and a dense layer.

    Parameters
    ----------
    options : Options
        Widths, dropout and head.
    channels, classes : int
        Bands seen at once and classes.
    size_pix : int
        Side of the cutouts, 16 or more; the dense layer grows with its square.

    Raises
    ------
    ConfigError
        If the cutouts are too small for two convolutions.
    """

    def __init__(self, options: Options, channels: int, classes: int, size_pix: int) -> None:
        super().__init__()
        if size_pix < MIN_SIZE_PIX:
            raise ConfigError(
                f"network lenet: needs cutouts of {MIN_SIZE_PIX} pixels or more, the survey has "
                f"{size_pix}; raise cutout_size_pix or choose another network",
                size_pix=size_pix,
            )
        first, second, dense = options.widths
        side = _side_after(_side_after(size_pix))
        self.embedding = nn.Sequential(
            *_stage(channels, first),
            *_stage(first, second),
            nn.Flatten(),  # (B, second * side * side)
            nn.Linear(second * side * side, dense),
            nn.ReLU(inplace=True),
            nn.Dropout(options.dropout),
        )
        self.head = build_head(options, dense, classes)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Embed cutouts of shape (B, C, H, W) as vectors of shape (B, last width)."""
        embedded: torch.Tensor = self.embedding(images)
        return embedded

    def classify(self, features: torch.Tensor) -> torch.Tensor:
        """Logits of shape (B, K)."""
        logits: torch.Tensor = self.head(features)
        return logits


def _stage(channels: int, width: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, width, _KERNEL_PIX), nn.ReLU(inplace=True), nn.MaxPool2d(2)


def _side_after(side: int) -> int:
    """Side of the maps after one stage."""
    return (side - _KERNEL_PIX + 1) // 2
