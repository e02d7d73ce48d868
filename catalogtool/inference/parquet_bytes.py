"""Tables as Parquet files in memory, of which equal ones are equal byte for byte."""

import io

import pyarrow as pa
import pyarrow.parquet as pq


def parquet_bytes(table: pa.Table) -> bytes:
    """Parquet file of a table, in one row group."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", row_group_size=max(table.num_rows, 1))
    return buffer.getvalue()
