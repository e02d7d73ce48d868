"""One table in one file: Parquet, FITS, VOTable or CSV, with units and UCDs where there is room."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from catalogtool.errors import ConfigError
from catalogtool.release._collection import fields

TableFormat = Literal["parquet", "fits", "votable", "csv"]
SUFFIXES: dict[str, str] = {
    "parquet": ".parquet",
    "fits": ".fits",
    "votable": ".vot",
    "csv": ".csv",
}

Tables = Iterator[pa.Table]


def write_table(path: Path, form: TableFormat, schema: pa.Schema, tables: Tables) -> int:
    """Write tables as one file and return the rows.

    Parquet and CSV are written piece by piece; FITS and VOTable need all rows in memory.

    Parameters
    ----------
    path : Path
        The file, which appears when it is whole.
    form : str
        Its format.
    schema : pa.Schema
        Of all tables, with VOParquet metadata.
    tables : iterator of pa.Table
        The rows.

    Raises
    ------
    ConfigError
        If the format cannot hold the columns.
    """
    scratch = path.with_name(f".partial-{path.name}")
    scratch.unlink(missing_ok=True)
    rows = _WRITERS[form](scratch, schema, tables)
    scratch.replace(path)
    return rows


def _write_parquet(path: Path, schema: pa.Schema, tables: Tables) -> int:
    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table.cast(schema))
            rows += table.num_rows
    return rows


def _write_csv(path: Path, schema: pa.Schema, tables: Tables) -> int:
    lists = [column.name for column in schema if pa.types.is_nested(column.type)]
    if lists:
        raise ConfigError(
            f"CSV cannot hold the column {lists[0]}, which has several numbers per row; choose "
            "another --format or leave it out with --columns"
        )
    rows = 0
    with pyarrow.csv.CSVWriter(path, schema) as writer:
        for table in tables:
            writer.write_table(table.cast(schema))
            rows += table.num_rows
    return rows


def _write_fits(path: Path, schema: pa.Schema, tables: Tables) -> int:
    from astropy.io import fits

    table = _to_astropy(schema, tables)
    for name in table.colnames:
        if table[name].dtype.kind == "U":
            # FITS texts are ASCII; other letters are kept as \\xe9 and the like.
            table[name] = np.char.encode(table[name], "ascii", "backslashreplace")
    hdu = fits.table_to_hdu(table)
    for number, field in enumerate(fields(schema), start=1):
        hdu.header[f"TUCD{number}"] = field.ucd
        hdu.header[f"TCOMM{number}"] = _ascii(field.description)
    hdu.writeto(path, overwrite=True)
    return len(table)


def _ascii(text: str | None) -> str:
    return (text or "").encode("ascii", "backslashreplace").decode()


def _write_votable(path: Path, schema: pa.Schema, tables: Tables) -> int:
    from astropy.io import votable

    table = _to_astropy(schema, tables)
    document = votable.from_table(table)
    written = document.get_first_table()
    for target, field in zip(written.fields, fields(schema), strict=True):
        target.ucd = field.ucd
    document.to_xml(str(path), tabledata_format="binary2")
    return len(table)


def _to_astropy(schema: pa.Schema, tables: Tables) -> Any:  # noqa: ANN401 - an astropy Table
    from astropy.table import Column, Table

    rows = pa.concat_tables([schema.empty_table(), *(table.cast(schema) for table in tables)])
    columns = [
        Column(
            _to_numpy(rows.column(field.name).combine_chunks()),
            name=field.name,
            unit=field.unit,
            description=str(field.description or ""),
        )
        for field in fields(schema)
    ]
    return Table(columns, copy=False)


def _to_numpy(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[Any]:
    """Values with NaN for absent ones, shape (N,) or (N, length)."""
    if isinstance(column, pa.ChunkedArray):  # combine_chunks of more than 2 GB, or of nothing
        column = pa.concat_arrays(column.chunks)
    if pa.types.is_fixed_size_list(column.type):
        flat: npt.NDArray[Any] = column.flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(len(column), column.type.list_size)
    values: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values.astype("U") if pa.types.is_string(column.type) else values


_WRITERS: dict[str, Callable[[Path, pa.Schema, Tables], int]] = {
    "parquet": _write_parquet,
    "fits": _write_fits,
    "votable": _write_votable,
    "csv": _write_csv,
}
