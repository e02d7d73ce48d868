"""DANN: its loss, the signs of its gradients, and two workers against one."""

import math
from pathlib import Path

import pytest
import torch
from adaptation_samples import (
    compare_two_workers_with_one,
    small_batches,
    small_method,
    without_target_labels,
)

from catalogtool.adaptation._base import Batches, DomainBatch, Method
from catalogtool.adaptation.dann import domain_loss

STEP = 1e-3


def _slow(source: list[float], target: list[float]) -> float:
    from_source = [-math.log(1 / (1 + math.exp(-logit))) for logit in source]
    from_target = [-math.log(1 - 1 / (1 + math.exp(-logit))) for logit in target]
    return (sum(from_source) / len(source) + sum(from_target) / len(target)) / 2


def test_the_loss_is_the_slow_mean_over_both_surveys() -> None:
    source, target = [0.3, -1.2, 2.0], [0.1, -3.0]

    loss = domain_loss(torch.tensor(source), torch.tensor(target))

    assert loss.item() == pytest.approx(_slow(source, target), rel=1e-6)


def test_a_discriminator_that_guesses_has_the_loss_ln_2() -> None:
    assert domain_loss(torch.zeros(3), torch.zeros(8)).item() == pytest.approx(math.log(2))


def test_both_surveys_weigh_the_same_however_many_cutouts_they_have() -> None:
    once = domain_loss(torch.tensor([0.5]), torch.tensor([1.0]))

    assert domain_loss(torch.tensor([0.5]), torch.ones(9)) == once


def _unlike_surveys() -> Batches:
    """Batches whose surveys a discriminator can tell apart, far from the kinks of its layers."""
    batches = without_target_labels(small_batches())
    source = batches["source"]
    return batches | {"source": DomainBatch(20 * source.images - 5, source.votes)}


def _domain_gradient(method: Method, progress: float) -> None:
    method.zero_grad()
    method(_unlike_surveys(), progress)["domain"].backward()


def _change_after_a_step(method: Method, parameters: list[torch.nn.Parameter]) -> float:
    """Change of the discriminator's loss by a small step against the gradients of some weights."""
    batches = _unlike_surveys()
    with torch.no_grad():
        before = method(batches, 1.0)["domain"].item()
        for parameter in parameters:
            parameter.sub_(STEP * parameter.grad)
        return method(batches, 1.0)["domain"].item() - before


def test_descent_lowers_the_loss_of_the_discriminator_and_raises_it_by_the_features() -> None:
    for part, sign in (("discriminator", -1), ("network", 1)):
        method = small_method("dann")
        _domain_gradient(method, 1.0)
        module = method.discriminator if part == "discriminator" else method.network
        learning = [p for p in module.parameters() if p.grad is not None]

        assert sign * _change_after_a_step(method, learning) > 0


def _slope(method: Method, weight: torch.nn.Parameter, progress: float) -> float:
    """Change of the discriminator's loss along the gradient of some weights, by differences."""
    batches = _unlike_surveys()
    direction = weight.grad / weight.grad.norm()
    values = []
    with torch.no_grad():
        for offset in (STEP, -2 * STEP):
            weight += offset * direction
            values.append(method(batches, progress)["domain"].item())
        weight += STEP * direction
    return (values[0] - values[1]) / (2 * STEP)


@pytest.mark.parametrize("progress", [0.1, 0.5, 1.0])
def test_gradients_are_finite_differences_reversed_and_ramped_before_the_features(
    progress: float,
) -> None:
    method = small_method("dann")
    strength = 2 / (1 + math.exp(-10 * progress)) - 1
    behind, before = method.discriminator[2].weight, method.network.embedding[7].weight
    _domain_gradient(method, progress)
    found = behind.grad.norm().item(), before.grad.norm().item()

    assert found[0] == pytest.approx(_slope(method, behind, progress), rel=0.02)
    assert found[1] == pytest.approx(-strength * _slope(method, before, progress), rel=0.02)


def test_at_first_the_features_do_not_heed_the_discriminator() -> None:
    method = small_method("dann")

    _domain_gradient(method, 0.0)

    for parameter in method.network.embedding.parameters():
        assert parameter.grad is not None
        assert not parameter.grad.any()


def test_the_accuracy_of_the_discriminator_is_watched() -> None:
    method = small_method("dann")
    assert method.watch() == {}
    with torch.no_grad():
        method.discriminator[4].weight.zero_()
        method.discriminator[4].bias.fill_(1.0)  # everything is from the source

    method(small_batches(), 0.5)

    assert method.watch() == {"domain_accuracy": 0.5}


def test_few_target_labels_teach_with_those_of_the_source() -> None:
    method = small_method("dann")
    with_labels = method(small_batches(), 0.5)
    without = method(without_target_labels(small_batches()), 0.5)

    assert with_labels["label"] != without["label"]
    torch.testing.assert_close(with_labels["domain"], without["domain"])


def test_two_workers_are_as_one(tmp_path: Path) -> None:
    compare_two_workers_with_one(tmp_path, "dann", {"width": 8})
