"""Optimisers and learning rates."""

import pytest
import torch

from catalogtool.adaptation import build_method
from catalogtool.adaptation._base import Method
from catalogtool.adaptation._losses import vote_rmse
from catalogtool.networks import build_network
from catalogtool.surveys._recipe import TrainingOptions
from catalogtool.training.optimiser import build_optimiser, schedule_factor, set_learning_rate


def _method() -> Method:
    torch.manual_seed(0)
    options = {"widths": [4, 8], "blocks": [1, 1]}
    network = build_network("resnet", options, channels=1, classes=3, size_pix=12)
    method = build_method("source_only", network, vote_rmse)
    method.extra = torch.nn.Linear(2, 2)
    return method


def test_one_cycle_rises_to_one_and_falls_to_nothing() -> None:
    factors = [schedule_factor("one_cycle", step / 1000) for step in range(1001)]

    assert factors[0] == pytest.approx(1 / 25)
    assert factors[300] == pytest.approx(1) == max(factors)
    assert factors[-1] == pytest.approx(0, abs=1e-12)
    assert sorted(factors[:300]) == factors[:300]
    assert sorted(factors[300:], reverse=True) == factors[300:]


def test_a_cosine_falls_from_one_through_a_half_to_nothing() -> None:
    assert schedule_factor("cosine", 0) == 1
    assert schedule_factor("cosine", 0.5) == pytest.approx(0.5)
    assert schedule_factor("cosine", 1) == pytest.approx(0)


def test_a_constant_stays() -> None:
    assert schedule_factor("constant", 0.7) == 1


def test_the_backbone_alone_learns_at_its_own_rate() -> None:
    method = _method()
    optimiser = build_optimiser(method, TrainingOptions(backbone_factor=0.1))

    set_learning_rate(optimiser, 0.5)

    rate = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    for name, parameter in method.named_parameters():
        is_backbone = name.startswith("network.") and not name.startswith("network.head.")
        assert rate[id(parameter)] == pytest.approx(0.05 if is_backbone else 0.5), name


def test_sgd_is_that_of_the_formula_of_nesterov() -> None:
    method = _method()
    weight = method.network.head.weight
    options = TrainingOptions(optimiser="sgd", learning_rate=0.1, weight_decay=0.01)
    optimiser = build_optimiser(method, options)
    expected, velocity = weight.detach().clone(), torch.zeros_like(weight)

    for step in (1.0, 2.0):
        gradient = step + 0.01 * expected
        velocity = 0.9 * velocity + gradient
        expected = expected - 0.1 * (gradient + 0.9 * velocity)
        weight.grad = torch.full_like(weight, step)
        set_learning_rate(optimiser, 0.1)
        optimiser.step()

    torch.testing.assert_close(weight.detach(), expected)
