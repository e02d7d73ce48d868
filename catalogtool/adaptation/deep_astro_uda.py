"""DeepAstroUDA: adaptive clustering and entropy separation, for classes of one survey only.

References
----------
Ciprijanovic et al. 2023, MLST (arXiv:2302.02005). Settings that the paper leaves open follow
``voetberg/AstroUDA``.

Notes
-----
``L = L_CE + 0.005 (L_AC + L_ES)``. The paper writes L_AC as a sum over pairs; here it is the mean,
so that the weight does not depend on the size of batch and bank. Class weights follow from the
labels seen so far instead of a count beforehand, and few target labels count like those of the
source. The paper normalises each survey by itself: ``domain_norm = true`` in the training options.
"""

import math
from typing import ClassVar

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch.nn import functional

from catalogtool.adaptation._bank import MemoryBank
from catalogtool.adaptation._base import Batches, LabelLoss, LossTerms, MethodOptions, images_of
from catalogtool.adaptation._base import Method as BaseMethod
from catalogtool.adaptation._gather import gather_rows
from catalogtool.adaptation._head import class_weights
from catalogtool.adaptation._separation import entropy_separation
from catalogtool.adaptation._tuner import SeparationTuner
from catalogtool.config.training import Domain
from catalogtool.networks._base import Network
from catalogtool.networks._heads import Head

_FEW_CLASSES = 5
_EPS = 1e-6  # keeps the logarithms of certain pairs finite


class Options(MethodOptions):
    """Options of DeepAstroUDA; the defaults are the paper's, but for the bank."""

    trade_off: NonNegativeFloat = 0.005
    """Weight of clustering and separation beside the loss of the labels."""
    top_k: PositiveInt | None = None
    """Leading classes that must agree, in order, for two cutouts to be alike; None: 3 for up to
    five classes, else 7. Never more than there are classes."""
    boundary: NonNegativeFloat | None = None
    """Entropy in nats that separates known from unknown, at first; None: ln(K) / 2."""
    margin: NonNegativeFloat | None = None
    """Nats around the boundary within which a cutout is not pushed to either side, at first; None:
    0.4 for up to five classes, else 1.3, which is more than any distance for up to 13 classes:
    separation then waits for the tuner."""
    tuner_parts: PositiveInt = 50
    """Equal parts of the training whose mean losses tell the tuner whether it stands still."""
    bank_size: PositiveInt = 512
    """Earlier outputs of both surveys that are remembered."""


class Method(BaseMethod):
    """The class-weighted loss of all labels, adaptive clustering and entropy separation.

    Parameters
    ----------
    network, label_loss
        As of every method.
    options : Options
        Weights, rankings, boundary, margin and the size of the bank.
    """

    domains: ClassVar[tuple[Domain, ...]] = ("source", "target_unlabelled")
    optional: ClassVar[tuple[Domain, ...]] = ("target_labelled",)
    starts_from: ClassVar[str | None] = "source_only"
    heads: ClassVar[tuple[Head, ...]] = ("cosine", "linear")
    universal: ClassVar[bool] = True
    options: Options

    labels_seen: torch.Tensor
    _active_fraction: torch.Tensor | None = None

    def __init__(self, network: Network, label_loss: LabelLoss, options: Options) -> None:
        super().__init__(network, label_loss, options)
        classes = len(class_weights(network))
        is_few = classes <= _FEW_CLASSES
        self.top_k = min(options.top_k or (3 if is_few else 7), classes)
        boundary = math.log(classes) / 2 if options.boundary is None else options.boundary
        margin = (0.4 if is_few else 1.3) if options.margin is None else options.margin
        self.tuner = SeparationTuner(classes, boundary, margin, options.tuner_parts)
        self.bank = MemoryBank(options.bank_size, classes)
        self.register_buffer("labels_seen", torch.zeros(classes))

    def forward(self, batches: Batches, progress: float) -> LossTerms:
        """Losses of one step; clustering compares with earlier batches of all workers."""
        features = self.embed(images_of(batches))
        logits = self.network.classify(features["target_unlabelled"])
        probabilities = functional.softmax(logits.float(), dim=1)
        clustering = adaptive_clustering(probabilities, self.bank.read(), self.top_k)
        separation, is_active = entropy_separation(logits, self.tuner.boundary, self.tuner.margin)
        self._active_fraction = is_active.float().mean()
        self._remember(features["source"], probabilities)
        terms = {
            "label": self._weighted_label_loss(batches, features),
            "clustering": self.options.trade_off * clustering,
            "separation": self.options.trade_off * separation,
        }
        total = torch.stack(list(terms.values())).sum().detach()
        self.tuner.observe(gather_rows(total[None]).mean(), progress)
        return terms

    def watch(self) -> dict[str, float]:
        """Share of the unlabelled cutouts outside the margin, boundary and margin in nats.

        Separation has no say where the share is 0.
        """
        if self._active_fraction is None:
            return {}
        return {
            "active_fraction": float(self._active_fraction),
            "boundary_nat": float(self.tuner.boundary),
            "margin_nat": float(self.tuner.margin),
        }

    def unknown_threshold(self) -> float:
        """The boundary where the tuner has left it, in nats."""
        return float(self.tuner.boundary)

    @torch.no_grad()
    def _remember(self, source: torch.Tensor, target_probabilities: torch.Tensor) -> None:
        logits = self.network.classify(source.detach())
        self.bank.add(functional.softmax(logits.float(), dim=1))
        self.bank.add(target_probabilities)

    def _weighted_label_loss(
        self, batches: Batches, features: dict[Domain, torch.Tensor]
    ) -> torch.Tensor:
        """``1/N sum_i w_i L_i`` with ``w_k = N / (K n_k)`` over the labels seen so far."""
        labelled = [domain for domain, batch in batches.items() if batch.votes is not None]
        logits = self.network.classify(torch.cat([features[domain] for domain in labelled]))
        votes = torch.cat([v for domain in labelled if (v := batches[domain].votes) is not None])
        with torch.no_grad():
            self.labels_seen += gather_rows(votes).sum(dim=0)
            seen = self.labels_seen.clamp(min=1)
            weights = votes @ (self.labels_seen.sum() / (len(seen) * seen))  # (B,)
        losses = torch.vmap(lambda row, vote: self.label_loss(row[None], vote[None]))(logits, votes)
        return (weights * losses).mean()


def adaptive_clustering(
    probabilities: torch.Tensor, remembered: torch.Tensor, top_k: int
) -> torch.Tensor:
    """Cutouts whose leading classes agree get like probabilities, others unlike ones.

    ``L_AC = mean_ij -[ s_ij ln(p_i . p_j) + (1 - s_ij) ln(1 - p_i . p_j) ]``, where s_ij is 1 if
    the k most probable classes of both are the same in the same order, else 0.

    Parameters
    ----------
    probabilities : Tensor, shape (B, K)
        Of unlabelled cutouts.
    remembered : Tensor, shape (M, K)
        Of earlier cutouts, without gradient.
    top_k : int
        k, K at most.

    Returns
    -------
    Tensor, shape (), float32
        0 where nothing is remembered.
    """
    if not len(remembered):
        return probabilities.new_zeros(())
    mine, theirs = (p.topk(top_k, dim=1).indices for p in (probabilities, remembered))
    is_alike = (mine[:, None] == theirs).all(dim=2).float()  # (B, M)
    with torch.autocast(probabilities.device.type, enabled=False):
        similarity = (probabilities @ remembered.T).clamp(_EPS, 1 - _EPS)  # (B, M)
        return functional.binary_cross_entropy(similarity, is_alike)
