"""DANCE: its clustering against a slow version and closed forms, its bank, two workers."""

import math
from pathlib import Path

import pytest
import torch
from adaptation_samples import (
    BATCH,
    compare_two_workers_with_one,
    small_batches,
    small_method,
    without_target_labels,
)
from torch.nn import functional

from catalogtool.adaptation._separation import entropy_separation
from catalogtool.adaptation.dance import neighbourhood_entropy


def _directions(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(count, 5, generator=generator))


def _slow(directions: torch.Tensor, others: torch.Tensor, temperature: float) -> float:
    total = 0.0
    for i, mine in enumerate(directions):
        neighbours = [*others, *(f for j, f in enumerate(directions) if j != i)]
        weights = [math.exp(float(mine @ f) / temperature) for f in neighbours]
        shares = [weight / sum(weights) for weight in weights]
        total -= sum(share * math.log(share) for share in shares)
    return total / len(directions)


@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_clustering_is_the_slow_mean_over_all_neighbours(temperature: float) -> None:
    directions, others = _directions(6, 1), _directions(9, 2)

    loss = neighbourhood_entropy(directions, others, temperature)

    assert loss.item() == pytest.approx(_slow(directions, others, temperature), rel=1e-4)


def test_among_equal_neighbours_the_entropy_is_the_logarithm_of_their_number() -> None:
    same = functional.normalize(torch.ones(4, 5))

    assert neighbourhood_entropy(same, same[:3], 0.05).item() == pytest.approx(math.log(3 + 3))


def test_a_cutout_is_not_its_own_neighbour() -> None:
    """It would be the nearest of all: the entropy would be 0 whatever the others do."""
    apart = torch.eye(5)

    assert neighbourhood_entropy(apart, apart[:0], 0.05).item() == pytest.approx(math.log(4))


def test_a_step_brings_a_cutout_to_its_nearest_neighbour() -> None:
    classes = torch.eye(2)
    cutout = functional.normalize(torch.tensor([[1.0, 0.6]])).requires_grad_()

    loss = neighbourhood_entropy(cutout, classes, 0.5)
    (gradient,) = torch.autograd.grad(loss, cutout)

    assert gradient[0, 0] < 0 < gradient[0, 1]


def test_mixed_precision_does_not_change_the_cosines() -> None:
    directions, others = _directions(6, 1), _directions(9, 2)

    with torch.autocast("cpu", torch.bfloat16):
        mixed = neighbourhood_entropy(directions, others, 0.05)

    torch.testing.assert_close(mixed, neighbourhood_entropy(directions, others, 0.05))


def test_the_terms_are_those_of_the_paper() -> None:
    method, batches = small_method("dance"), without_target_labels(small_batches())
    features = method.network.features(batches["target_unlabelled"].images)
    classes = functional.normalize(method.network.head.weight)
    clustering = neighbourhood_entropy(functional.normalize(features), classes, 0.05)
    separation, _ = entropy_separation(method.network.classify(features), math.log(3) / 2, 0.5)

    terms = method(batches, 0.0)

    torch.testing.assert_close(terms["clustering"], 0.05 * clustering)
    torch.testing.assert_close(terms["separation"], 0.05 * separation)


def test_the_bank_is_read_before_the_current_batch_is_added() -> None:
    """Else every cutout would find itself, and the entropy would fall without any learning."""
    method, batches = small_method("dance").eval(), small_batches()
    first = method(batches, 0.0)["clustering"]

    assert len(method.bank.read()) == BATCH
    features = method.network.features(batches["target_unlabelled"].images)
    torch.testing.assert_close(method.bank.read(), functional.normalize(features.detach()))
    assert method(batches, 0.0)["clustering"] != first  # now it does


def test_class_weights_and_features_learn_from_clustering() -> None:
    method = small_method("dance")

    method(small_batches(), 0.0)["clustering"].backward()

    assert method.network.head.weight.grad.any()
    assert method.network.embedding[0].weight.grad.any()


def test_the_active_fraction_is_watched() -> None:
    assert small_method("dance").watch() == {}
    for margin, fraction in ((0.0, 1.0), (1.0, 0.0)):
        method = small_method("dance", {"margin": margin})
        method(small_batches(), 0.0)

        assert method.watch() == {"active_fraction": fraction}


def test_half_the_largest_entropy_separates_known_from_unknown() -> None:
    assert small_method("dance", classes=4).unknown_threshold() == pytest.approx(math.log(4) / 2)


def test_a_method_from_a_checkpoint_has_the_same_neighbours() -> None:
    first, second = small_method("dance"), small_method("dance")
    first(small_batches(), 0.0)

    second.load_state_dict(first.state_dict())

    expected, found = (method(small_batches(1), 0.1) for method in (first, second))
    torch.testing.assert_close(found, expected)


def test_two_workers_are_as_one(tmp_path: Path) -> None:
    compare_two_workers_with_one(tmp_path, "dance", {"bank_size": 12, "margin": 0.1})
