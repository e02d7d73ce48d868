"""Packets of files, archives and tables, numbered from the start."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from catalogtool import storage
from catalogtool.inputs._alerts.byte_source import ByteSource, gunzipped
from catalogtool.inputs._alerts.container import FoundPacket, SchemaOfId, packets_in
from catalogtool.inputs._alerts.layout import PacketFields, Purpose
from catalogtool.inputs._alerts.tables import TablePacket, table_packets
from catalogtool.inputs._alerts.tar import members
from catalogtool.inputs._names import TABLE_ENDINGS

PACKET_ENDING = ".avro"
ARCHIVE_ENDINGS = (".tar", ".tar.gz", ".tgz")
SCHEMA_ENDING = ".avsc"

AnyPacket = FoundPacket | TablePacket


class Packet(NamedTuple):
    """A packet, or something that is none, and its place."""

    ordinal: int
    found: AnyPacket


def packets_of(
    uri: str, pieces: Iterator[bytes], fields: PacketFields, purpose: Purpose
) -> Iterator[Packet]:
    """Number the packets of a file or an archive; a table is read by itself, without the pieces."""
    if uri.lower().endswith(TABLE_ENDINGS):
        return map(Packet._make, enumerate(table_packets(uri, fields, purpose)))
    return map(Packet._make, enumerate(_found(uri, pieces, fields)))


def _found(uri: str, pieces: Iterator[bytes], fields: PacketFields) -> Iterator[FoundPacket]:
    schema_of = schemas_beside(uri)
    lower = uri.lower()
    if not lower.endswith(ARCHIVE_ENDINGS):
        yield from packets_in(ByteSource(pieces), fields, schema_of)
        return
    archive = ByteSource(pieces if lower.endswith(".tar") else gunzipped(pieces))
    for member in members(archive):
        if not member.whole:
            yield FoundPacket(None, member.data)
        elif member.name.lower().endswith(PACKET_ENDING):
            yield from packets_in(ByteSource([member.data]), fields, schema_of)


def first_packet(data: bytes, fields: PacketFields) -> FoundPacket:
    """The first packet of a container in memory; something unreadable where there is none."""
    found = packets_in(ByteSource([data]), fields, lambda _: None)
    return next(found, FoundPacket(None, data))


def schemas_beside(uri: str) -> SchemaOfId:
    """Schemas of bare messages: files ``schema*.avsc`` in the folder of a file.

    One file serves all messages; of several, the one whose name ends in the message's number.
    """
    folder = uri.rpartition("/")[0]

    def schema_of(number: int) -> bytes | None:
        schemas = schemas_in(folder)
        if len(schemas) == 1:
            return next(iter(schemas.values()))
        ending = f"{number}{SCHEMA_ENDING}"
        return next((text for name, text in schemas.items() if name.endswith(ending)), None)

    return schema_of


@lru_cache(maxsize=16)
def schemas_in(folder: str) -> dict[str, bytes]:
    """Texts of the schemas in a folder by their address."""
    uris = (info.uri for info in storage.list_files(folder))
    here = (uri for uri in uris if uri.rpartition("/")[0] == folder)
    return {
        uri: storage.read_bytes(uri)
        for uri in here
        if uri.endswith(SCHEMA_ENDING) and uri.rpartition("/")[2].startswith("schema")
    }
