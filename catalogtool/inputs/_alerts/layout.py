"""How packets of one schema are read: no more of them than is asked for.

Avro has no table of contents: what stands behind a list of previous detections is found only by
passing over that list, field by field. Cutouts stand behind it in most surveys, where they are
looked for from the end; where that fails, the packet is read in order.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from catalogtool.inputs._alerts.byte_source import DamagedError
from catalogtool.inputs._alerts.schema import (
    Fields,
    Record,
    Schema,
    decode,
    is_list,
    load_schema,
    parse,
    parse_or_none,
    part_of,
    projected,
    record_of,
    type_of,
)
from catalogtool.inputs._alerts.tail import Tail

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
        self.fields = fields
        try:
            names = [field["name"] for field in self.schema["fields"]]
            main = record_of(type_of(self.schema, names.index(fields.main)))
            inner: Sequence[Schema] = main["fields"] if main else ()
            self.documents = {field["name"]: str(field.get("doc", "")) for field in inner}
            self._whole = parse(self.schema)
            self._ends = parse(projected(self.schema, {names[0]: None}))
            self._plans = {
                purpose: _Plan(self.schema, wanted, fields.cutouts)
                for purpose, wanted in fields.wanted.items()
            }
        # What is left of a mutated schema may lack any part, and names may be defined nowhere.
        except Exception as error:
            raise DamagedError(f"no schema of packets with a {fields.main}: {error}") from error
        if not self.documents:
            raise DamagedError(f"packets have no record {fields.main}")

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
        lists = [i for i in range(last) if names[i] not in wanted and is_list(type_of(schema, i))]
        before = [index for index in found if not lists or index < lists[0]]
        after = found[len(before) :]
        self._writer = parse(part_of(schema, 0, last + 1, wanted))
        self._reader = parse_or_none(projected(schema, wanted)) if lists else None
        self._head = self._tail = None
        if after and before and names[after[0]] in cutouts:
            self._head = parse(part_of(schema, 0, before[-1] + 1, wanted))
            self._tail = Tail.of({**schema, "fields": schema["fields"][after[0] :]})

    def read(self, body: bytes) -> Record:
        if self._head is not None and self._tail is not None:
            head, end = decode(body, 0, self._head)
            tail = self._tail.find(body, end)
            if tail is not None:
                return head | tail
        record, _ = decode(body, 0, self._writer, self._reader)
        return record
