"""An encoder whose latent space is a mixture of Gaussians, one per class.

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
from catalogtool.networks._base import NetworkOptions

_KERNEL_PIX = 5
_LEAK = 0.05
_MAX_CELLS = 4


class Options(NetworkOptions):
    """Options of a mixture network."""

    widths: tuple[PositiveInt, PositiveInt, PositiveInt] = (64, 128, 256)
    """Channels of the convolutions, each of which halves the image."""
    dense: PositiveInt = 512
    """Length of the features."""
    latent: PositiveInt = 20
    """Dimensions of the latent space."""


class GaussianMixture(nn.Module):
    """Weights, centres and diagonal variances that are learned; one component per class.

    Parameters
    ----------
    classes, latent : int
        Number of components K and of dimensions J.
    """

    def __init__(self, classes: int, latent: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(classes))
        self.centres = nn.Parameter(torch.randn(classes, latent))
        self.log_variances = nn.Parameter(torch.zeros(classes, latent))

    @property
    def log_weights(self) -> torch.Tensor:
        """Logarithms of the weights, shape (K,)."""
        return self.logits.log_softmax(dim=0)

    def log_responsibilities(self, latents: torch.Tensor) -> torch.Tensor:
        """Log-probability that a component made a point: its share in the density.

        ``ln r_k(z) = ln softmax_k( ln pi_k + ln N(z; c_k, v_k) )``

        Parameters
        ----------
        latents : Tensor, shape (B, J)

        Returns
        -------
        Tensor, shape (B, K), float32
            Their exponentials sum to 1, so their softmax is the exponential itself.
        """
        offsets = latents.float()[:, None, :] - self.centres  # (B, K, J)
        exponents = offsets.square() / self.log_variances.exp() + self.log_variances
        densities = -(exponents + math.log(2 * math.pi)).sum(dim=2) / 2  # (B, K)
        return (self.log_weights + densities).log_softmax(dim=1)


class MixtureHead(nn.Module):
    """From features to a latent mean, and to the component that made it.

    Parameters
    ----------
    features, classes, latent : int
        Length of the feature vectors, number of classes and of latent dimensions.
    """

    def __init__(self, features: int, classes: int, latent: int) -> None:
        super().__init__()
        self.mean = nn.Linear(features, latent)
        self.mixture = GaussianMixture(classes, latent)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Log-responsibilities of shape (B, K) for the latent mean; nothing here is random."""
        return self.mixture.log_responsibilities(self.mean(features))


class Network(BaseNetwork):
    """Convolutions, a dense layer, and a mixture that classifies the latent mean.

    Parameters
    ----------
    options : Options
        Widths.
    channels, classes : int
        Bands seen at once and classes.
    size_pix : int
        Side of the cutouts; any size fits.
    """

    def __init__(self, options: Options, channels: int, classes: int, size_pix: int) -> None:
        super().__init__()
        self.options = options
        self.channels = channels
        self.size_pix = size_pix
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
        self.head: MixtureHead = MixtureHead(options.dense, classes, options.latent)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Embed cutouts of shape (B, C, H, W) as vectors of shape (B, dense)."""
        embedded: torch.Tensor = self.encoder(images)
        return embedded

    def classify(self, features: torch.Tensor) -> torch.Tensor:
        """Log-responsibilities of shape (B, K)."""
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
