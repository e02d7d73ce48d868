"""What the AWS environment alone cannot say: which bucket is where, and how long to be patient.

The settings are a TOML file, by default ``~/.config/catalogtool/storage.toml``; the variable
``CATALOGTOOL_STORAGE`` names another one, or holds the settings themselves as JSON::

    stall_seconds = 10

    [buckets.survey-archive]
    endpoint = "https://s3.example.org"
    region = "eu-west-2"
    anonymous = true

Keys and tokens are not among them: those come from the usual AWS chain.
"""

import os
from functools import cache
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, PositiveFloat, StringConstraints, field_validator, model_validator

from catalogtool.config._base import Settings, build_settings, canonical_json, load_toml
from catalogtool.errors import ConfigError

VARIABLE = "CATALOGTOOL_STORAGE"
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_NOT_SECRET = (*_ENDPOINTS, *_REGIONS, "AWS_PROFILE", "AWS_EC2_METADATA_DISABLED")
_DEFAULT_REGION = "us-east-1"

Text = Annotated[str, StringConstraints(min_length=1)]


class BucketSettings(Settings):
    """Where one bucket is; what is None comes from the AWS environment."""

    endpoint: Text | None = None
    """Address of the server, ``https://host[:port]``."""
    region: Text | None = None
    profile: Text | None = None
    """Section of the AWS configuration files that has the credentials."""
    anonymous: bool = False
    """Whether requests are not signed, as public buckets allow."""
    path_style: bool | None = None
    """Whether the bucket's name is in the path, not the host; None: where an endpoint is set."""

    @field_validator("endpoint")
    @classmethod
    def _endpoint_is_plain(cls, endpoint: str | None) -> str | None:
        if endpoint is not None:
            _check_endpoint(endpoint)
        return endpoint

    @model_validator(mode="after")
    def _anonymous_needs_no_profile(self) -> "BucketSettings":
        if self.anonymous and self.profile is not None:
            raise ValueError("is either anonymous or has a profile, not both")
        return self


class StorageSettings(Settings):
    """How object storage and web servers are reached."""

    stall_seconds: PositiveFloat = 10
    """A connection that sends nothing for so long is given up, and the request sent again."""
    retry_seconds: Annotated[float, Field(ge=0)] = 30
    """For so long a failing request is sent again, with growing pauses; five times at least."""
    buckets: dict[Text, BucketSettings] = {}


def storage_settings() -> StorageSettings:
    """Settings of this process.

    Raises
    ------
    ConfigError
        If they hold mistakes, or `CATALOGTOOL_STORAGE` names no file.
    """
    text = os.environ.get(VARIABLE)
    if text:
        return _parse(text)
    folder = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    file = Path(folder) / "catalogtool" / "storage.toml"
    return _parse(str(file)) if file.is_file() else StorageSettings()


@cache
def _parse(text: str) -> StorageSettings:
    if not text.startswith("{"):
        return load_toml(StorageSettings, Path(text).expanduser())
    import json

    try:
        values = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{VARIABLE}: neither a file nor JSON: {error}") from error
    return build_settings(StorageSettings, values, where=VARIABLE)


def environment() -> tuple[str | None, ...]:
    """Every variable that decides where a bucket is; clients are kept while none differs."""
    return tuple(os.environ.get(name) for name in (VARIABLE, *_NOT_SECRET))


def endpoint_of(bucket: BucketSettings, session: object | None) -> str | None:
    """Address of a bucket's server; None for AWS itself.

    Parameters
    ----------
    bucket : BucketSettings
        What is said about the bucket.
    session : boto3.Session or None
        Whose configuration files may name an endpoint.

    Raises
    ------
    ConfigError
        If it is no plain address.
    """
    named = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)
    endpoint = bucket.endpoint or named or (_configured_endpoint(session) if session else None)
    if endpoint is not None:
        _refuse_bad_endpoint(endpoint)
    return endpoint


def region_of(bucket: BucketSettings, session: object | None) -> str:
    """Region of a bucket."""
    named = next((os.environ[name] for name in _REGIONS if os.environ.get(name)), None)
    return bucket.region or named or getattr(session, "region_name", None) or _DEFAULT_REGION


def worker_environment() -> dict[str, str]:
    """Variables that let workers on other machines reach what this process reaches.

    Returns
    -------
    dict of str to str
        The storage settings, and endpoint, region and profile of AWS; never keys or tokens, which
        each machine has of its own.

    Raises
    ------
    ConfigError
        If the settings hold mistakes, or an endpoint holds a name or password.
    """
    variables = {name: os.environ[name] for name in _NOT_SECRET if os.environ.get(name)}
    for name in _ENDPOINTS:
        if name in variables:
            _refuse_bad_endpoint(variables[name])
    return {**variables, VARIABLE: canonical_json(storage_settings().to_json())}


def _configured_endpoint(session: object) -> str | None:
    from botocore.configprovider import ConfiguredEndpointProvider

    inner = session._session  # type: ignore[attr-defined] # noqa: SLF001 - boto3 offers no other way
    endpoint: str | None = ConfiguredEndpointProvider(
        full_config=inner.full_config, scoped_config=inner.get_scoped_config(), client_name="s3"
    ).provide()
    return endpoint


def _refuse_bad_endpoint(endpoint: str) -> None:
    try:
        _check_endpoint(endpoint)
    except ValueError as error:
        raise ConfigError(f"AWS_ENDPOINT_URL: {error}") from None


def _check_endpoint(endpoint: str) -> None:
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected an address like https://s3.example.org")
    if "@" in parts.netloc or parts.query:
        raise ValueError("must not hold a name, a password or a query; leave credentials to AWS")
