"""Deep CORAL: its loss, and two workers against one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from adaptation_samples import (
    compare_two_workers_with_one,
    small_batches,
    small_method,
    without_target_labels,
)

from catalogtool.adaptation.deep_coral import coral_loss


def test_the_loss_is_that_of_numpys_covariances() -> None:
    generator = torch.Generator().manual_seed(1)
    source = torch.randn(20, 5, generator=generator)
    target = 2 * torch.randn(7, 5, generator=generator) + 1

    difference = np.cov(source.numpy(), rowvar=False) - np.cov(target.numpy(), rowvar=False)
    expected = (difference**2).sum() / (4 * 5**2)

    assert coral_loss(source, target).item() == pytest.approx(expected, rel=1e-5)


def test_variances_of_two_and_zero_in_one_dimension_have_the_loss_1() -> None:
    source, target = torch.tensor([[-1.0], [1.0]]), torch.tensor([[3.0], [3.0]])

    assert coral_loss(source, target).item() == pytest.approx(2.0**2 / 4)


def test_a_shift_costs_nothing_and_equal_features_neither() -> None:
    features = torch.randn(10, 3, generator=torch.Generator().manual_seed(2))

    assert coral_loss(features, features + 5).item() == pytest.approx(0, abs=1e-10)


def test_a_single_cutout_has_no_covariance() -> None:
    loss = coral_loss(torch.ones(1, 3), torch.ones(1, 3))

    assert loss.item() == 0


def test_mixed_precision_does_not_change_the_covariances() -> None:
    generator = torch.Generator().manual_seed(3)
    source, target = torch.randn(2, 16, 8, generator=generator)

    with torch.autocast("cpu", torch.bfloat16):
        mixed = coral_loss(source, target)

    torch.testing.assert_close(mixed, coral_loss(source, target))


def test_the_weight_scales_the_distance_of_the_features() -> None:
    batches = without_target_labels(small_batches())
    method = small_method("deep_coral", {"trade_off": 10.0})
    source, target = (method.network.features(batches[d].images) for d in method.domains)

    terms = method(batches, 0.5)

    torch.testing.assert_close(terms["coral"], 10 * coral_loss(source, target))


def test_two_workers_are_as_one(tmp_path: Path) -> None:
    compare_two_workers_with_one(tmp_path, "deep_coral", {"trade_off": 100.0})
