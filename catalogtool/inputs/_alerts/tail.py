"""Cutouts at the end of a packet, found without reading what stands before them.

They are looked for by the first bytes of a FITS file, and taken if what is read from there ends
exactly where the packet does.
"""

from collections.abc import Iterator
from typing import Any

from catalogtool.inputs._alerts.byte_source import DamagedError
from catalogtool.inputs._alerts.schema import (
    Record,
    Schema,
    decode,
    parse_or_none,
    record_of,
    type_of,
)

_SIGNATURES = (b"\x1f\x8b\x08", b"SIMPLE  =")
_TRIES = 4
_LENGTH_BYTES = 4
_LONGEST_NAME = 255
_ONE_BYTE = 64
"""Lengths from here on take two bytes."""
_LAST_BYTES = bytes(2 * n if n < _ONE_BYTE else n >> 6 for n in range(_LONGEST_NAME))
"""The last byte of each length."""
_INDICES = b"\0\x02"
"""What stands before a value that may be null."""


class Tail:
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
        self._likely = 0
        """Length of the name that was found last: those of one survey are alike."""

    @classmethod
    def of(cls, schema: Schema) -> "Tail | None":
        """None if the first field is neither bytes nor a name and bytes."""
        parsed = parse_or_none(schema)
        if parsed is None:
            return None
        kind = type_of(schema, 0)
        record = record_of(kind)
        if record is None:
            whole, nullable = _simple(kind)
            return cls(parsed, outer=False, name=None, data=nullable) if whole == "bytes" else None
        holds = [_simple(field["type"]) for field in record["fields"]]
        if [kind for kind, _ in holds] != ["string", "bytes"]:
            return None
        (_, name), (_, data) = holds
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
                    # Something follows: these are not the last cutouts, and maybe not the right.
                    return record if end == len(body) else None
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
        for length in (self._likely, *range(_LONGEST_NAME)):
            size = 1 if length < _ONE_BYTE else 2
            begin = end - length - size - markers
            if begin < start or body[end - length - 1] != _LAST_BYTES[length]:
                continue
            written = body[begin + markers : end - length]
            if _varint(written) == length and all(
                b in _INDICES for b in body[begin : begin + markers]
            ):
                self._likely = length
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
