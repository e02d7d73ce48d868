"""A HATS collection as its files say it is, for readers that trust none of it."""

import csv
import io
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catalogtool import storage
from catalogtool.errors import ReleaseError
from catalogtool.release._properties import Properties, parse
from catalogtool.release._tiling import ORDER, Tiling
from catalogtool.release.voparquet import CONTENT_KEY

COLLECTION = "collection.properties"
_DATA_FILE = re.compile(r"Norder=(\d+)/Dir=(\d+)/Npix=(\d+)\.parquet")


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

    def _table(self, key: str) -> "Table":
        properties = self.properties
        if not properties.get(key):
            raise ReleaseError(f"{self.uri}/{COLLECTION}: lacks the key {key}")
        return Table(self, properties[key])


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
    def tiling(self) -> Tiling:
        """Partitions whose files exist."""
        prefix = f"{self.name}/dataset/"
        names = [n.removeprefix(prefix) for n in self.collection.names if n.startswith(prefix)]
        matches = [match for match in map(_DATA_FILE.fullmatch, names) if match]
        orders = np.array([int(match[1]) for match in matches], dtype=np.int64)
        pixels = np.array([int(match[3]) for match in matches], dtype=np.int64)
        rank = np.argsort(pixels << (2 * (ORDER - orders)))
        return Tiling(orders[rank], pixels[rank])

    @property
    def listed_partitions(self) -> set[tuple[int, int]]:
        """Order and pixel of each line of ``partition_info.csv``."""
        lines = csv.DictReader(io.StringIO(self.read("partition_info.csv").decode()))
        return {(int(line["Norder"]), int(line["Npix"])) for line in lines}

    def open(self, tiling: Tiling, index: int) -> pq.ParquetFile:
        """Data file of a partition."""
        name = f"{self.name}/dataset/{tiling.path(index)}"
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
