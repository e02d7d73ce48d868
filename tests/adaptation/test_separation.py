"""Entropy separation against a slow version and closed forms; its dead zone."""

import math

import pytest
import torch

from catalogtool.adaptation._separation import entropies, entropy_separation


def _slow(logits: torch.Tensor, boundary: float, margin: float) -> float:
    total = 0.0
    for row in logits.tolist():
        norm = sum(math.exp(value) for value in row)
        probabilities = [math.exp(value) / norm for value in row]
        distance = abs(-sum(p * math.log(p) for p in probabilities) - boundary)
        if distance > margin:
            total -= distance
    return total / len(logits)


@pytest.mark.parametrize("margin", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("boundary", [0.3, math.log(4) / 2])
def test_it_is_the_slow_mean_over_cutouts(boundary: float, margin: float) -> None:
    logits = 3 * torch.randn(30, 4, generator=torch.Generator().manual_seed(1))

    loss, _ = entropy_separation(logits, boundary, margin)

    assert loss.item() == pytest.approx(_slow(logits, boundary, margin), rel=1e-5)


def test_entropies_of_a_guess_and_of_certainty_are_ln_k_and_0() -> None:
    logits = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1000.0, 0.0, 0.0, 0.0]])

    torch.testing.assert_close(entropies(logits), torch.tensor([math.log(4), 0.0]))


def test_certain_cutouts_and_guesses_are_as_far_as_can_be_from_the_middle() -> None:
    logits = torch.tensor([[0.0, 0.0], [1000.0, 0.0]])

    loss, is_active = entropy_separation(logits, math.log(2) / 2, 0.1)

    assert loss.item() == pytest.approx(-math.log(2) / 2)
    assert is_active.all()


def test_the_mean_is_over_all_cutouts_not_over_active_ones() -> None:
    half = torch.tensor([[0.0, 0.0], [2.2, 0.0]])  # the entropy of the second is 0.32

    loss, is_active = entropy_separation(half, math.log(2) / 2, 0.1)

    assert is_active.tolist() == [True, False]
    assert loss.item() == pytest.approx(-math.log(2) / 4)


@pytest.mark.parametrize(("boundary", "sign"), [(0.2, 1), (1.0, -1)])
def test_a_step_moves_the_entropy_away_from_the_boundary(boundary: float, sign: int) -> None:
    logits = torch.tensor([[1.0, 0.0, 0.0]], requires_grad=True)

    loss, _ = entropy_separation(logits, boundary * math.log(3), 0.0)
    (gradient,) = torch.autograd.grad(loss, logits)

    change = entropies(logits - 0.01 * gradient) - entropies(logits)
    assert sign * change.item() > 0


@pytest.mark.parametrize("classes", [9, 10])
def test_with_nine_or_ten_classes_the_papers_margin_is_never_left(classes: int) -> None:
    generator = torch.Generator().manual_seed(2)
    scale = torch.logspace(-3, 3, 200)[:, None]
    logits = (scale * torch.randn(200, classes, generator=generator)).requires_grad_()

    loss, is_active = entropy_separation(logits, math.log(classes) / 2, 1.3)
    (gradient,) = torch.autograd.grad(loss, logits)

    assert loss.item() == 0
    assert not is_active.any()
    assert not gradient.any()
