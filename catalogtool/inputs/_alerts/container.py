"""Packets of one file: an Avro container, or a bare message of a Kafka stream."""

import hashlib
import zlib
from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple

import cramjam
from isal import isal_zlib

from catalogtool.inputs._alerts.byte_source import ByteSource, DamagedError
from catalogtool.inputs._alerts.layout import Layout, PacketFields, Purpose, layout_of
from catalogtool.inputs._alerts.schema import Record

_MAGIC = b"Obj\x01"
_SYNC_BYTES = 16
_USUAL_HEADER_BYTES = 1 << 16
_LARGEST_HEADER_BYTES = 1 << 21
LARGEST_BLOCK_BYTES = 1 << 27
_LEAST_PACKET_BYTES = 8
_LONG_BYTES = 10
_FRAME = b"\0"
_FRAME_BYTES = 5
_KNOWN_HEADERS = 8

SchemaOfId = Callable[[int], bytes | None]
"""Schema that a message names by its number; None if nobody knows it."""


class FoundPacket(NamedTuple):
    """A packet's own bytes, or those of something that is none."""

    layout: Layout | None
    """None: it cannot be read."""
    body: bytes

    @property
    def readable(self) -> bool:
        """Whether this is a packet at all."""
        return self.layout is not None

    @property
    def documents(self) -> dict[str, str]:
        """What the schema says of the fields of the detection."""
        return self.layout.documents if self.layout else {}

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes."""
        return hashlib.sha256(self.body).hexdigest()

    def read(self, purpose: Purpose) -> Record:
        """What is asked for, field by field.

        Raises
        ------
        DamagedError
            If it cannot be read.
        """
        if self.layout is None:
            raise DamagedError("no packet")
        return self.layout.read(self.body, purpose)


class _Header(NamedTuple):
    text: bytes
    """Everything before the mark between blocks."""
    layout: Layout
    codec: str


_known: tuple[_Header, ...] = ()
"""Headers that this process met last: files of one stream have the same, some 10 kB of schema."""


def packets_in(
    source: ByteSource, fields: PacketFields, schema_of: SchemaOfId
) -> Iterator[FoundPacket]:
    """Yield the packets of a file, in order, and what cannot be read in the place of packets.

    Parameters
    ----------
    source : ByteSource
        The file: a container (any number of packets), or one message: a zero byte, four bytes of
        schema number (big-endian), and the packet.
    fields : PacketFields
        What is asked for.
    schema_of : callable
        Where messages' schemas are found.
    """
    if source.peek(1) == _FRAME:
        yield _message(source.take(LARGEST_BLOCK_BYTES), fields, schema_of)
        return
    try:
        header = _read_header(source, fields)
    except DamagedError:
        yield FoundPacket(None, source.take(LARGEST_BLOCK_BYTES))
        return
    mark = source.take(_SYNC_BYTES)
    if len(mark) < _SYNC_BYTES:
        yield FoundPacket(None, header.text + mark)
    going = True
    while going and source.peek(1):
        going = yield from _block(source, header, mark)


def _message(data: bytes, fields: PacketFields, schema_of: SchemaOfId) -> FoundPacket:
    text = schema_of(int.from_bytes(data[1:_FRAME_BYTES], "big"))
    try:
        return FoundPacket(layout_of(text, fields) if text else None, data[_FRAME_BYTES:])
    except DamagedError:
        return FoundPacket(None, data)


def _block(source: ByteSource, header: _Header, mark: bytes) -> Generator[FoundPacket, None, bool]:
    """Packets of the next block; of a damaged one, something unreadable for each that is lost.

    Returns whether another block can follow.
    """
    count, found, taken = 1, 0, b""
    try:
        count, size = _take_count_and_size(source)
        taken = source.take(size + _SYNC_BYTES)
        block = _content(taken, size, mark, header.codec)
        for body in header.layout.bodies(block, count):
            yield FoundPacket(header.layout, body)
            found += 1
    except DamagedError:
        lost = count - found
        for _ in range(lost if lost * _LEAST_PACKET_BYTES <= len(taken) else 1):
            yield FoundPacket(None, taken)
        if not taken.endswith(mark):
            source.give_back(taken)
            return source.skip_past(mark)
    return True


def _take_count_and_size(source: ByteSource) -> tuple[int, int]:
    count, size = _take_long(source), _take_long(source)
    if not (0 < count <= size <= LARGEST_BLOCK_BYTES or count == size == 0):
        raise DamagedError("a block of impossible size")
    return count, size


def _content(taken: bytes, size: int, mark: bytes, codec: str) -> bytes:
    if taken[size:] != mark:
        raise DamagedError("a block ends elsewhere than it should")
    return _inflated(taken[:size], codec)


def _inflated(data: bytes, codec: str) -> bytes:
    try:
        if codec == "null":
            return data
        if codec == "deflate":
            decoder = isal_zlib.decompressobj(wbits=-15)  # no header
            inflated: bytes = decoder.decompress(data, LARGEST_BLOCK_BYTES)
            if decoder.eof:
                return inflated
        elif codec == "snappy" and len(data) > 4:
            return _unsnapped(data[:-4], int.from_bytes(data[-4:], "big"))
    # Two decompressors meet damaged bytes with exceptions of their own.
    except Exception as error:
        raise DamagedError(f"a damaged block: {error}") from error
    raise DamagedError(f"a block that is damaged, or in an unknown codec: {codec}")


def _unsnapped(data: bytes, checksum: int) -> bytes:
    size, _ = _long_at(data, 0, signed=False)
    if size > LARGEST_BLOCK_BYTES:
        raise DamagedError("a block without end")
    block = bytes(cramjam.snappy.decompress_raw(data))
    if zlib.crc32(block) != checksum:
        raise DamagedError("a block with a wrong checksum")
    return block


def _read_header(source: ByteSource, fields: PacketFields) -> _Header:
    start = source.peek(_USUAL_HEADER_BYTES)
    for header in _known:
        if header.layout.fields is fields and start.startswith(header.text):
            source.skip(len(header.text))
            return header
    if not start.startswith(_MAGIC):
        raise DamagedError("not an Avro container")
    try:
        meta, end = _metadata(start)
    except DamagedError:
        start = source.peek(_LARGEST_HEADER_BYTES)
        meta, end = _metadata(start)
    layout = layout_of(meta.get(b"avro.schema", b""), fields)
    codec = meta.get(b"avro.codec", b"null").decode(errors="replace")
    header = _Header(start[:end], layout, codec)
    _remember(header)
    source.skip(end)
    return header


def _remember(header: _Header) -> None:
    global _known  # noqa: PLW0603 - one memory per process, swapped whole
    _known = (header, *_known[: _KNOWN_HEADERS - 1])


def _metadata(data: bytes) -> tuple[dict[bytes, bytes], int]:
    """The map at the start of a container, and where it ends."""
    meta: dict[bytes, bytes] = {}
    count, at = _long_at(data, len(_MAGIC))
    while count:
        if count < 0:  # the size of the entries follows, for those who skip them
            count = -count
            _, at = _long_at(data, at)
        for _ in range(min(count, len(data))):
            key, at = _text_at(data, at)
            meta[key], at = _text_at(data, at)
        count, at = _long_at(data, at)
    return meta, at


def _text_at(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = _long_at(data, at)
    if not 0 <= size <= len(data) - at:
        raise DamagedError("a header that ends early")
    return data[at : at + size], at + size


def _take_long(source: ByteSource) -> int:
    start = source.peek(_LONG_BYTES)
    value, end = _long_at(start, 0)
    source.skip(end)
    return value


def _long_at(data: bytes, at: int, *, signed: bool = True) -> tuple[int, int]:
    """Number of variable length, and where it ends."""
    value = 0
    for place, byte in enumerate(data[at : at + _LONG_BYTES]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return ((value >> 1) ^ -(value & 1) if signed else value), at + place + 1
    raise DamagedError("a number without end")
