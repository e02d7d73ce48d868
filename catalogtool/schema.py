"""Columns as declared facts: name, type, unit, UCD and a sentence, from which files get theirs."""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

DType = Literal["int64", "int32", "int16", "int8", "float64", "float32", "bool", "string"]

_ARROW_TYPES: dict[str, pa.DataType] = {
    "int64": pa.int64(),
    "int32": pa.int32(),
    "int16": pa.int16(),
    "int8": pa.int8(),
    "float64": pa.float64(),
    "float32": pa.float32(),
    "bool": pa.bool_(),
    "string": pa.string(),
}


@dataclass(frozen=True)
class Column:
    """One column of a catalog.

    Only floating-point columns may hold nulls: readers turn nullable integers into floats, and
    several refuse null strings. An absent text is the empty string.
    """

    name: str
    dtype: DType
    description: str
    ucd: str
    """Word of the IVOA controlled vocabulary (UCD1+)."""
    unit: str = ""
    """VOUnit text; empty for a quantity without a unit."""
    length: int | None = None
    """Number of elements of a fixed-size list; None for a scalar."""
    width: int = 64
    """Longest text of a string column, in bytes; VOTable readers need it."""

    @property
    def nullable(self) -> bool:
        """Whether a row may lack this value."""
        return self.dtype.startswith("float")

    def to_arrow(self) -> pa.Field:
        """Arrow field with the column's type and nullability."""
        kind = _ARROW_TYPES[self.dtype]
        if self.length is not None:
            kind = pa.list_(kind, self.length)
        return pa.field(self.name, kind, nullable=self.nullable)


def arrow_schema(columns: tuple[Column, ...]) -> pa.Schema:
    """Arrow schema of the columns, in their order."""
    return pa.schema([column.to_arrow() for column in columns])
