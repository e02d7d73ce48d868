"""A plain encoder for digits and small cutouts, with a latent mixture of Gaussians, one per class.

References
----------
Perez-Carrasco et al. 2019 (arXiv:1909.11651); Jiang et al. 2017, IJCAI (arXiv:1611.05148).

Notes
-----
Widths are those of the digit networks of the same authors. Larger cutouts are averaged to 4 x 4
cells before the dense layer.
"""

import math

import torch
from pydantic import PositiveInt
from torch import nn

from catalogtool.networks._base import Network as BaseNetwork
from catalogtool.networks._heads import Head, HeadOptions, build_head

_KERNEL_PIX = 5
_LEAK = 0.05
_MAX_CELLS = 4


class Options(HeadOptions):
    """Options of a mixture network."""

    head: Head = "mixture"
    widths: tuple[PositiveInt, PositiveInt, PositiveInt] = (64, 128, 256)
    """Channels of the convolutions, each of which halves the image."""
    dense: PositiveInt = 512
    """Length of the features."""


class Network(BaseNetwork):
    """Convolutions, a dense layer, and a head that is a mixture unless told otherwise.

    Parameters
    ----------
    options : Options
        Widths and head.
    channels, classes : int
        Bands seen at once and classes.
    size_pix : int
        Side of the cutouts; any size fits.
    """

    def __init__(self, options: Options, channels: int, classes: int, size_pix: int) -> None:
        super().__init__()
        first, second, third = options.widths
        cells = min(_MAX_CELLS, math.ceil(size_pix / 8))
        self.encoder = nn.Sequential(
            *_convolution(channels, first, _KERNEL_PIX, stride=2, padding=_KERNEL_PIX // 2),
            *_convolution(first, second, _KERNEL_PIX, stride=2, padding=_KERNEL_PIX // 2),
            *_convolution(second, third, _KERNEL_PIX, stride=2, padding=_KERNEL_PIX // 2),
            nn.AdaptiveAvgPool2d(cells),
            *_convolution(third, options.dense, cells),
            nn.Flatten(),  # (B, dense)
        )
        self.head = build_head(options, options.dense, classes)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Embed cutouts of shape (B, C, H, W) as vectors of shape (B, dense)."""
        embedded: torch.Tensor = self.encoder(images)
        return embedded

    def classify(self, features: torch.Tensor) -> torch.Tensor:
        """Logits of shape (B, K); those of a mixture are log-responsibilities."""
        logits: torch.Tensor = self.head(features)
        return logits


def _convolution(
    channels: int, width: int, size: int, stride: int = 1, padding: int = 0
) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels, width, size, stride, padding, bias=False),
        nn.BatchNorm2d(width),
        nn.LeakyReLU(_LEAK, inplace=True),
    )
