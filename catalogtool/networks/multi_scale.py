"""Alerts classified by cutouts at several scales, and the same network on three other inputs.

References
----------
Reyes-Jainaga et al. 2023, ApJL (arXiv:2304.13080); ``alercebroker/multiscale_stamps``.

Notes
-----
The same convolutions see a cutout in all eight symmetries of the square, and the mean of the eight
embeddings is kept: the logits do not change when what the network sees is turned by quarters or
mirrored. The scenarios other than ``full`` cut an even number of pixels out of cutouts whose side
may be odd; the invariance is then one of the reduced cutouts, half a pixel off the centre.

``full`` with six channels of 63 pixels, a position and six classes has 96,482 parameters, as
published. How the authors pooled the smaller inputs is not known. Here inputs of 16 pixels are
pooled once less than full cutouts, those of 8 pixels once less again, and all levels share the
convolutions.
"""

from typing import Annotated, NamedTuple

import torch
from pydantic import Field, PositiveInt
from torch import nn

from catalogtool.networks._base import Network as BaseNetwork
from catalogtool.networks._base import NetworkOptions
from catalogtool.networks._metadata import Metadata, check_metadata
from catalogtool.preprocess.metadata import unpack
from catalogtool.preprocess.multi_scale import (
    CROPPED_PIX,
    Scenario,
    check_size,
    level_sides,
    reduce_cutouts,
    stored_pixels,
)

_TURNS = 4
_KERNEL_PIX = 3
_POSITION = ("ra", "dec")
Widths = tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt, PositiveInt]


class AuthorSettings(NamedTuple):
    """What the authors found best for a scenario."""

    widths: Widths
    learning_rate: float
    dropout: float
    pools: int
    """Maxima over 2 x 2 pixels, after the first convolutions."""


BEST: dict[Scenario, AuthorSettings] = {
    "cropped": AuthorSettings((112, 27, 92, 121, 133), 3.4627e-4, 0.8668, 2),
    "low_res": AuthorSettings((63, 31, 108, 14, 22), 1.125e-3, 0.7307, 2),
    "multi_scale": AuthorSettings((76, 18, 54, 28, 69), 7.445e-4, 0.8478, 1),
    "full": AuthorSettings((37, 60, 29, 26, 31), 7.589e-4, 0.7173, 3),
}


class Options(NetworkOptions):
    """Options of the multi-scale network."""

    scenario: Scenario = "multi_scale"
    """What the network sees of a cutout, `catalogtool.preprocess.multi_scale`."""
    widths: Widths | None = None
    """Channels of the four convolutions, and length of the features; None: the authors'."""
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share of the flattened maps that are dropped in training; None: the authors'."""
    metadata: tuple[str, ...] = ()
    """Names of the numbers in the last channel; empty: all channels are pixels. ``ra`` and ``dec``
    are seen as a point on the sphere, as in the paper, which takes no other numbers; others are
    seen as in `stamp_classifier`."""


class Network(BaseNetwork):
    """The network of the paper, for square cutouts.

    Parameters
    ----------
    options : Options
        Scenario, widths, dropout and position.
    channels, classes : int
        Channels (the paper: 3 and as many of validity), one more with a position, and classes (the
        paper: 6).
    size_pix : int
        Side of the cutouts (the paper: 63).

    Raises
    ------
    ConfigError
        If the cutouts are too small for the scenario, if the metadata do not fit into a channel,
        or if they are the only channel.
    """

    def __init__(self, options: Options, channels: int, classes: int, size_pix: int) -> None:
        super().__init__()
        self.scenario = options.scenario
        check_metadata("multi_scale", options.metadata, channels, size_pix)
        if options.scenario == "cropped":
            check_size(size_pix, CROPPED_PIX)
        best = BEST[options.scenario]
        *widths, features = options.widths or best.widths
        is_layered = options.scenario == "multi_scale"
        self.levels = len(level_sides(size_pix)) if is_layered else 1
        layers, side = [], _reduced_side(options.scenario, size_pix, self.levels)
        inputs = channels - bool(options.metadata)
        for index, width in enumerate(widths):
            layers += [
                nn.Conv2d(inputs, width, _KERNEL_PIX, padding=_KERNEL_PIX // 2),
                nn.ReLU(inplace=True),
            ]
            if index < best.pools:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
                side = -(-side // 2)
            inputs = width
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        self.dropout = nn.Dropout(best.dropout if options.dropout is None else options.dropout)
        self.flat = self.levels * inputs * side**2
        self.names = options.metadata
        self.has_position = set(_POSITION) <= set(self.names)
        self.others = [
            i for i, n in enumerate(self.names) if not (self.has_position and n in _POSITION)
        ]
        self.position_norm = nn.BatchNorm1d(3) if self.has_position else None
        self.metadata = Metadata(tuple(self.names[i] for i in self.others)) if self.others else None
        numbers = 3 * self.has_position + len(self.others)
        self.dense = nn.Linear(self.flat + numbers, features)
        self.head = nn.Linear(features, classes)
        self.apply(_initialise)

    def fit_metadata(self, values: torch.Tensor) -> None:
        """Take the scale of the metadata, other than the position, from the training alerts.

        Parameters
        ----------
        values : Tensor, shape (N, F), float32
            NaN is unknown.
        """
        if self.metadata is not None:
            self.metadata.fit(values[:, self.others])

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Embed cutouts of shape (B, C, H, H) as vectors of the length of the last width."""
        pixels, values = unpack(images, len(self.names)) if self.names else (images, images[:, 0])
        seen = [self.dropout(self.embed_reduced(reduce_cutouts(pixels, self.scenario)))]
        if self.position_norm is not None:
            seen.append(self.position_norm(_unit_vector(values, self.names)))
        if self.metadata is not None:
            seen.append(self.metadata(values[:, self.others]))
        return torch.tanh(self.dense(torch.cat(seen, dim=1)))

    def classify(self, features: torch.Tensor) -> torch.Tensor:
        """Logits of shape (B, K)."""
        logits: torch.Tensor = self.head(features)
        return logits

    def embed_reduced(self, reduced: torch.Tensor) -> torch.Tensor:
        """Mean over the symmetries of the square of what the convolutions make.

        Parameters
        ----------
        reduced : Tensor, shape (B, C', H', H')
            As of `catalogtool.preprocess.multi_scale.reduce_cutouts`.

        Returns
        -------
        Tensor, shape (B, D)
        """
        views = [
            view.rot90(turn, (2, 3))
            for view in (reduced, reduced.flip(3))
            for turn in range(_TURNS)
        ]
        stacked = torch.cat(views)  # (8 B, L C, H', H')
        channels = stacked.shape[1] // self.levels
        apart = stacked.reshape(-1, channels, *stacked.shape[2:])  # (8 B L, C, H', H')
        maps: torch.Tensor = self.convolutions(apart)  # (8 B L, D / L)
        return maps.reshape(len(views), len(reduced), self.flat).mean(dim=0)


def _reduced_side(scenario: Scenario, size_pix: int, levels: int) -> int:
    """Side of what the convolutions see."""
    return int((stored_pixels(scenario, size_pix) // levels) ** 0.5)


def _unit_vector(values: torch.Tensor, names: tuple[str, ...]) -> torch.Tensor:
    """Position on the sphere, shape (B, 3); zeros where it is not known."""
    ra, dec = (values[:, names.index(name)].deg2rad() for name in _POSITION)
    vector = torch.stack([ra.cos() * dec.cos(), ra.sin() * dec.cos(), dec.sin()], dim=1)
    return torch.where(vector.isfinite().all(dim=1, keepdim=True), vector, 0.0)


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
    elif isinstance(layer, nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
    if isinstance(layer, nn.Conv2d | nn.Linear):
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
