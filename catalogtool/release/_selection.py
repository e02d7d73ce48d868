"""Which rows and columns of a release somebody wants, and how files become them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catalogtool._discovery import check_name
from catalogtool.errors import VerificationError
from catalogtool.release._cone import Cone
from catalogtool.release._file_list import FileEntry
from catalogtool.release._table_files import TableFormat
from catalogtool.release._where import named_columns, parse_where
from catalogtool.release.voparquet import subset_schema


@dataclass(frozen=True)
class Selection:
    """What is wanted; None: all columns, the whole sky, all rows."""

    columns: tuple[str, ...] | None = None
    cone: Cone | None = None
    where: str | None = None
    form: TableFormat = "parquet"

    def partitions(self, files: Sequence[FileEntry]) -> tuple[FileEntry, ...]:
        """Those of a release's partitions that may hold wanted rows, in the order of the sky."""
        pixels = np.array([file.pixel for file in files], dtype=np.int64)
        orders = np.array([file.order for file in files], dtype=np.int64)
        order = np.argsort(pixels << (2 * (29 - orders)), kind="stable")
        touched = np.ones(len(files), dtype=np.bool_)
        if self.cone is not None:
            touched = self.cone.touches(orders, pixels)
        return tuple(files[index] for index in order if touched[index])


class Reader:
    """Reads a selection from data files of a release.

    Parameters
    ----------
    schema : pa.Schema
        Of all data files.
    selection : Selection
        What is wanted.

    Raises
    ------
    ConfigError
        If the selection does not fit the columns.
    """

    def __init__(self, schema: pa.Schema, selection: Selection) -> None:
        for name in selection.columns or ():
            check_name(name, tuple(schema.names), "columns")
        self._wanted = selection.columns or tuple(schema.names)
        self._cone = selection.cone
        self._condition = None
        needed = list(self._wanted)
        if selection.cone is not None:
            needed += ["ra", "dec"]
        if selection.where is not None:
            self._condition = parse_where(selection.where, schema)
            needed += named_columns(selection.where)
        self._needed = list(dict.fromkeys(needed))
        self._full_schema = schema
        self.schema = subset_schema(schema, self._wanted)

    def tables(self, paths: Sequence[Path]) -> Iterator[pa.Table]:
        """Wanted rows and columns, at most a row group at a time.

        Raises
        ------
        VerificationError
            If a file has other columns than the release says.
        """
        for path in paths:
            with pq.ParquetFile(path) as file:
                if not file.schema_arrow.equals(self._full_schema):
                    raise VerificationError(f"{path.name}: has other columns than the release")
                for group in range(file.num_row_groups):
                    yield self._choose(file.read_row_group(group, columns=self._needed))

    def _choose(self, rows: pa.Table) -> pa.Table:
        if self._cone is not None:
            ra, dec = (rows.column(name).to_numpy() for name in ("ra", "dec"))
            rows = rows.filter(pa.array(self._cone.contains(ra, dec)))
        if self._condition is not None:
            rows = rows.filter(self._condition)
        return rows.select(self._wanted)


def parse_selection(
    columns: str | None, cone: str | None, where: str | None, form: TableFormat | None
) -> Selection | None:
    """Selection from the texts of the command line; None where all is wanted as it is.

    Raises
    ------
    ConfigError
        If the cone is not one.
    """
    if columns is cone is where is form is None:
        return None
    names = None if columns is None else tuple(name.strip() for name in columns.split(","))
    circle = None if cone is None else Cone.parse(cone)
    return Selection(names, circle, where, form or "parquet")
