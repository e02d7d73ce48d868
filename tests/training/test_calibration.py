"""Calibrations recover what made the labels, and hold back where there are few."""

from typing import get_args

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from catalogtool.surveys._recipe import CalibrationKind
from catalogtool.training.calibration import Calibration, fit_calibration
from catalogtool.training.reliability import calibration_error


def draw(probabilities: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One-hot labels that have these probabilities."""
    cumulative = probabilities.cumsum(axis=1)
    classes = (rng.uniform(size=(len(probabilities), 1)) > cumulative[:, :-1]).sum(axis=1)
    return np.eye(probabilities.shape[1])[classes]


def sample(count: int, temperature: float, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are too large by a known factor, and labels."""
    rng = np.random.default_rng(1)
    logits = rng.normal(scale=3, size=(count, classes))
    return logits, draw(softmax(logits / temperature, axis=1), rng)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_a_known_temperature_is_recovered(temperature: float) -> None:
    logits, votes = sample(50_000, temperature)
    found = fit_calibration("temperature", logits, votes)
    torch.testing.assert_close(found.bias, torch.zeros(3))
    torch.testing.assert_close(found.weight, torch.eye(3) / temperature, rtol=0.05, atol=0.0)


def test_vote_fractions_give_the_temperature_that_made_them() -> None:
    logits, _ = sample(5000, 1.0)
    found = fit_calibration("temperature", logits, softmax(logits / 2, axis=1))
    assert 1 / float(found.weight[0, 0]) == pytest.approx(2.0, rel=1e-2)


def test_a_known_temperature_and_bias_are_recovered() -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(scale=2, size=(40_000, 3))
    truth = softmax(log_softmax(logits, axis=1) / 2 + [0.8, 0.0, -0.8], axis=1)

    found = fit_calibration("bias", logits, draw(truth, rng))

    torch.testing.assert_close(found.weight, torch.eye(3) / 2, rtol=0.05, atol=0.0)
    expected = torch.tensor([0.8, 0.0, -0.8])
    torch.testing.assert_close(found.bias - found.bias.mean(), expected, rtol=0.0, atol=0.05)


def test_a_known_affine_map_is_recovered_up_to_what_the_softmax_forgets() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(scale=2, size=(40_000, 3))
    weight = np.array([[0.6, 0.2, 0.0], [0.0, 0.5, -0.1], [0.1, 0.0, 0.4]])
    truth = softmax(log_softmax(logits, axis=1) @ weight.T + [0.4, 0.0, -0.4], axis=1)
    found = fit_calibration("dirichlet", logits, truth)
    assert np.abs(found.apply_to_array(softmax(logits, axis=1)) - truth).max() < 0.003


def test_a_temperature_changes_no_predicted_class_and_halves_the_error() -> None:
    logits, votes = sample(4000, 3.0)
    found = fit_calibration("temperature", logits[:2000], votes[:2000])
    before = softmax(logits, axis=1)
    found = found.apply_to_array(before)
    assert (found.argmax(axis=1) == before.argmax(axis=1)).all()
    error = calibration_error(found[2000:], votes[2000:])
    assert error < calibration_error(before[2000:], votes[2000:]) / 2


@pytest.mark.parametrize("kind", get_args(CalibrationKind))
def test_labels_that_are_all_predicted_right_make_nothing_certain(kind: CalibrationKind) -> None:
    logits = np.tile([[3.0, 0.0], [0.0, 3.0]], (10, 1))
    found = fit_calibration(kind, logits, np.tile(np.eye(2), (10, 1)))
    assert found.apply_to_array(softmax(logits, axis=1)).max() < 0.9999


@pytest.mark.parametrize("kind", get_args(CalibrationKind))
def test_without_labels_nothing_changes(kind: CalibrationKind) -> None:
    found = fit_calibration(kind, np.zeros((0, 2)), np.zeros((0, 2)))
    logits = np.array([[2.0, -1.0]])
    np.testing.assert_allclose(
        found.apply_to_array(softmax(logits, axis=1)), softmax(logits, axis=1), atol=1e-5
    )


@pytest.mark.parametrize("kind", get_args(CalibrationKind))
def test_the_same_labels_give_the_same_bits(kind: CalibrationKind) -> None:
    logits, votes = sample(100, 2.0)
    first, second = (fit_calibration(kind, logits, votes) for _ in range(2))
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)


def test_equal_weights_are_no_weights_and_zero_weights_are_no_labels() -> None:
    logits, votes = sample(200, 2.0)
    plain = fit_calibration("temperature", logits, votes)
    even = fit_calibration("temperature", logits, votes, np.full(200, 7.0))
    torch.testing.assert_close(even.weight, plain.weight)
    half = fit_calibration("temperature", logits[:100], votes[:100])
    without = fit_calibration("temperature", logits, votes, np.repeat([1.0, 0.0], 100))
    torch.testing.assert_close(without.weight, half.weight)


def test_probabilities_are_mapped_by_their_logarithms() -> None:
    calibration = Calibration(torch.tensor([[2.0, 0.1], [0.0, 1.8]]), torch.tensor([0.3, -0.3]))
    p = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    expected = p.log() @ calibration.weight.T + calibration.bias
    torch.testing.assert_close(calibration.apply(p), expected.softmax(dim=1))


def test_certainty_stays_finite() -> None:
    calibration = Calibration(torch.eye(2) / 2, torch.zeros(2))
    found = calibration.apply(torch.tensor([[1.0, 0.0]]))
    assert torch.isfinite(found).all()
    assert found[0, 0] > 0.999
