"""Con2DA: consistent and contrastive features of two views.

References
----------
Perez-Carrasco et al. 2022, NeurIPS DistShift workshop (arXiv:2204.01558).

Notes
-----
The paper takes two optimiser steps per iteration, the second with a frozen classifier, and gives
the classifier ten times the learning rate of the features. Here both losses are of the same step,
with the training's own optimiser and schedule. The strong view is a survey's, not RandAugment's.
"""

from typing import Annotated, ClassVar

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch.nn import functional

from catalogtool.adaptation._base import Batches, DomainBatch, LossTerms, MethodOptions, images_of
from catalogtool.adaptation._base import Method as BaseMethod
from catalogtool.adaptation._contrast import nt_xent
from catalogtool.adaptation._frozen import frozen
from catalogtool.config.training import Domain


class Options(MethodOptions):
    """Options of Con2DA; the defaults are the paper's."""

    threshold: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Probability above which a cutout's most probable class is taken for its label."""
    temperature: PositiveFloat = 0.05
    """Of the contrast between embeddings."""
    consistency_weight: NonNegativeFloat = 1.0
    contrast_weight: NonNegativeFloat = 1.0


class Method(BaseMethod):
    """Both views of a cutout get one label and one place among all others."""

    domains: ClassVar[tuple[Domain, ...]] = ("source", "target_unlabelled")
    optional: ClassVar[tuple[Domain, ...]] = ("target_labelled",)
    starts_from: ClassVar[str | None] = "source_only"
    wants_strong: ClassVar[bool] = True
    options: Options

    _confident_share: torch.Tensor | None = None

    def forward(self, batches: Batches, progress: float) -> LossTerms:  # noqa: ARG002 - the common signature
        """Losses of one step; those without labels do not train the classifier."""
        batches = {domain: _both_views(batch) for domain, batch in batches.items()}
        features = self.embed(images_of(batches))
        weak, strong = features["target_unlabelled"].chunk(2)
        with frozen(self.network):
            logits = self.network.classify(weak), self.network.classify(strong)
        consistency, is_confident = consistency_loss(*logits, self.options.threshold)
        contrast = nt_xent(weak, strong, self.options.temperature)
        self._confident_share = is_confident.float().mean()
        return {
            "label": self.supervised(batches, features),
            "consistency": self.options.consistency_weight * consistency,
            "contrast": self.options.contrast_weight * contrast,
        }

    def watch(self) -> dict[str, float]:
        """Share of the last unlabelled cutouts that were taken for labelled."""
        if self._confident_share is None:
            return {}
        return {"confident_share": float(self._confident_share)}


def consistency_loss(
    weak: torch.Tensor, strong: torch.Tensor, threshold: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy of both views against the class that they agree on.

    ``mean_i m_i CE(weak_i, y_i) + mean_i m_i CE(strong_i, y_i)``: q is the softmax of the mean of
    both views' logits, without gradient, ``y = argmax q``, ``m = [max q > threshold]``. The means
    are over all cutouts, so that few confident ones weigh little.

    Parameters
    ----------
    weak, strong : Tensor, shape (B, K)
        Logits of both views.
    threshold : float
        Least confidence.

    Returns
    -------
    loss : Tensor, shape (), float32
    is_confident : Tensor, shape (B,), bool
    """
    weak, strong = weak.float(), strong.float()
    confidence, label = functional.softmax((weak + strong).detach() / 2, dim=1).max(dim=1)
    is_confident = confidence > threshold
    losses = functional.cross_entropy(weak, label, reduction="none")
    losses = losses + functional.cross_entropy(strong, label, reduction="none")
    return (is_confident * losses).mean(), is_confident


def _both_views(batch: DomainBatch) -> DomainBatch:
    """Weak views, then the strong views of the same cutouts, with the labels of both."""
    assert batch.strong is not None
    votes = None if batch.votes is None else torch.cat([batch.votes, batch.votes])
    return DomainBatch(torch.cat([batch.images, batch.strong]), votes)
