"""All packets of an input, once, while what comes next is being read."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from catalogtool import storage
from catalogtool.errors import StorageError
from catalogtool.inputs._alerts.layout import PacketFields
from catalogtool.inputs._alerts.packets import PACKET_ENDING, Packet, packets_of, schemas_in

_FILES_AT_ONCE = 64
_SMALL_BYTES = 4 << 20
"""Larger files are not read whole."""
_AHEAD = 2

T = TypeVar("T")


def list_packets(
    infos: Iterator[storage.FileInfo], fields: PacketFields
) -> Iterator[tuple[storage.FileInfo, Packet]]:
    """All packets of some files and archives, in order; many small files are read at once.

    Raises
    ------
    StorageError
        If a file cannot be read.
    """
    schemas_in.cache_clear()  # there may be others since
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
