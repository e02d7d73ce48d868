"""Many small files as one stream: tar, gzipped or not, always the same bytes; or as a folder."""

import tarfile
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from isal import isal_zlib

from catalogtool import storage

_GZIP = 31  # window bits of zlib for a gzip container
_GZIP_LEVEL = 1  # most of a packet is compressed already
_ENDINGS = {".tar.gz": True, ".tgz": True, ".tar": False}


class Member(NamedTuple):
    """A file to be written."""

    name: str
    data: bytes


def write_members(members: Iterable[Member], uri: str) -> None:
    """Write files into an archive, or a folder where the URI has no ending of an archive.

    Parameters
    ----------
    members : iterable of Member
        Held in memory one at a time.
    uri : str
        ``*.tar.gz``, ``*.tgz``, ``*.tar``, or a folder; a path or s3://. An archive appears when
        it is whole.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    for ending, is_gzipped in _ENDINGS.items():
        if uri.endswith(ending):
            pieces = tar_of(members)
            storage.write_stream(uri, gzipped(pieces) if is_gzipped else pieces)
            return
    for member in members:
        storage.write_bytes(storage.join(uri, member.name), member.data)


def tar_of(members: Iterable[Member]) -> Iterator[bytes]:
    """A tar archive piece by piece; owners and times are left out."""
    for member in members:
        info = tarfile.TarInfo(member.name)
        info.size = len(member.data)
        yield info.tobuf(tarfile.USTAR_FORMAT)
        yield member.data
        yield bytes(-info.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def gzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A gzip stream piece by piece, without the time."""
    compressor = isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP)
    for piece in pieces:
        if packed := compressor.compress(piece):
            yield packed
    yield compressor.flush()
