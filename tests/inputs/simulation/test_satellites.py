"""Trains of glints as light, before any pixel."""

import numpy as np
import pytest

from catalogtool.inputs._simulation.light import Light, Psf
from catalogtool.inputs._simulation.satellites import draw_train

SIDE = 73


def trains(count: int) -> list[Light]:
    return [draw_train(100.0, Psf(2.1), SIDE, np.random.default_rng(i)) for i in range(count)]


def test_a_train_is_a_straight_line_through_the_central_pixel() -> None:
    for train in trains(50):
        places = np.stack([train.x, train.y])
        farthest = places[:, np.hypot(*places).argmax()]
        across = (places[0] * farthest[1] - places[1] * farthest[0]) / np.hypot(*farthest)
        assert np.abs(across).max() < 1e-9
        middle = np.hypot(*places) < 4
        assert train.flux[middle].sum() == pytest.approx(100)


def test_most_trains_have_a_second_glint_8_to_30_pixels_away() -> None:
    nearest = []
    for train in trains(400):
        distance = np.hypot(train.x, train.y)
        others = distance[distance > 4]
        nearest.append(others.min() if len(others) else np.inf)
    assert 0.7 < np.mean((np.array(nearest) > 8) & (np.array(nearest) < 30)) < 0.95


def test_glints_are_points_or_short_streaks() -> None:
    lengths = []
    for train in trains(60):
        middle = np.hypot(train.x, train.y) < 4
        lengths.append(np.ptp(np.hypot(train.x[middle], train.y[middle])) * 2)
    assert np.mean(np.array(lengths) < 1e-9) == pytest.approx(0.5, abs=0.2)
    assert max(lengths) < 2 * 2.1
