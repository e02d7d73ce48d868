"""Schemas of packets: made parsable, checked, and cut down to what a reader asks for."""

import io
import json
from collections.abc import Mapping
from typing import Any

import fastavro

from catalogtool.inputs._alerts.byte_source import DamagedError

Schema = dict[str, Any]
Record = dict[str, Any]
Fields = Mapping[str, frozenset[str] | None]
"""Wanted fields of a packet; of records in it, which of their fields, or None for all."""

_LARGEST_SCHEMA_BYTES = 1 << 20
_MOST_TYPES = 20_000
_UNUSED = ("default", "logicalType", "order")
"""Defaults are for schemas that differ, and some surveys give ones that do not fit the type."""
_LEAST_BYTES = {"null": 0, "float": 4, "double": 8}


def load_schema(text: bytes) -> Schema:
    """Schema of a packet from its JSON, without what keeps surveys' schemas from being parsed.

    Raises
    ------
    DamagedError
        If it is no schema of a record, or one whose values may be endless.
    """
    if len(text) > _LARGEST_SCHEMA_BYTES:
        raise DamagedError("the schema is larger than any packet's")
    try:
        schema = _without_unused(json.loads(text))
        _Weigher().least_bytes(parse(schema))
        names = [field["name"] for field in schema["fields"]]
    # Mutated JSON has every shape.
    except Exception as error:
        raise DamagedError(f"no schema of packets: {error}") from error
    if schema.get("type") != "record" or len(set(names)) != len(names):
        raise DamagedError("not the schema of a record")
    return dict(schema)


def parse(schema: Schema) -> Schema:
    """Schema as fastavro reads with it."""
    parsed: Any = fastavro.parse_schema(schema)
    return dict(parsed)


def parse_or_none(schema: Schema) -> Schema | None:
    """As `parse`; None where a named type went with a field that nobody wanted."""
    try:
        return parse(schema)
    except Exception:  # noqa: BLE001 - fastavro raises several kinds
        return None


def decode(
    body: bytes, at: int, writer: Schema, reader: Schema | None = None
) -> tuple[Record, int]:
    """Read a record.

    Returns
    -------
    tuple
        The record, and where it ends.

    Raises
    ------
    DamagedError
        If the bytes do not hold one.
    """
    stream = io.BytesIO(body)
    stream.seek(at)
    try:
        record: Any = fastavro.schemaless_reader(stream, writer, reader)
    # Damaged bytes are met with nearly every kind of exception.
    except Exception as error:
        raise DamagedError(f"{type(error).__name__}: {error}") from error
    return record, stream.tell()


def _without_unused(part: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(part, list):
        return [_without_unused(one) for one in part]
    if isinstance(part, dict):
        return {key: _without_unused(one) for key, one in part.items() if key not in _UNUSED}
    return part


class _Weigher:
    """Adds up how small values may be; a list of things of no size could be without end."""

    def __init__(self) -> None:
        self._named: dict[str, Any] = {}
        self._types = 0

    def least_bytes(self, schema: Any) -> int:  # noqa: ANN401 - JSON
        """Bytes that a value takes at least.

        Raises
        ------
        DamagedError
            If it may hold itself, or lists of things of no size.
        """
        self._types += 1
        if self._types > _MOST_TYPES:
            raise DamagedError("the schema is endless")
        if isinstance(schema, list):
            return 1 + min(self.least_bytes(one) for one in schema)
        if isinstance(schema, str):
            known = self._named.get(schema)
            return _LEAST_BYTES.get(schema, 1) if known is None else self.least_bytes(known)
        kind = schema["type"]
        if kind in {"record", "error"}:
            self._named[schema["name"]] = schema
            return sum(self.least_bytes(field["type"]) for field in schema["fields"])
        if kind in {"array", "map"}:
            if self.least_bytes(schema["items" if kind == "array" else "values"]) == 0:
                raise DamagedError("the schema lists things of no size")
            return 1
        if kind in {"fixed", "enum"}:
            self._named[schema["name"]] = "int"
            return 1
        return self.least_bytes(kind)


def type_of(schema: Schema, index: int) -> Any:  # noqa: ANN401 - JSON
    """Type of a record's field."""
    return schema["fields"][index]["type"]


def record_of(kind: Any) -> Schema | None:  # noqa: ANN401 - JSON
    """The record that a field holds, or may hold beside null."""
    for one in kind if isinstance(kind, list) else [kind]:
        if isinstance(one, dict) and one.get("type") == "record":
            return one
    return None


def is_list(kind: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether a field may hold many things, which are long to skip."""
    kinds = kind if isinstance(kind, list) else [kind]
    return any(isinstance(one, dict) and one.get("type") in {"array", "map"} for one in kinds)


def part_of(schema: Schema, start: int, stop: int, wanted: Fields) -> Schema:
    """Some consecutive fields of a record, the last of them cut after what is wanted of it."""
    fields = list(schema["fields"][start:stop])
    names = wanted.get(fields[-1]["name"])
    if names is not None:
        fields[-1] = {**fields[-1], "type": _cut(fields[-1]["type"], names)}
    return {**schema, "fields": fields}


def _cut(kind: Any, names: frozenset[str]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(kind, list):
        return [_cut(one, names) for one in kind]
    if isinstance(kind, dict) and kind.get("type") == "record":
        found = [i for i, field in enumerate(kind["fields"]) if field["name"] in names]
        return {**kind, "fields": kind["fields"][: found[-1] + 1 if found else 0]}
    return kind


def projected(schema: Schema, wanted: Fields) -> Schema:
    """A record's wanted fields alone, to resolve whole packets with."""
    fields = [
        {**field, "type": _filtered(field["type"], wanted[field["name"]])}
        for field in schema["fields"]
        if field["name"] in wanted
    ]
    return {**schema, "fields": fields}


def _filtered(kind: Any, names: frozenset[str] | None) -> Any:  # noqa: ANN401 - JSON
    if names is None:
        return kind
    if isinstance(kind, list):
        return [_filtered(one, names) for one in kind]
    if isinstance(kind, dict) and kind.get("type") == "record":
        return {**kind, "fields": [f for f in kind["fields"] if f["name"] in names]}
    if isinstance(kind, dict) and kind.get("type") == "array":
        return {**kind, "items": _filtered(kind["items"], names)}
    return kind
