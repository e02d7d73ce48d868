"""Axes of large sources from block means."""

import numpy as np
import pytest

from catalogtool.hosts.ellipses import best_ellipses
from catalogtool.hosts.sources import find_sources

SIDE = 480


def disk(radius: float, ratio: float, angle: float, peak: float) -> np.ndarray:
    """An exponential disk with knots, in noise of 1."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    along = x * np.cos(angle) + y * np.sin(angle)
    across = (-x * np.sin(angle) + y * np.cos(angle)) / ratio
    image = rng.normal(0, 1, x.shape) + peak * np.exp(-np.hypot(along, across) / radius)
    for _ in range(6):
        at = rng.normal(0, radius, 2)
        image += 0.5 * peak * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / 20)
    return image.astype(np.float32)


def rms_axis(edge: float) -> float:
    """Root-mean-square along an axis of a disk exp(-r) within a radius."""
    light = 1 - np.exp(-edge) * (edge + 1)
    return np.sqrt((6 - np.exp(-edge) * (edge**3 + 3 * edge**2 + 6 * edge + 6)) / light / 2)


def test_a_large_faint_disk_is_larger_in_block_means_and_keeps_its_place() -> None:
    nowhere = np.zeros((SIDE, SIDE), dtype=bool)
    found = find_sources(disk(22, 0.5, 0.6, 4), nowhere)
    before, after = found.sources, best_ellipses(found)
    main = int(before.flux.argmax())
    assert len(after) == len(before)
    np.testing.assert_array_equal(after.x, before.x)
    np.testing.assert_array_equal(after.flux, before.flux)
    assert after.a[main] > 1.2 * before.a[main]
    # An exponential disk as far as it is above three times the noise of blocks of four pixels.
    assert after.a[main] == pytest.approx(22 * rms_axis(np.log(4 * 4 / 3)), rel=0.15)
    assert after.b[main] / after.a[main] == pytest.approx(0.5, abs=0.12)
    assert after.theta[main] == pytest.approx(0.6, abs=0.15)


def test_small_sources_and_empty_images_stay_as_they_are() -> None:
    y, x = np.mgrid[:SIDE, :SIDE]
    noise = np.random.default_rng(0).normal(0, 1, x.shape)
    small = noise + 60 * np.exp(-((x - 200) ** 2 + (y - 260) ** 2) / 8)
    nowhere = np.zeros((SIDE, SIDE), dtype=bool)
    found = find_sources(small.astype(np.float32), nowhere)
    np.testing.assert_array_equal(best_ellipses(found).a, found.sources.a)
    nothing = find_sources(np.zeros((SIDE, SIDE), dtype=np.float32), nowhere)
    assert not len(best_ellipses(nothing))
