"""The manifest: one row per object, written once, cut into units of work.

Each unit is one row group of the manifest file, so that a worker reads only the rows it works on.
It is written row group by row group: memory grows with the ids alone, 8 bytes per object.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from catalogtool import storage
from catalogtool.errors import ManifestError
from catalogtool.inputs._base import MANIFEST_SCHEMA, Format

_COUNTED = {"ra": "ra", "votes": "votes.list.element"}
"""Columns whose nulls the file counts, and their paths in it; more would weigh on its footer."""

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Manifest:
    """A written manifest.

    Attributes
    ----------
    uri : str
        The Parquet file.
    identity : str
        Hash of its rows and of the unit size.
    objects, units : int
        How many rows and row groups it has.
    """

    uri: str
    identity: str
    objects: int
    units: int

    def read_unit(self, unit: int) -> pa.Table:
        """Rows of one unit, of `MANIFEST_SCHEMA`."""
        with storage.open_input(self.uri) as source:
            return pq.ParquetFile(source, metadata=self._footer).read_row_group(unit)

    def iter_units(self) -> Iterator[pa.Table]:
        """Rows unit by unit."""
        with storage.open_input(self.uri) as source:
            file = pq.ParquetFile(source, metadata=self._footer)
            for unit in range(self.units):
                yield file.read_row_group(unit)

    @property
    def unplaced(self) -> int:
        """Objects without a position."""
        return sum(_nulls(self._footer, "ra"))

    @property
    def labelled(self) -> int:
        """Objects with a label."""
        return sum(labelled_rows(self._footer))

    @property
    def labelled_units(self) -> list[int]:
        """Units with at least one labelled object."""
        return [unit for unit, count in enumerate(labelled_rows(self._footer)) if count]

    @property
    def _footer(self) -> pq.FileMetaData:
        return read_footer(self.uri)


@lru_cache(maxsize=2)
def read_footer(uri: str) -> pq.FileMetaData:
    """Footer of a manifest, read once: its name tells its content."""
    with storage.open_input(uri) as source:
        return pq.read_metadata(source)


def labelled_rows(footer: pq.FileMetaData) -> list[int]:
    """Objects with a label of each unit, from the footer alone."""
    nulls = _nulls(footer, "votes")
    # Votes are lists: a list that is null counts once, and a number in one is never null.
    return [footer.row_group(i).num_rows - count for i, count in enumerate(nulls)]


def _nulls(footer: pq.FileMetaData, column: str) -> list[int]:
    paths = [footer.schema.column(index).path for index in range(footer.num_columns)]
    index = paths.index(_COUNTED[column])
    groups = (footer.row_group(i) for i in range(footer.num_row_groups))
    return [group.column(index).statistics.null_count for group in groups]


def build_manifest(source: Format, folder: str, unit_objects: int) -> Manifest:
    """List an input's objects and write them as a manifest.

    Parameters
    ----------
    source : Format
        The input.
    folder : str
        Where to write; the file is named after the survey and its own content.
    unit_objects : int
        Objects per unit of work.

    Raises
    ------
    ManifestError
        If there is no object, or two have the same id.
    """
    survey = source.survey.name
    where = source.uri or survey
    return write_manifest(source.list_objects(), where, storage.join(folder, survey), unit_objects)


def write_manifest(
    tables: Iterator[pa.Table], where: str, stem_uri: str, unit_objects: int
) -> Manifest:
    """Write objects as a manifest.

    Parameters
    ----------
    tables : iterator of Table
        Objects, of `MANIFEST_SCHEMA`.
    where : str
        Where they come from, for errors.
    stem_uri : str
        Address of the file, without its identity and ending.
    unit_objects : int
        Objects per unit of work.

    Raises
    ------
    ManifestError
        If there is no object, or two have the same id.
    """
    with storage.scratch_folder(stem_uri.rpartition("/")[0]) as scratch:
        file = scratch / "manifest.parquet"
        identity, ids, units = _write(tables, file, unit_objects)
        if not units:
            raise ManifestError(f"{where}: holds no objects")
        _refuse_duplicates(ids, where)
        uri = f"{stem_uri}-{identity[:16]}.parquet"
        storage.upload_file(file, uri)
    return Manifest(uri, identity, len(ids), units)


def _write(tables: Iterator[pa.Table], path: Path, unit_objects: int) -> tuple[str, Ids, int]:
    """Write the rows; returns their hash, their ids and the number of units."""
    digest = hashlib.sha256(str(unit_objects).encode())
    chunks: list[Ids] = []
    counted = list(_COUNTED.values())
    with (
        path.open("wb") as sink,  # closed also where the disk is full, which the writer is not
        pq.ParquetWriter(
            sink, MANIFEST_SCHEMA, compression="zstd", write_statistics=counted
        ) as writer,
    ):
        for table in _rechunk(tables, unit_objects):
            writer.write_table(table, row_group_size=unit_objects)
            digest.update(_content(table))
            chunks.append(table.column("object_id").to_numpy().copy())  # lets go of the table
    ids = np.concatenate(chunks) if chunks else np.zeros(0, dtype=np.int64)
    return digest.hexdigest(), ids, len(chunks)


def object_ids(uri: str) -> np.ndarray:
    """Ids of all objects of a manifest, shape (N,), int64."""
    with storage.open_input(uri) as source:
        ids = pq.ParquetFile(source).read(columns=["object_id"]).column(0)
    numbers: np.ndarray = ids.to_numpy()
    return numbers


def _rechunk(tables: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    pending: list[pa.Table] = []
    count = 0
    for table in tables:
        pending.append(table.cast(MANIFEST_SCHEMA))
        count += table.num_rows
        if count < rows:
            continue
        whole = pa.concat_tables(pending)
        full = count - count % rows
        for start in range(0, full, rows):
            yield whole.slice(start, rows).combine_chunks()
        pending = [whole.slice(full)]
        count -= full
    if count:
        yield pa.concat_tables(pending).combine_chunks()


def _content(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, MANIFEST_SCHEMA) as stream:
        stream.write_table(table, max_chunksize=table.num_rows)
    return sink.getvalue()


def _refuse_duplicates(ids: Ids, where: str) -> None:
    """Sorts the ids in place: beside those of 100 million objects there is no room for a copy."""
    ids.sort()
    again = np.zeros(len(ids), dtype=np.bool_)
    np.equal(ids[1:], ids[:-1], out=again[1:])
    twice = np.unique(ids[again])
    if len(twice):
        shown = ", ".join(str(value) for value in twice[:5])
        raise ManifestError(
            f"{where}: {len(twice)} object ids occur more than once "
            f"({shown}{', …' if len(twice) > 5 else ''}); ids must be unique",
            count=len(twice),
        )
