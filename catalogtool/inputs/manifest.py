"""The manifest: one row per object, written once, cut into units of work.

Each unit is one row group of the manifest file, so that a worker reads only the rows it works on.
"""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catalogtool import storage
from catalogtool.errors import ManifestError
from catalogtool.inputs._base import MANIFEST_SCHEMA, Format


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
            return pq.ParquetFile(source).read_row_group(unit)

    def iter_units(self) -> Iterator[pa.Table]:
        """Rows unit by unit."""
        with storage.open_input(self.uri) as source:
            file = pq.ParquetFile(source)
            for unit in range(self.units):
                yield file.read_row_group(unit)


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
    digest = hashlib.sha256(str(unit_objects).encode())
    buffer = io.BytesIO()
    ids: list[np.ndarray] = []
    units = 0
    with pq.ParquetWriter(buffer, MANIFEST_SCHEMA, compression="zstd") as writer:
        for table in _rechunk(tables, unit_objects):
            writer.write_table(table, row_group_size=unit_objects)
            digest.update(_content(table))
            ids.append(table.column("object_id").to_numpy())
            units += 1
    if not units:
        raise ManifestError(f"{where}: holds no objects")
    _refuse_duplicates(np.concatenate(ids), where)
    identity = digest.hexdigest()
    uri = f"{stem_uri}-{identity[:16]}.parquet"
    storage.write_bytes(uri, buffer.getvalue())
    return Manifest(uri, identity, int(sum(len(chunk) for chunk in ids)), units)


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


def _content(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, MANIFEST_SCHEMA) as stream:
        stream.write_table(table, max_chunksize=table.num_rows)
    return bytes(sink.getvalue())


def _refuse_duplicates(ids: np.ndarray, where: str) -> None:
    values, counts = np.unique(ids, return_counts=True)
    twice = values[counts > 1]
    if len(twice):
        shown = ", ".join(str(value) for value in twice[:5])
        raise ManifestError(
            f"{where}: {len(twice)} object ids occur more than once "
            f"({shown}{', …' if len(twice) > 5 else ''}); ids must be unique",
            count=len(twice),
        )
