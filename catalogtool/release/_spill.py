"""Rows sorted into bins on disk, so that memory holds one bin at a time."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_FLUSH_ROWS = 200_000
_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


class Spill:
    """One file per bin, each a sequence of Arrow streams.

    Parameters
    ----------
    folder : Path
        Created; must not exist.
    schema : pa.Schema
        Schema of all rows.
    """

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._schema = schema
        self._tables: list[pa.Table] = []
        self._bins: list[npt.NDArray[np.int64]] = []
        self._waiting = 0

    def add(self, table: pa.Table, bins: npt.NDArray[np.int64]) -> None:
        """Put each row into its bin."""
        self._tables.append(table)
        self._bins.append(bins)
        self._waiting += table.num_rows
        if self._waiting >= _FLUSH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Move waiting rows to disk; needed once before reading."""
        if not self._waiting:
            return
        bins = np.concatenate(self._bins)
        order = np.argsort(bins, kind="stable")
        rows = pa.concat_tables(self._tables).take(pa.array(order))
        found, starts, counts = np.unique(bins[order], return_index=True, return_counts=True)
        for index, start, count in zip(found.tolist(), starts, counts, strict=True):
            self._append(index, rows.slice(start, count).combine_chunks())
        self._tables, self._bins, self._waiting = [], [], 0

    def _append(self, index: int, rows: pa.Table) -> None:
        with (
            (self._folder / str(index)).open("ab") as file,
            pa.ipc.new_stream(file, self._schema, options=_OPTIONS) as stream,
        ):
            stream.write_table(rows)

    def bins(self) -> list[int]:
        """Bins that hold rows, ascending."""
        return sorted(int(path.name) for path in self._folder.iterdir())

    def read(self, index: int) -> pa.Table:
        """All rows of a bin in the order of adding; none for an empty bin."""
        return pa.concat_tables([self._schema.empty_table(), *self._streams(index)])

    def _streams(self, index: int) -> Iterator[pa.Table]:
        path = self._folder / str(index)
        if not path.exists():
            return
        with pa.OSFile(str(path), "rb") as file:
            while file.tell() < file.size():
                yield pa.ipc.open_stream(file).read_all()

    def remove(self, index: int) -> None:
        """Free the disk space of a bin."""
        (self._folder / str(index)).unlink(missing_ok=True)
