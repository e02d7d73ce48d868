"""Object storage: concurrent reads, conditional writes; credentials from the usual AWS chain."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import obstore
import pyarrow as pa
from obstore.store import S3Store

from catalogtool.errors import StorageError
from catalogtool.storage._info import FileInfo

_READERS = 64
_READ_BYTES = 1 << 20
_WRITE_BYTES = 8 << 20
_RETRIES = 6
_RETRY_TIME = timedelta(seconds=30)


@cache
def _store(bucket: str, process: int) -> S3Store:  # noqa: ARG001 - a fork needs its own client
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    options: dict[str, Any] = {}
    if endpoint:
        options["endpoint"] = endpoint
        options["virtual_hosted_style_request"] = False
    return S3Store(
        bucket,
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
        client_options={"allow_http": True},
        retry_config={"max_retries": _RETRIES, "retry_timeout": _RETRY_TIME},
        **_signing(),
        **options,
    )


def _signing() -> dict[str, Any]:
    """Credentials of the usual AWS chain; without any, requests as for a public bucket."""
    import boto3
    from obstore.auth.boto3 import Boto3CredentialProvider

    session = boto3.Session()
    if session.get_credentials() is None:
        return {"skip_signature": True}
    return {"credential_provider": Boto3CredentialProvider(session)}


def _split(uri: str) -> tuple[S3Store, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not bucket:
        raise StorageError(f"{uri}: no bucket; expected s3://bucket/key")
    return _store(bucket, os.getpid()), key


def _storage_error(uri: str, error: Exception) -> StorageError:
    # Only the first words: what follows may quote the access key and the signed request.
    text = str(error).split("\n", 1)[0].split("<", 1)[0].strip(" -:")
    if isinstance(error, FileNotFoundError) or "404 Not Found" in text:
        return StorageError(f"{uri}: does not exist", missing=True)
    if isinstance(error, _DENIALS) or "403 Forbidden" in text:
        return StorageError(f"{uri}: access denied; check the credentials and the bucket's policy")
    return StorageError(f"{uri}: object storage failed: {text}", transient=True)


_DENIALS = (
    obstore.exceptions.PermissionDeniedError,
    obstore.exceptions.UnauthenticatedError,
    PermissionError,
)
_FAILURES = (obstore.exceptions.BaseError, OSError)


class S3Backend:
    """Objects of S3 and its equals, addressed by ``s3://bucket/key``."""

    def normalise(self, uri: str) -> str:
        """URI without a trailing slash."""
        return uri.rstrip("/")

    def read_bytes(self, uri: str) -> bytes:
        """Whole content of an object."""
        store, key = _split(uri)
        try:
            return bytes(obstore.get(store, key).bytes())
        except _FAILURES as error:
            raise _storage_error(uri, error) from error

    def read_range(self, uri: str, start: int, length: int) -> bytes:
        """Part of an object."""
        store, key = _split(uri)
        try:
            return bytes(obstore.get_range(store, key, start=start, length=length))
        except _FAILURES as error:
            raise _storage_error(uri, error) from error

    def read_stream(self, uri: str, start: int) -> Iterator[bytes]:
        """Content of an object from a byte on."""
        store, key = _split(uri)
        try:
            result = obstore.get(store, key, options={"range": {"offset": start}} if start else {})
            yield from map(bytes, result.stream(min_chunk_size=_READ_BYTES))
        except _FAILURES as error:
            raise _storage_error(uri, error) from error

    def read_versioned(self, uri: str) -> tuple[bytes, str]:
        """Content and ETag."""
        store, key = _split(uri)
        try:
            result = obstore.get(store, key)
            return bytes(result.bytes()), str(result.meta["e_tag"])
        except _FAILURES as error:
            raise _storage_error(uri, error) from error

    def read_many(self, uris: Sequence[str]) -> list[bytes | StorageError]:
        """Contents or errors, in the order of the URIs; 64 requests in flight."""
        with ThreadPoolExecutor(_READERS) as pool:
            return list(pool.map(self._read_or_error, uris))

    def _read_or_error(self, uri: str) -> bytes | StorageError:
        try:
            return self.read_bytes(uri)
        except StorageError as error:
            return error

    def write_bytes(self, uri: str, data: bytes) -> None:
        """Replace an object."""
        store, key = _split(uri)
        try:
            obstore.put(store, key, data)
        except _FAILURES as error:
            raise _storage_error(uri, error) from error

    def create_bytes(self, uri: str, data: bytes) -> bool:
        """Write an object unless there is one (``If-None-Match: *``)."""
        store, key = _split(uri)
        try:
            obstore.put(store, key, data, mode="create", use_multipart=False)
        except obstore.exceptions.AlreadyExistsError:
            return False
        except _FAILURES as error:
            raise _storage_error(uri, error) from error
        return True

    def replace_bytes(self, uri: str, data: bytes, version: str) -> bool:
        """Write an object if it has the given ETag (``If-Match``)."""
        store, key = _split(uri)
        try:
            obstore.put(store, key, data, mode={"e_tag": version}, use_multipart=False)
        except (obstore.exceptions.PreconditionError, FileNotFoundError):
            return False
        except _FAILURES as error:
            raise _storage_error(uri, error) from error
        return True

    def upload_file(self, source: Path, uri: str) -> None:
        """Copy a file, in several parts at once where it is large."""
        store, key = _split(uri)
        try:
            obstore.put(store, key, source)
        except _FAILURES as error:
            raise _storage_error(uri, error) from error

    def write_stream(self, uri: str, pieces: Iterable[bytes]) -> None:
        """Upload in parts while the pieces come."""
        store, key = _split(uri)
        try:
            obstore.put(store, key, iter(pieces), chunk_size=_WRITE_BYTES)
        except _FAILURES as error:
            raise _storage_error(uri, error) from error

    def delete(self, uri: str) -> None:
        """Remove an object."""
        store, key = _split(uri)
        try:
            obstore.delete(store, key)
        except FileNotFoundError:
            return
        except _FAILURES as error:
            raise _storage_error(uri, error) from error

    def info(self, uri: str) -> FileInfo | None:
        """Size and ETag, None if there is no such object."""
        store, key = _split(uri)
        try:
            meta = obstore.head(store, key)
        except FileNotFoundError:
            return None
        except _FAILURES as error:
            raise _storage_error(uri, error) from error
        return FileInfo(uri, meta["size"], str(meta["e_tag"]).strip('"'))

    def list_files(self, uri: str) -> Iterator[FileInfo]:
        """Objects below a prefix, sorted by key, or the object itself."""
        store, key = _split(uri)
        bucket = uri.removeprefix("s3://").partition("/")[0]
        try:
            listed = [meta for chunk in obstore.list(store, key or None) for meta in chunk]
        except _FAILURES as error:
            raise _storage_error(uri, error) from error
        itself = self.info(uri) if key and not listed else None
        if itself is not None:
            yield itself
        for meta in sorted(listed, key=lambda m: m["path"]):
            tag = str(meta["e_tag"]).strip('"')
            yield FileInfo(f"s3://{bucket}/{meta['path']}", meta["size"], tag)

    def open_input(self, uri: str) -> Any:  # noqa: ANN401 - a pyarrow.NativeFile
        """Open an object for ranged reads."""
        store, key = _split(uri)
        try:
            reader = obstore.open_reader(store, key)
        except _FAILURES as error:
            raise _storage_error(uri, error) from error
        return pa.PythonFile(_Reader(uri, reader), mode="r")


class _Reader:
    """An object as a Python file whose failures are ours."""

    def __init__(self, uri: str, reader: Any) -> None:  # noqa: ANN401 - an obstore reader
        self._uri = uri
        self._reader = reader
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        try:
            return bytes(self._reader.read() if size < 0 else self._reader.read(size))
        except _FAILURES as error:
            raise _storage_error(self._uri, error) from error

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._reader.seek(offset, whence))

    def tell(self) -> int:
        return int(self._reader.tell())

    def close(self) -> None:
        self._reader.close()
        self.closed = True
