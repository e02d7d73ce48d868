"""DANN: features from which a discriminator cannot tell the survey.

References
----------
Ganin & Lempitsky 2015, ICML (arXiv:1409.7495); Ganin et al. 2016, JMLR 17, 59 (arXiv:1505.07818).

Notes
-----
Unlabelled cutouts stand for the target in the discriminator's loss: the few labelled ones are
shown too often.
"""

from typing import ClassVar

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import nn
from torch.nn import functional

from catalogtool.adaptation._base import Batches, LabelLoss, LossTerms, MethodOptions, images_of
from catalogtool.adaptation._base import Method as BaseMethod
from catalogtool.adaptation._head import class_weights
from catalogtool.adaptation._reversal import ramp, reverse_gradient
from catalogtool.config.training import Domain
from catalogtool.networks._base import Network
from catalogtool.networks._heads import Head


class Options(MethodOptions):
    """Options of DANN; the defaults are the paper's, but for the width."""

    reversal: NonNegativeFloat = 1.0
    """Largest strength with which features hide their survey from the discriminator."""
    steepness: PositiveFloat = 10.0
    """How fast that strength is reached."""
    width: PositiveInt = 256
    """Hidden units in each of the discriminator's two layers."""


class Method(BaseMethod):
    """The loss of all labels, and a discriminator whose gradient is reversed before the features.

    Parameters
    ----------
    network, label_loss
        As of every method.
    options : Options
        Strength of the reversal and size of the discriminator.
    """

    domains: ClassVar[tuple[Domain, ...]] = ("source", "target_unlabelled")
    optional: ClassVar[tuple[Domain, ...]] = ("target_labelled",)
    starts_from: ClassVar[str | None] = "source_only"
    heads: ClassVar[tuple[Head, ...]] = ("cosine", "linear")
    options: Options

    _accuracy: torch.Tensor | None = None

    def __init__(self, network: Network, label_loss: LabelLoss, options: Options) -> None:
        super().__init__(network, label_loss, options)
        features = class_weights(network).shape[1]
        self.discriminator = nn.Sequential(
            nn.Linear(features, options.width),
            nn.ReLU(),
            nn.Linear(options.width, options.width),
            nn.ReLU(),
            nn.Linear(options.width, 1),
            nn.Flatten(0),  # (B,)
        )

    def forward(self, batches: Batches, progress: float) -> LossTerms:
        """Losses of one step; ``domain`` is minimised by the discriminator."""
        features = self.embed(images_of(batches))
        strength = self.options.reversal * ramp(progress, self.options.steepness)
        source, target = (
            self.discriminator(reverse_gradient(features[domain], strength))
            for domain in self.domains
        )
        self._accuracy = ((source > 0).float().mean() + (target < 0).float().mean()) / 2
        return {
            "label": self.supervised(batches, features),
            "domain": domain_loss(source, target),
        }

    def watch(self) -> dict[str, float]:
        """Share of the surveys that the discriminator gets right; half of them is a guess."""
        return {} if self._accuracy is None else {"domain_accuracy": float(self._accuracy)}


def domain_loss(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the survey, both surveys alike however many cutouts they have.

    ``-(mean_S ln d + mean_U ln(1 - d)) / 2`` with ``d = sigmoid(logit)``.

    Parameters
    ----------
    source, target : Tensor, shapes (B,) and (B',)
        Logits of being from the source.

    Returns
    -------
    Tensor, shape (), float32
    """
    from_source = functional.softplus(-source.float()).mean()
    from_target = functional.softplus(target.float()).mean()
    return (from_source + from_target) / 2
