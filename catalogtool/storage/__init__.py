"""Files and objects by URI: a path, ``file://``, ``s3://bucket/key``; ``https://`` to read.

Writes are whole: a reader sees the old content or the new one, never a part. ``create_bytes`` is
the commit: of several writers exactly one wins.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from catalogtool.errors import StorageError
from catalogtool.storage._http import HttpBackend
from catalogtool.storage._info import FileInfo
from catalogtool.storage._local import LocalBackend
from catalogtool.storage._local import scratch_folder as _local_scratch
from catalogtool.storage._s3 import S3Backend
from catalogtool.storage._settings import worker_environment

__all__ = [
    "FileInfo",
    "create_bytes",
    "delete",
    "exists",
    "file_info",
    "is_local",
    "join",
    "list_files",
    "normalise",
    "open_input",
    "read_bytes",
    "read_many",
    "read_range",
    "read_stream",
    "read_versioned",
    "replace_bytes",
    "scratch_folder",
    "upload_file",
    "worker_environment",
    "write_bytes",
    "write_stream",
]

_SCHEMES = "a path, file:// or s3://, and http:// or https:// to read"
_local = LocalBackend()
_http = HttpBackend()
_remote: dict[str, S3Backend | HttpBackend] = {"s3": S3Backend(), "http": _http, "https": _http}


def _backend(uri: str) -> LocalBackend | S3Backend | HttpBackend:
    scheme, separator, _ = uri.partition("://")
    if not separator or scheme == "file":
        return _local
    if scheme not in _remote:
        raise StorageError(f"{uri}: the scheme {scheme}:// is not supported; use {_SCHEMES}")
    return _remote[scheme]


def is_local(uri: str) -> bool:
    """Whether a URI names the local disk."""
    return _backend(uri) is _local


def normalise(uri: str) -> str:
    """Absolute form of a URI without a trailing slash; a path loses ``file://`` and ``~``.

    Raises
    ------
    StorageError
        If the scheme is not supported.
    """
    return _backend(uri).normalise(uri)


def join(uri: str, *parts: str) -> str:
    """Join a URI and relative parts with slashes."""
    return "/".join((uri.rstrip("/"), *parts))


def read_bytes(uri: str) -> bytes:
    """Whole content of a file or object.

    Raises
    ------
    StorageError
        If it does not exist (``context["missing"]``) or cannot be read; where trying again may
        help, ``context["transient"]`` is true.
    """
    return _backend(uri).read_bytes(normalise(uri))


def read_many(uris: Sequence[str]) -> list[bytes | StorageError]:
    """Contents of many files, read concurrently; an error stands in the place of its file."""
    contents: list[bytes | StorageError] = []
    for backend, group in groupby(uris, key=_backend):
        contents += backend.read_many([backend.normalise(uri) for uri in group])
    return contents


def read_range(uri: str, start: int, length: int) -> bytes:
    """Part of a file or object; shorter where it ends before.

    Raises
    ------
    StorageError
        As of `read_bytes`.
    """
    return _backend(uri).read_range(normalise(uri), start, length)


def read_stream(uri: str, start: int = 0) -> Iterator[bytes]:
    """Content from a byte to the end in pieces of about a megabyte, as they arrive.

    Raises
    ------
    StorageError
        As of `read_bytes`, also between pieces: what came before is good, and another stream may
        start where it ends.
    """
    return _backend(uri).read_stream(normalise(uri), start)


def read_versioned(uri: str) -> tuple[bytes, str]:
    """Whole content, and the version that `replace_bytes` asks for.

    Raises
    ------
    StorageError
        As of `read_bytes`.
    """
    return _backend(uri).read_versioned(normalise(uri))


def write_bytes(uri: str, data: bytes) -> None:
    """Write a whole file or object, replacing what is there at once.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    _backend(uri).write_bytes(normalise(uri), data)


def create_bytes(uri: str, data: bytes) -> bool:
    """Write a file or object only if none is there.

    Returns
    -------
    bool
        False if it existed; its content is untouched.
    """
    return _backend(uri).create_bytes(normalise(uri), data)


def replace_bytes(uri: str, data: bytes, version: str) -> bool:
    """Write a file or object only if it still has the version that was read.

    Returns
    -------
    bool
        False if another writer was faster, or nothing is there.
    """
    return _backend(uri).replace_bytes(normalise(uri), data, version)


def upload_file(path: Path, uri: str) -> None:
    """Copy a local file of any size to a file or object, which appears when it is whole.

    Raises
    ------
    StorageError
        If it cannot be read or written.
    """
    _backend(uri).upload_file(path, normalise(uri))


def scratch_folder(uri: str) -> AbstractContextManager[Path]:
    """A folder for what is uploaded to a URI later: on the same disk where that is local.

    Listings do not show it, and it goes when the block ends.

    Raises
    ------
    StorageError
        If there is no room, or no right to write; also for trouble inside the ``with`` block.
    """
    return _local_scratch(normalise(uri) if is_local(uri) else None)


def write_stream(uri: str, pieces: Iterable[bytes]) -> None:
    """Write a file or object of any size piece by piece; it appears when it is whole.

    An exception of `pieces` ends the writing, and nothing appears.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    _backend(uri).write_stream(normalise(uri), pieces)


def delete(uri: str) -> None:
    """Delete a file or object; one that does not exist is no error."""
    _backend(uri).delete(normalise(uri))


def exists(uri: str) -> bool:
    """Whether a file or object (not a folder) exists."""
    return _backend(uri).info(normalise(uri)) is not None


def file_info(uri: str) -> FileInfo:
    """Size and identity of a file or object.

    Raises
    ------
    StorageError
        If it does not exist.
    """
    info = _backend(uri).info(normalise(uri))
    if info is None:
        raise StorageError(f"{uri}: does not exist", missing=True)
    return info


def list_files(uri: str) -> Iterator[FileInfo]:
    """All files below a folder or prefix, or the file itself; none if there is none.

    The order depends on their names alone. Unfinished writes are not listed. A web server lists
    single files only.
    """
    return _backend(uri).list_files(normalise(uri))


def open_input(uri: str) -> Any:  # noqa: ANN401 - a pyarrow.NativeFile
    """Open a file or object for random access by pyarrow.

    Raises
    ------
    StorageError
        If it does not exist or cannot be read.
    """
    handle: pa.NativeFile = _backend(uri).open_input(normalise(uri))
    return handle
