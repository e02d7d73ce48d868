"""DeepAstroUDA: clustering against a slow version and closed forms, its pitfalls, two workers."""

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

from catalogtool.adaptation._base import Batches, DomainBatch
from catalogtool.adaptation._losses import cross_entropy, vote_rmse
from catalogtool.adaptation._separation import entropy_separation
from catalogtool.adaptation.deep_astro_uda import Method, Options, adaptive_clustering
from catalogtool.networks import build_network
from catalogtool.networks._domain_norm import split_norms


def _probabilities(count: int, classes: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, classes, generator=generator).softmax(dim=1)


def _ranking(row: torch.Tensor, top_k: int) -> list[int]:
    return sorted(range(len(row)), key=lambda k: -float(row[k]))[:top_k]


def _slow(probabilities: torch.Tensor, remembered: torch.Tensor, top_k: int) -> float:
    total = 0.0
    for mine in probabilities:
        for theirs in remembered:
            similarity = sum(float(a) * float(b) for a, b in zip(mine, theirs, strict=True))
            is_alike = _ranking(mine, top_k) == _ranking(theirs, top_k)
            total -= math.log(similarity if is_alike else 1 - similarity)
    return total / (len(probabilities) * len(remembered))


@pytest.mark.parametrize(("classes", "top_k"), [(2, 1), (4, 2), (4, 3), (10, 7)])
def test_clustering_is_the_slow_mean_over_pairs(classes: int, top_k: int) -> None:
    probabilities, remembered = _probabilities(12, classes, 1), _probabilities(20, classes, 2)

    loss = adaptive_clustering(probabilities, remembered, top_k)

    assert loss.item() == pytest.approx(_slow(probabilities, remembered, top_k), rel=1e-4)


def test_a_pair_of_guesses_that_are_alike_has_the_loss_ln_k() -> None:
    guess = torch.full((1, 4), 0.25)

    assert adaptive_clustering(guess, guess, 3).item() == pytest.approx(math.log(4))


def test_a_pair_that_differs_has_the_loss_of_its_overlap() -> None:
    mine, theirs = torch.tensor([[0.9, 0.1]]), torch.tensor([[0.2, 0.8]])

    expected = -math.log(1 - (0.9 * 0.2 + 0.1 * 0.8))
    assert adaptive_clustering(mine, theirs, 1).item() == pytest.approx(expected)


def test_the_same_leading_classes_in_another_order_are_not_alike() -> None:
    mine, other_order = torch.tensor([[0.5, 0.4, 0.1]]), torch.tensor([[0.4, 0.5, 0.1]])
    overlap = 0.5 * 0.4 + 0.4 * 0.5 + 0.1 * 0.1

    loss = adaptive_clustering(mine, other_order, 2)

    assert loss.item() == pytest.approx(-math.log(1 - overlap))
    assert loss.item() != pytest.approx(-math.log(overlap))


def test_the_mean_over_pairs_does_not_grow_with_batch_and_bank() -> None:
    probabilities, remembered = _probabilities(3, 4, 1), _probabilities(5, 4, 2)

    once = adaptive_clustering(probabilities, remembered, 3)

    more = adaptive_clustering(probabilities.repeat(4, 1), remembered.repeat(6, 1), 3)
    torch.testing.assert_close(more, once)


def test_certain_pairs_have_a_finite_loss_and_gradient() -> None:
    logits = torch.tensor([[500.0, 0.0], [0.0, 500.0]], requires_grad=True)
    certain = torch.tensor([[1.0, 0.0]])

    loss = adaptive_clustering(logits.softmax(dim=1), certain, 2)
    (gradient,) = torch.autograd.grad(loss, logits)

    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()


def test_nothing_remembered_costs_nothing() -> None:
    assert adaptive_clustering(_probabilities(3, 4, 1), torch.zeros(0, 4), 3).item() == 0


@pytest.mark.parametrize(
    ("classes", "top_k", "margin"),
    [(2, 2, 0.4), (3, 3, 0.4), (5, 3, 0.4), (6, 6, 1.3), (10, 7, 1.3)],
)
def test_rankings_margin_and_boundary_follow_from_the_number_of_classes(
    classes: int, top_k: int, margin: float
) -> None:
    method = small_method("deep_astro_uda", classes=classes)

    assert method.top_k == top_k
    assert float(method.tuner.margin) == pytest.approx(margin)
    assert method.unknown_threshold() == pytest.approx(math.log(classes) / 2)


def test_rankings_are_never_longer_than_the_classes() -> None:
    assert small_method("deep_astro_uda", {"top_k": 9}, classes=3).top_k == 3


def test_the_bank_holds_earlier_outputs_of_both_surveys_and_not_the_current_ones() -> None:
    method, batches = small_method("deep_astro_uda"), without_target_labels(small_batches())
    expected = [
        method.network(batches[domain].images).softmax(dim=1).detach() for domain in method.domains
    ]

    first = method(batches, 0.0)
    remembered = method.bank.read()
    second = method(batches, 0.0)

    assert first["clustering"].item() == 0  # nothing was there to compare with
    assert len(remembered) == 2 * BATCH
    torch.testing.assert_close(remembered, torch.cat(expected))
    torch.testing.assert_close(
        second["clustering"], 0.005 * adaptive_clustering(expected[1], remembered, 3)
    )


def test_the_terms_are_weighted_as_in_the_paper() -> None:
    method, batches = small_method("deep_astro_uda"), without_target_labels(small_batches())
    logits = method.network(batches["target_unlabelled"].images)

    terms = method(batches, 0.0)

    separation, _ = entropy_separation(logits, math.log(3) / 2, 0.4)
    assert set(terms) == {"label", "clustering", "separation"}
    torch.testing.assert_close(terms["separation"], 0.005 * separation)


def _with_labels(labels: list[int]) -> Batches:
    batches = without_target_labels(small_batches())
    votes = functional.one_hot(torch.tensor(labels), 3).float()
    return batches | {"source": DomainBatch(batches["source"].images, votes)}


def test_rare_classes_weigh_more() -> None:
    """Six of class 0 and two of class 1: weights N / (K n_k) of 8/18 and 8/6."""
    method, batches = small_method("deep_astro_uda"), _with_labels([0] * 6 + [1] * 2)
    logits = method.network(batches["source"].images)
    losses = functional.cross_entropy(logits, torch.tensor([0] * 6 + [1] * 2), reduction="none")
    expected = (losses[:6].sum() * 8 / 18 + losses[6:].sum() * 8 / 6) / 8

    torch.testing.assert_close(method(batches, 0.0)["label"], expected)


def test_class_weights_count_all_labels_seen_so_far() -> None:
    method = small_method("deep_astro_uda")
    method(_with_labels([0] * 6 + [1] * 2), 0.0)

    method(_with_labels([2] * 8), 0.0)

    assert method.labels_seen.tolist() == [6, 2, 8]


def test_votes_learn_too() -> None:
    network = build_network("lenet", {"widths": [3, 4, 6]}, channels=1, classes=3, size_pix=16)
    method = Method(network, vote_rmse, Options()).eval()
    votes = torch.full((BATCH, 3), 1 / 3)  # all classes alike: weights of 1
    batches = small_batches()
    batches["source"] = DomainBatch(batches["source"].images, votes)

    terms = method(without_target_labels(batches), 0.0)

    expected = vote_rmse(network(batches["source"].images), votes)
    torch.testing.assert_close(terms["label"], expected)


def test_ten_classes_are_logged_as_an_active_fraction_of_0_until_the_tuner_moves() -> None:
    method = small_method("deep_astro_uda", classes=10)

    terms = method(small_batches(classes=10), 0.0)

    assert terms["separation"].item() == 0
    assert method.watch()["active_fraction"] == 0
    assert method.watch()["margin_nat"] == pytest.approx(1.3)


def test_the_tuner_sees_the_sum_of_all_terms() -> None:
    method = small_method("deep_astro_uda")

    terms = method(small_batches(), 0.0)

    assert float(method.tuner.loss_sum) == pytest.approx(sum(t.item() for t in terms.values()))


def test_a_training_that_stalls_moves_the_boundary() -> None:
    method = small_method("deep_astro_uda", {"tuner_parts": 10})
    for step in range(10):  # nothing learns, and the bank changes the loss but once
        method(small_batches(), step / 10)

    assert method.unknown_threshold() == pytest.approx(math.log(3) / 2 + 0.3)
    assert method.watch()["boundary_nat"] == method.unknown_threshold()


def test_mixed_precision_gives_finite_losses() -> None:
    method = small_method("deep_astro_uda")
    for _ in range(2):
        with torch.autocast("cpu", torch.bfloat16):
            terms = method(small_batches(), 0.0)

    assert all(torch.isfinite(value) and value.dtype == torch.float32 for value in terms.values())


def test_each_survey_may_be_normalised_by_itself() -> None:
    options = {"widths": [4, 8], "blocks": [1, 1]}
    network = build_network("resnet", options, channels=1, classes=3, size_pix=16)
    split_norms(network)
    method = Method(network, cross_entropy, Options())

    for _ in range(2):
        terms = method(small_batches(), 0.0)
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]

    norm = network.stem[1]
    for branch in (norm.source, norm.target):
        assert branch.num_batches_tracked == 2
        assert branch.weight.grad.any()
    assert norm.domain == "target"  # what catalogs are made with


def test_a_method_from_a_checkpoint_goes_on_as_if_nothing_had_been() -> None:
    first, second = (small_method("deep_astro_uda", {"tuner_parts": 4}) for _ in range(2))
    for step in range(3):
        first(small_batches(step), step / 4)

    second.load_state_dict(first.state_dict())

    expected, found = (method(small_batches(5), 0.75) for method in (first, second))
    torch.testing.assert_close(found, expected)


def test_two_workers_are_as_one(tmp_path: Path) -> None:
    options = {"bank_size": 20, "margin": 0.05, "trade_off": 1.0, "tuner_parts": 3}
    compare_two_workers_with_one(tmp_path, "deep_astro_uda", options)
