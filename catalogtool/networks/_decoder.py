"""From a latent space back to cutouts."""

import math

import torch
from torch import nn

_LEAK = 0.05


class Decoder(nn.Module):
    """A dense layer and three transposed convolutions, each of which doubles the image.

    Parameters
    ----------
    latent : int
        Dimensions of the latent space.
    widths : tuple of int
        Channels after the dense layer and the first two convolutions.
    channels : int
        Bands of the cutouts.
    size_pix : int
        Side of the cutouts; what the convolutions make beyond it is cut off.
    """

    def __init__(
        self, latent: int, widths: tuple[int, int, int], channels: int, size_pix: int
    ) -> None:
        super().__init__()
        first, second, third = widths
        side = math.ceil(size_pix / 8)
        self.size_pix = size_pix
        self.layers = nn.Sequential(
            nn.Linear(latent, first * side * side),
            nn.Unflatten(1, (first, side, side)),
            nn.LeakyReLU(_LEAK, inplace=True),
            nn.ConvTranspose2d(first, second, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(second),
            nn.LeakyReLU(_LEAK, inplace=True),
            nn.ConvTranspose2d(second, third, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(third),
            nn.LeakyReLU(_LEAK, inplace=True),
            nn.ConvTranspose2d(third, channels, 4, stride=2, padding=1),
        )

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Cutouts of shape (B, C, size_pix, size_pix), of any sign, from (B, latent)."""
        images: torch.Tensor = self.layers(latents)
        return images[:, :, : self.size_pix, : self.size_pix]
