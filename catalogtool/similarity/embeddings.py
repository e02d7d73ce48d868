"""The embeddings of a run, read from its parts a unit at a time."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from catalogtool import storage
from catalogtool.config._base import canonical_json
from catalogtool.errors import ConfigError, DataError
from catalogtool.layout import RunLayout
from catalogtool.ledger import LedgerLine, read_ledger

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

KIND = "embedding"
NAMES = ("object_id", "source_id", "ra", "dec")


@dataclass(frozen=True)
class Embeddings:
    """All embeddings of a run; rows are counted through its units.

    Attributes
    ----------
    run : RunLayout
    """

    run: RunLayout

    @cached_property
    def _lines(self) -> list[LedgerLine]:
        lines = read_ledger(self.run)
        found = [lines[unit] for unit in sorted(lines)]
        if not found or not all(any(p.kind == KIND for p in line.parts) for line in found):
            raise ConfigError(
                f"{self.run.uri}: has no embeddings; produce them with --catalog {KIND}, beside "
                "others if you like"
            )
        return found

    @property
    def identity(self) -> str:
        """SHA-256 over all parts."""
        hashes = [p.sha256 for line in self._lines for p in line.parts if p.kind == KIND]
        return hashlib.sha256(canonical_json(hashes).encode()).hexdigest()

    @cached_property
    def starts(self) -> IntArray:
        """First row of every unit, and last the number of rows."""
        counts = [line.objects for line in self._lines]
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    @property
    def rows(self) -> int:
        """Number of objects, those without an embedding included."""
        return int(self.starts[-1])

    def blocks(self) -> Iterator[tuple[IntArray, FloatArray]]:
        """Row numbers and embeddings (M, D) of the objects that have one, unit by unit."""
        for place in range(len(self._lines)):
            table = self._read(place, ["embedding", "has_prediction"])
            known = table.column("has_prediction").to_numpy()
            numbers = self.starts[place] + np.flatnonzero(known)
            yield numbers, _matrix(table)[known]

    def take(self, rows: IntArray) -> tuple[pa.Table, FloatArray]:
        """Names and embeddings of some rows, in their order."""
        order = np.argsort(rows, kind="stable")
        places = np.searchsorted(self.starts, rows[order], side="right") - 1
        tables, matrices = [], []
        for place in np.unique(places).tolist():
            offsets = rows[order][places == place] - self.starts[place]
            table = self._read(place, [*NAMES, "embedding"]).take(pa.array(offsets))
            tables.append(table.select(NAMES))
            matrices.append(_matrix(table))
        back = np.argsort(order, kind="stable")
        return pa.concat_tables(tables).take(pa.array(back)), np.concatenate(matrices)[back]

    def find(self, name: str) -> int:
        """Row of an object by its id or its name in the survey.

        Raises
        ------
        DataError
            If there is none, or it has no embedding.
        """
        number = int(name) if name.lstrip("-").isdecimal() else None
        for place in range(len(self._lines)):
            table = self._read(place, ["object_id", "source_id", "has_prediction"])
            hit = pc.equal(table.column("source_id"), name)
            if number is not None and -(2**63) <= number < 2**63:
                hit = pc.or_(hit, pc.equal(table.column("object_id"), number))
            offsets = np.flatnonzero(hit.to_numpy())
            if not len(offsets):
                continue
            if not table.column("has_prediction")[int(offsets[0])].as_py():
                raise DataError(
                    f"{self.run.uri}: object {name} has no embedding, its flags say why; choose "
                    "another object, or give a file of its cutout"
                )
            return int(self.starts[place] + offsets[0])
        raise DataError(
            f"{self.run.uri}: has no object {name}; give its object_id, its name in the survey, "
            "or a file of a cutout"
        )

    def _read(self, place: int, columns: list[str]) -> pa.Table:
        uri = self.run.part(KIND, self._lines[place].unit)
        with storage.open_input(uri) as source:
            return pq.read_table(source, columns=columns)


def _matrix(table: pa.Table) -> FloatArray:
    column = table.column("embedding").combine_chunks()
    size = column.type.list_size
    values: FloatArray = pc.list_flatten(column).to_numpy(zero_copy_only=False)
    return values.reshape(-1, size)
