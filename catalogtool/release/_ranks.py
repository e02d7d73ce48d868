"""Places of rows by a value: known only when the rows of all parts are."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalogtool.catalogs._base import Ranking
from catalogtool.release._rows import RowSource, numbers


@dataclass(frozen=True)
class RankedRows:
    """Rows of a run with their places filled in; holds one number per row.

    Attributes
    ----------
    rows : RowSource
        Read once for the values, and whenever rows are wanted.
    ranking : Ranking
        Which column gets the places, and by what.
    """

    rows: RowSource
    ranking: Ranking

    def tables(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Yield all rows, or some columns of them, a row group at a time."""
        for table in self.rows.tables(columns):
            yield table if columns else self._ranked(table)

    @cached_property
    def _ascending(self) -> npt.NDArray[np.float64]:
        values = [numbers(table, self.ranking.by) for table in self.rows.tables([self.ranking.by])]
        known = np.concatenate(values) if values else np.zeros(0)
        return np.sort(known[np.isfinite(known)])

    def _ranked(self, table: pa.Table) -> pa.Table:
        """One more than the number of higher values; 0 without a value."""
        values = numbers(table, self.ranking.by)
        higher = len(self._ascending) - np.searchsorted(self._ascending, values, side="right")
        places = np.where(np.isfinite(values), higher + 1, 0)
        index = table.schema.get_field_index(self.ranking.column)
        return table.set_column(index, table.schema.field(index), pa.array(places, pa.int64()))
