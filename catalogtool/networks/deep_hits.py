"""Deep-HiTS: a convolutional network that looks at a cutout turned in four ways.

References
----------
Cabrera-Vives et al. 2017, ApJ 836, 97 (arXiv:1701.00458). The head with a temperature: Saito et
al. 2019, ICCV (arXiv:1904.06487), section 3.1.

Notes
-----
The cutout is turned by 0, 90, 180 and 270 degrees, the same convolutions see all four, and their
feature maps are joined, in this order, before the first dense layer. Turning the cutout therefore
permutes the four parts of what the dense layers see: the convolutions need not learn a pattern
once per direction, but the logits are not invariant by construction. Augmentation by ``turn``
teaches the dense layers to treat the four alike.

With four channels of 21 pixels and two classes the network has 697,858 parameters. Other numbers
of channels and pixels change the first convolution and the first dense layer alone.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from catalogtool.errors import ConfigError
from catalogtool.networks._base import Network as BaseNetwork
from catalogtool.networks._heads import HeadOptions, build_head

_TURNS = 4
_DENSE = 64
_PADDING = 3
_SMALLEST_PIX = 3  # (3 + 3) // 4: one pixel is left after both maxima
_LEAK = 0.01


class Options(HeadOptions):
    """Options of Deep-HiTS."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the dense features that are dropped in training."""


class Network(BaseNetwork):
    """The network of the paper, for cutouts of any size.

    Parameters
    ----------
    options : Options
        Dropout and head.
    channels, classes : int
        Bands seen at once (the paper: 4) and classes (the paper: 2).
    size_pix : int
        Side of the cutouts (the paper: 21).

    Raises
    ------
    ConfigError
        If no pixel would be left after both maxima.
    """

    def __init__(self, options: Options, channels: int, classes: int, size_pix: int) -> None:
        super().__init__()
        if size_pix < _SMALLEST_PIX:
            raise ConfigError(
                f"network deep_hits: needs cutouts of {_SMALLEST_PIX} pixels or more, the survey "
                f"has {size_pix}; set cutout_size_pix or choose another network",
                size_pix=size_pix,
            )
        self.convolutions = nn.Sequential(
            *_convolution(channels, 32, 4, _PADDING),  # (4 B, 32, 24, 24)
            *_convolution(32, 32, 3, 1),
            nn.MaxPool2d(2),  # (4 B, 32, 12, 12)
            *_convolution(32, 64, 3, 1),
            *_convolution(64, 64, 3, 1),
            *_convolution(64, 64, 3, 1),
            nn.MaxPool2d(2),  # (4 B, 64, 6, 6)
            nn.Flatten(),  # (4 B, 2304)
        )
        side = (size_pix + 2 * _PADDING - 3) // 4
        self.dense = nn.Sequential(
            *_dense(_TURNS * 64 * side**2, _DENSE, options.dropout),
            *_dense(_DENSE, _DENSE, options.dropout),
        )
        self.head = build_head(options, _DENSE, classes)
        self.apply(_initialise)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Embed cutouts of shape (B, C, H, W) as vectors of shape (B, 64)."""
        turned = torch.cat([images.rot90(turn, (2, 3)) for turn in range(_TURNS)])  # (4 B, C, H, W)
        maps = self.convolutions(turned).unflatten(0, (_TURNS, len(images)))  # (4, B, D)
        joined = maps.transpose(0, 1).flatten(1)  # (B, 4 D)
        embedded: torch.Tensor = self.dense(joined)  # (B, 64)
        return embedded

    def classify(self, features: torch.Tensor) -> torch.Tensor:
        """Logits of shape (B, K)."""
        logits: torch.Tensor = self.head(features)
        return logits


def _convolution(channels: int, width: int, size: int, padding: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, width, size, padding=padding), nn.LeakyReLU(_LEAK, inplace=True)


def _dense(inputs: int, outputs: int, dropout: float) -> tuple[nn.Module, ...]:
    return nn.Linear(inputs, outputs), nn.LeakyReLU(_LEAK, inplace=True), nn.Dropout(dropout)


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(layer.weight, a=_LEAK)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
