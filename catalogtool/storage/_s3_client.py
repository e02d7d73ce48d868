"""Clients of object storage, one per bucket and process; credentials from the usual AWS chain."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

from obstore.store import S3Store

from catalogtool.errors import ConfigError, StorageError
from catalogtool.storage._retries import persist
from catalogtool.storage._s3_errors import FAILURES, storage_error
from catalogtool.storage._settings import (
    BucketSettings,
    endpoint_of,
    environment,
    region_of,
    storage_settings,
)

_QUICK_RETRIES = 3
"""Inside of obstore, which resumes broken bodies; `persist` stands around it."""
_UPLOAD_STALL_S = 60
"""Servers are silent while they take a large body, however well it flows."""

T = TypeVar("T")


@dataclass(frozen=True)
class Bucket:
    """How one bucket is reached."""

    store: S3Store
    patient: S3Store
    """For large uploads."""
    place: str
    signed: bool


@cache
def _open_bucket(name: str, *_process_and_environment: object) -> Bucket:
    # A fork needs a client of its own, and so does another place: both are in the cache's key.
    settings = storage_settings()
    options = settings.buckets.get(name, BucketSettings())
    session = None if options.anonymous else _session(name, options)
    signed = session is not None and session.get_credentials() is not None
    endpoint, region = endpoint_of(options, session), region_of(options, session)
    path_style = endpoint is not None if options.path_style is None else options.path_style

    choices: dict[str, Any] = _signing(session) if signed else {"skip_signature": True}
    if endpoint:
        choices["endpoint"] = endpoint

    def client(stall_s: float) -> S3Store:
        return S3Store(
            name,
            region=region,
            virtual_hosted_style_request=not path_style,
            # No limit on a whole request: large bodies take long, stalled ones are found out.
            client_options={
                "allow_http": True,
                "read_timeout": timedelta(seconds=stall_s),
                "timeout": timedelta(days=1),
            },
            retry_config={"max_retries": _QUICK_RETRIES},
            **choices,
        )

    return Bucket(
        store=client(settings.stall_seconds),
        patient=client(max(_UPLOAD_STALL_S, settings.stall_seconds)),
        place=f"{endpoint or 'AWS'} (region {region})",
        signed=signed,
    )


def _session(bucket: str, options: BucketSettings) -> Any:  # noqa: ANN401 - a boto3.Session
    import boto3
    from botocore.exceptions import ProfileNotFound

    try:
        return boto3.Session(profile_name=options.profile)
    except ProfileNotFound as error:
        raise ConfigError(
            f"s3://{bucket}: {error}; add it to ~/.aws/config of this machine, or choose another "
            "with AWS_PROFILE or in the storage settings"
        ) from None


def _signing(session: Any) -> dict[str, Any]:  # noqa: ANN401 - a boto3.Session
    from obstore.auth.boto3 import Boto3CredentialProvider

    return {"credential_provider": Boto3CredentialProvider(session)}


@dataclass(frozen=True)
class S3Object:
    """One object, and how to try things on it."""

    uri: str
    key: str
    bucket: Bucket

    @property
    def store(self) -> S3Store:
        """Client of its bucket."""
        return self.bucket.store

    def error(self, error: Exception) -> StorageError:
        """Our error for one of obstore's."""
        where = self.bucket
        return storage_error(self.uri, error, signed=where.signed, place=where.place)

    def persist(self, action: Callable[[], T]) -> T:
        """Result of an action, tried until it works or cannot."""

        def attempt() -> T:
            try:
                return action()
            except FAILURES as error:
                raise self.error(error) from error

        return persist(attempt)


def open_object(uri: str) -> S3Object:
    """Object of a URI.

    Raises
    ------
    StorageError
        If the URI names no bucket.
    ConfigError
        If the storage settings or the AWS configuration hold mistakes.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not bucket:
        raise StorageError(f"{uri}: no bucket; expected s3://bucket/key")
    return S3Object(uri, key, _open_bucket(bucket, os.getpid(), environment()))
