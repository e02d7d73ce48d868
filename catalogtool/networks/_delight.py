"""DELIGHT (Foerster et al. 2022): where the host is, from a pyramid of images around a transient.

One trunk sees all levels of all eight symmetric variants of a pyramid. Every variant votes for an
offset; turned back, the votes agree as far as the network is sure. It names no class, so it is not
one of the networks that recipes of classes can choose from.
"""

import torch
from torch import nn

from catalogtool.config._base import Settings
from catalogtool.preprocess.pyramid import LEVELS, SIDE

VARIANTS = 8
_TRUNK = (52, 57, 41)
_HIDDEN = 685


class DelightOptions(Settings):
    """Options of DELIGHT, with the published values."""

    dropout: float = 0.0625


class Delight(nn.Module):
    """The network; 2,297,184 parameters.

    Parameters
    ----------
    options : DelightOptions
    """

    def __init__(self, options: DelightOptions) -> None:
        super().__init__()
        first, second, third = _TRUNK
        self.trunk = nn.Sequential(
            nn.Conv2d(1, first, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(first, second, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(second, third, 3),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.hidden = nn.Linear(LEVELS * third * 4 * 4, _HIDDEN)
        self.dropout = nn.Dropout(options.dropout)
        self.offset = nn.Linear(_HIDDEN, 2)

    def forward(self, pyramids: torch.Tensor) -> torch.Tensor:
        """Offsets of the host, shape (B, 2): x and y in level-0 pixels.

        Parameters
        ----------
        pyramids : Tensor, shape (B, 5, 30, 30), float32
            Axes of each level: x, then y.
        """
        batch = len(pyramids)
        seen = self.trunk(pyramids.reshape(batch * LEVELS, 1, SIDE, SIDE))
        hidden = torch.tanh(self.hidden(seen.reshape(batch, -1)))
        found: torch.Tensor = self.offset(self.dropout(hidden))
        return found

    def votes(self, pyramids: torch.Tensor) -> torch.Tensor:
        """Offsets that the eight variants of each pyramid vote for, turned back: (B, 8, 2)."""
        variants = torch.stack([variant(pyramids, v) for v in range(VARIANTS)], dim=1)
        predicted = self(variants.flatten(0, 1)).unflatten(0, (-1, VARIANTS))
        return torch.stack([turned_back(predicted[:, v], v) for v in range(VARIANTS)], dim=1)


def variant(pyramids: torch.Tensor, index: int) -> torch.Tensor:
    """One of the eight symmetric variants of pyramids (B, 5, X, Y).

    From 4 on the second axis is flipped; then `index` mod 4 quarter turns counter-clockwise follow.
    """
    flipped = pyramids.flip(-1) if index >= 4 else pyramids
    return torch.rot90(flipped, index % 4, (-2, -1))


def turned_back(offsets: torch.Tensor, index: int) -> torch.Tensor:
    """Offsets (B, 2) in a variant as offsets in the pyramid itself."""
    u, w = offsets[:, 0], offsets[:, 1]
    pairs = ((u, w), (w, -u), (-u, -w), (-w, u), (u, -w), (w, u), (-u, w), (-w, -u))
    return torch.stack(pairs[index], dim=1)


def turned(offsets: torch.Tensor, index: int) -> torch.Tensor:
    """Offsets (B, 2) in the pyramid as offsets in a variant: the inverse of `turned_back`."""
    u, w = offsets[:, 0], offsets[:, 1]
    pairs = ((u, w), (-w, u), (-u, -w), (w, -u), (u, -w), (w, u), (-u, w), (-w, -u))
    return torch.stack(pairs[index], dim=1)
