"""The list of inputs that a release carries: which files an object was read from."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from catalogtool import storage

_SCHEMA = pa.schema(
    [
        pa.field("object_id", pa.int64(), nullable=False),
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("files", pa.list_(pa.string()), nullable=False),  # names without their folders
        pa.field("row", pa.int64(), nullable=False),
        pa.field("identity", pa.string(), nullable=False),  # size, ETag or hash
    ]
)


def write_inputs(manifest_uri: str, path: Path) -> None:
    """Write the names and identities of a manifest's inputs, without labels and folders.

    Raises
    ------
    StorageError
        If the manifest cannot be read.
    """
    with (
        storage.open_input(manifest_uri) as source,
        pq.ParquetWriter(path, _SCHEMA, compression="zstd") as writer,
    ):
        file = pq.ParquetFile(source)
        columns = ["object_id", "source_id", "uris", "row", "identity"]
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, columns=columns)
            files = [[uri.rsplit("/", 1)[-1] for uri in uris] for uris in rows["uris"].to_pylist()]
            at = rows.schema.get_field_index("uris")
            rows = rows.set_column(at, "files", pa.array(files, pa.list_(pa.string())))
            writer.write_table(rows.cast(_SCHEMA))
