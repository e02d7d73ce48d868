"""Members of a tar archive as they arrive; what is damaged is told and passed over."""

from collections.abc import Iterator
from typing import NamedTuple

from catalogtool.inputs._alerts.byte_source import ByteSource, DamagedError

_BLOCK_BYTES = 512
_END = bytes(_BLOCK_BYTES)
_LARGEST_MEMBER_BYTES = 1 << 28
_REGULAR = (b"0", b"\0", b"7")
_BASE_256 = 0x80
_LONG_NAME, _EXTENDED = b"L", b"x"


class Member(NamedTuple):
    """A file of an archive, or a damaged part of it."""

    name: str
    data: bytes
    """Content; of a damaged part, what there was of it."""
    whole: bool


class _Header(NamedTuple):
    name: str
    size_bytes: int
    kind: bytes


def members(source: ByteSource) -> Iterator[Member]:
    """Yield regular files in order.

    An archive ends with a block of zeros; one that ends otherwise is cut off, and its last member
    is not whole.
    """
    name = ""
    while (block := source.take(_BLOCK_BYTES)) != _END:
        try:
            header = _parse(block)
        except DamagedError:
            yield Member("", block, whole=False)
            if not _find_header(source):
                return
            continue
        wanted = min(header.size_bytes, _LARGEST_MEMBER_BYTES)
        data = source.take(wanted)
        if len(data) < wanted:
            yield Member(header.name, data, whole=False)
            return
        source.skip(header.size_bytes - wanted + -header.size_bytes % _BLOCK_BYTES)
        if header.kind == _LONG_NAME:
            name = data.rstrip(b"\0").decode(errors="replace")
        elif header.kind == _EXTENDED:
            name = _extended_name(data) or name
        else:
            if header.kind in _REGULAR:
                yield Member(name or header.name, data, whole=len(data) == header.size_bytes)
            name = ""


def _parse(block: bytes) -> _Header:
    if len(block) < _BLOCK_BYTES:
        raise DamagedError("the archive ends early")
    expected = sum(block) - sum(block[148:156]) + 8 * ord(" ")
    if _number(block[148:156]) != expected:
        raise DamagedError("the checksum of a member's header is wrong")
    name, prefix = (block[a:b].split(b"\0")[0] for a, b in ((0, 100), (345, 500)))
    ustar = block[257:262] == b"ustar" and block[262:263] == b"\0"
    whole = prefix + b"/" + name if prefix and ustar else name
    return _Header(whole.decode(errors="replace"), _number(block[124:136]), block[156:157])


def _number(field: bytes) -> int:
    if field[0] & _BASE_256:
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        raise DamagedError("a number of a member's header is none") from None


def _extended_name(data: bytes) -> str:
    """The path among the records ``length key=value`` of a pax header."""
    for line in data.split(b"\n"):
        key, separator, value = line.partition(b"=")
        if separator and key.endswith(b" path"):
            return value.decode(errors="replace")
    return ""


def _find_header(source: ByteSource) -> bool:
    """Go on to the next block that is a member's header, or the end of the archive."""
    while len(block := source.peek(_BLOCK_BYTES)) == _BLOCK_BYTES:
        try:
            if block != _END:
                _parse(block)
        except DamagedError:
            source.skip(_BLOCK_BYTES)
            continue
        return True
    return False
