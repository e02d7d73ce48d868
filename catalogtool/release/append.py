"""Appends an increment to a growing catalog.

Data files come first: they are new files under names of their own. Then the small files follow,
each replaced at once, in an order in which a reader finds every partition that it is told of; the
list of all hashes is last. Whatever the moment of a kill, the catalog can be read, and appending
again completes it: who goes by the list sees it with or without the increment, who goes by the
folders may meet some rows of the increment early, and none twice. Only one process may append at
a time.
"""

import hashlib
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from catalogtool import storage
from catalogtool.release._collection import COLLECTION
from catalogtool.release._folder import MANIFEST, ReleaseFolder
from catalogtool.release._properties import (
    LEAF_FOLDERS,
    TableFacts,
    collection_properties,
    render,
)
from catalogtool.release._rows import RowSource, Shape
from catalogtool.release._spill import Spill
from catalogtool.release._tables import SKYMAP_ORDER, Build
from catalogtool.release._tiling import Grid, IntArray, Tiling, coarser, partition_path
from catalogtool.release.assemble import scratch_folder
from catalogtool.release.series import RECORD, Increment, Series, SeriesRecord, TableCount

_UPLOADS = 8
_NIGHTS_PER_PARTITION = 30
"""A partition of a folded catalog holds the rows of about so many nights like the first one."""


@dataclass(frozen=True)
class AppendedCatalog:
    """A catalog after an increment.

    Attributes
    ----------
    uri : str
        Folder of the collection.
    rows : int
        Rows that the increment added.
    total_rows : int
        Rows of the whole catalog.
    increments : int
        How many there are.
    """

    uri: str
    rows: int
    total_rows: int
    increments: int


def append(
    rows: RowSource, shape: Shape, series_uri: str, name: str, committed: Sequence[str]
) -> AppendedCatalog:
    """Add the rows of one increment to a growing catalog, which the first increment begins.

    Appending a committed increment again changes nothing. What increments that were never
    committed left behind is removed.

    Parameters
    ----------
    rows : RowSource
        Read twice; rows without a position are left out.
    shape : Shape
        Kind of the catalog, and run and date of the increment.
    series_uri : str
        Folder of the collection; its last name becomes the name of the catalog.
    name : str
        Name of the increment, which becomes that of its files.
    committed : sequence of str
        Names of the increments that count.

    Raises
    ------
    ReleaseError
        If the catalog is one of another kind, model or survey.
    StorageError
        If the rows cannot be read or the catalog cannot be written.
    """
    counts = shape.count(rows)
    limit = shape.info.rows_per_partition // _NIGHTS_PER_PARTITION
    grid = Grid.choose(*counts, limit, shape.deepest)
    series = Series.begin(series_uri, SeriesRecord.describe(shape, grid.order))
    kept = series.read_increments(committed)
    if name not in committed:
        with scratch_folder(series_uri) as scratch:
            _forget_others(series, kept, scratch)
            addition = _write_data(rows, shape, series, name, scratch)
            kept = [*kept, addition]
            _describe(series, kept, scratch / "small")
    added = sum(increment.primary.rows for increment in kept if increment.name == name)
    total = sum(increment.primary.rows for increment in kept)
    return AppendedCatalog(series.uri, added, total, len(kept))


def _forget_others(series: Series, kept: Sequence[Increment], scratch: Path) -> None:
    """Remove files of increments that were not finished, once no small file tells of them."""
    strangers = series.strangers([increment.name for increment in kept])
    if not strangers:
        return
    if kept:
        _describe(series, kept, scratch / "before")
    else:
        for small in (COLLECTION, MANIFEST):
            storage.delete(storage.join(series.uri, small))
    for path in strangers:
        uri = storage.join(series.uri, path)
        storage.delete(uri)
        folder = uri.rsplit("/", 1)[0]
        if storage.is_local(uri) and next(storage.list_files(folder), None) is None:
            shutil.rmtree(folder)  # readers take an empty folder for a partition


def _write_data(
    rows: RowSource, shape: Shape, series: Series, name: str, scratch: Path
) -> Increment:
    """Write the data files of an increment, and last its record."""
    grid = Grid(series.record.order)
    spills = Spill(scratch / "primary", shape.schema), Spill(scratch / "margin", shape.schema)
    for table in rows.tables():
        shape.route(table, grid, *spills)
    folder = ReleaseFolder(scratch / "data")
    build = Build(folder, shape.kind, shape.info, shape.schema)
    tables = []
    for spill, table_name in zip(spills, (series.name, series.margin_name), strict=True):
        spill.flush()
        tables.append(_write_files(build, spill, f"{table_name}/dataset", grid, name))
    order = _skymap_order(grid)
    deep_cells, deep_counts = shape.count(rows)
    cells, inverse = np.unique(coarser(deep_cells, order, shape.deepest), return_inverse=True)
    increment = Increment(
        name=name,
        run_id=shape.info.run_id,
        created=shape.info.created.isoformat(),
        primary=tables[0],
        margin=tables[1],
        cells=tuple(cells.tolist()),
        counts=tuple(np.bincount(inverse, weights=deep_counts).astype(np.int64).tolist()),
        sha256=dict(folder.hashes),
    )
    _upload(folder, list(folder.hashes), series.uri)
    storage.write_bytes(storage.join(series.uri, series.increment_path(name)), increment.to_bytes())
    return increment


def _write_files(build: Build, spill: Spill, where: str, grid: Grid, name: str) -> TableCount:
    pixels = spill.bins()
    rows = size = 0
    for pixel in pixels:
        path = f"{where}/{partition_path(grid.cell(pixel))}/{name}.parquet"
        rows += build.folder.write_parquet(path, build.sorted_rows(spill.read(pixel))).num_rows
        size += build.folder.sizes[path]
        spill.remove(pixel)
    return TableCount(rows=rows, size_bytes=size, pixels=tuple(pixels))


def _describe(series: Series, increments: Sequence[Increment], scratch: Path) -> None:
    """Write the small files of a catalog of these increments; the order is that of the names."""
    newest = max(increments, key=lambda increment: (increment.created, increment.name))
    shape = series.record.shape(newest)
    folder = ReleaseFolder(scratch)
    build = Build(folder, shape.kind, shape.info, shape.schema)
    grid = Grid(series.record.order)
    build.common_metadata(series.margin_name)
    margin = _facts(series.margin_name, [i.margin for i in increments], grid)
    build.describe_margin(margin, series.name)
    build.common_metadata(series.name)
    primary = _facts(series.name, [i.primary for i in increments], grid)
    build.describe_primary(primary, _sum_cells(increments), _skymap_order(grid))
    properties = collection_properties(series.name, series.margin_name)
    folder.write_bytes(COLLECTION, render(properties))
    small = list(folder.hashes)
    folder.hashes |= _known_hashes(series, increments)
    manifest = ReleaseFolder(folder.root)
    manifest.write_bytes(MANIFEST, folder.manifest())
    for path in (*small, MANIFEST):
        storage.upload_file(folder.root / path, storage.join(series.uri, path))


def _facts(name: str, tables: Sequence[TableCount], grid: Grid) -> TableFacts:
    pixels = np.array(sorted({pixel for table in tables for pixel in table.pixels}), dtype=np.int64)
    return TableFacts(
        name=name,
        rows=sum(table.rows for table in tables),
        size_bytes=sum(table.size_bytes for table in tables),
        tiling=Tiling(np.full(len(pixels), grid.order, dtype=np.int64), pixels),
        npix_suffix=LEAF_FOLDERS,
    )


def _sum_cells(increments: Sequence[Increment]) -> tuple[IntArray, IntArray]:
    cells = np.concatenate([np.array(i.cells, dtype=np.int64) for i in increments])
    counts = np.concatenate([np.array(i.counts, dtype=np.int64) for i in increments])
    return cells, counts


def _skymap_order(grid: Grid) -> int:
    return max(SKYMAP_ORDER, grid.order)


def _known_hashes(series: Series, increments: Sequence[Increment]) -> dict[str, str]:
    record = storage.read_bytes(storage.join(series.uri, RECORD))
    hashes = {RECORD: hashlib.sha256(record).hexdigest()}
    for increment in increments:
        path = series.increment_path(increment.name)
        hashes[path] = hashlib.sha256(increment.to_bytes()).hexdigest()
        hashes |= increment.sha256
    return hashes


def _upload(folder: ReleaseFolder, paths: Sequence[str], uri: str) -> None:
    def upload(path: str) -> None:
        storage.upload_file(folder.root / path, storage.join(uri, path))

    with ThreadPoolExecutor(_UPLOADS) as pool:
        list(pool.map(upload, paths))
