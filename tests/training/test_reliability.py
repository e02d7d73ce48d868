"""Calibration errors and reliability tables, against tables made by hand."""

import numpy as np
import pytest

from catalogtool.training.reliability import (
    calibration_error,
    describe_reliability,
    error_uncertainty,
    harden,
    reliability_table,
)


def confident(confidences: list[float]) -> np.ndarray:
    """Predictions of the first of two classes."""
    first = np.array(confidences)
    return np.column_stack([first, 1 - first])


def hard(is_right: list[int]) -> np.ndarray:
    right = np.array(is_right, dtype=float)
    return np.column_stack([right, 1 - right])


def test_the_error_of_a_table_made_by_hand() -> None:
    probabilities = confident([0.62, 0.68, 0.91, 0.95, 0.99, 0.97])
    votes = hard([1, 0, 1, 1, 0, 1])
    # Of ten bins two are filled: 0.65 confident and 0.5 right; 0.955 confident and 0.75 right.
    expected = (2 * abs(0.5 - 0.65) + 4 * abs(0.75 - 0.955)) / 6
    assert calibration_error(probabilities, votes, bins=10) == pytest.approx(expected)
    table = reliability_table(probabilities, votes, bins=10)
    assert [row["count"] for row in table] == [2, 4]
    assert table[0] == pytest.approx(
        {"low": 0.6, "high": 0.7, "count": 2, "confidence": 0.65, "accuracy": 0.5}
    )


def test_confidence_one_is_in_the_last_bin() -> None:
    (row,) = reliability_table(confident([1.0]), hard([1]), bins=10)
    assert row["high"] == 1.0
    assert row["accuracy"] == row["confidence"] == 1.0


def test_vote_fractions_count_as_shares_and_hard_labels_by_plurality() -> None:
    probabilities, votes = confident([0.7, 0.7]), np.array([[0.7, 0.3], [0.7, 0.3]])
    assert calibration_error(probabilities, votes) == pytest.approx(0)
    assert calibration_error(probabilities, harden(votes)) == pytest.approx(0.3)
    assert describe_reliability(probabilities, votes)["ece_hard"] == pytest.approx(0.3)


def test_the_uncertainty_is_that_of_the_mean_where_one_bin_holds_all() -> None:
    count = 500
    rng = np.random.default_rng(0)
    votes = hard(rng.binomial(1, 0.7, count).tolist())
    probabilities = confident([0.95] * count)
    expected = votes[:, 0].std() / np.sqrt(count)
    assert error_uncertainty(probabilities, votes) == pytest.approx(expected, rel=0.15)
    assert error_uncertainty(probabilities, votes) == error_uncertainty(probabilities, votes)
