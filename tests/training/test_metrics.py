"""Figures against closed forms and slow versions."""

import numpy as np
import pytest
from sklearn import metrics as oracle

from catalogtool.training.metrics import (
    balanced_accuracy,
    confusion,
    evaluate,
    evaluate_by_band,
    information,
    sample_rmse,
    selection_score,
)


def _sample(count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.dirichlet(np.ones(4), count), rng.dirichlet(np.ones(4), count)


def test_the_error_of_a_cutout_is_the_root_mean_square_over_classes() -> None:
    probabilities, votes = _sample(5)

    slow = [
        (sum((y - p) ** 2 for y, p in zip(ys, ps, strict=True)) / 4) ** 0.5
        for ps, ys in zip(probabilities, votes, strict=True)
    ]

    np.testing.assert_allclose(sample_rmse(probabilities, votes), slow)


def test_the_global_error_is_never_smaller_than_the_mean_of_the_errors() -> None:
    figures = evaluate(*_sample())

    assert figures["global_rmse"] >= figures["rmse"]


def test_accuracies_and_loss_agree_with_another_implementation() -> None:
    probabilities, votes = _sample()
    truth, guess = votes.argmax(axis=1), probabilities.argmax(axis=1)

    figures = evaluate(probabilities, votes)

    assert figures["accuracy"] == pytest.approx(oracle.accuracy_score(truth, guess))
    expected = oracle.balanced_accuracy_score(truth, guess)
    assert figures["balanced_accuracy"] == pytest.approx(expected)
    assert figures["confusion"] == oracle.confusion_matrix(truth, guess).tolist()
    hard = np.eye(4)[truth]
    loss = evaluate(probabilities, hard)["loss"]
    assert loss == pytest.approx(oracle.log_loss(truth, probabilities))


def test_a_class_that_does_not_occur_does_not_count() -> None:
    counts = confusion(np.eye(3)[[0, 1, 1]], np.eye(3)[[0, 0, 1]])

    assert balanced_accuracy(counts) == pytest.approx(0.75)


def test_bands_are_scored_by_themselves() -> None:
    probabilities, votes = _sample(6)
    band = np.array([0, 0, 2, 2, 2, 0])

    figures = evaluate_by_band(probabilities, votes, band, ("u", "g", "r"))

    assert figures["g"] == {"count": 0}
    assert figures["r"] == evaluate(probabilities[band == 2], votes[band == 2])


def test_the_best_epoch_has_the_least_error_or_the_best_balanced_accuracy() -> None:
    figures = {"rmse": 0.1, "balanced_accuracy": 0.75, "loss": 0.3}

    assert selection_score(figures, "votes") == (0.1, 0.3)
    assert selection_score(figures, "class") == (0.25, 0.3)


def test_predictions_tell_most_where_they_are_sure_and_of_all_classes() -> None:
    assert information(np.eye(4)) == pytest.approx(np.log(4))
    assert information(np.eye(4)[[0, 0, 0]]) == pytest.approx(0)  # sure, but always the same
    assert information(np.full((5, 4), 0.25)) == pytest.approx(0)  # all classes, but never sure
    halves = np.array([[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])
    assert information(halves) == pytest.approx(np.log(4) - np.log(2))
