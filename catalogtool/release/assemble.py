"""Parts of a run to one HATS collection, in memory that does not grow with the rows.

Two passes over the parts: the first counts rows per HEALPix cell, from which the partitions
follow; the second spills each row to its partition. Then partitions are sorted and written one by
one into a scratch folder, which becomes the collection by a single rename.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from catalogtool import storage
from catalogtool.catalogs._base import CatalogKind
from catalogtool.errors import ReleaseError
from catalogtool.layout import RunLayout
from catalogtool.release import _tables
from catalogtool.release._collection import COLLECTION
from catalogtool.release._folder import MANIFEST, ReleaseFolder
from catalogtool.release._properties import (
    ReleaseInfo,
    collection_properties,
    extension_properties,
    render,
)
from catalogtool.release._ranks import RankedRows
from catalogtool.release._rows import RowSource, RunParts, Shape, is_placed
from catalogtool.release._spill import Spill
from catalogtool.release._summaries import SummaryRows
from catalogtool.release._tiling import Tiling

__all__ = ["AssembledCatalog", "ReleaseInfo", "assemble", "assemble_summary"]


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
    run: RunLayout,
    kind: str,
    units: int,
    info: ReleaseInfo,
    target_uri: str,
    extensions: Sequence[tuple[str, ReleaseInfo]] = (),
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
    extensions : sequence of (kind, ReleaseInfo)
        Kinds with one row per object whose columns join those of this one: each becomes a
        collection of its own inside of this one, and an extension of it.

    Raises
    ------
    ReleaseError
        If no row has a position, or a part has another schema.
    StorageError
        If a part is missing or the target cannot be written.
    """
    tables = [_PartsOfKind.of(run, Shape(kind, info), units)]
    tables += [_PartsOfKind.of(run, Shape(name, its), units) for name, its in extensions]
    primary, *others = tables
    result = assemble_rows(primary.rows, primary.shape, target_uri, primary.quarantine.add, others)
    for table in tables:
        table.quarantine.save(run.quarantine(table.shape.name))
    return replace(result, quarantined=primary.quarantine.count)


def assemble_summary(
    run: RunLayout, kind: str, units: int, info: ReleaseInfo, target_uri: str
) -> AssembledCatalog:
    """Write the summary of a kind from the parts of a run; a catalog there is replaced.

    Rows without a position are in no group.

    Parameters
    ----------
    run, kind, units, info, target_uri
        As of `assemble`; `kind` is the one that is summarised.

    Raises
    ------
    ReleaseError
        If no row has a position, or a part has another schema.
    """
    shape = Shape(kind, info)
    assert isinstance(shape.kind, CatalogKind)
    assert shape.kind.summary is not None
    parts = RunParts(run, kind, units, shape.part_schema)
    with storage.scratch_folder(target_uri.rstrip("/").rpartition("/")[0]) as scratch:
        rows = SummaryRows(parts, shape.part_schema, shape.kind.summary, info.context, scratch)
        return assemble_rows(rows, Shape(shape.kind.summary.name, info), target_uri, _refuse_lost)


def _refuse_lost(rows: pa.Table) -> None:
    raise ReleaseError(f"{rows.num_rows} groups of rows have no position; this is a bug")


def assemble_rows(
    rows: RowSource,
    shape: Shape,
    target_uri: str,
    on_lost: Callable[[pa.Table], None],
    extensions: "Sequence[_PartsOfKind]" = (),
) -> AssembledCatalog:
    """Write a catalog from rows that come from anywhere; a catalog there is replaced.

    Parameters
    ----------
    rows : RowSource
        Read twice.
    shape : Shape
        Kind of the catalog and what the properties say.
    target_uri : str
        As of `assemble`.
    on_lost : callable
        Gets the rows without a position, which are left out.
    extensions : sequence
        Kinds that extend this one.

    Raises
    ------
    ReleaseError
        If no row has a position.
    StorageError
        If the rows cannot be read or the target cannot be written.
    """
    name = target_uri.rstrip("/").rsplit("/", 1)[-1]
    with scratch_folder(target_uri) as scratch:
        assembly = _Assembly(rows, shape, scratch / "primary")
        folder = ReleaseFolder(scratch / "collection")
        count = assembly.write(folder, name, on_lost)
        for extension in extensions:
            _extend(folder, name, extension, scratch)
        aliases = [extension.shape.name for extension in extensions]
        properties = collection_properties(name, f"{name}_margin", aliases)
        folder.write_bytes(COLLECTION, render(properties))
        manifest = ReleaseFolder(folder.root)
        manifest.write_bytes(MANIFEST, folder.manifest())
        _place(folder.root, target_uri)
    return AssembledCatalog(
        uri=target_uri,
        kind=shape.name,
        rows=count,
        quarantined=0,
        partitions=len(assembly.tiling),
        size_bytes=sum(folder.sizes.values()),
        manifest_sha256=manifest.hashes[MANIFEST],
    )


@dataclass(frozen=True)
class _PartsOfKind:
    """Rows of one kind of a run, and where those without a position go."""

    shape: Shape
    rows: RowSource
    quarantine: "_Quarantine"

    @classmethod
    def of(cls, run: RunLayout, shape: Shape, units: int) -> "_PartsOfKind":
        rows: RowSource = RunParts(run, shape.name, units, shape.part_schema)
        assert isinstance(shape.kind, CatalogKind)
        if shape.kind.ranking is not None:
            rows = RankedRows(rows, shape.kind.ranking)
        return cls(shape, rows, _Quarantine(shape.part_schema))


def _extend(folder: ReleaseFolder, primary: str, parts: _PartsOfKind, scratch: Path) -> None:
    """Write an extension into the collection that it extends."""
    kind = parts.shape.name
    name = f"{parts.shape.info.survey.name}_{kind}"
    own = ReleaseFolder(folder.root / name)
    assembly = _Assembly(parts.rows, parts.shape, scratch / kind)
    assembly.write(own, name, parts.quarantine.add)
    own.write_bytes(COLLECTION, render(collection_properties(name, f"{name}_margin")))
    listed = own.manifest()  # of all files but itself
    own.write_bytes(MANIFEST, listed)
    folder.adopt(own, name)
    assert isinstance(parts.shape.kind, CatalogKind)
    columns = [column.name for column in parts.shape.kind.columns(parts.shape.info.context)]
    properties = extension_properties(kind, primary, name, columns)
    folder.write_bytes(f"{kind}.properties", render(properties))


class _Assembly:
    """One catalog kind on its way from rows to tables."""

    def __init__(self, rows: RowSource, shape: Shape, scratch: Path) -> None:
        self.rows = rows
        self.shape = shape
        self.counts = shape.count(rows)
        if not len(self.counts[0]):
            raise ReleaseError(
                f"no row of {shape.name} has a position, so there is no catalog; "
                "give right ascensions and declinations with --labels"
            )
        self.tiling = Tiling.split(*self.counts, shape.info.rows_per_partition, shape.deepest)
        self.primary = Spill(scratch / "primary", shape.schema)
        self.margin = Spill(scratch / "margin", shape.schema)

    def write(self, folder: ReleaseFolder, name: str, on_lost: Callable[[pa.Table], None]) -> int:
        """Write both tables; returns the rows of the catalog."""
        for table in self.rows.tables():
            placed = is_placed(table)
            if not placed.all():
                on_lost(table.filter(pa.array(~placed)))
            self.shape.route(table, self.tiling, self.primary, self.margin)
        self.primary.flush()
        self.margin.flush()
        build = _tables.Build(folder, self.shape.kind, self.shape.info, self.shape.schema)
        rows = build.primary(name, self.tiling, self.primary, self.counts)
        build.margin(f"{name}_margin", name, self.tiling, self.margin)
        return rows


class _Quarantine:
    """Rows without a position, which are kept beside the catalogs."""

    def __init__(self, schema: pa.Schema) -> None:
        self._sink = pa.BufferOutputStream()
        self._writer = pq.ParquetWriter(self._sink, schema, compression="zstd")
        self.count = 0

    def add(self, rows: pa.Table) -> None:
        """Keep some rows."""
        self._writer.write_table(rows)
        self.count += rows.num_rows

    def save(self, uri: str) -> None:
        """Write what was kept, or remove what an earlier run kept."""
        self._writer.close()
        if self.count:
            storage.write_bytes(uri, self._sink.getvalue().to_pybytes())
        else:
            storage.delete(uri)


@contextmanager
def scratch_folder(target_uri: str) -> Iterator[Path]:
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
