"""The ALeRCE stamp classifier: alerts classified by their first cutouts and a few numbers.

References
----------
Carrasco-Davis et al. 2021, AJ 162, 231 (arXiv:2008.03309); ``alercebroker/pipeline``.

Notes
-----
The same convolutions see a cutout turned by 0, 90, 180 and 270 degrees and the mean of the four
embeddings is kept: the logits do not change when a cutout is turned by quarters. Mirror images
are other cutouts.

Metadata are clipped, scaled to the mean and scatter of the training alerts, normalised over the
batch and joined to the embedding (`catalogtool.networks._metadata`).

With three channels of 21 pixels and five classes there are 261,049 parameters (3 x 3 pixels, 26
numbers; the published figure) or 441,075 (5 x 5 pixels, 23 numbers; the model in operation).
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from catalogtool.errors import ConfigError
from catalogtool.networks._base import Network as BaseNetwork
from catalogtool.networks._heads import HeadOptions, build_head
from catalogtool.networks._metadata import Metadata, check_metadata
from catalogtool.preprocess.metadata import unpack

_TURNS = 4
_DENSE = 64
_PADDING = 3
_SMALLEST_PIX = 3  # (3 + 3) // 4: one pixel is left after both maxima


class Options(HeadOptions):
    """Options of the stamp classifier."""

    kernel: Literal[3, 5, 7] = 5
    """Side of all convolutions but the first, in pixels."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the features that are dropped in training, after each hidden dense layer."""
    metadata: tuple[str, ...] = ()
    """Names of the numbers in the last channel; empty: all channels are pixels."""


class Network(BaseNetwork):
    """The network of the paper, for cutouts of any size.

    Parameters
    ----------
    options : Options
        Kernel, dropout, metadata and head.
    channels, classes : int
        Channels (the paper: 3), one more with metadata, and classes (the paper: 5).
    size_pix : int
        Side of the cutouts (the paper: 21).

    Raises
    ------
    ConfigError
        If no pixel would be left after both maxima, if the metadata do not fit into a channel,
        or if they are the only channel.
    """

    def __init__(self, options: Options, channels: int, classes: int, size_pix: int) -> None:
        super().__init__()
        count = len(options.metadata)
        _check_size(size_pix)
        check_metadata("stamp_classifier", options.metadata, channels, size_pix)
        self.metadata = Metadata(options.metadata) if count else None
        kernel = options.kernel
        self.convolutions = nn.Sequential(
            *_convolution(channels - bool(count), 32, 4, _PADDING),  # (4 B, 32, 24, 24)
            *_convolution(32, 32, kernel, kernel // 2),
            nn.MaxPool2d(2),  # (4 B, 32, 12, 12)
            *_convolution(32, 64, kernel, kernel // 2),
            *_convolution(64, 64, kernel, kernel // 2),
            *_convolution(64, 64, kernel, kernel // 2),
            nn.MaxPool2d(2),  # (4 B, 64, 6, 6)
            nn.Flatten(),  # (4 B, 2304)
        )
        side = (size_pix + 2 * _PADDING - 3) // 4
        self.embedding = nn.Sequential(*_dense(64 * side**2, _DENSE, options.dropout))
        self.dense = nn.Sequential(
            *_dense(_DENSE + count, _DENSE, options.dropout),
            *_dense(_DENSE, _DENSE, options.dropout),
        )
        self.head = build_head(options, _DENSE, classes)
        self.apply(_initialise)

    def fit_metadata(self, values: torch.Tensor) -> None:
        """Take the scale of the metadata from the training alerts.

        Parameters
        ----------
        values : Tensor, shape (N, F), float32
            NaN is unknown.
        """
        if self.metadata is not None:
            self.metadata.fit(values)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Embed cutouts of shape (B, C, H, W) as vectors of shape (B, 64)."""
        joined = self._joined(images)  # (B, 64 + F)
        embedded: torch.Tensor = self.dense(joined)
        return embedded

    def classify(self, features: torch.Tensor) -> torch.Tensor:
        """Logits of shape (B, K)."""
        logits: torch.Tensor = self.head(features)
        return logits

    def _joined(self, images: torch.Tensor) -> torch.Tensor:
        """What the dense layers see: the embedding of the pixels, and the metadata."""
        if self.metadata is None:
            return self._turned_embedding(images)
        images, values = unpack(images, len(self.metadata.mean))
        return torch.cat([self._turned_embedding(images), self.metadata(values)], dim=1)

    def _turned_embedding(self, images: torch.Tensor) -> torch.Tensor:
        """Mean over quarter turns of the embedding of the pixels, shape (B, 64)."""
        turned = torch.cat([images.rot90(turn, (2, 3)) for turn in range(_TURNS)])  # (4 B, C, H, W)
        embedded: torch.Tensor = self.embedding(self.convolutions(turned))  # (4 B, 64)
        return embedded.view(_TURNS, -1, _DENSE).mean(dim=0)


def _check_size(size_pix: int) -> None:
    if size_pix < _SMALLEST_PIX:
        raise ConfigError(
            f"network stamp_classifier: needs cutouts of {_SMALLEST_PIX} pixels or more, the "
            f"survey has {size_pix}; set cutout_size_pix or crop_pix, or choose another network",
            size_pix=size_pix,
        )


def _convolution(channels: int, width: int, size: int, padding: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, width, size, padding=padding), nn.ReLU(inplace=True)


def _dense(inputs: int, outputs: int, dropout: float) -> tuple[nn.Module, ...]:
    return nn.Linear(inputs, outputs), nn.ReLU(inplace=True), nn.Dropout(dropout)


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
