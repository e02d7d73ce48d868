"""A HATS collection as its files say it is, for readers that trust none of it."""

import csv
import io
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catalogtool import storage
from catalogtool.errors import ReleaseError
from catalogtool.release._properties import LEAF_FOLDERS, Properties, parse
from catalogtool.release._tiling import ORDER, Cell, Grid, Tiling
from catalogtool.release.voparquet import CONTENT_KEY

COLLECTION = "collection.properties"
_DATA_FILE = re.compile(r"Norder=(\d+)/Dir=\d+/Npix=(\d+)(?:/[^/]+)?\.parquet")


@dataclass(frozen=True)
class Collection:
    """Files of a collection by their relative path."""

    uri: str
    names: tuple[str, ...]

    @classmethod
    def list(cls, uri: str) -> "Collection":
        """List a folder."""
        root = storage.normalise(uri)
        prefix = len(root.rstrip("/")) + 1
        return cls(root, tuple(info.uri[prefix:] for info in storage.list_files(root)))

    def read(self, name: str) -> bytes:
        """Content of a small file."""
        return storage.read_bytes(storage.join(self.uri, name))

    @property
    def properties(self) -> Properties:
        """Properties of the collection."""
        return parse(self.read(COLLECTION))

    @property
    def primary(self) -> "Table":
        """The table of all rows."""
        return self._table("hats_primary_table_url")

    @property
    def margin(self) -> "Table":
        """The table of rows near the edges of partitions."""
        return self._table("default_margin")

    @property
    def extensions(self) -> "dict[str, Collection]":
        """Collections inside of this one whose columns join its rows, by their aliases."""
        words = self.properties.get("all_extensions", "").split()
        found = {}
        for alias, name in zip(words[::2], words[1::2], strict=True):
            folder = parse(self.read(name)).get("hats_assn_join_table_url", "")
            prefix = f"{folder}/"
            names = tuple(n.removeprefix(prefix) for n in self.names if n.startswith(prefix))
            if not names:
                raise ReleaseError(f"{self.uri}/{name}: its table {folder!r} is not there")
            found[alias] = Collection(storage.join(self.uri, folder), names)
        return found

    def _table(self, key: str) -> "Table":
        properties = self.properties
        if not properties.get(key):
            raise ReleaseError(f"{self.uri}/{COLLECTION}: lacks the key {key}")
        return Table(self, properties[key])


class DataFile(NamedTuple):
    """One Parquet file of a table."""

    cell: Cell
    path: str
    """Below the folder ``dataset``."""


@dataclass(frozen=True)
class Table:
    """One table of a collection."""

    collection: Collection
    name: str

    def read(self, name: str) -> bytes:
        """Content of a small file of the table."""
        return self.collection.read(f"{self.name}/{name}")

    @property
    def properties(self) -> Properties:
        """Properties of the table."""
        return parse(self.read("hats.properties"))

    @property
    def schema(self) -> pa.Schema:
        """Schema that all data files promise to have."""
        return pq.read_schema(io.BytesIO(self.read("dataset/_common_metadata")))

    @property
    def is_growing(self) -> bool:
        """Whether partitions are folders, to which files are added."""
        return self.properties.get("hats_npix_suffix") == LEAF_FOLDERS

    @property
    def files(self) -> list[DataFile]:
        """Data files in the order of the sky, then of their names."""
        prefix = f"{self.name}/dataset/"
        names = [n.removeprefix(prefix) for n in self.collection.names if n.startswith(prefix)]
        matches = [match for match in map(_DATA_FILE.fullmatch, names) if match]
        files = [DataFile((int(match[1]), int(match[2])), match[0]) for match in matches]
        return sorted(files, key=lambda f: (f.cell[1] << (2 * (ORDER - f.cell[0])), f.path))

    @property
    def tiling(self) -> Tiling:
        """Partitions whose files exist."""
        cells = list(dict.fromkeys(file.cell for file in self.files))
        orders, pixels = np.array(cells, dtype=np.int64).reshape(-1, 2).T
        return Tiling(orders, pixels)

    @property
    def margin_partitions(self) -> Tiling | Grid:
        """Partitions that have a margin: a growing table's may be there before its rows."""
        return Grid(int(self.properties["hats_order"])) if self.is_growing else self.tiling

    @property
    def listed_partitions(self) -> set[tuple[int, int]]:
        """Order and pixel of each line of ``partition_info.csv``."""
        lines = csv.DictReader(io.StringIO(self.read("partition_info.csv").decode()))
        return {(int(line["Norder"]), int(line["Npix"])) for line in lines}

    def open(self, path: str) -> pq.ParquetFile:
        """Data file by its path below the folder ``dataset``."""
        name = f"{self.name}/dataset/{path}"
        return pq.ParquetFile(storage.open_input(storage.join(self.collection.uri, name)))


def ucds(schema: pa.Schema) -> dict[str, str]:
    """UCD of each column, from the VOTable document in the schema's metadata.

    Raises
    ------
    ReleaseError
        If there is no such document.
    """
    return {str(field.name): str(field.ucd) for field in fields(schema)}


def fields(schema: pa.Schema) -> list[Any]:
    """FIELDs of the VOTable document in the schema's metadata; it must be a legal one."""
    from astropy.io import votable

    content = (schema.metadata or {}).get(CONTENT_KEY)
    if content is None:
        raise ReleaseError(f"the metadata lack {CONTENT_KEY.decode()}")
    document = votable.parse(io.BytesIO(content), verify="exception")
    return list(document.get_first_table().fields)
