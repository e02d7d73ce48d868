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
batch and joined to the embedding. The scale travels with the weights. An unknown number is the
mean; the exception are numbers about neighbours, for which unknown means that there is none and
which then are -1, as in the paper.

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
from catalogtool.preprocess.metadata import check_room, unpack

_TURNS = 4
_DENSE = 64
_PADDING = 3
_SMALLEST_PIX = 3  # (3 + 3) // 4: one pixel is left after both maxima
_INFINITE = float("inf")
_NO_NEIGHBOUR = -1.0
_NEIGHBOUR = (
    *(f"{name}{rank}" for name in ("sgscore", "distpsnr") for rank in (1, 2, 3)),
    "distnr",
    "magnr",
)
_CLIPS = {
    **dict.fromkeys(_NEIGHBOUR, (_NO_NEIGHBOUR, _INFINITE)),
    "fwhm": (-_INFINITE, 10.0),
    "ndethist": (-_INFINITE, 20.0),
    "ncovhist": (-_INFINITE, 3000.0),
    "non_detections": (-_INFINITE, 2000.0),
    "chinr": (-1.0, 15.0),
    "sharpnr": (-1.0, 1.5),
}
"""Smallest and largest value by the name of the number; others are not clipped."""


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

    metadata_mean: torch.Tensor
    metadata_std: torch.Tensor
    clips: torch.Tensor
    missing: torch.Tensor

    def __init__(self, options: Options, channels: int, classes: int, size_pix: int) -> None:
        super().__init__()
        count = len(options.metadata)
        _check_input(count, channels, size_pix)
        self.metadata = options.metadata
        for name, value in (("metadata_mean", 0.0), ("metadata_std", 1.0)):
            self.register_buffer(name, torch.full((count,), value))
        clips = [_CLIPS.get(name, (-_INFINITE, _INFINITE)) for name in options.metadata]
        missing = [_NO_NEIGHBOUR if n in _NEIGHBOUR else torch.nan for n in options.metadata]
        self.register_buffer("clips", torch.tensor(clips).view(count, 2), persistent=False)
        self.register_buffer("missing", torch.tensor(missing), persistent=False)
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
        self.metadata_norm = nn.BatchNorm1d(count) if count else None
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
            NaN is unknown. A number that is never known, or always the same, is scaled by 1.
        """
        clipped = self._clipped(values.to(self.metadata_mean.device))
        mean = clipped.nanmean(dim=0)
        std = (clipped - mean).square().nanmean(dim=0).sqrt()
        self.metadata_mean.copy_(mean.nan_to_num(0.0))
        self.metadata_std.copy_(torch.where(std > 0, std, 1.0))

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
        if self.metadata_norm is None:
            return self._turned_embedding(images)
        images, values = unpack(images, len(self.metadata))
        scaled = self.metadata_norm(self._standardised(values))
        return torch.cat([self._turned_embedding(images), scaled], dim=1)

    def _turned_embedding(self, images: torch.Tensor) -> torch.Tensor:
        """Mean over quarter turns of the embedding of the pixels, shape (B, 64)."""
        turned = torch.cat([images.rot90(turn, (2, 3)) for turn in range(_TURNS)])  # (4 B, C, H, W)
        embedded: torch.Tensor = self.embedding(self.convolutions(turned))  # (4 B, 64)
        return embedded.view(_TURNS, -1, _DENSE).mean(dim=0)

    def _standardised(self, values: torch.Tensor) -> torch.Tensor:
        scaled = (self._clipped(values) - self.metadata_mean) / self.metadata_std
        return scaled.nan_to_num(0.0)

    def _clipped(self, values: torch.Tensor) -> torch.Tensor:
        low, high = self.clips.unbind(dim=1)
        return torch.where(values.isnan(), self.missing, values).clamp(low, high)


def _check_input(count: int, channels: int, size_pix: int) -> None:
    if size_pix < _SMALLEST_PIX:
        raise ConfigError(
            f"network stamp_classifier: needs cutouts of {_SMALLEST_PIX} pixels or more, the "
            f"survey has {size_pix}; set cutout_size_pix or crop_pix, or choose another network",
            size_pix=size_pix,
        )
    check_room(count, size_pix**2)
    if count and channels == 1:
        raise ConfigError(
            "network stamp_classifier: the only channel holds metadata; at least one of pixels is "
            "needed",
            channels=channels,
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
