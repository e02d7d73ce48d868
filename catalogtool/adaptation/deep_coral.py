"""Deep CORAL: features of both surveys get one covariance.

References
----------
Sun & Saenko 2016, ECCV workshops (arXiv:1607.01719), eq. 1 to 3.

Notes
-----
The paper aligns the outputs of the last layer of AlexNet; here it is the features before it.
Unlabelled cutouts stand for the target.
"""

from typing import ClassVar

import torch
from pydantic import NonNegativeFloat

from catalogtool.adaptation._base import Batches, LossTerms, MethodOptions, images_of
from catalogtool.adaptation._base import Method as BaseMethod
from catalogtool.adaptation._gather import gather_rows
from catalogtool.config.training import Domain


class Options(MethodOptions):
    """Options of Deep CORAL."""

    trade_off: NonNegativeFloat = 1.0
    """Weight of the distance of the covariances beside the loss of the labels."""


class Method(BaseMethod):
    """The loss of all labels, and the distance of the covariances of both surveys' features.

    Parameters
    ----------
    network, label_loss
        As of every method.
    options : Options
        Weight of the distance.
    """

    domains: ClassVar[tuple[Domain, ...]] = ("source", "target_unlabelled")
    optional: ClassVar[tuple[Domain, ...]] = ("target_labelled",)
    starts_from: ClassVar[str | None] = "source_only"
    options: Options

    def forward(self, batches: Batches, progress: float) -> LossTerms:  # noqa: ARG002 - the common signature
        """Losses of one step; covariances are those of the batches of all workers."""
        features = self.embed(images_of(batches))
        source, target = (gather_rows(features[domain]) for domain in self.domains)
        return {
            "label": self.supervised(batches, features),
            "coral": self.options.trade_off * coral_loss(source, target),
        }


def coral_loss(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Squared Frobenius distance of two covariances, ``|C_S - C_T|^2 / (4 D^2)``.

    Parameters
    ----------
    source, target : Tensor, shapes (B, D) and (B', D)
        Features.

    Returns
    -------
    Tensor, shape (), float32
        0 for a batch of one cutout, which has no covariance.
    """
    # Differences of covariances are lost in bfloat16.
    with torch.autocast(source.device.type, enabled=False):
        difference = _covariance(source.float()) - _covariance(target.float())  # (D, D)
        return difference.square().sum() / (4 * source.shape[1] ** 2)


def _covariance(features: torch.Tensor) -> torch.Tensor:
    centred = features - features.mean(dim=0)
    return centred.T @ centred / max(len(features) - 1, 1)
