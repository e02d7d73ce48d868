"""Object storage: concurrent reads, conditional writes, patience with faults."""

import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
import pyarrow as pa

from catalogtool.errors import StorageError
from catalogtool.storage._info import FileInfo
from catalogtool.storage._ranges import PIECE_BYTES, RangeReader, fetch_pieces
from catalogtool.storage._retries import each_or_error, persist
from catalogtool.storage._s3_client import S3Object, open_object
from catalogtool.storage._s3_errors import FAILURES, is_past_the_end
from catalogtool.storage._settings import environment

if TYPE_CHECKING:
    from obstore import GetOptions

_SMALL_BYTES = 1 << 20
_PARTS = 9_000
"""Of the 10,000 that one multi-part upload may have."""
_PARTS_AT_ONCE = 4
_PAGE = 1000
_TAIL_BYTES = 64 << 10
_STREAM_BYTES = 256 << 10
"""What a broken connection may cost."""
_WRITER = "catalogtool-writer"
"""Metadata of a conditional write: tells a writer whose answer was lost that it was the one."""
_CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "png": "image/png",
}
"""By the end of a name: a browser shows only what is said to be a page."""


class S3Backend:
    """Objects of S3 and its equals, addressed by ``s3://bucket/key``."""

    def normalise(self, uri: str) -> str:
        """URI without a trailing slash."""
        return uri.rstrip("/")

    def read_bytes(self, uri: str) -> bytes:
        """Whole content of an object."""
        return self.read_versioned(uri)[0]

    def read_versioned(self, uri: str) -> tuple[bytes, str]:
        """Content and ETag."""
        thing = open_object(uri)

        def get() -> tuple[bytes | None, int, str]:
            result = obstore.get(thing.store, thing.key)
            size = result.meta["size"]
            data = bytes(result.bytes()) if size <= 2 * PIECE_BYTES else None
            return data, size, str(result.meta["e_tag"])

        data, size, tag = thing.persist(get)
        if data is None:
            data = fetch_pieces(lambda start, length: _range(thing, start, length, tag), 0, size)
        return data, tag

    def read_range(self, uri: str, start: int, length: int) -> bytes:
        """Part of an object."""
        return _range(open_object(uri), start, length)

    def read_stream(self, uri: str, start: int) -> Iterator[bytes]:
        """Content of an object from a byte on."""
        thing = open_object(uri)
        options: GetOptions = {"range": {"offset": start}} if start else {}
        result = thing.persist(lambda: obstore.get(thing.store, thing.key, options=options))
        try:
            yield from map(bytes, result.stream(min_chunk_size=_STREAM_BYTES))
        except FAILURES as error:
            raise thing.error(error) from error

    def read_many(self, uris: Sequence[str]) -> list[bytes | StorageError]:
        """Contents or errors, in the order of the URIs; 64 requests in flight."""
        return each_or_error(self.read_bytes, uris)

    def write_bytes(self, uri: str, data: bytes) -> None:
        """Replace an object."""
        thing = open_object(uri)
        store = thing.store if len(data) <= _SMALL_BYTES else thing.bucket.patient
        kind = _CONTENT_TYPES.get(thing.key.rpartition(".")[2])
        thing.persist(
            lambda: obstore.put(
                store,
                thing.key,
                data,
                attributes={"Content-Type": kind} if kind else None,
                max_concurrency=_PARTS_AT_ONCE,
            )
        )

    def create_bytes(self, uri: str, data: bytes) -> bool:
        """Write an object unless there is one (``If-None-Match: *``)."""
        thing = open_object(uri)

        def attempt() -> bool:
            try:
                return _put_if(thing, data, "create")
            except StorageError as error:
                if not error.context.get("missing"):
                    raise
                raise StorageError(
                    f"{uri}: was there and is gone; others write and delete it at the same time",
                    transient=True,
                ) from error

        return persist(attempt)

    def replace_bytes(self, uri: str, data: bytes, version: str) -> bool:
        """Write an object if it has the given ETag (``If-Match``)."""
        try:
            return _put_if(open_object(uri), data, {"e_tag": version})
        except StorageError as error:
            if error.context.get("missing"):
                return False
            raise

    def upload_file(self, source: Path, uri: str) -> None:
        """Copy a file, in several parts at once where it is large."""
        thing = open_object(uri)
        try:
            size = source.stat().st_size
        except OSError as error:
            raise StorageError(f"{source}: {error.strerror}") from error
        thing.persist(
            lambda: obstore.put(
                thing.bucket.patient,
                thing.key,
                source,
                chunk_size=max(PIECE_BYTES, size // _PARTS),
                max_concurrency=_PARTS_AT_ONCE,
            )
        )

    def write_stream(self, uri: str, pieces: Iterable[bytes]) -> None:
        """Upload in parts while the pieces come; up to 75 GB."""
        thing = open_object(uri)
        try:
            obstore.put(
                thing.bucket.patient,
                thing.key,
                iter(pieces),
                chunk_size=PIECE_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
            )
        except FAILURES as error:
            raise thing.error(error) from error

    def delete(self, uri: str) -> None:
        """Remove an object."""
        thing = open_object(uri)
        try:
            thing.persist(lambda: obstore.delete(thing.store, thing.key))
        except StorageError as error:
            if not error.context.get("missing"):
                raise

    def info(self, uri: str) -> FileInfo | None:
        """Size and ETag, None if there is no such object."""
        thing = open_object(uri)
        try:
            meta = thing.persist(lambda: obstore.head(thing.store, thing.key))
        except StorageError as error:
            if not error.context.get("missing"):
                raise
            _refuse_missing_bucket(uri)
            return None
        return FileInfo(uri, meta["size"], _identity(meta))

    def list_files(self, uri: str) -> Iterator[FileInfo]:
        """Objects below a prefix, sorted by key, or the object itself."""
        thing = open_object(uri)
        root = "s3://" + uri.removeprefix("s3://").partition("/")[0]
        listed = _list(thing)
        itself = self.info(uri) if thing.key and not listed else None
        if itself is not None:
            yield itself
        for meta in sorted(listed, key=lambda m: m["path"]):
            yield FileInfo(f"{root}/{meta['path']}", meta["size"], _identity(meta))

    def open_input(self, uri: str) -> Any:  # noqa: ANN401 - a pyarrow.NativeFile
        """Open an object for ranged reads; a later version of it is not mixed in."""
        thing = open_object(uri)

        def tail() -> tuple[bytes, int, str]:
            result = obstore.get(thing.store, thing.key, options={"range": {"suffix": _TAIL_BYTES}})
            return bytes(result.bytes()), result.meta["size"], str(result.meta["e_tag"])

        try:
            data, size, tag = thing.persist(tail)
        except StorageError as error:
            if not is_past_the_end(error.__cause__):
                raise
            data, size, tag = b"", 0, ""  # an empty object has no last bytes
        fetch = lambda start, length: _range(thing, start, length, tag)
        return pa.PythonFile(RangeReader(fetch, size, data), mode="r")


def _list(thing: S3Object) -> list[Any]:
    """Descriptions of all objects below a prefix; after a fault the listing goes on, not back."""
    listed: list[Any] = []
    pages: Iterator[Any] | None = None

    def next_page() -> Any:  # noqa: ANN401 - a sequence of obstore.ObjectMeta
        nonlocal pages
        if pages is None:
            after = listed[-1]["path"] if listed else None
            pages = iter(
                obstore.list(thing.store, thing.key or None, offset=after, chunk_size=_PAGE)
            )
        try:
            return next(pages, None)
        except FAILURES:
            pages = None
            raise

    while (page := thing.persist(next_page)) is not None:
        listed += page
    return listed


def _identity(meta: Any) -> str:  # noqa: ANN401 - an obstore.ObjectMeta
    return str(meta["e_tag"]).strip('"')


def _range(thing: S3Object, start: int, length: int, tag: str | None = None) -> bytes:
    if length <= 0:
        return b""
    options: GetOptions = {"range": (start, start + length)}
    if tag is not None:
        options["if_match"] = tag

    def get() -> bytes:
        return bytes(obstore.get(thing.store, thing.key, options=options).bytes())

    try:
        return thing.persist(get)
    except StorageError as error:
        if not is_past_the_end(error.__cause__):
            raise
        return b""


def _put_if(thing: S3Object, data: bytes, condition: Any) -> bool:  # noqa: ANN401 - a PutMode
    """Write under a condition; true for one writer at most.

    An attempt may succeed and its answer be lost: the next one then finds the condition broken by
    its own hand, and knows its mark.
    """
    mark = uuid.uuid4().hex

    def attempt() -> bool:
        try:
            obstore.put(
                thing.store,
                thing.key,
                data,
                mode=condition,
                use_multipart=False,
                attributes={_WRITER: mark},
            )
        except (obstore.exceptions.AlreadyExistsError, obstore.exceptions.PreconditionError):
            found = obstore.get(thing.store, thing.key, options={"head": True})
            return found.attributes.get(_WRITER) == mark
        return True

    return thing.persist(attempt)


def _refuse_missing_bucket(uri: str) -> None:
    """Tell a missing bucket from a missing object, which the answer to a HEAD request does not."""
    bucket = uri.removeprefix("s3://").partition("/")[0]
    _probe(bucket, os.getpid(), environment())


@cache
def _probe(bucket: str, *_process_and_environment: object) -> None:
    thing = open_object(f"s3://{bucket}/{_WRITER}")
    try:
        thing.persist(lambda: obstore.get(thing.store, thing.key))
    except StorageError as error:
        if error.context.get("no_bucket"):
            raise
