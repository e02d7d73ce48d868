"""Parts of a run to one HATS collection, in memory that does not grow with the rows.

Two passes over the parts: the first counts rows per HEALPix cell, from which the partitions
follow; the second spills each row to its partition. Then partitions are sorted and written one by
one into a scratch folder, which becomes the collection by a single rename.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from catalogtool import storage
from catalogtool.catalogs import load_kind
from catalogtool.errors import ReleaseError
from catalogtool.layout import RunLayout
from catalogtool.release import _tables
from catalogtool.release._collection import COLLECTION
from catalogtool.release._folder import MANIFEST, ReleaseFolder
from catalogtool.release._properties import ReleaseInfo, collection_properties, render
from catalogtool.release._spill import Spill
from catalogtool.release._tiling import (
    DEEPEST_ORDER,
    CellCounter,
    IntArray,
    Tiling,
    cells_of,
    coarser,
    has_position,
    margin_order,
    margin_targets,
)
from catalogtool.release.voparquet import HEALPIX, release_schema

__all__ = ["AssembledCatalog", "ReleaseInfo", "assemble"]


@dataclass(frozen=True)
class AssembledCatalog:
    """A finished collection.

    Attributes
    ----------
    uri : str
        Folder of the collection.
    kind : str
        Catalog kind.
    rows, quarantined : int
        Rows in the collection, and rows without a position outside of it.
    partitions : int
        Files of the primary table.
    size_bytes : int
        All files of the collection.
    manifest_sha256 : str
        Hash of the list of all files' hashes: the identity of the release.
    """

    uri: str
    kind: str
    rows: int
    quarantined: int
    partitions: int
    size_bytes: int
    manifest_sha256: str


def assemble(
    run: RunLayout, kind: str, units: int, info: ReleaseInfo, target_uri: str
) -> AssembledCatalog:
    """Write the catalog of one kind from the parts of a run; a catalog there is replaced.

    Parameters
    ----------
    run : RunLayout
        Where the parts are.
    kind : str
        Catalog kind; all its parts must exist.
    units : int
        Number of parts.
    info : ReleaseInfo
        What the properties say.
    target_uri : str
        Folder of the collection; its last name becomes the name of the catalog.

    Raises
    ------
    ReleaseError
        If no row has a position, or a part has another schema.
    StorageError
        If a part is missing or the target cannot be written.
    """
    name = target_uri.rstrip("/").rsplit("/", 1)[-1]
    with _scratch_folder(target_uri) as scratch:
        assembly = _Assembly(run, kind, units, info, scratch)
        folder = ReleaseFolder(scratch / "collection")
        rows, quarantined = assembly.write(folder, name)
        folder.write_bytes(COLLECTION, render(collection_properties(name, f"{name}_margin")))
        manifest = ReleaseFolder(folder.root)
        manifest.write_bytes(MANIFEST, folder.manifest())
        _place(folder.root, target_uri)
    return AssembledCatalog(
        uri=target_uri,
        kind=kind,
        rows=rows,
        quarantined=quarantined,
        partitions=len(assembly.tiling),
        size_bytes=sum(folder.sizes.values()),
        manifest_sha256=manifest.hashes[MANIFEST],
    )


class _Assembly:
    """One catalog kind on its way from parts to tables."""

    def __init__(
        self, run: RunLayout, kind: str, units: int, info: ReleaseInfo, scratch: Path
    ) -> None:
        self.run = run
        self.name = kind
        self.kind = load_kind(kind)
        self.units = units
        self.info = info
        self.part_schema = self.kind.schema(info.context)
        title = f"{self.kind.title} of {info.survey.title}"
        self.schema = release_schema(self.kind.columns(info.context), title)
        self.deepest = min(DEEPEST_ORDER, margin_order(info.margin_arcsec))
        self.cells, self.counts = self._count()
        self.tiling = Tiling.split(self.cells, self.counts, info.rows_per_partition, self.deepest)
        self.primary = Spill(scratch / "primary", self.schema)
        self.margin = Spill(scratch / "margin", self.schema)

    def write(self, folder: ReleaseFolder, name: str) -> tuple[int, int]:
        """Write both tables and the quarantine; returns the rows of catalog and quarantine."""
        quarantined = self._route_all()
        self.primary.flush()
        self.margin.flush()
        build = _tables.Build(folder, self.kind, self.info, self.schema)
        rows = build.primary(name, self.tiling, self.primary, (self.cells, self.counts))
        build.margin(f"{name}_margin", name, self.tiling, self.margin)
        return rows, quarantined

    def _route_all(self) -> int:
        """Spill rows to their partitions; those without a position go beside the catalogs."""
        sink = pa.BufferOutputStream()
        count = 0
        with pq.ParquetWriter(sink, self.part_schema, compression="zstd") as quarantine:
            for table in self._parts():
                valid = _valid(table)
                self._route(self._placed(table.filter(pa.array(valid))))
                if not valid.all():
                    lost = table.filter(pa.array(~valid))
                    quarantine.write_table(lost)
                    count += lost.num_rows
        uri = self.run.quarantine(self.name)
        if count:
            storage.write_bytes(uri, sink.getvalue().to_pybytes())
        else:
            storage.delete(uri)
        return count

    def _count(self) -> tuple[IntArray, IntArray]:
        counter = CellCounter()
        for table in self._parts(["ra", "dec"]):
            cells = _cells(table.filter(pa.array(_valid(table))))
            counter.add(coarser(cells, self.deepest))
        cells, counts = counter.totals()
        if not len(cells):
            raise ReleaseError(
                f"{self.run.uri}: no row of {self.name} has a position, so there is no catalog; "
                "give right ascensions and declinations with --labels"
            )
        return cells, counts

    def _parts(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        for unit in range(self.units):
            uri = self.run.part(self.name, unit)
            with storage.open_input(uri) as source:
                file = pq.ParquetFile(source)
                if not file.schema_arrow.equals(self.part_schema):
                    raise ReleaseError(
                        f"{uri}: its columns are not those of {self.name}; it comes from another "
                        "version or model: delete the run folder and run again"
                    )
                for group in range(file.num_row_groups):
                    yield file.read_row_group(group, columns=columns)

    def _placed(self, rows: pa.Table) -> pa.Table:
        columns = [pa.array(_cells(rows)), *rows.itercolumns()]
        return pa.Table.from_arrays(columns, schema=self.schema)

    def _route(self, rows: pa.Table) -> None:
        cells = rows.column(HEALPIX.name).to_numpy()
        self.primary.add(rows, self.tiling.partition_of(cells))
        order = margin_order(self.info.margin_arcsec)
        index, partitions = margin_targets(cells, self.tiling, order)
        if len(index):
            self.margin.add(rows.take(pa.array(index)), partitions)


def _positions(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Right ascension and declination, NaN where null."""
    ra, dec = (pc.fill_null(table.column(name), float("nan")) for name in ("ra", "dec"))
    return ra.to_numpy(), dec.to_numpy()


def _valid(table: pa.Table) -> np.ndarray:
    return has_position(*_positions(table))


def _cells(table: pa.Table) -> IntArray:
    return cells_of(*_positions(table))


@contextmanager
def _scratch_folder(target_uri: str) -> Iterator[Path]:
    """Folder beside a local target, so that the final rename stays on one file system."""
    if storage.is_local(target_uri):
        target = Path(storage.normalise(target_uri))
        scratch = target.with_name(f".partial-{target.name}")
        shutil.rmtree(scratch, ignore_errors=True)  # left by an assembling that was killed
    else:
        scratch = Path(tempfile.mkdtemp(prefix="catalogtool-"))
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        yield scratch
    except OSError as error:
        raise ReleaseError(
            f"{target_uri}: cannot be written: {error.strerror or error}; free space or choose "
            "another --output, then run again"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _place(folder: Path, target_uri: str) -> None:
    """Make a finished folder the catalog, and remove the one that was there."""
    if not storage.is_local(target_uri):
        _upload(folder, target_uri)
        return
    target = Path(storage.normalise(target_uri))
    replaced = folder.with_name("replaced")
    if target.exists():
        target.rename(replaced)
    folder.rename(target)


def _upload(folder: Path, target_uri: str) -> None:
    """Copy files to object storage; the file that makes them a collection comes last."""
    last = storage.join(target_uri, COLLECTION)
    storage.delete(last)
    for info in list(storage.list_files(target_uri)):
        storage.delete(info.uri)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        uri = storage.join(target_uri, path.relative_to(folder).as_posix())
        if uri != last:
            storage.upload_file(path, uri)
    storage.upload_file(folder / COLLECTION, last)
