"""Alerts in Parquet tables, as brokers hand them on: a row per packet, a column per field."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from catalogtool import storage
from catalogtool.inputs._alerts.byte_source import DamagedError
from catalogtool.inputs._alerts.layout import PacketFields, Purpose
from catalogtool.inputs._alerts.schema import Record

_BATCH_ROWS = 64
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class TablePacket:
    """A row of a table, taken out of it when it is asked for."""

    batch: pa.RecordBatch | None
    """None: it cannot be read."""
    row: int
    main: str

    documents: ClassVar[dict[str, str]] = {}
    digest: ClassVar[str] = ""

    @property
    def readable(self) -> bool:
        """Whether this is a packet at all."""
        return self.batch is not None

    def read(self, purpose: Purpose) -> Record:  # noqa: ARG002 - the batch holds what is asked for
        """The row's columns; those of the detection may stand beside the others.

        Raises
        ------
        DamagedError
            If it cannot be read.
        """
        if self.batch is None:
            raise DamagedError("no table of packets")
        record: Record = self.batch.slice(self.row, 1).to_pylist()[0]
        return record if self.main in record else record | {self.main: record}


def table_packets(uri: str, fields: PacketFields, purpose: Purpose) -> Iterator[TablePacket]:
    """Yield the rows of a table; something unreadable stands for what is damaged."""
    try:
        with storage.open_input(uri) as stream:
            file = pq.ParquetFile(stream, pre_buffer=False, buffer_size=_BUFFER_BYTES)
            columns = _columns(file.schema_arrow.names, fields, purpose)
            for batch in file.iter_batches(_BATCH_ROWS, columns=columns):
                for row in range(batch.num_rows):
                    yield TablePacket(batch, row, fields.main)
    except (pa.ArrowException, OSError, DamagedError):
        yield TablePacket(None, 0, fields.main)


def _columns(found: list[str], fields: PacketFields, purpose: Purpose) -> list[str]:
    wanted = fields.wanted[purpose]
    if not set(found) & fields.cutouts:
        raise DamagedError("a table without cutouts")
    flat = fields.main not in found
    inner = wanted.get(fields.main) or frozenset() if flat else frozenset()
    if flat and not set(found) & set(wanted) - fields.cutouts:
        raise DamagedError("a table of something else")
    return [name for name in found if name in wanted or name in inner]
