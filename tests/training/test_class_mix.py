"""The class mix of a survey is found although predictions are wrong, and labels are given it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogtool.training.class_mix import class_mix_weights, estimate_class_mix

LEAN = np.array([[0.9, 0.1], [0.6, 0.4]])
"""Mean prediction for objects of each class, by a network that prefers the first."""


def predict(winners: np.ndarray, rng: np.random.Generator, scatter: float = 0.1) -> np.ndarray:
    """Noisy predictions of a network that leans to the first class."""
    noise = rng.normal(scale=scatter, size=len(winners))
    return LEAN[winners] + noise[:, None] * [1, -1]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_a_mix_is_found_where_a_class_is_preferred(share: float) -> None:
    rng = np.random.default_rng(0)
    labelled = np.repeat([0, 1], 500)
    population = (rng.uniform(size=20_000) > share).astype(int)
    predicted = predict(population, rng)

    found = estimate_class_mix(predict(labelled, rng), np.eye(2)[labelled], predicted)

    np.testing.assert_allclose(found, [share, 1 - share], atol=0.03)
    assert abs(predicted[:, 0].mean() - share) > 0.09  # which is what was counted before


def test_a_network_that_knows_nothing_leaves_the_shares_equal() -> None:
    labelled = np.repeat([0, 1, 2], 10)
    same = np.tile([0.8, 0.15, 0.05], (30, 1))

    found = estimate_class_mix(same, np.eye(3)[labelled], np.tile(same, (10, 1)))

    np.testing.assert_allclose(found, 1 / 3, atol=1e-3)


def test_ten_labels_per_class_say_less_than_a_thousand() -> None:
    rng = np.random.default_rng(1)
    predicted = predict(np.zeros(2000, dtype=int), rng, scatter=0.3)  # all of the first class

    few, many = (
        estimate_class_mix(predict(labelled, rng, scatter=0.3), np.eye(2)[labelled], predicted)
        for labelled in (np.repeat([0, 1], n) for n in (10, 1000))
    )

    assert few[0] < many[0]
    assert many[0] == pytest.approx(1, abs=0.1)


def test_weights_carry_labels_to_the_mix() -> None:
    rng = np.random.default_rng(2)
    labelled = np.repeat([0, 1], [300, 100])
    votes = np.eye(2)[labelled]
    predicted = predict(labelled, rng)
    population = predict(np.repeat([0, 1], [200, 800]), rng)

    weights = class_mix_weights(predicted, votes, population)

    mix = (weights[:, None] * votes).sum(axis=0) / weights.sum()
    np.testing.assert_allclose(mix, estimate_class_mix(predicted, votes, population), atol=1e-3)
    assert weights.mean() == pytest.approx(1, abs=1e-3)


@given(st.integers(2, 5), st.integers(0, 1000))
def test_shares_are_shares(classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(classes), size=12)
    votes = np.eye(classes)[rng.integers(classes - 1, size=12)]  # none of the last class

    found = estimate_class_mix(probabilities, votes, rng.dirichlet(np.ones(classes), size=7))

    assert (found >= 0).all()
    assert found.sum() == pytest.approx(1, abs=1e-3)
