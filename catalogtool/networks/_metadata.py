"""Numbers that a network sees beside pixels: clipped, scaled, and normalised over the batch.

References
----------
Carrasco-Davis et al. 2021, AJ 162, 231 (arXiv:2008.03309); ``alercebroker/pipeline``.
"""

import torch
from torch import nn

from catalogtool.errors import ConfigError
from catalogtool.preprocess.metadata import check_room

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


class Metadata(nn.Module):
    """Numbers by name, as the dense layers of a network see them.

    The scale is that of the training alerts and travels with the weights. An unknown number is the
    mean; the exception are numbers about neighbours, for which unknown means that there is none and
    which then are -1, as in the paper.

    Parameters
    ----------
    names : tuple of str
        F names, in the order of the numbers.
    """

    mean: torch.Tensor
    std: torch.Tensor
    clips: torch.Tensor
    missing: torch.Tensor

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        clips = [_CLIPS.get(name, (-_INFINITE, _INFINITE)) for name in names]
        missing = [_NO_NEIGHBOUR if name in _NEIGHBOUR else torch.nan for name in names]
        self.register_buffer("mean", torch.zeros(len(names)))
        self.register_buffer("std", torch.ones(len(names)))
        self.register_buffer("clips", torch.tensor(clips).view(-1, 2), persistent=False)
        self.register_buffer("missing", torch.tensor(missing), persistent=False)
        self.norm = nn.BatchNorm1d(len(names))

    def fit(self, values: torch.Tensor) -> None:
        """Take the scale from the training alerts.

        Parameters
        ----------
        values : Tensor, shape (N, F), float32
            NaN is unknown. A number that is never known, or always the same, is scaled by 1.
        """
        clipped = self._clipped(values)
        mean = clipped.nanmean(dim=0)
        std = (clipped - mean).square().nanmean(dim=0).sqrt()
        self.mean.copy_(mean.nan_to_num(0.0))
        self.std.copy_(torch.where(std > 0, std, 1.0))

    def standardised(self, values: torch.Tensor) -> torch.Tensor:
        """Numbers of shape (B, F) in units of the scatter of the training alerts."""
        return ((self._clipped(values) - self.mean) / self.std).nan_to_num(0.0)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """What the dense layers see, shape (B, F)."""
        normalised: torch.Tensor = self.norm(self.standardised(values))
        return normalised

    def _clipped(self, values: torch.Tensor) -> torch.Tensor:
        low, high = self.clips.unbind(dim=1)
        return torch.where(values.isnan(), self.missing, values).clamp(low, high)


def check_metadata(network: str, names: tuple[str, ...], channels: int, size_pix: int) -> None:
    """Refuse metadata that do not fit into a channel, or that are all there is.

    Raises
    ------
    ConfigError
        If there are more numbers than pixels, or no channel but theirs.
    """
    check_room(len(names), size_pix**2)
    if names and channels == 1:
        raise ConfigError(
            f"network {network}: the only channel holds metadata; at least one of pixels is needed",
            channels=channels,
        )
