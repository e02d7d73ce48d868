"""Rows of a summary: groups of rows that lie anywhere in the parts of a run."""

import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from catalogtool.catalogs._base import CatalogContext, SummaryKind
from catalogtool.release._rows import RowSource
from catalogtool.release._spill import Spill

_BINS = 64


class SummaryRows:
    """One row per group, in memory that holds a small share of the rows.

    Parameters
    ----------
    rows : RowSource
        Rows of the kind that is summarised; read once.
    schema : pa.Schema
        Their schema.
    kind : SummaryKind
        Says what makes a group, and a row of it.
    context : CatalogContext
        Context of the catalog.
    folder : Path
        Scratch folder, empty.
    """

    def __init__(
        self,
        rows: RowSource,
        schema: pa.Schema,
        kind: SummaryKind,
        context: CatalogContext,
        folder: Path,
    ) -> None:
        raw = Spill(folder / "rows", schema)
        for table in rows.tables():
            names = table.column(kind.by).to_pylist()
            bins = [zlib.crc32(name.encode()) % _BINS for name in names]
            raw.add(table, np.array(bins, dtype=np.int64))
        raw.flush()
        self._groups = Spill(folder / "groups", kind.schema(context))
        for index in raw.bins():
            groups = kind.summarise(context, raw.read(index))
            raw.remove(index)
            self._groups.add(groups, np.full(groups.num_rows, index))
        self._groups.flush()

    def tables(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Yield all groups, or some columns of them, some groups at a time."""
        for index in self._groups.bins():
            table = self._groups.read(index)
            yield table.select(columns) if columns else table
