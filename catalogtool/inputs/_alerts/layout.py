"""How packets of one schema are read: no more of them than is asked for.

Avro has no table of contents: what stands behind a list of previous detections is found only by
passing over that list, field by field. Cutouts stand behind it in most surveys, and at the end of
the packet; so they are looked for by the first bytes of a FITS file, and taken if they end exactly
where the packet does. Where that fails, the packet is read in order.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import fastavro

from catalogtool.inputs._alerts.byte_source import DamagedError
from catalogtool.inputs._alerts.schema import (
    Fields,
    Schema,
    is_list,
    load_schema,
    parse,
    part_of,
    projected,
    record_of,
)

_SIGNATURES = (b"\x1f\x8b\x08", b"SIMPLE  =")
_TRIES = 4
_LENGTH_BYTES = 4
_LONGEST_NAME = 255
_ONE_BYTE = 64
"""Lengths from here on take two bytes."""
_INDICES = b"\0\x02"
"""What stands before a value that may be null."""

Record = dict[str, Any]
Purpose = Literal["listing", "reading", "history"]


@dataclass(frozen=True, eq=False)
class PacketFields:
    """What one kind of reader asks packets for; each is one of its kind."""

    survey: str
    """Whose packets they are, for errors."""
    wanted: Mapping[Purpose, Fields]
    cutouts: frozenset[str]
    """Fields that hold cutouts, in any survey."""
    main: str
    """The record that tells a packet of this kind: it holds the detection."""


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
        record = fastavro.schemaless_reader(stream, writer, reader)
    # Damaged bytes are met with nearly every kind of exception.
    except Exception as error:
        raise DamagedError(f"{type(error).__name__}: {error}") from error
    return record, stream.tell()


class Layout:
    """Ways to read the packets of one schema.

    Parameters
    ----------
    text : bytes
        The schema, as JSON.
    fields : PacketFields
        What is asked for.

    Attributes
    ----------
    documents : dict
        What the schema says of the fields of the main record.

    Raises
    ------
    DamagedError
        If it is no schema, or not one of such packets.
    """

    def __init__(self, text: bytes, fields: PacketFields) -> None:
        self.schema = load_schema(text)
        names = [field["name"] for field in self.schema["fields"]]
        main = next((f for f in self.schema["fields"] if f["name"] == fields.main), None)
        record = record_of(main["type"]) if main else None
        if record is None:
            raise DamagedError(f"packets have no record {fields.main}")
        self.fields = fields
        self.documents = {field["name"]: str(field.get("doc", "")) for field in record["fields"]}
        try:
            self._whole = parse(self.schema)
            self._ends = parse(projected(self.schema, {names[0]: None}))
            self._plans = {
                purpose: _Plan(self.schema, wanted, fields.cutouts)
                for purpose, wanted in fields.wanted.items()
            }
        # What is left of a mutated schema may have names that are defined nowhere.
        except Exception as error:
            raise DamagedError(f"a schema that cannot be cut: {error}") from error

    def read(self, body: bytes, purpose: Purpose) -> Record:
        """The fields that are asked for; DamagedError if they cannot be read."""
        return self._plans[purpose].read(body)

    def bodies(self, block: bytes, count: int) -> Iterator[bytes]:
        """Split a block of several records; DamagedError at the first that cannot be read."""
        if count == 1:
            yield block
            return
        at = 0
        for _ in range(count):
            _, end = decode(block, at, self._whole, self._ends)
            yield block[at:end]
            at = end


@lru_cache(maxsize=64)
def layout_of(text: bytes, fields: PacketFields) -> Layout:
    """`Layout` of a schema, made once per process."""
    return Layout(text, fields)


class _Plan:
    """The way to some fields of a packet."""

    def __init__(self, schema: Schema, wanted: Fields, cutouts: frozenset[str]) -> None:
        names = [field["name"] for field in schema["fields"]]
        found = [index for index, name in enumerate(names) if name in wanted]
        last = found[-1]
        lists = [i for i in range(last) if names[i] not in wanted and is_list(_type(schema, i))]
        before = [index for index in found if not lists or index < lists[0]]
        after = found[len(before) :]
        self._writer = parse(part_of(schema, 0, last + 1, wanted))
        self._reader = _parsed_or_none(projected(schema, wanted)) if lists else None
        self._head = self._tail = None
        if after and before and names[after[0]] in cutouts:
            self._head = parse(part_of(schema, 0, before[-1] + 1, wanted))
            self._tail = _Tail.of({**schema, "fields": schema["fields"][after[0] :]})

    def read(self, body: bytes) -> Record:
        if self._head is not None and self._tail is not None:
            head, end = decode(body, 0, self._head)
            tail = self._tail.find(body, end)
            if tail is not None:
                return head | tail
        record, _ = decode(body, 0, self._writer, self._reader)
        return record


def _type(schema: Schema, index: int) -> Any:  # noqa: ANN401 - JSON
    return schema["fields"][index]["type"]


def _parsed_or_none(schema: Schema) -> Schema | None:
    """None where a named type went with a field that nobody wanted: all is read then."""
    try:
        return parse(schema)
    except Exception:  # noqa: BLE001 - fastavro raises several kinds
        return None


class _Tail:
    """The last fields of a packet, from its first cutout on.

    Parameters
    ----------
    schema : dict
        Parsed schema of these fields.
    outer, name, data : bool or None
        Whether the first field, and the name and the bytes in it, may be null: a byte stands
        before those that may. `name` is None where the field is bytes alone.
    """

    def __init__(self, schema: Schema, *, outer: bool, name: bool | None, data: bool) -> None:
        self._schema = schema
        self._outer = outer
        self._name = name
        self._data = data

    @classmethod
    def of(cls, schema: Schema) -> "_Tail | None":
        """None if the first field is neither bytes nor a name and bytes."""
        parsed = _parsed_or_none(schema)
        if parsed is None:
            return None
        kind = _type(schema, 0)
        record = record_of(kind)
        if record is None:
            whole, nullable = _simple(kind)
            return cls(parsed, outer=False, name=None, data=nullable) if whole == "bytes" else None
        (first, name), (second, data) = (
            (_simple(field["type"]) for field in record["fields"])
            if len(record["fields"]) == 2
            else ((None, False), (None, False))
        )
        if (first, second) != ("string", "bytes"):
            return None
        return cls(parsed, outer=isinstance(kind, list), name=name, data=data)

    def find(self, body: bytes, start: int) -> Record | None:
        """The fields, if they are found behind `start` and end where the packet ends."""
        for signature in _SIGNATURES:
            at = start
            for _ in range(_TRIES):
                at = body.find(signature, at)
                if at < 0:
                    break
                for begin in self._begins(body, start, at):
                    try:
                        record, end = decode(body, begin, self._schema)
                    except DamagedError:
                        continue
                    if end == len(body):
                        return record
                at += 1
        return None

    def _begins(self, body: bytes, start: int, at: int) -> Iterator[int]:
        """Where the field may begin, whose bytes begin at `at`."""
        for size in range(_LENGTH_BYTES, 0, -1):
            if at - size < start or not 0 < _varint(body[at - size : at]) <= len(body) - at:
                continue
            end = at - size - self._data
            if self._data and body[end] not in _INDICES:
                continue
            if self._name is None:
                yield end
            else:
                yield from self._name_begins(body, start, end)

    def _name_begins(self, body: bytes, start: int, end: int) -> Iterator[int]:
        """Where the field may begin, whose name ends at `end`."""
        markers = bool(self._name) + self._outer
        for length in range(min(_LONGEST_NAME, end - start)):
            size = 1 if length < _ONE_BYTE else 2
            begin = end - length - size - markers
            if begin < start or _varint(body[begin + markers : end - length]) != length:
                continue
            if all(byte in _INDICES for byte in body[begin : begin + markers]):
                yield begin


def _simple(kind: Any) -> tuple[Any, bool]:  # noqa: ANN401 - JSON
    """Name of a type, and whether it may be null instead; the name is None for other unions."""
    nullable = isinstance(kind, list)
    kinds = [one for one in kind if one != "null"] if nullable else [kind]
    only = kinds[0] if len(kinds) == 1 else None
    return (only.get("type") if isinstance(only, dict) else only), nullable


def _varint(data: bytes) -> int:
    """Number that exactly these bytes are in Avro; -1 if they are none, or it is negative."""
    if not data or data[-1] & 0x80 or any(byte < 0x80 for byte in data[:-1]):
        return -1
    value = sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(data))
    return -1 if value & 1 else value >> 1
