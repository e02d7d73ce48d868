"""Which epoch's weights are kept: chosen by labels, or without looking at any."""

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn

from catalogtool.surveys._recipe import Select

Criterion = Literal["labels", "unlabelled"]
Score = tuple[float, ...]
State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Kept:
    """The best epoch by one criterion.

    Attributes
    ----------
    epoch : int
    score : tuple of float
        The smaller the better.
    state : dict
        State of the method after that epoch.
    """

    epoch: int
    score: Score
    state: State


@dataclass
class Selection:
    """The best epoch by every criterion that could be applied.

    Without labels an epoch is judged by information maximisation over unlabelled cutouts,
    `catalogtool.training.metrics.information`. Training itself drives the entropy of such
    predictions down in some methods, so that it comes close to choosing the last weights there;
    and where classes are far from equally frequent it misleads.
    """

    asked: Select
    kept: dict[Criterion, Kept] = field(default_factory=dict)
    last: Kept | None = None
    """The end of the training, once that is reached."""

    @property
    def used(self) -> Select:
        """What chooses the weights in the end: what was asked for, as far as there is anything.

        Without validation labels ``labels`` becomes ``unlabelled``, and without unlabelled
        cutouts that becomes ``last``.
        """
        preferred: dict[Select, tuple[Criterion, ...]] = {
            "labels": ("labels", "unlabelled"),
            "unlabelled": ("unlabelled",),
            "last": (),
        }
        return next((name for name in preferred[self.asked] if name in self.kept), "last")

    @property
    def chosen(self) -> Kept | None:
        """The best epoch by what is used; None: the last one, or none so far."""
        return None if self.used == "last" else self.kept[self.used]

    def consider(self, criterion: Criterion, epoch: int, score: Score, method: nn.Module) -> None:
        """Keep the method's state if its score is the smallest so far."""
        if criterion in self.kept and score >= self.kept[criterion].score:
            return
        self.kept[criterion] = Kept(epoch, score, _copy_of(method))

    def finish(self, epoch: int, method: nn.Module) -> None:
        """Keep the last weights too, then give the method those that were chosen."""
        self.last = Kept(epoch, (), _copy_of(method))
        if self.chosen is not None:
            method.load_state_dict(self.chosen.state)

    def alternatives(self) -> dict[Select, Kept]:
        """The weights that each criterion chose, and the last ones where those are used."""
        assert self.last is not None
        found: dict[Select, Kept] = {name: kept for name, kept in self.kept.items()}  # noqa: C416 - a wider type
        found.setdefault("unlabelled", self.last)
        found.setdefault(self.used, self.last)
        return found

    def counters(self) -> dict[str, Any]:
        """Epochs and scores as JSON values."""
        return {name: [kept.epoch, *kept.score] for name, kept in self.kept.items()}


def _copy_of(method: nn.Module) -> State:
    return {name: value.detach().clone() for name, value in method.state_dict().items()}
