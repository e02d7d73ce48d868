import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from hats.pixel_math.partition_stats import generate_alignment
from hats.pixel_math.spatial_index import compute_spatial_index
from hypothesis import given, settings
from hypothesis import strategies as st
from release_samples import sky_positions

from catalogtool.release._tiling import (
    CellCounter,
    Tiling,
    cells_of,
    coarser,
    has_position,
    margin_order,
    margin_targets,
)

DEEPEST = 6


def tile(cells: np.ndarray, threshold: int) -> Tiling:
    at, counts = np.unique(coarser(cells, DEEPEST), return_counts=True)
    return Tiling.split(at, counts, threshold, DEEPEST)


def test_cells_are_those_of_hats() -> None:
    ra, dec = sky_positions(2000).T
    np.testing.assert_array_equal(cells_of(ra, dec), compute_spatial_index(ra, dec))


def test_partitions_are_those_that_hats_would_choose() -> None:
    ra, dec = sky_positions(3000).T
    cells = coarser(cells_of(ra, dec), DEEPEST)
    tiling = tile(cells_of(ra, dec), 1400)
    histogram = np.bincount(cells, minlength=12 * 4**DEEPEST)
    alignment = generate_alignment(
        histogram, highest_order=DEEPEST, lowest_order=0, threshold=1600, drop_empty_siblings=False
    )
    expected = {(int(a[0]), int(a[1])) for a in alignment if a is not None and a[2] > 0}
    dense = tile(cells_of(ra, dec), 1600)
    assert set(zip(dense.orders.tolist(), dense.pixels.tolist(), strict=True)) == expected
    assert len(tiling) >= len(dense)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), threshold=st.integers(1, 50))
def test_every_row_is_in_one_partition_which_is_not_too_full(seed: int, threshold: int) -> None:
    ra, dec = sky_positions(300, seed).T
    cells = cells_of(ra, dec)
    tiling = tile(cells, threshold)
    index = tiling.partition_of(cells)
    assert (index >= 0).all()
    for row, cell in zip(index, cells, strict=True):
        holds = coarser(np.array([cell]), int(tiling.orders[row]))[0]
        assert holds == tiling.pixels[row]
    rows = np.bincount(index, minlength=len(tiling))
    assert rows.min() > 0
    assert (rows[tiling.orders < DEEPEST] <= threshold).all()


def test_positions_off_the_sky_are_no_positions() -> None:
    ra = np.array([0.0, np.nan, 10.0, np.inf, 359.9])
    dec = np.array([90.0, 0.0, 90.1, 0.0, np.nan])
    assert has_position(ra, dec).tolist() == [True, False, False, False, False]


@pytest.mark.parametrize("pole", [0.0, 41.8, 89.9, -89.9])
def test_no_row_within_the_margin_of_a_partition_is_missed(pole: float) -> None:
    rng = np.random.default_rng(3)
    ra = 45 + rng.uniform(-0.3, 0.3, 4000)
    dec = np.clip(pole + rng.uniform(-0.1, 0.1, 4000), -90, 90)
    cells = cells_of(ra, dec)
    at, counts = np.unique(coarser(cells, 10), return_counts=True)
    tiling = Tiling.split(at, counts, 50, 10)
    rows, partitions = margin_targets(cells, tiling, margin_order(10))
    pairs = set(zip(rows.tolist(), partitions.tolist(), strict=True))
    own = tiling.partition_of(cells)
    centres = SkyCoord(ra, dec, unit="deg")
    for angle in np.arange(0, 360, 15):
        edge = centres.directional_offset_by(angle * u.deg, 10 * u.arcsec)
        reached = tiling.partition_of(cells_of(edge.ra.deg, edge.dec.deg))
        for row in np.flatnonzero((reached >= 0) & (reached != own)):
            assert (row, reached[row]) in pairs
    assert all(own[row] != partition for row, partition in pairs)


def test_cells_are_counted_across_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalogtool.release._tiling._COUNT_ROWS", 100)
    rows = np.random.default_rng(0).integers(0, 50, 1000)
    counter = CellCounter()
    for batch in np.split(rows, 40):
        counter.add(batch)
    cells, counts = counter.totals()
    np.testing.assert_array_equal(counts, np.bincount(rows)[cells])
