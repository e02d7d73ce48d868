"""A short look at a finished catalog."""

from dataclasses import dataclass
from typing import Any

from catalogtool.release._collection import Collection


@dataclass(frozen=True)
class CatalogSummary:
    """Properties and first rows of a catalog, as text."""

    properties: list[tuple[str, str]]
    column_names: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        rows = [dict(zip(self.column_names, row, strict=True)) for row in self.rows]
        return {"properties": dict(self.properties), "rows": rows}


def summarise(catalog_uri: str, rows: int = 5) -> CatalogSummary:
    """Properties of a HATS collection and its first rows in the order of the sky.

    Raises
    ------
    StorageError
        If there is no collection.
    """
    table = Collection.list(catalog_uri).primary
    properties, schema = table.properties, table.schema
    shown: list[tuple[str, ...]] = []
    for data in table.files:
        if len(shown) >= rows:
            break
        with table.open(data.path) as file:
            batch = next(file.iter_batches(batch_size=rows - len(shown)))
        shown += [tuple(_text(value) for value in row.values()) for row in batch.to_pylist()]
    return CatalogSummary(list(properties.items()), tuple(schema.names), shown)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)
