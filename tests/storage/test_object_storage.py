"""What only object storage can do wrong."""

import pytest
from s3_server import s3_client

from catalogtool import storage
from catalogtool.errors import StorageError

pytestmark = pytest.mark.s3


def test_a_wrong_secret_is_refused_without_being_told(
    s3_bucket: str, s3_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {"AWS_ACCESS_KEY_ID": "AKIAWRONGKEY", "AWS_SECRET_ACCESS_KEY": "wrong-secret-text"}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    other = f"{s3_bucket}-denied"
    s3_client(s3_port).create_bucket(Bucket=other.removeprefix("s3://"))
    for attempt in (
        lambda: storage.read_bytes(f"{other}/x"),
        lambda: storage.write_bytes(f"{other}/x", b""),
        lambda: list(storage.list_files(other)),
        lambda: storage.open_input(f"{other}/x"),
    ):
        with pytest.raises(StorageError, match="access denied; check the credentials") as caught:
            attempt()
        assert not any(secret in str(caught.value) for secret in secrets.values())
        assert "transient" not in caught.value.context


def test_a_server_that_is_away_is_worth_another_try(
    monkeypatch: pytest.MonkeyPatch, s3_bucket: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StorageError, match="object storage failed") as caught:
        storage.read_bytes(f"{s3_bucket}-nowhere/x")
    assert caught.value.context["transient"] is True


def test_a_missing_bucket_does_not_exist(s3_bucket: str) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        list(storage.list_files(f"{s3_bucket}-missing/x"))


def test_a_uri_needs_a_bucket() -> None:
    with pytest.raises(StorageError, match="expected s3://bucket/key"):
        storage.read_bytes("s3:///x")
