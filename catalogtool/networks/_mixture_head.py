"""A head whose classes are the components of a mixture of Gaussians.

References
----------
Perez-Carrasco et al. 2019 (arXiv:1909.11651); Jiang et al. 2017, IJCAI (arXiv:1611.05148).
"""

import math

import torch
from torch import nn


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
