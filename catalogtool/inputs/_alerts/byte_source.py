"""Bytes that arrive in pieces, taken in the sizes that a reader asks for."""

from collections.abc import Iterable, Iterator
from typing import cast

from isal import isal_zlib

InflateError = cast("type[Exception]", isal_zlib.error)
"""What isal says to damaged bytes; its type stubs take the class for an instance."""

_COMPRESSED_BYTES = 1 << 16
"""What is inflated at once: damage costs at most what so many bytes hold."""
_PIECE_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"


class DamagedError(Exception):
    """Bytes are not what they should be. Never leaves `catalogtool.inputs`."""


class ByteSource:
    """A stream that is read forward, with a look ahead.

    Parameters
    ----------
    pieces : iterable of bytes
        The content, in order.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._data = b""
        self._at = 0

    def peek(self, count: int) -> bytes:
        """The next bytes, which stay; fewer only at the end."""
        self._fill(count)
        return self._data[self._at : self._at + count]

    def take(self, count: int) -> bytes:
        """The next bytes; fewer only at the end."""
        data = self.peek(count)
        self._at += len(data)
        return data

    def give_back(self, data: bytes) -> None:
        """Put bytes before those that come next."""
        self._data = data + self._data[self._at :]
        self._at = 0

    def skip(self, count: int) -> None:
        """Pass over bytes, or to the end."""
        while count > 0 and (passed := len(self.take(min(count, _PIECE_BYTES)))):
            count -= passed

    def skip_past(self, marker: bytes) -> bool:
        """Pass over everything up to a marker and the marker itself; False if there is none."""
        while len(data := self.peek(_PIECE_BYTES)) >= len(marker):
            found = data.find(marker)
            if found >= 0:
                self.skip(found + len(marker))
                return True
            self.skip(len(data) - len(marker) + 1)
        return False

    def _fill(self, count: int) -> None:
        have = len(self._data) - self._at
        if have >= count:
            return
        parts = [self._data[self._at :]]
        while have < count and (piece := next(self._pieces, None)) is not None:
            parts.append(piece)
            have += len(piece)
        self._data, self._at = b"".join(parts), 0


def gunzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Inflate a gzip file as it arrives, a bounded piece at a time.

    It ends where the file is damaged or cut off: whoever reads the content knows where that should
    end.
    """
    decoder = None
    for piece in pieces:
        for start in range(0, len(piece), _COMPRESSED_BYTES):
            rest = piece[start : start + _COMPRESSED_BYTES]
            while rest:
                if decoder is None and not rest.startswith(_GZIP_MAGIC[: len(rest)]):
                    return
                decoder = decoder or isal_zlib.decompressobj(wbits=31)  # 31: with a gzip header
                try:
                    inflated = decoder.decompress(rest, _PIECE_BYTES)
                except InflateError:
                    return
                rest = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
                decoder = None if decoder.eof else decoder
                yield inflated
