"""AVDA: one latent mixture of Gaussians for both surveys, and a decoder for each.

References
----------
Perez-Carrasco et al. 2019 (arXiv:1909.11651, version 4); the variational bound of a mixture:
Jiang et al. 2017, IJCAI (arXiv:1611.05148).

Notes
-----
With latent means m and variances s^2, and components of weight pi_k, centre c_k, variance v_k:

- ``L_sup = rec + KL_y + alpha CE(r, y)`` for labelled cutouts of either survey;
- ``L_unsup = rec + sum_k r_k KL_k + sum_k r_k ln(r_k / pi_k)`` for unlabelled ones;
- ``L = gamma (L_sup^S + L_sup^T) + (1 - gamma) L_unsup``;
- a discriminator minimises ``-ln D(z_S) - ln(1 - D(z_U))``, and the encoder maximises its second
  term. Unlabelled cutouts stand for the target: the few labelled ones are shown too often.

The paper takes the steps in turn; here gradient reversal makes them one. Instead of an autoencoder
with a mixture fitted to it, the source teaches encoder and mixture beforehand, and in the first
share of the training labels and reconstructions alone shape the latent space. Any network that can
end in a mixture is the encoder.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, cast

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import nn
from torch.nn import functional

from catalogtool.adaptation._base import (
    Batches,
    DomainBatch,
    LabelLoss,
    LossTerms,
    MethodOptions,
    images_of,
)
from catalogtool.adaptation._base import Method as BaseMethod
from catalogtool.adaptation._reversal import ramp, reverse_gradient
from catalogtool.config.training import Domain
from catalogtool.errors import ConfigError
from catalogtool.networks._base import Network
from catalogtool.networks._decoder import Decoder
from catalogtool.networks._heads import Head
from catalogtool.networks._mixture_head import MixtureHead

_LEAK = 0.05
Share = Annotated[float, Field(ge=0, le=1)]


class Options(MethodOptions):
    """Options of AVDA."""

    label_weight: NonNegativeFloat = 1.0
    """Alpha: weight of the labels' own loss beside the variational bound."""
    labelled_share: Share = 0.9
    """Gamma: weight of labelled cutouts; unlabelled ones have the rest."""
    adversarial_weight: NonNegativeFloat = 1.0
    """Largest strength of the gradient that hides a cutout's survey from the discriminator."""
    pretraining_share: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of the training before unlabelled cutouts are assigned to classes and the encoder
    heeds the discriminator."""
    likelihood: Literal["gaussian", "bernoulli"] = "gaussian"
    """Of a pixel; ``bernoulli`` for cutouts between 0 and 1, others are clipped."""
    pixel_sigma: PositiveFloat = 1.0
    """Standard deviation of the Gaussian likelihood."""
    reduction: Literal["sum", "mean"] = "mean"
    """Over the pixels of a cutout: ``sum`` is the variational bound; ``mean`` weakens the
    reconstruction by the number of pixels, which would else outweigh the labels."""
    decoder_widths: tuple[PositiveInt, PositiveInt, PositiveInt] = (64, 32, 16)
    """Channels behind the dense layer and the first two convolutions of a decoder."""
    discriminator_width: PositiveInt = 256


@dataclass(frozen=True)
class Code:
    """What the encoder makes of cutouts.

    Attributes
    ----------
    latents : Tensor, shape (B, J)
        Drawn at random.
    log_responsibilities : Tensor, shape (B, K)
        Of the drawn points.
    divergences : Tensor, shape (B, K)
        From every component.
    """

    latents: torch.Tensor
    log_responsibilities: torch.Tensor
    divergences: torch.Tensor


class Method(BaseMethod):
    """Classes are components of a latent mixture in which the surveys look alike."""

    domains: ClassVar[tuple[Domain, ...]] = ("source", "target_unlabelled")
    optional: ClassVar[tuple[Domain, ...]] = ("target_labelled",)
    starts_from: ClassVar[str | None] = "source_only"
    heads: ClassVar[tuple[Head, ...]] = ("mixture",)
    options: Options

    def __init__(self, network: Network, label_loss: LabelLoss, options: Options) -> None:
        super().__init__(network, label_loss, options)
        if not isinstance(network.head, MixtureHead):
            raise ConfigError(
                "method avda: needs a network that ends in one Gaussian per class; set "
                'head = "mixture" in the network_options of the recipe, or choose another method'
            )
        latent = network.head.mean.out_features
        self.log_variance = nn.Linear(network.head.mean.in_features, latent)
        shape = (options.decoder_widths, network.pixel_channels, network.size_pix)
        self.source_decoder = Decoder(latent, *shape)
        self.target_decoder = Decoder(latent, *shape)
        width = options.discriminator_width
        self.discriminator = nn.Sequential(
            nn.Linear(latent, width),
            nn.LeakyReLU(_LEAK),
            nn.Linear(width, width),
            nn.LeakyReLU(_LEAK),
            nn.Linear(width, 1),
            nn.Flatten(0),  # (B,)
        )

    def forward(self, batches: Batches, progress: float) -> LossTerms:
        """Losses of one step, each the weighted sum over the domains that have it."""
        codes = {domain: self._encode(f) for domain, f in self.embed(images_of(batches)).items()}
        terms: LossTerms = {}
        for domain, batch in batches.items():
            for name, value in self._bound(domain, batch, codes[domain], progress).items():
                terms[name] = terms[name] + value if name in terms else value
        hidden = reverse_gradient(codes["target_unlabelled"].latents, self._reversal(progress))
        # The encoder maximises the target's term alone.
        logits = self.discriminator(torch.cat([codes["source"].latents.detach(), hidden]))
        terms["domain"] = discriminator_loss(logits, len(codes["source"].latents))
        return terms

    @property
    def _head(self) -> MixtureHead:
        return cast("MixtureHead", self.network.head)

    def _encode(self, features: torch.Tensor) -> Code:
        mean = self._head.mean(features).float()
        log_variance = self.log_variance(features).float()
        latents = draw(mean, log_variance)
        components = self._head.mixture
        return Code(
            latents,
            components.log_responsibilities(latents),
            divergences(mean, log_variance, components.centres, components.log_variances),
        )

    def _bound(self, domain: Domain, batch: DomainBatch, code: Code, progress: float) -> LossTerms:
        """The domain's weighted terms of the variational bound."""
        options = self.options
        decoder = self.source_decoder if domain == "source" else self.target_decoder
        pixels = batch.images[:, : self.network.pixel_channels]
        errors = self._pixel_errors(decoder(code.latents).float(), pixels)
        if batch.votes is not None:
            share = options.labelled_share
            label = options.label_weight * self.label_loss(code.log_responsibilities, batch.votes)
            divergence = (batch.votes * code.divergences).sum(dim=1).mean()
            return {
                "reconstruction": share * errors,
                "divergence": share * divergence,
                "label": share * label,
            }
        share = 1 - options.labelled_share
        divergence = assigned_divergence(
            code.divergences, code.log_responsibilities, self._head.mixture.log_weights
        )
        is_pretrained = progress >= options.pretraining_share
        return {"reconstruction": share * errors, "divergence": is_pretrained * share * divergence}

    def _pixel_errors(self, decoded: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Negative log-likelihood of the cutouts without its constants, mean over the batch."""
        if self.options.likelihood == "bernoulli":
            errors = functional.binary_cross_entropy_with_logits(
                decoded, images.clamp(0, 1), reduction="none"
            )
        else:
            errors = ((decoded - images) / self.options.pixel_sigma).square() / 2
        per_cutout = errors.flatten(1)
        if self.options.reduction == "mean":
            return per_cutout.mean()
        return per_cutout.sum(dim=1).mean()

    def _reversal(self, progress: float) -> float:
        """Strength with which the encoder hides the survey: none at first, then growing."""
        first = self.options.pretraining_share
        return self.options.adversarial_weight * ramp(max(0.0, (progress - first) / (1 - first)))


def draw(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Points of Gaussians by standard deviation (not variance) times noise: ``m + s e``.

    Parameters
    ----------
    mean, log_variance : Tensor, shape (B, J)

    Returns
    -------
    Tensor, shape (B, J)
    """
    return mean + torch.exp(log_variance / 2) * torch.randn_like(mean)


def divergences(
    mean: torch.Tensor,
    log_variance: torch.Tensor,
    centres: torch.Tensor,
    log_variances: torch.Tensor,
) -> torch.Tensor:
    """Kullback-Leibler divergence of every cutout's Gaussian from every component.

    ``KL_k = 1/2 sum_j [ ln v_kj - ln s_j^2 + (s_j^2 + (m_j - c_kj)^2) / v_kj - 1 ]``

    Parameters
    ----------
    mean, log_variance : Tensor, shape (B, J)
        Of the cutouts.
    centres, log_variances : Tensor, shape (K, J)
        Of the components.

    Returns
    -------
    Tensor, shape (B, K)
    """
    mean, log_variance = mean[:, None, :], log_variance[:, None, :]  # (B, 1, J)
    spread = (log_variance.exp() + (mean - centres).square()) / log_variances.exp()
    return (log_variances - log_variance + spread - 1).sum(dim=2) / 2


def assigned_divergence(
    of_components: torch.Tensor, log_responsibilities: torch.Tensor, log_weights: torch.Tensor
) -> torch.Tensor:
    """Divergence of unlabelled cutouts, whose component is a guess.

    ``mean_i [ sum_k r_ik KL_ik + sum_k r_ik ln(r_ik / pi_k) ]``

    Parameters
    ----------
    of_components, log_responsibilities : Tensor, shape (B, K)
        KL and ln r.
    log_weights : Tensor, shape (K,)
        ln pi.

    Returns
    -------
    Tensor, shape ()
    """
    guess = log_responsibilities - log_weights
    return (log_responsibilities.exp() * (of_components + guess)).sum(dim=1).mean()


def discriminator_loss(logits: torch.Tensor, sources: int) -> torch.Tensor:
    """``-mean ln D(source) - mean ln(1 - D(target))`` with ``D = sigmoid(logits)``.

    Parameters
    ----------
    logits : Tensor, shape (B,)
        Those of the source first.
    sources : int
        How many they are.

    Returns
    -------
    Tensor, shape (), float32
    """
    logits = logits.float()
    of_source = functional.softplus(-logits[:sources]).mean()
    return of_source + functional.softplus(logits[sources:]).mean()
