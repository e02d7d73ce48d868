"""Packets by their file and place: a place in a file that moves forward, file after file."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence

from catalogtool import storage
from catalogtool.errors import StorageError
from catalogtool.flags import Flag
from catalogtool.inputs._alerts.layout import PacketFields, Purpose
from catalogtool.inputs._alerts.packets import PACKET_ENDING, AnyPacket, packets_of
from catalogtool.inputs._planes import storage_flag

_FILES_AT_ONCE = 64
"""Bounds the memory of a read: so many files are held at a time."""

_lock = threading.Lock()
_open: dict[Purpose, "_Cursor"] = {}
"""The file that this process read last; units are consecutive, so the next read continues. Each
purpose has a place of its own: pixels and light curves of the same packets are read in turn."""


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
        file = (uri, storage.file_info(uri).identity)
    except StorageError as error:
        flag = storage_flag(error)
        yield from ((index, flag) for index, _ in wanted)
        return
    for index, ordinal in wanted:
        with _lock:
            found = _packet(file, ordinal, fields, purpose)
        yield index, found


def _packet(
    file: tuple[str, str], ordinal: int, fields: PacketFields, purpose: Purpose
) -> AnyPacket | Flag:
    cursor = _open.get(purpose)
    if cursor is None or not cursor.leads_to(file, ordinal, fields):
        cursor = _open[purpose] = _Cursor(file, fields, purpose)
    try:
        return cursor.packet(ordinal)
    except StorageError as error:
        del _open[purpose]  # its place in the file is lost
        return storage_flag(error)


class _Cursor:
    """A place in a file or archive that moves forward."""

    def __init__(self, file: tuple[str, str], fields: PacketFields, purpose: Purpose) -> None:
        self._packets = packets_of(file[0], storage.read_stream(file[0]), fields, purpose)
        self._file = file
        self._fields = fields
        self._last: AnyPacket | Flag = Flag.MISSING_FILE
        self._ordinal = -1

    def leads_to(self, file: tuple[str, str], ordinal: int, fields: PacketFields) -> bool:
        """Whether a packet is here or lies ahead."""
        return file == self._file and fields is self._fields and self._ordinal <= ordinal

    def packet(self, ordinal: int) -> AnyPacket | Flag:
        """A packet from here on; a flag where the file ends before."""
        while self._ordinal < ordinal:
            packet = next(self._packets, None)
            if packet is None:
                return Flag.MISSING_FILE
            self._ordinal, self._last = packet
        return self._last
