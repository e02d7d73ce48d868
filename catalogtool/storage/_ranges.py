"""Files of a server in pieces: random access for pyarrow, and large ones over many connections."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

Fetch = Callable[[int, int], bytes]
"""Bytes of a file from a start (int) and of a length (int); raises StorageError."""

PIECE_BYTES = 8 << 20
_PIECES_AT_ONCE = 8
_AHEAD_BYTES = 1 << 20


def fetch_pieces(fetch: Fetch, start: int, length: int) -> bytes:
    """Part of a file, in several requests at once where it is large."""
    if length <= 2 * PIECE_BYTES:
        return fetch(start, length)
    starts = range(start, start + length, PIECE_BYTES)
    with ThreadPoolExecutor(_PIECES_AT_ONCE) as pool:
        return b"".join(pool.map(lambda s: fetch(s, min(PIECE_BYTES, start + length - s)), starts))


class RangeReader:
    """A file of a server as a Python file that can seek.

    Parameters
    ----------
    fetch : Fetch
        Gets parts.
    size : int
        Size of the file, bytes.
    tail : bytes
        Its last bytes, where known: Parquet keeps there what is read first.
    """

    def __init__(self, fetch: Fetch, size: int, tail: bytes = b"") -> None:
        self._fetch = fetch
        self._size = size
        self._at = 0
        self._held = tail
        self._held_from = size - len(tail)
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        """Read from the place in the file, which moves on."""
        left = max(0, self._size - self._at)
        length = left if size < 0 else min(size, left)
        offset = self._at - self._held_from
        if not 0 <= offset <= offset + length <= len(self._held):
            ahead = max(length, min(_AHEAD_BYTES, left))
            self._held, self._held_from = fetch_pieces(self._fetch, self._at, ahead), self._at
            offset = 0
        self._at += length
        return self._held[offset : offset + length]

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move the place in the file."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        """Place in the file."""
        return self._at

    def seekable(self) -> bool:
        """Always."""
        return True

    def readable(self) -> bool:
        """Always."""
        return True

    def close(self) -> None:
        """Forget what is held."""
        self._held = b""
        self.closed = True
