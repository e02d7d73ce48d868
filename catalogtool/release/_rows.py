"""Where the rows of a catalog come from, and how they get their place on the sky."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from catalogtool import storage
from catalogtool.catalogs import load_table
from catalogtool.catalogs._base import CatalogKind, SummaryKind
from catalogtool.errors import ReleaseError
from catalogtool.layout import RunLayout
from catalogtool.release._properties import ReleaseInfo
from catalogtool.release._spill import Spill
from catalogtool.release._tiling import (
    DEEPEST_ORDER,
    CellCounter,
    Grid,
    IntArray,
    Tiling,
    cells_of,
    coarser,
    has_position,
    margin_order,
    margin_targets,
)
from catalogtool.release.voparquet import release_schema


class RowSource(Protocol):
    """Rows of one catalog kind, which can be read more than once."""

    def tables(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Yield all rows, or some columns of them, a row group at a time."""


@dataclass(frozen=True)
class RunParts:
    """Rows of the parts of a run, those without a position included."""

    run: RunLayout
    kind: str
    units: int
    schema: pa.Schema

    def tables(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows in the order of the units.

        Raises
        ------
        ReleaseError
            If a part has another schema.
        """
        for unit in range(self.units):
            uri = self.run.part(self.kind, unit)
            with storage.open_input(uri) as source:
                file = pq.ParquetFile(source)
                if not file.schema_arrow.equals(self.schema):
                    raise ReleaseError(
                        f"{uri}: its columns are not those of {self.kind}; it comes from another "
                        "version or model: delete the run folder and run again"
                    )
                for group in range(file.num_row_groups):
                    yield file.read_row_group(group, columns=columns)


@dataclass(frozen=True)
class CatalogFiles:
    """Rows of data files that were released before."""

    uris: Sequence[str]
    schema: pa.Schema

    def tables(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows file by file."""
        for uri in self.uris:
            with storage.open_input(uri) as source:
                file = pq.ParquetFile(source)
                for group in range(file.num_row_groups):
                    yield file.read_row_group(group, columns=columns or self.schema.names)


@dataclass(frozen=True)
class Shape:
    """What the files of one catalog look like."""

    name: str
    """Name of the kind."""
    info: ReleaseInfo

    @cached_property
    def kind(self) -> CatalogKind | SummaryKind:
        """The catalog kind, or the summary of one."""
        return load_table(self.name)

    @property
    def part_schema(self) -> pa.Schema:
        """Schema of parts."""
        return self.kind.schema(self.info.context)

    @cached_property
    def schema(self) -> pa.Schema:
        """Schema of released files."""
        title = f"{self.kind.title} of {self.info.survey.title}"
        return release_schema(self.kind.columns(self.info.context), title)

    @property
    def deepest(self) -> int:
        """Order of the finest partitions: no narrower than the margin."""
        return min(DEEPEST_ORDER, margin_order(self.info.margin_arcsec))

    def count(self, rows: RowSource) -> tuple[IntArray, IntArray]:
        """Occupied cells at the order `deepest`, sorted, and their rows."""
        counter = CellCounter()
        for table in rows.tables(["ra", "dec"]):
            counter.add(coarser(_cells(table.filter(pa.array(is_placed(table)))), self.deepest))
        return counter.totals()

    def route(
        self, rows: pa.Table, partitions: Tiling | Grid, primary: Spill, margin: Spill
    ) -> None:
        """Spill rows that have a position to their partition and to the margins of others."""
        rows = rows.filter(pa.array(is_placed(rows)))
        cells = _cells(rows)
        rows = pa.Table.from_arrays([pa.array(cells), *rows.itercolumns()], schema=self.schema)
        primary.add(rows, partitions.partition_of(cells))
        order = margin_order(self.info.margin_arcsec)
        index, targets = margin_targets(cells, partitions, order)
        if len(index):
            margin.add(rows.take(pa.array(index)), targets)


def is_placed(table: pa.Table) -> npt.NDArray[np.bool_]:
    """Which rows have a position."""
    return has_position(*_positions(table))


def _positions(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Right ascension and declination, NaN where null."""
    return numbers(table, "ra"), numbers(table, "dec")


def numbers(table: pa.Table, name: str) -> npt.NDArray[np.float64]:
    """Values of a column of floating-point numbers, NaN where null."""
    return np.asarray(pc.fill_null(table.column(name), float("nan")), dtype=np.float64)


def _cells(table: pa.Table) -> IntArray:
    return cells_of(*_positions(table))
