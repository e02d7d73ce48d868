"""Open-set figures against cases counted by hand and a slow search."""

import math

import numpy as np
import pytest

from catalogtool.training.open_set import (
    UNKNOWN,
    OpenSetFigures,
    best_threshold,
    middle_threshold,
    predict_open,
    score_open_set,
)

SURE_A, SURE_B, TORN = [0.98, 0.02], [0.02, 0.98], [0.5, 0.5]


def test_the_middle_of_two_classes_is_half_of_ln_2() -> None:
    assert middle_threshold(2) == pytest.approx(math.log(2) / 2)


def test_uncertain_objects_are_taken_for_unknown() -> None:
    probabilities = np.array([SURE_A, SURE_B, TORN])

    assert predict_open(probabilities, middle_threshold(2)).tolist() == [0, 1, UNKNOWN]


def test_an_entropy_at_the_threshold_is_still_known() -> None:
    probabilities = np.array([TORN])
    entropy = float(np.float32(math.log(2)))

    assert predict_open(probabilities, entropy).tolist() == [0]


def test_figures_of_a_case_counted_by_hand() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, UNKNOWN, UNKNOWN, UNKNOWN])
    predictions = np.array([0, 0, 0, 1, 1, UNKNOWN, UNKNOWN, UNKNOWN, 0])

    figures = score_open_set(labels, predictions)

    assert figures.known_accuracy == pytest.approx((3 / 4 + 1 / 2) / 2)  # rejected: wrong
    assert figures.unknown_recall == pytest.approx(2 / 3)
    assert figures.harmonic_mean == pytest.approx(2 * (5 / 8) * (2 / 3) / (5 / 8 + 2 / 3))
    assert set(figures.to_json()) == {"known_accuracy", "unknown_recall", "harmonic_mean"}


def test_classes_weigh_the_same_however_many_objects_they_have() -> None:
    labels = np.array([0] * 98 + [1, UNKNOWN])
    predictions = np.array([0] * 98 + [0, UNKNOWN])

    assert score_open_set(labels, predictions).known_accuracy == pytest.approx(0.5)


def test_who_never_rejects_has_a_harmonic_mean_of_0() -> None:
    labels = np.array([0, 1, UNKNOWN])

    assert score_open_set(labels, np.array([0, 1, 1])).harmonic_mean == 0


def test_nothing_right_at_all_is_0_and_no_division_by_0() -> None:
    assert OpenSetFigures(0.0, 0.0).harmonic_mean == 0


def test_without_unknown_objects_their_recall_is_not_a_number() -> None:
    figures = score_open_set(np.array([0, 1]), np.array([0, 1]))

    assert figures.known_accuracy == 1
    assert math.isnan(figures.unknown_recall)
    assert math.isnan(figures.harmonic_mean)
    assert math.isnan(score_open_set(np.array([UNKNOWN]), np.array([0])).known_accuracy)


def test_the_best_threshold_of_a_case_with_a_gap_is_below_the_gap() -> None:
    probabilities = np.array([SURE_A, [0.1, 0.9], TORN, [0.55, 0.45]])
    labels = np.array([0, 1, UNKNOWN, UNKNOWN])

    threshold, figures = best_threshold(probabilities, labels)

    assert threshold == pytest.approx(-(0.1 * math.log(0.1) + 0.9 * math.log(0.9)))
    assert figures == OpenSetFigures(1.0, 1.0)


def test_the_best_threshold_is_that_of_a_slow_search() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(-1, 3, 60)
    evidence = np.where(labels[:, None] == np.arange(3), 2.0, 0.0) + rng.normal(size=(60, 3))
    probabilities = np.exp(evidence) / np.exp(evidence).sum(axis=1, keepdims=True)
    probabilities[10:20] = probabilities[:10]  # equal entropies
    slow = max(
        score_open_set(labels, predict_open(probabilities, threshold)).harmonic_mean
        for threshold in np.linspace(0, math.log(3), 5000)
    )

    threshold, figures = best_threshold(probabilities, labels)

    assert figures.harmonic_mean == pytest.approx(slow)
    assert score_open_set(labels, predict_open(probabilities, threshold)).to_json() == (
        pytest.approx(figures.to_json())
    )
