"""Losses against closed forms."""

import math

import pytest
import torch

from catalogtool.adaptation._losses import cross_entropy, entropy_regularised, label_loss, vote_rmse


def test_the_vote_loss_is_the_mean_of_each_cutouts_own_error() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.5], [0.9, 0.1]]))
    votes = torch.tensor([[1.0, 0.0], [0.6, 0.4]])

    loss = vote_rmse(logits, votes)

    assert loss.item() == pytest.approx((0.5 + 0.3) / 2, abs=1e-6)


def test_the_vote_loss_of_a_uniform_guess_is_known() -> None:
    votes = torch.tensor([[1.0, 0.0, 0.0, 0.0, 0.0]])

    loss = vote_rmse(torch.zeros(1, 5), votes)

    assert loss.item() == pytest.approx(math.sqrt((0.8**2 + 4 * 0.2**2) / 5), abs=1e-6)


def test_the_gradient_is_finite_where_prediction_and_votes_agree() -> None:
    logits = torch.zeros(3, 5, requires_grad=True)

    vote_rmse(logits, torch.full((3, 5), 0.2)).backward()  # type: ignore[no-untyped-call]

    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_cross_entropy_of_hard_labels_is_minus_the_log_probability() -> None:
    logits = torch.log(torch.tensor([[0.7, 0.2, 0.1]]))

    loss = cross_entropy(logits, torch.tensor([[0.0, 1.0, 0.0]]))

    assert loss.item() == pytest.approx(-math.log(0.2), abs=1e-6)


def test_the_kind_of_labels_chooses_the_loss() -> None:
    assert label_loss("votes") is vote_rmse
    assert label_loss("class") is cross_entropy


def test_undecided_predictions_are_rewarded_by_their_entropy() -> None:
    logits = torch.log(torch.tensor([[0.7, 0.2, 0.1], [0.5, 0.25, 0.25]]))
    votes = torch.eye(3)[:2]
    entropies = [-sum(p * math.log(p) for p in row) for row in logits.exp().tolist()]

    loss = entropy_regularised(cross_entropy, 0.5)(logits, votes)

    expected = (-math.log(0.7) - math.log(0.25)) / 2 - 0.5 * sum(entropies) / 2
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_the_entropy_pulls_a_certain_prediction_back() -> None:
    logits = torch.tensor([[6.0, 0.0]], requires_grad=True)
    votes = torch.tensor([[1.0, 0.0]])

    (plain,) = torch.autograd.grad(cross_entropy(logits, votes), logits)
    (pulled,) = torch.autograd.grad(entropy_regularised(cross_entropy, 0.5)(logits, votes), logits)

    assert plain[0, 0] < 0 < pulled[0, 0]


def test_a_weight_of_nothing_leaves_the_loss_as_it_is() -> None:
    assert entropy_regularised(cross_entropy, 0) is cross_entropy
