"""Minimax entropy: class prototypes move to the unlabelled cutouts, which then gather around them.

References
----------
Saito et al. 2019, ICCV (arXiv:1904.06487), eq. 3 to 5; ``VisionLearningGroup/SSDA_MME``.

Notes
-----
The authors make two steps per batch, one for the labels and one for the entropy; here both losses
share one. Their logits are cosines over a temperature of 0.05: ``head = "cosine"`` in the
options of a network that has the choice.
"""

from typing import ClassVar

import torch
from pydantic import PositiveFloat
from torch.nn import functional

from catalogtool.adaptation._base import Batches, LossTerms, MethodOptions, images_of
from catalogtool.adaptation._base import Method as BaseMethod
from catalogtool.adaptation._reversal import reverse_gradient
from catalogtool.config.training import Domain

_EPS = 1e-5  # as the authors have it


class Options(MethodOptions):
    """Options of minimax entropy."""

    trade_off: PositiveFloat = 0.1
    """Weight of the entropy beside the loss of the labels."""


class Method(BaseMethod):
    """The loss of all labels, and an entropy that head and backbone pull in opposite directions.

    Parameters
    ----------
    network, label_loss
        As of every method.
    options : Options
        Weight of the entropy.
    """

    domains: ClassVar[tuple[Domain, ...]] = ("source", "target_unlabelled")
    optional: ClassVar[tuple[Domain, ...]] = ("target_labelled",)
    starts_from: ClassVar[str | None] = "source_only"
    options: Options

    _shares: torch.Tensor | None = None

    def forward(self, batches: Batches, progress: float) -> LossTerms:  # noqa: ARG002 - the common signature
        """Losses of one step; ``entropy`` is that of the unlabelled cutouts, negative."""
        features = self.embed(images_of(batches))
        # The head minimises -H, that is, maximises the entropy; behind it the sign is reversed.
        logits = self.network.classify(reverse_gradient(features["target_unlabelled"]))
        probabilities = functional.softmax(logits.float(), dim=1)
        self._shares = class_shares(probabilities)
        return {
            "label": self.supervised(batches, features),
            "entropy": self.options.trade_off * negative_entropy(probabilities),
        }

    def watch(self) -> dict[str, float]:
        """Shares of the classes among the predictions for unlabelled cutouts.

        Where few classes swallow the others, the entropy has won over the labels.
        """
        if self._shares is None:
            return {}
        return {f"share_{index}": share for index, share in enumerate(self._shares.tolist())}


def negative_entropy(probabilities: torch.Tensor) -> torch.Tensor:
    """Mean over cutouts of ``sum_k p_k ln(p_k + 1e-5)``, from probabilities (B, K)."""
    return (probabilities * torch.log(probabilities + _EPS)).sum(dim=1).mean()


def class_shares(probabilities: torch.Tensor) -> torch.Tensor:
    """Share of each class among the predictions, shape (K,), from probabilities (B, K)."""
    winners = probabilities.detach().argmax(dim=1)
    return torch.bincount(winners, minlength=probabilities.shape[1]) / len(winners)
