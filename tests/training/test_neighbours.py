"""Distances to labelled objects against a slow version and cases that can be counted."""

import math

import numpy as np
import pytest
import torch

from catalogtool.training.neighbours import remember


def on_circle(degrees: list[float]) -> np.ndarray:
    """Features that point in these directions, of different lengths."""
    angle = np.radians(degrees)
    length = 1 + np.arange(len(degrees))
    return (length[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)).astype(np.float32)


def slow_score(features: np.ndarray, others: np.ndarray, nearest: int) -> list[float]:
    unit = [row / np.linalg.norm(row) for row in others.astype(np.float64)]
    scores = []
    for row in features.astype(np.float64):
        distances = sorted(float(np.linalg.norm(row / np.linalg.norm(row) - u)) for u in unit)
        scores.append(float(np.mean(distances[:nearest])))
    return scores


def test_scores_are_those_of_a_slow_version() -> None:
    rng = np.random.default_rng(0)
    labelled, found = rng.normal(size=(40, 6)), rng.normal(size=(1003, 6))
    neighbours = remember(labelled.astype(np.float32), seed=0)
    scores = neighbours.score(torch.from_numpy(found.astype(np.float32)))
    np.testing.assert_allclose(scores, slow_score(found, labelled, 5), atol=1e-5)


def test_the_score_is_the_chord_between_directions_whatever_their_length() -> None:
    neighbours = remember(on_circle([0] * 2 + [0.001] * 4), seed=0)
    scores = neighbours.score(torch.from_numpy(on_circle([0, 60, 90, 180])))
    np.testing.assert_allclose(scores, [0, 1, math.sqrt(2), 2], atol=1e-3)


def test_nine_tenths_of_the_labelled_objects_are_known_to_each_other() -> None:
    rng = np.random.default_rng(1)
    labelled = rng.normal(size=(300, 4)).astype(np.float32)
    neighbours = remember(labelled, seed=0)
    among = [
        slow_score(labelled[i : i + 1], np.delete(labelled, i, axis=0), 5)[0] for i in range(300)
    ]
    assert float(neighbours.threshold) == pytest.approx(np.quantile(among, 0.9), abs=1e-4)


def test_objects_apart_from_all_others_are_unknown() -> None:
    rng = np.random.default_rng(2)
    neighbours = remember(on_circle(rng.normal(scale=5, size=100).tolist()), seed=0)
    found = neighbours.is_unknown(torch.from_numpy(on_circle([0, 1, 60, -120])))
    assert found.tolist() == [False, False, True, True]


def test_order_and_copies_of_labelled_objects_change_nothing() -> None:
    rng = np.random.default_rng(3)
    labelled = rng.normal(size=(50, 4)).astype(np.float32)
    one = remember(labelled, seed=0)
    other = remember(np.concatenate([labelled[::-1], labelled]), seed=0)
    assert torch.equal(one.directions, other.directions)
    assert torch.equal(one.threshold, other.threshold)


def test_fewer_labelled_objects_than_neighbours_are_all_compared_with() -> None:
    neighbours = remember(on_circle([0, 90]), seed=0)
    score = neighbours.score(torch.from_numpy(on_circle([0])))
    assert float(score) == pytest.approx(math.sqrt(2) / 2, abs=1e-3)
    assert float(neighbours.threshold) == pytest.approx(math.sqrt(2), abs=1e-3)


def test_of_many_labelled_objects_some_are_drawn_by_seed() -> None:
    labelled = np.random.default_rng(4).normal(size=(2500, 3)).astype(np.float32)
    one, same, other = (remember(labelled, seed=seed) for seed in (0, 0, 1))
    assert len(one.directions) == 2000
    assert torch.equal(one.directions, same.directions)
    assert not torch.equal(one.directions, other.directions)
