"""Which weights are stored."""

import pytest
import torch
from torch import nn

from catalogtool.surveys._recipe import Select
from catalogtool.training.selection import Criterion, Selection


def _counter() -> nn.Module:
    """A module whose only weight is the number of the epoch."""
    module = nn.Module()
    module.register_buffer("epoch", torch.tensor(0))
    return module


def _train(selection: Selection, scores: dict[Criterion, list[float]]) -> nn.Module:
    module = _counter()
    for epoch in range(4):
        module.load_state_dict({"epoch": torch.tensor(epoch)})
        for criterion, values in scores.items():
            selection.consider(criterion, epoch, (values[epoch],), module)
    selection.finish(3, module)
    return module


_BY_LABELS = [0.9, 0.2, 0.3, 0.4]
_WITHOUT = [0.9, 0.8, 0.1, 0.4]


@pytest.mark.parametrize(
    ("asked", "scores", "used", "epoch"),
    [
        ("labels", {"labels": _BY_LABELS, "unlabelled": _WITHOUT}, "labels", 1),
        ("unlabelled", {"labels": _BY_LABELS, "unlabelled": _WITHOUT}, "unlabelled", 2),
        ("last", {"labels": _BY_LABELS, "unlabelled": _WITHOUT}, "last", 3),
        ("labels", {"unlabelled": _WITHOUT}, "unlabelled", 2),
        ("labels", {}, "last", 3),
        ("unlabelled", {"labels": _BY_LABELS}, "last", 3),
    ],
)
def test_the_weights_are_those_of_what_was_asked_for_as_far_as_there_is_anything(
    asked: Select, scores: dict[Criterion, list[float]], used: Select, epoch: int
) -> None:
    selection = Selection(asked)

    module = _train(selection, scores)

    assert selection.used == used
    assert module.state_dict()["epoch"] == epoch
    assert selection.alternatives()[used].epoch == epoch


def test_what_the_other_criterion_would_have_chosen_is_kept_too() -> None:
    selection = Selection("labels")

    _train(selection, {"labels": _BY_LABELS, "unlabelled": _WITHOUT})

    kept = {name: kept.state["epoch"].item() for name, kept in selection.alternatives().items()}
    assert kept == {"labels": 1, "unlabelled": 2}


def test_without_unlabelled_cutouts_the_choice_without_labels_is_the_last_epoch() -> None:
    selection = Selection("labels")

    _train(selection, {"labels": _BY_LABELS})

    assert selection.alternatives()["unlabelled"].epoch == 3


def test_the_first_of_equally_good_epochs_is_kept() -> None:
    selection = Selection("labels")

    _train(selection, {"labels": [0.5, 0.5, 0.5, 0.5]})

    assert selection.kept["labels"].epoch == 0
