"""Optimisers and learning rates."""

import math
from typing import Literal

import torch

from catalogtool.adaptation._base import Method
from catalogtool.surveys._recipe import TrainingOptions

_MOMENTUM = 0.9  # with Nesterov's look ahead, as in Saito et al. 2019
_WARM_UP = 0.3  # share of a one-cycle training in which the learning rate rises
_START_FACTOR = 1 / 25


def build_optimiser(method: Method, options: TrainingOptions) -> torch.optim.Optimizer:
    """Optimiser of everything that a method trains.

    Each of its groups has a ``factor`` beside the learning rate: the backbone of the network has
    its own, the head and whatever else the method trains have 1.
    """
    head = {id(parameter) for parameter in method.network.head.parameters()}
    backbone = [p for p in method.network.parameters() if id(p) not in head]
    in_backbone = {id(parameter) for parameter in backbone}
    rest = [p for p in method.parameters() if id(p) not in in_backbone]
    groups = [
        {"params": backbone, "factor": options.backbone_factor},
        {"params": rest, "factor": 1.0},
    ]
    if options.optimiser == "sgd":
        return torch.optim.SGD(
            groups,
            lr=options.learning_rate,
            momentum=_MOMENTUM,
            nesterov=True,
            weight_decay=options.weight_decay,
        )
    return torch.optim.AdamW(groups, lr=options.learning_rate, weight_decay=options.weight_decay)


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group to its factor of `rate`."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["factor"]


def schedule_factor(schedule: Literal["constant", "cosine", "one_cycle"], progress: float) -> float:
    """Learning rate at a share of the training, relative to its largest value.

    ``cosine`` falls from 1 to 0; ``one_cycle`` rises along a cosine from 1/25 for the first 30 %,
    then falls to 0.
    """
    if schedule == "constant":
        return 1.0
    rising = _WARM_UP if schedule == "one_cycle" else 0.0
    if progress < rising:
        rise = (1 - math.cos(math.pi * progress / rising)) / 2
        return _START_FACTOR + (1 - _START_FACTOR) * rise
    return (1 + math.cos(math.pi * (progress - rising) / (1 - rising))) / 2
