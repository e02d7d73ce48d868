"""Rows of one column of a Parquet file, read forward, so that neighbours come almost for free."""

import threading
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catalogtool import storage
from catalogtool.errors import StorageError
from catalogtool.flags import Flag
from catalogtool.inputs._planes import storage_flag

_BATCH_ROWS = 64
_BUFFER_BYTES = 1 << 20
_DAMAGE = (pa.ArrowException, OSError, StopIteration)

_lock = threading.Lock()
_open: dict[tuple[str, str, str], "_Cursor"] = {}
"""The file that this process read last; units are consecutive, so the next read continues."""


def read_rows(uri: str, column: str, rows: Sequence[int]) -> list[pa.Scalar | Flag]:
    """Values of one column.

    Parameters
    ----------
    uri : str
        Parquet file.
    column : str
        Name of the column.
    rows : sequence of int
        Row numbers within the file; ascending order avoids reading twice.

    Returns
    -------
    list of Scalar or Flag
        A flag stands for a row that cannot be read.

    Raises
    ------
    StorageError
        If the storage cannot be reached.
    """
    with _lock:
        try:
            cursor = _cursor(uri, column)
        except StorageError as error:
            return [storage_flag(error)] * len(rows)
        except (*_DAMAGE, KeyError):
            return [Flag.UNREADABLE] * len(rows)
        try:
            return [cursor.value(row) for row in rows]
        except StorageError:
            _open.clear()  # its place in the file is lost
            raise


def _cursor(uri: str, column: str) -> "_Cursor":
    key = (uri, storage.file_info(uri).identity, column)
    if key not in _open:
        _open.clear()
        _open[key] = _Cursor(uri, column)
    return _open[key]


class _Cursor:
    """A place in a Parquet file that moves forward inside a row group."""

    def __init__(self, uri: str, column: str) -> None:
        stream = storage.open_input(uri)
        # Without these two a whole row group is held in memory.
        self._file = pq.ParquetFile(stream, pre_buffer=False, buffer_size=_BUFFER_BYTES)
        self._column = self._file.schema_arrow.field(column).name
        meta = self._file.metadata
        sizes = [meta.row_group(group).num_rows for group in range(meta.num_row_groups)]
        self._starts = np.cumsum([0, *sizes])
        self._damaged_from: dict[int, int] = {}
        self._group = -1
        self._first = 0
        self._values: pa.Array = pa.nulls(0)
        self._batches: Iterator[pa.RecordBatch] = iter(())

    def value(self, row: int) -> pa.Scalar | Flag:
        """Value of a row; a flag if its part of the file is damaged."""
        if not 0 <= row < self._starts[-1]:
            return Flag.MISSING_FILE
        group = int(np.searchsorted(self._starts, row, side="right")) - 1
        if row >= self._damaged_from.get(group, row + 1):
            return Flag.UNREADABLE
        try:
            self._move_to(group, row)
        except _DAMAGE:
            self._damaged_from[group] = self._first + len(self._values)
            self._group = -1
            return Flag.UNREADABLE
        return self._values[row - self._first]

    def _move_to(self, group: int, row: int) -> None:
        if group != self._group or row < self._first:
            self._first, self._values = int(self._starts[group]), pa.nulls(0)
            self._batches = self._file.iter_batches(
                _BATCH_ROWS, row_groups=[group], columns=[self._column]
            )
            self._group = group
        while row >= self._first + len(self._values):
            self._first += len(self._values)
            self._values = pa.nulls(0)
            self._values = next(self._batches).column(0)
