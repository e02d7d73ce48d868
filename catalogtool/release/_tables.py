"""The tables of a HATS collection: data files and the small files that describe them."""

import io
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catalogtool.catalogs._base import CatalogKind, SummaryKind
from catalogtool.release._folder import ReleaseFolder
from catalogtool.release._properties import (
    Properties,
    ReleaseInfo,
    TableFacts,
    margin_properties,
    primary_properties,
    render,
)
from catalogtool.release._spill import Spill
from catalogtool.release._tiling import DEEPEST_ORDER, IntArray, Tiling, coarser, margin_order
from catalogtool.release.voparquet import HEALPIX

SKYMAP_ORDER = 6
"""Order of the map of counts (55 arcmin), unless a partition is deeper."""


@dataclass(frozen=True)
class Build:
    """Writes tables of one catalog kind into a release folder."""

    folder: ReleaseFolder
    kind: CatalogKind | SummaryKind
    info: ReleaseInfo
    schema: pa.Schema

    def primary(
        self, name: str, tiling: Tiling, spill: Spill, counts: tuple[IntArray, IntArray]
    ) -> int:
        """Write the table of all rows and return their number.

        Parameters
        ----------
        name : str
            Folder of the table.
        tiling : Tiling
            Partitions.
        spill : Spill
            Rows of each partition.
        counts : tuple of ndarray
            Occupied cells at the deepest order of the tiling's input, and their rows.
        """
        facts = self._data(name, tiling, spill)
        order = max(SKYMAP_ORDER, int(tiling.orders.max()))
        deepest = min(DEEPEST_ORDER, margin_order(self.info.margin_arcsec))
        self.describe_primary(facts, (coarser(counts[0], order, deepest), counts[1]), order)
        return facts.rows

    def describe_primary(
        self, facts: TableFacts, counts: tuple[IntArray, IntArray], skymap_order: int
    ) -> None:
        """Write the small files of the table of all rows; `counts` are at the skymap's order."""
        self.folder.write_bytes(f"{facts.name}/skymap.fits", _skymap(*counts, skymap_order))
        self._describe(facts, primary_properties(facts, self.kind, self.info, skymap_order))

    def margin(self, name: str, primary: str, tiling: Tiling, spill: Spill) -> None:
        """Write the table of the rows near the edges of partitions."""
        self.describe_margin(self._data(name, tiling, spill), primary)

    def describe_margin(self, facts: TableFacts, primary: str) -> None:
        """Write the small files of the margin."""
        self._describe(facts, margin_properties(facts, primary, self.kind, self.info))

    def _data(self, name: str, tiling: Tiling, spill: Spill) -> TableFacts:
        footers, first_rows, rows, size = [], [], 0, 0
        bins = spill.bins()
        for index in bins:
            table = self.sorted_rows(spill.read(index))
            spill.remove(index)
            path = f"{name}/dataset/{tiling.path(index)}"
            footer = self.folder.write_parquet(path, table)
            footer.set_file_path(tiling.path(index))
            footers.append(footer)
            first_rows.append(table.take([0]))  # a slice would keep the whole partition
            rows += table.num_rows
            size += self.folder.sizes[path]
        self._metadata(name, footers)
        if first_rows:
            thumbnail = pa.concat_tables(first_rows).combine_chunks()
            self.folder.write_parquet(f"{name}/data_thumbnail.parquet", thumbnail)
        written = Tiling(tiling.orders[bins], tiling.pixels[bins])
        return TableFacts(name, rows, size, written)

    def sorted_rows(self, table: pa.Table) -> pa.Table:
        """Rows in the order that every data file has."""
        keys = [(column, "ascending") for column in (HEALPIX.name, *self.kind.key)]
        return table.sort_by(keys).combine_chunks().cast(self.schema)

    def common_metadata(self, name: str) -> io.BytesIO:
        """Write the schema of a table's data files, and return what was written."""
        sink = io.BytesIO()
        pq.write_metadata(self.schema, sink)
        self.folder.write_bytes(f"{name}/dataset/_common_metadata", sink.getvalue())
        return sink

    def _metadata(self, name: str, footers: list[pq.FileMetaData]) -> None:
        sink = self.common_metadata(name)
        if footers:
            sink = _combined(sink, footers)
        self.folder.write_bytes(f"{name}/dataset/_metadata", sink.getvalue())

    def _describe(self, facts: TableFacts, properties: Properties) -> None:
        pairs = zip(facts.tiling.orders.tolist(), facts.tiling.pixels.tolist(), strict=True)
        lines = ["Norder,Npix", *(f"{order},{pixel}" for order, pixel in pairs)]
        text = "\n".join(lines) + "\n"
        self.folder.write_bytes(f"{facts.name}/partition_info.csv", text.encode())
        self.folder.write_bytes(f"{facts.name}/hats.properties", render(properties))


def _combined(schema_file: io.BytesIO, footers: list[pq.FileMetaData]) -> io.BytesIO:
    schema_file.seek(0)
    metadata = pq.read_metadata(schema_file)
    for footer in footers:
        metadata.append_row_groups(footer)
    sink = io.BytesIO()
    metadata.write_metadata_file(sink)
    return sink


def _skymap(cells: IntArray, counts: IntArray, order: int) -> bytes:
    """FITS file of counts per nested HEALPix cell; only occupied ones where most are empty."""
    from cdshealpix.skymap.skymap import SkymapImplicit  # takes seconds to load

    values = np.bincount(cells, weights=counts, minlength=12 * 4**order).astype(np.int64)
    skymap = SkymapImplicit(values, null_value=0)
    if np.count_nonzero(values) * 2 < len(values):
        skymap = skymap.to_explicit()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "skymap.fits"
        skymap.to_fits(str(path))
        return path.read_bytes()
