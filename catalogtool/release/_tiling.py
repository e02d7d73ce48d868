"""HEALPix arithmetic of a release: cells of rows, adaptive partitions, margins."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from cdshealpix import nested

ORDER = 29
"""Order of the stored cells; 0.4 milliarcseconds."""
DEEPEST_ORDER = 10
"""Partitions are split down to cells of 3.4 arcmin, however many rows those hold."""

_COUNT_ROWS = 1_000_000

COARSEST_GRID = 3
"""A growing catalog has partitions of 7 degrees or less: its first night may be a small one."""

Cell = tuple[int, int]
"""HEALPix order, and nested cell at this order."""

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


def has_position(ra: FloatArray, dec: FloatArray) -> npt.NDArray[np.bool_]:
    """Whether positions (degrees) are on the sky."""
    valid: npt.NDArray[np.bool_] = np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90)
    return valid


def cells_of(ra: FloatArray, dec: FloatArray, order: int = ORDER) -> IntArray:
    """Nested HEALPix cells of valid ICRS positions in degrees."""
    from astropy.coordinates import Latitude, Longitude

    lon, lat = Longitude(ra, unit="deg"), Latitude(dec, unit="deg")
    cells: IntArray = nested.lonlat_to_healpix(lon, lat, order, num_threads=1).astype(np.int64)
    return cells


def coarser(cells: IntArray, order: int, from_order: int = ORDER) -> IntArray:
    """Cells at a lower order that contain the given ones."""
    return cells >> (2 * (from_order - order))


def partition_path(cell: Cell) -> str:
    """Path of a partition below the folder ``dataset``, without the ending of a file."""
    order, pixel = cell
    return f"Norder={order}/Dir={pixel // 10000 * 10000}/Npix={pixel}"


class CellCounter:
    """Rows per cell of any number of rows."""

    def __init__(self) -> None:
        self._cells = self._counts = np.empty(0, dtype=np.int64)
        self._pending: list[IntArray] = []
        self._waiting = 0

    def add(self, cells: IntArray) -> None:
        """Count the cells of some rows."""
        self._pending.append(cells)
        self._waiting += len(cells)
        if self._waiting >= _COUNT_ROWS:
            self._merge()

    def totals(self) -> tuple[IntArray, IntArray]:
        """Occupied cells, sorted, and their rows."""
        self._merge()
        return self._cells, self._counts

    def _merge(self) -> None:
        ones = np.ones(self._waiting, dtype=np.int64)
        weights = np.concatenate([self._counts, ones])
        every = np.concatenate([self._cells, *self._pending])
        self._cells, inverse = np.unique(every, return_inverse=True)
        counts = np.bincount(inverse, weights=weights, minlength=len(self._cells))
        self._counts = counts.astype(np.int64)
        self._pending, self._waiting = [], 0


@dataclass(frozen=True)
class Tiling:
    """Partitions that do not overlap, in the order of their cells along the nested curve.

    Attributes
    ----------
    orders, pixels : ndarray, shape (P,), int64
        HEALPix order and nested cell of each partition.
    """

    orders: IntArray
    pixels: IntArray

    @classmethod
    def split(cls, cells: IntArray, counts: IntArray, threshold: int, deepest: int) -> Self:
        """Split cells in four for as long as they hold more rows than `threshold`.

        Parameters
        ----------
        cells, counts : ndarray, int64
            Occupied cells at order `deepest`, sorted, and their rows.
        threshold : int
            Most rows of a partition, unless it has the order `deepest`.
        deepest : int
            Order at which splitting ends.
        """
        found = []
        for order in range(deepest + 1):
            parents, inverse = np.unique(coarser(cells, order, deepest), return_inverse=True)
            rows = np.bincount(inverse, weights=counts, minlength=len(parents))
            small = (rows <= threshold) | (order == deepest)
            found.append((np.full(small.sum(), order), parents[small]))
            keep = ~small[inverse]
            cells, counts = cells[keep], counts[keep]
        orders = np.concatenate([o for o, _ in found]).astype(np.int64)
        pixels = np.concatenate([p for _, p in found]).astype(np.int64)
        rank = np.argsort(pixels << (2 * (ORDER - orders)))
        return cls(orders[rank], pixels[rank])

    def partition_of(self, cells: IntArray, order: int = ORDER) -> IntArray:
        """Index of the partition that holds each cell; -1 for none."""
        shift = 2 * (ORDER - self.orders)
        starts, ends = self.pixels << shift, (self.pixels + 1) << shift
        at = cells << (2 * (ORDER - order))
        index = np.searchsorted(starts, at, side="right") - 1
        inside = (index >= 0) & (at < ends[index])
        return np.where(inside, index, -1)

    def cell(self, index: int) -> Cell:
        """Order and pixel of a partition."""
        return int(self.orders[index]), int(self.pixels[index])

    def path(self, index: int) -> str:
        """Path of a partition's file below the folder ``dataset``."""
        return f"{partition_path(self.cell(index))}.parquet"

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True)
class Grid:
    """All cells of one order as partitions, occupied or not; the index of each is its pixel."""

    order: int

    @classmethod
    def choose(cls, cells: IntArray, counts: IntArray, limit: int, deepest: int) -> Self:
        """Coarsest grid whose occupied cells hold no more rows than `limit` on average.

        Parameters
        ----------
        cells, counts : ndarray, int64
            Occupied cells at order `deepest`, and their rows.
        limit : int
            Rows of a cell.
        deepest : int
            Order of the finest grid.
        """
        for order in range(min(COARSEST_GRID, deepest), deepest):
            occupied = len(np.unique(coarser(cells, order, deepest)))
            if counts.sum() <= limit * occupied:
                return cls(order)
        return cls(deepest)

    def partition_of(self, cells: IntArray, order: int = ORDER) -> IntArray:
        """Pixel that holds each cell."""
        return coarser(cells, self.order, order)

    def cell(self, index: int) -> Cell:
        """Order and pixel of a partition."""
        return self.order, index


def margin_order(margin_arcsec: float) -> int:
    """Order of cells that are wider than the margin everywhere on the sky."""
    from hats.pixel_math.healpix_shim import margin2order  # takes seconds to load

    return int(margin2order(np.asarray(margin_arcsec / 60)))


def margin_targets(cells: IntArray, tiling: Tiling | Grid, order: int) -> tuple[IntArray, IntArray]:
    """Rows that belong to the margin of other partitions.

    A row is in the margin of each partition that its cell at `order` touches. As these cells are
    wider than the margin, no row within it is missed; some are a little farther away.

    Parameters
    ----------
    cells : ndarray, shape (N,), int64
        Cells of rows at `ORDER`.
    tiling : Tiling or Grid
        Partitions, none deeper than `order`.
    order : int
        From `margin_order`.

    Returns
    -------
    rows, partitions : ndarray, int64
        Pairs, sorted by row.
    """
    around, inverse = np.unique(coarser(cells, order), return_inverse=True)
    near = nested.neighbours(around.astype(np.uint64), order, num_threads=1)  # (U, 9), -1: none
    touched = np.where(near >= 0, tiling.partition_of(np.maximum(near, 0), order), -1)
    own = tiling.partition_of(around, order)
    touched[touched == own[:, None]] = -1
    touched.sort(axis=1)
    touched[:, 1:][touched[:, 1:] == touched[:, :-1]] = -1
    rows, columns = np.nonzero(touched[inverse] >= 0)
    return rows, touched[inverse[rows], columns]
