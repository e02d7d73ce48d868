"""Deep-CLASH: an inception network for single-band cutouts.

References
----------
Perez-Carrasco et al. 2019, PASP 131, 108002 (arXiv:1810.07857).

Notes
-----
The third inception block joins its four branches, as its description intends: convolutions and
dense layers then have 5,120,621 parameters for one channel and five classes. Batch normalisation
runs over channels.
"""

from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import nn

from catalogtool.errors import ConfigError
from catalogtool.networks._base import Network as BaseNetwork
from catalogtool.networks._base import NetworkOptions

SIZE_PIX = 80
_DENSE = 1024
_HEAD_SIGMA = 0.01


class Options(NetworkOptions):
    """Options of Deep-CLASH."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the dense features that are dropped in training."""


class _Widths(NamedTuple):
    """Channels of the branches of an inception block."""

    reduce3: int
    conv3: int
    reduce5: int
    conv5: int
    pooled: int
    conv1: int

    @property
    def total(self) -> int:
        return self.conv3 + self.conv5 + self.pooled + self.conv1


_BLOCKS = (
    _Widths(96, 128, 16, 16, 32, 64),
    _Widths(128, 192, 32, 96, 64, 128),
    _Widths(96, 208, 16, 48, 64, 192),
    _Widths(112, 224, 24, 64, 64, 160),
    _Widths(144, 288, 32, 64, 64, 128),
    _Widths(144, 288, 32, 64, 64, 112),
)
_NORMALISED = (0, 1, 2)  # blocks that end in batch normalisation
_POOLED = (1, 4)  # blocks that end in a maximum over 2 x 2 pixels


class Inception(nn.Module):
    """Four parallel branches, joined over channels; the size of the image stays.

    Parameters
    ----------
    channels : int
        Channels that come in.
    widths : _Widths
        Channels of the branches.
    """

    def __init__(self, channels: int, widths: _Widths) -> None:
        super().__init__()
        self.branch3 = nn.Sequential(
            *_convolution(channels, widths.reduce3, 1),
            *_convolution(widths.reduce3, widths.conv3, 3, padding=1),
        )
        self.branch5 = nn.Sequential(
            *_convolution(channels, widths.reduce5, 1),
            *_convolution(widths.reduce5, widths.conv5, 5, padding=2),
        )
        self.branch_pool = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), *_convolution(channels, widths.pooled, 1)
        )
        self.branch1 = nn.Sequential(*_convolution(channels, widths.conv1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Feature maps of shape (B, total width, H, W)."""
        branches = (self.branch3, self.branch5, self.branch_pool, self.branch1)
        return torch.cat([branch(images) for branch in branches], dim=1)


class Network(BaseNetwork):
    """The network of the paper, for cutouts of 80 x 80 pixels.

    Parameters
    ----------
    options : Options
        Dropout.
    channels, classes : int
        Bands seen at once (the paper: 1) and classes (the paper: 5).
    size_pix : int
        Side of the cutouts.

    Raises
    ------
    ConfigError
        If the cutouts are not 80 pixels wide.
    """

    def __init__(self, options: Options, channels: int, classes: int, size_pix: int) -> None:
        super().__init__()
        if size_pix != SIZE_PIX:
            raise ConfigError(
                f"network deep_clash: needs cutouts of {SIZE_PIX} pixels, the survey has "
                f"{size_pix}; set cutout_size_pix = {SIZE_PIX} or choose another network",
                size_pix=size_pix,
            )
        self.stem = nn.Sequential(
            *_convolution(channels, 64, 7),
            nn.BatchNorm2d(64),
            nn.MaxPool2d(2),  # (B, 64, 37, 37)
            *_convolution(64, 128, 6),
            nn.BatchNorm2d(128),
            nn.MaxPool2d(2),  # (B, 128, 16, 16)
        )
        self.inceptions = nn.Sequential(*_inceptions(128))  # (B, 528, 4, 4)
        self.bottleneck = nn.Sequential(
            nn.AvgPool2d(2),  # (B, 528, 2, 2)
            *_convolution(_BLOCKS[-1].total, 256, 1),
            nn.Flatten(),  # (B, 1024)
        )
        self.dense = nn.Sequential(
            *_dense(1024, _DENSE, options.dropout), *_dense(_DENSE, _DENSE, options.dropout)
        )
        self.head = nn.Linear(_DENSE, classes)
        self.apply(_initialise)
        # All classes alike at first: the loss of a saturated softmax has no gradient to leave it.
        nn.init.normal_(self.head.weight, std=_HEAD_SIGMA)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Embed cutouts of shape (B, C, 80, 80) as vectors of shape (B, 1024)."""
        maps = self.inceptions(self.stem(images))
        embedded: torch.Tensor = self.dense(self.bottleneck(maps))
        return embedded

    def classify(self, features: torch.Tensor) -> torch.Tensor:
        """Logits of shape (B, K)."""
        logits: torch.Tensor = self.head(features)
        return logits


def _inceptions(channels: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for index, widths in enumerate(_BLOCKS):
        layers.append(Inception(channels, widths))
        channels = widths.total
        if index in _NORMALISED:
            layers.append(nn.BatchNorm2d(channels))
        if index in _POOLED:
            layers.append(nn.MaxPool2d(2))
    return layers


def _convolution(channels: int, width: int, size: int, padding: int = 0) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, width, size, padding=padding), nn.ReLU(inplace=True)


def _dense(inputs: int, outputs: int, dropout: float) -> tuple[nn.Module, ...]:
    return nn.Linear(inputs, outputs), nn.ReLU(inplace=True), nn.Dropout(dropout)


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
