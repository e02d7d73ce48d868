"""Copies files between storages, several at once, and hashes the bytes as they pass."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from catalogtool import storage
from catalogtool.errors import ReleaseError, StorageError

_COPIES = 8
_TRIES = 4
"""How often a copy begins anew whose source or target breaks off in the middle."""
_WHOLE_BYTES = 8 << 20
"""Files up to this size are written with one request."""


@dataclass(frozen=True)
class Copy:
    """One file to copy.

    Attributes
    ----------
    source, target : str
        Where from and where to.
    sha256 : str or None
        What it must have; None where nobody knows yet.
    size_bytes : int
        How large the source is.
    is_there : bool
        Whether an earlier attempt left a target; it is reused if its hash fits.
    """

    source: str
    target: str
    sha256: str | None
    size_bytes: int
    is_there: bool


@dataclass(frozen=True)
class Copied:
    """What a copied file turned out to be; `reused` if an earlier attempt had written it."""

    size_bytes: int
    sha256: str
    reused: bool


def copy_all(copies: Sequence[Copy], done: Callable[[], None]) -> list[Copied]:
    """Copy files, eight at a time; the first failure ends it.

    Memory holds a few megabytes per file in flight.

    Parameters
    ----------
    copies : sequence of Copy
        The files.
    done : callable
        Called after each file, by several threads.

    Raises
    ------
    ReleaseError
        If a source has another hash than it must have; its copy does not appear.
    StorageError
        If one cannot be read or written.
    """

    def copied(copy: Copy) -> Copied:
        result = _copy(copy)
        done()
        return result

    pool = ThreadPoolExecutor(_COPIES)
    try:
        return list(pool.map(copied, copies))
    finally:
        pool.shutdown(cancel_futures=True)


def _copy(copy: Copy) -> Copied:
    reusable = _reusable(copy)
    if reusable is not None:
        return reusable
    for _ in range(_TRIES - 1):
        try:
            return _copy_once(copy)
        except StorageError as error:
            if not error.context.get("transient"):
                raise
    return _copy_once(copy)


def _copy_once(copy: Copy) -> Copied:
    passing = _Passing(copy.source, copy.sha256)
    if copy.size_bytes <= _WHOLE_BYTES:
        storage.write_bytes(copy.target, b"".join(passing.pieces()))
    else:
        storage.write_stream(copy.target, passing.pieces())
    return Copied(passing.size_bytes, passing.sha256, reused=False)


def _reusable(copy: Copy) -> Copied | None:
    """The target if an earlier attempt left it whole."""
    if copy.sha256 is None or not copy.is_there:
        return None
    passing = _Passing(copy.target, copy.sha256)
    try:
        for _ in passing.pieces():
            pass
    except (ReleaseError, StorageError):
        return None
    return Copied(passing.size_bytes, passing.sha256, reused=True)


class _Passing:
    """Reads a file once and hashes what passes."""

    def __init__(self, uri: str, expected: str | None) -> None:
        self._uri = uri
        self._expected = expected
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def pieces(self) -> Iterator[bytes]:
        """The file; raises before its end if it is not what it must be."""
        for piece in storage.read_stream(self._uri):
            self._digest.update(piece)
            self.size_bytes += len(piece)
            yield piece
        if self._expected not in (None, self.sha256):
            raise ReleaseError(
                f"{self._uri}: is not what it was when the catalog was verified; produce it again"
            )
