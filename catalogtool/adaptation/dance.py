"""DANCE: unlabelled cutouts join a neighbour or a class, or stay apart as unknown.

References
----------
Saito et al. 2020, NeurIPS (arXiv:2002.07953), eq. 2 to 6; ``VisionLearningGroup/DANCE``.

Notes
-----
The authors remember a feature of every target cutout; here it is those of the latest batches, of
which each cutout is shown once per epoch: a bank much smaller than the survey holds other cutouts
only. The batch itself counts among the neighbours, as in their code. Their hinge is ``max(|H -
rho|, m)``, which differs from ours by a constant and has the same gradient.
"""

import math
from typing import ClassVar

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch.nn import functional

from catalogtool.adaptation._bank import MemoryBank
from catalogtool.adaptation._base import Batches, LabelLoss, LossTerms, MethodOptions, images_of
from catalogtool.adaptation._base import Method as BaseMethod
from catalogtool.adaptation._gather import gather_rows
from catalogtool.adaptation._head import class_weights
from catalogtool.adaptation._separation import entropies, entropy_separation
from catalogtool.config.training import Domain
from catalogtool.networks._base import Network
from catalogtool.networks._heads import Head


class Options(MethodOptions):
    """Options of DANCE; the defaults are the paper's, but for the bank."""

    trade_off: NonNegativeFloat = 0.05
    """Weight of clustering and separation beside the loss of the labels."""
    temperature: PositiveFloat = 0.05
    """Divides the cosines between neighbours."""
    margin: NonNegativeFloat = 0.5
    """Nats around half the largest entropy, within which a cutout is not pushed to either side."""
    bank_size: PositiveInt = 512
    """Features that are remembered; best well below the number of unlabelled cutouts."""


class Method(BaseMethod):
    """The loss of all labels, neighbourhood clustering and entropy separation.

    Parameters
    ----------
    network, label_loss
        As of every method.
    options : Options
        Weights, temperature, margin and the size of the bank.
    """

    domains: ClassVar[tuple[Domain, ...]] = ("source", "target_unlabelled")
    optional: ClassVar[tuple[Domain, ...]] = ("target_labelled",)
    starts_from: ClassVar[str | None] = "source_only"
    heads: ClassVar[tuple[Head, ...]] = ("cosine", "linear")
    universal: ClassVar[bool] = True
    options: Options

    _active_fraction: torch.Tensor | None = None

    def __init__(self, network: Network, label_loss: LabelLoss, options: Options) -> None:
        super().__init__(network, label_loss, options)
        classes, features = class_weights(network).shape
        self.boundary = math.log(classes) / 2
        self.bank = MemoryBank(options.bank_size, features)

    def forward(self, batches: Batches, progress: float) -> LossTerms:  # noqa: ARG002 - the common signature
        """Losses of one step; neighbours are those of the batches of all workers."""
        features = self.embed(images_of(batches))
        unlabelled = features["target_unlabelled"]
        directions = functional.normalize(unlabelled.float())
        weights = functional.normalize(class_weights(self.network).float())
        others = torch.cat([weights, self.bank.read()])
        clustering = neighbourhood_entropy(
            gather_rows(directions), others, self.options.temperature
        )
        self.bank.add(directions.detach())
        separation, is_active = entropy_separation(
            self.network.classify(unlabelled), self.boundary, self.options.margin
        )
        self._active_fraction = is_active.float().mean()
        return {
            "label": self.supervised(batches, features),
            "clustering": self.options.trade_off * clustering,
            "separation": self.options.trade_off * separation,
        }

    def watch(self) -> dict[str, float]:
        """Share of the unlabelled cutouts outside the margin; separation has no say if it is 0."""
        if self._active_fraction is None:
            return {}
        return {"active_fraction": float(self._active_fraction)}

    def unknown_threshold(self) -> float:
        """Half the largest entropy, in nats."""
        return self.boundary


def neighbourhood_entropy(
    directions: torch.Tensor, others: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Mean entropy of the similarity to all neighbours.

    ``-1/B sum_i sum_{j != i} p_ij ln p_ij`` with ``p_ij = softmax_j(f_i . f_j / t)``.

    Parameters
    ----------
    directions : Tensor, shape (B, D)
        Unit vectors, each a neighbour of all others.
    others : Tensor, shape (M, D)
        Unit vectors that are neighbours only: class weights and the bank.
    temperature : float
        Divides the cosines.

    Returns
    -------
    Tensor, shape (), float32
    """
    count = len(directions)
    # In bfloat16 a cosine over a small temperature is off by a tenth.
    with torch.autocast(directions.device.type, enabled=False):
        among = directions @ directions.T  # (B, B)
        is_other = ~torch.eye(count, dtype=torch.bool, device=directions.device)
        cosines = torch.cat(
            [directions @ others.T, among[is_other].view(count, count - 1)], dim=1
        )  # (B, M + B - 1)
        return entropies(cosines / temperature).mean()
