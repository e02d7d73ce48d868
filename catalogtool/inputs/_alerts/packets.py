"""Packets of files and archives, numbered from the start, and a place in them that moves on."""

import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import NamedTuple, TypeVar

from catalogtool import storage
from catalogtool.errors import StorageError
from catalogtool.flags import Flag
from catalogtool.inputs._alerts.byte_source import ByteSource, gunzipped
from catalogtool.inputs._alerts.container import FoundPacket, SchemaOfId, packets_in
from catalogtool.inputs._alerts.layout import PacketFields, Purpose
from catalogtool.inputs._alerts.tables import TablePacket, table_packets
from catalogtool.inputs._alerts.tar import members
from catalogtool.inputs._names import TABLE_ENDINGS
from catalogtool.inputs._planes import storage_flag

PACKET_ENDING = ".avro"
ARCHIVE_ENDINGS = (".tar", ".tar.gz", ".tgz")
SCHEMA_ENDING = ".avsc"
_FILES_AT_ONCE = 64
_SMALL_BYTES = 4 << 20
_AHEAD = 2

T = TypeVar("T")

_lock = threading.Lock()
_open: dict[tuple[str, str, Purpose], "_Cursor"] = {}
"""The file that this process read last; units are consecutive, so the next read continues."""


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


def schemas_beside(uri: str) -> SchemaOfId:
    """Schemas of bare messages: files ``schema*.avsc`` in the folder of a file.

    One file serves all messages; of several, the one whose name ends in the message's number.
    """
    folder = uri.rpartition("/")[0]

    def schema_of(number: int) -> bytes | None:
        schemas = _schemas_in(folder)
        if len(schemas) == 1:
            return next(iter(schemas.values()))
        ending = f"{number}{SCHEMA_ENDING}"
        return next((text for name, text in schemas.items() if name.endswith(ending)), None)

    return schema_of


@lru_cache(maxsize=16)
def _schemas_in(folder: str) -> dict[str, bytes]:
    names = (info.uri for info in storage.list_files(folder))
    return {
        name: storage.read_bytes(name)
        for uri in names
        if uri.rpartition("/")[0] == folder
        and (name := uri).rsplit("/", 1)[1].startswith("schema")
        and uri.endswith(SCHEMA_ENDING)
    }


def read_packets(
    places: Sequence[tuple[str, int]], fields: PacketFields, purpose: Purpose
) -> Iterator[tuple[int, AnyPacket | Flag]]:
    """Find packets by their files and ordinals.

    Parameters
    ----------
    places : sequence of (str, int)
        Files or archives, and places in them; ascending ones avoid reading twice.
    fields : PacketFields
        What is asked for.
    purpose : str
        Key of what is asked for.

    Yields
    ------
    tuple
        Index of a place, and its packet; a flag stands for one that cannot be had.

    Raises
    ------
    StorageError
        If the storage cannot be reached.
    """
    uris = [uri for uri, _ in places]
    times = Counter(uris)
    alone = [
        index
        for index, (uri, ordinal) in enumerate(places)
        if ordinal == 0 and uri.lower().endswith(PACKET_ENDING) and times[uri] == 1
    ]
    yield from _read_files(alone, uris, fields, purpose)
    others = sorted(set(range(len(places))) - set(alone))
    for uri in dict.fromkeys(uris[index] for index in others):
        here = [(index, places[index][1]) for index in others if uris[index] == uri]
        yield from _read_on(uri, here, fields, purpose)


def _read_files(
    indices: Sequence[int], uris: Sequence[str], fields: PacketFields, purpose: Purpose
) -> Iterator[tuple[int, AnyPacket | Flag]]:
    """The first packets of files."""
    for start in range(0, len(indices), _FILES_AT_ONCE):
        chunk = indices[start : start + _FILES_AT_ONCE]
        contents = storage.read_many([uris[index] for index in chunk])
        for index, data in zip(chunk, contents, strict=True):
            if isinstance(data, StorageError):
                yield index, storage_flag(data)
            else:
                first = next(packets_of(uris[index], iter([data]), fields, purpose), None)
                yield index, Flag.MISSING_FILE if first is None else first.found


def _read_on(
    uri: str, wanted: Sequence[tuple[int, int]], fields: PacketFields, purpose: Purpose
) -> Iterator[tuple[int, AnyPacket | Flag]]:
    """Packets of one file, by index and ordinal."""
    try:
        key = (uri, storage.file_info(uri).identity, purpose)
    except StorageError as error:
        flag = storage_flag(error)
        yield from ((index, flag) for index, _ in wanted)
        return
    for index, ordinal in wanted:
        with _lock:
            yield index, _packet(key, ordinal, fields)


def _packet(key: tuple[str, str, Purpose], ordinal: int, fields: PacketFields) -> AnyPacket | Flag:
    if key not in _open or _open[key].fields is not fields or _open[key].ordinal > ordinal:
        _open.clear()
        _open[key] = _Cursor(key[0], fields, key[2])
    try:
        return _open[key].packet(ordinal)
    except StorageError as error:
        _open.clear()  # its place in the file is lost
        return storage_flag(error)


class _Cursor:
    """A place in a file or archive that moves forward."""

    def __init__(self, uri: str, fields: PacketFields, purpose: Purpose) -> None:
        self._packets = packets_of(uri, storage.read_stream(uri), fields, purpose)
        self.fields = fields
        self._last: AnyPacket | Flag = Flag.MISSING_FILE
        self.ordinal = -1

    def packet(self, ordinal: int) -> AnyPacket | Flag:
        """A packet from here on; a flag where the file ends before."""
        while self.ordinal < ordinal:
            packet = next(self._packets, None)
            if packet is None:
                return Flag.MISSING_FILE
            self.ordinal, self._last = packet
        return self._last


def list_packets(
    infos: Iterator[storage.FileInfo], fields: PacketFields
) -> Iterator[tuple[storage.FileInfo, Packet]]:
    """All packets of some files and archives, in order; many small files are read at once.

    Raises
    ------
    StorageError
        If a file cannot be read.
    """
    for group, contents in ahead(_contents(infos)):
        for info, pieces in zip(group, contents, strict=True):
            if isinstance(pieces, StorageError):
                raise pieces
            for packet in packets_of(info.uri, pieces, fields, "listing"):
                yield info, packet


def _contents(
    infos: Iterator[storage.FileInfo],
) -> Iterator[tuple[list[storage.FileInfo], list[Iterator[bytes] | StorageError]]]:
    for small, group in _groups(infos):
        if small:
            found = storage.read_many([info.uri for info in group])
            yield group, [one if isinstance(one, StorageError) else iter([one]) for one in found]
        else:
            yield group, [ahead(storage.read_stream(group[0].uri))]


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same, each made in a thread while those before are used."""
    with ThreadPoolExecutor(1, thread_name_prefix="alerts-ahead") as pool:
        waiting = deque(pool.submit(next, items, None) for _ in range(_AHEAD))
        while (item := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(next, items, None))
            yield item


def _groups(
    infos: Iterator[storage.FileInfo],
) -> Iterator[tuple[bool, list[storage.FileInfo]]]:
    """Small files together, large ones and archives alone."""
    pending: list[storage.FileInfo] = []
    for info in infos:
        small = info.uri.lower().endswith(PACKET_ENDING) and info.size_bytes <= _SMALL_BYTES
        if pending and (not small or len(pending) == _FILES_AT_ONCE):
            yield True, pending
            pending = []
        if small:
            pending.append(info)
        else:
            yield False, [info]
    if pending:
        yield True, pending
