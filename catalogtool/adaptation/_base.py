"""The interface of adaptation methods: named losses of a batch from up to three domains."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from catalogtool.config._base import Settings
from catalogtool.config.training import Domain
from catalogtool.networks._base import Network
from catalogtool.networks._domain_norm import has_domain_norm, use_domain
from catalogtool.networks._heads import HEADS, Head

LossTerms = dict[str, torch.Tensor]
LabelLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Mean loss of logits (B, K) against vote fractions (B, K)."""


class MethodOptions(Settings):
    """Options of a method; each file has its own ``Options``."""


@dataclass(frozen=True)
class DomainBatch:
    """Cutouts of one domain.

    Attributes
    ----------
    images : Tensor, shape (B, C, H, W), float32
        Prepared and weakly augmented cutouts.
    votes : Tensor, shape (B, K), float32, or None
        Vote fractions (one-hot for hard labels); None for the unlabelled domain.
    strong : Tensor, shape (B, C, H, W), float32, or None
        The same weakly augmented cutouts after the survey's strong changes as well, for methods
        that ask for them. Both views have the same handedness.
    """

    images: torch.Tensor
    votes: torch.Tensor | None
    strong: torch.Tensor | None = None


Batches = dict[Domain, DomainBatch]


class Method(nn.Module):
    """How a network learns. Files of this folder export ``Options`` and ``Method``.

    The network and anything else that is trained or remembered (discriminators, banks, mixtures,
    tuners) are submodules and buffers, so that optimiser and checkpoint find them.

    Parameters
    ----------
    network : Network
        The network that the catalog will use.
    label_loss : callable
        Loss of logits against votes, chosen by the survey's kind of labels.
    options : MethodOptions
        The file's own options.
    """

    domains: ClassVar[tuple[Domain, ...]]
    """What every batch holds."""
    optional: ClassVar[tuple[Domain, ...]] = ()
    """What a batch may hold besides, where there is any: few target labels, or none."""
    starts_from: ClassVar[str | None] = None
    """Method whose trained weights this one starts from; None: fresh weights."""
    heads: ClassVar[tuple[Head, ...]] = HEADS
    """Heads of a network that it works with; the first one replaces any other."""
    wants_strong: ClassVar[bool] = False
    """Whether batches hold strongly augmented views too."""
    universal: ClassVar[bool] = False
    """Whether the target may have classes that the source lacks, and the other way round."""

    def __init__(self, network: Network, label_loss: LabelLoss, options: MethodOptions) -> None:
        super().__init__()
        self.network = network
        self.label_loss = label_loss
        self.options = options
        self.labels_fill_a_batch = True
        """Whether there are so many target labels; the loop, which counts them, says so."""

    @abstractmethod
    def forward(self, batches: Batches, progress: float) -> LossTerms:
        """Losses of one step; the loop minimises their sum and logs each by name.

        Parameters
        ----------
        batches : dict
            One batch per domain of `domains`, and of `optional` where there is any.
        progress : float
            Share of the training that is done, 0 to 1.
        """

    def watch(self) -> dict[str, float]:
        """Figures of the last step that are logged but not minimised."""
        return {}

    def unknown_threshold(self) -> float | None:
        """Entropy in nats above which a cutout is of an unknown class; None: there is no rule.

        It is the rule of the method's paper. Catalogs have a better one,
        `catalogtool.training.neighbours`.
        """
        return None

    def embed(self, images: dict[Domain, torch.Tensor]) -> dict[Domain, torch.Tensor]:
        """Features (B, D) of every domain's cutouts.

        Labelled cutouts of both surveys share one forward pass, and so their batch statistics;
        unlabelled ones have a pass of their own, as in Saito et al. 2019. With a normalisation of
        each domain's own, the passes are one per survey.
        """
        if has_domain_norm(self.network):
            passes: tuple[tuple[Domain, ...], ...] = (
                ("source",),
                ("target_labelled", "target_unlabelled"),
            )
        else:
            passes = (("source", "target_labelled"), ("target_unlabelled",))
        features: dict[Domain, torch.Tensor] = {}
        for members in passes:
            present = [domain for domain in members if domain in images]
            if not present:
                continue
            use_domain(self.network, "source" if "source" in present else "target")
            together = self.network.features(torch.cat([images[domain] for domain in present]))
            parts = torch.split(together, [len(images[domain]) for domain in present])
            features |= dict(zip(present, parts, strict=True))
        return features

    def supervised(self, batches: Batches, features: dict[Domain, torch.Tensor]) -> torch.Tensor:
        """Loss of all labelled cutouts of both surveys together."""
        labelled = [domain for domain, batch in batches.items() if batch.votes is not None]
        logits = self.network.classify(torch.cat([features[domain] for domain in labelled]))
        votes = [votes for domain in labelled if (votes := batches[domain].votes) is not None]
        return self.label_loss(logits, torch.cat(votes))


def images_of(batches: Batches) -> dict[Domain, torch.Tensor]:
    """The weakly augmented cutouts of every domain."""
    return {domain: batch.images for domain, batch in batches.items()}
