"""Object storage: concurrent reads, conditional writes; credentials from the usual AWS chain."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import obstore
import pyarrow as pa
from obstore.store import S3Store

from catalogtool.errors import StorageError
from catalogtool.storage._info import FileInfo

_READERS = 64


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
        credential_provider=_credential_provider(),
        **options,
    )


def _credential_provider() -> Any:  # noqa: ANN401 - obstore's provider, or None for its own chain
    import boto3
    from obstore.auth.boto3 import Boto3CredentialProvider

    session = boto3.Session()
    return Boto3CredentialProvider(session) if session.get_credentials() else None


def _split(uri: str) -> tuple[S3Store, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not bucket:
        raise StorageError(f"{uri}: no bucket; expected s3://bucket/key")
    return _store(bucket, os.getpid()), key


def _storage_error(uri: str, error: Exception) -> StorageError:
    if isinstance(error, FileNotFoundError):
        return StorageError(f"{uri}: does not exist", missing=True)
    if isinstance(error, PermissionError):
        return StorageError(f"{uri}: access denied; check the credentials and the bucket's policy")
    sentence = str(error).split("\n", 1)[0]
    return StorageError(f"{uri}: object storage failed: {sentence}")


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
        """Objects below a prefix, sorted by key."""
        store, key = _split(uri)
        bucket = uri.removeprefix("s3://").partition("/")[0]
        try:
            listed = [meta for chunk in obstore.list(store, key or None) for meta in chunk]
        except _FAILURES as error:
            raise _storage_error(uri, error) from error
        for meta in sorted(listed, key=lambda m: m["path"]):
            tag = str(meta["e_tag"]).strip('"')
            yield FileInfo(f"s3://{bucket}/{meta['path']}", meta["size"], tag)

    def open_input(self, uri: str) -> Any:  # noqa: ANN401 - a pyarrow.NativeFile
        """Open an object for ranged reads."""
        store, key = _split(uri)
        try:
            return pa.PythonFile(obstore.open_reader(store, key), mode="r")
        except _FAILURES as error:
            raise _storage_error(uri, error) from error
