"""What only object storage can do wrong."""

import json
import random
from pathlib import Path

import pytest
from fault_proxy import FaultProxy
from s3_server import s3_client, s3_environment
from web_server import answering

from catalogtool import storage
from catalogtool.errors import ConfigError, StorageError

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
    monkeypatch.setenv("CATALOGTOOL_STORAGE", '{"retry_seconds": 0}')
    with pytest.raises(StorageError, match="it cannot be reached; check the endpoint") as caught:
        storage.read_bytes(f"{s3_bucket}-nowhere/x")
    assert caught.value.context["transient"] is True


def test_a_missing_bucket_is_told_apart_from_a_missing_object(s3_bucket: str) -> None:
    nowhere = f"{s3_bucket}-missing"
    name = nowhere.removeprefix("s3://")
    for attempt in (
        lambda: list(storage.list_files(f"{nowhere}/x")),
        lambda: storage.read_bytes(f"{nowhere}/x"),
        lambda: storage.exists(f"{nowhere}/x"),
        lambda: storage.open_input(f"{nowhere}/x"),
    ):
        with pytest.raises(StorageError, match=f"there is no bucket {name} at http://") as caught:
            attempt()
        assert "missing" not in caught.value.context


def test_requests_without_credentials_say_so(
    s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write_bytes(f"{s3_bucket}/x", b"")
    name = s3_bucket.removeprefix("s3://")
    settings = json.dumps({"buckets": {name: {"anonymous": True}}})
    monkeypatch.setenv("CATALOGTOOL_STORAGE", settings)
    with pytest.raises(StorageError, match=r"without a signature \(AccessDenied\); give AWS"):
        storage.read_bytes(f"{s3_bucket}/x")


def test_a_bucket_has_an_endpoint_of_its_own(
    s3_bucket: str, s3_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    options = {"endpoint": f"http://127.0.0.1:{s3_port}", "region": "eu-west-2", "path_style": True}
    settings = json.dumps({"buckets": {s3_bucket.removeprefix("s3://"): options}})
    monkeypatch.setenv("CATALOGTOOL_STORAGE", settings)
    storage.write_bytes(f"{s3_bucket}/x", b"here")
    assert storage.read_bytes(f"{s3_bucket}/x") == b"here"


def test_a_profile_brings_credentials_and_endpoint(
    s3_bucket: str, s3_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = s3_environment(s3_port)
    for name in environment:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    file = tmp_path / "config"
    file.write_text(
        "[profile site]\n"
        f"endpoint_url = {environment['AWS_ENDPOINT_URL']}\n"
        f"aws_access_key_id = {environment['AWS_ACCESS_KEY_ID']}\n"
        f"aws_secret_access_key = {environment['AWS_SECRET_ACCESS_KEY']}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    settings = json.dumps({"buckets": {s3_bucket.removeprefix("s3://"): {"profile": "site"}}})
    monkeypatch.setenv("CATALOGTOOL_STORAGE", settings)
    storage.write_bytes(f"{s3_bucket}/x", b"here")
    assert storage.read_bytes(f"{s3_bucket}/x") == b"here"
    monkeypatch.setenv("CATALOGTOOL_STORAGE", settings.replace("site", "other"))
    with pytest.raises(ConfigError, match=r"\(other\) could not be found; add it to ~/.aws/config"):
        storage.read_bytes(f"{s3_bucket}/x")


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (301, "<Error><Code>PermanentRedirect</Code></Error>", "the bucket is elsewhere; set its"),
        (400, "<Error><Code>AuthorizationHeaderMalformed</Code></Error>", "elsewhere; set its"),
        (405, "<Error><Code>MethodNotAllowed</Code></Error>", "refuses the request: 405 MethodNot"),
        (503, "<Error><Code>SlowDown</Code></Error>", "keeps answering 503 SlowDown; try again"),
    ],
)
def test_what_a_server_answers_becomes_a_sentence(
    status: int, body: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(status, body.encode()) as port:
        for name, value in s3_environment(port).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("CATALOGTOOL_STORAGE", '{"retry_seconds": 0}')
        for attempt in (
            lambda: storage.read_bytes("s3://bucket/x"),
            lambda: storage.create_bytes("s3://bucket/x", b"x"),
        ):
            with pytest.raises(StorageError, match=sentence) as caught:
                attempt()
            assert "catalogtool-tests" not in str(caught.value)


def test_random_access_refuses_to_mix_two_versions(s3_bucket: str) -> None:
    uri = f"{s3_bucket}/x"
    storage.write_bytes(uri, bytes(3_000_000))
    with storage.open_input(uri) as source:
        source.read(10)
        storage.write_bytes(uri, bytes(reversed(range(200))) * 15_000)
        source.seek(2_000_000)
        with pytest.raises(StorageError, match="was replaced while it was read"):
            source.read(500_000)


def test_large_and_empty_objects_are_read_whole(s3_bucket: str) -> None:
    for content in (b"", random.Random(1).randbytes(40_000_000)):
        uri = f"{s3_bucket}/{len(content)}"
        storage.write_bytes(uri, content)
        assert storage.read_bytes(uri) == content
        with storage.open_input(uri) as source:
            assert source.read() == content
        assert storage.read_range(uri, len(content) + 5, 10) == b""


def test_one_reader_has_64_requests_under_way(s3_bucket: str, s3_faults: FaultProxy) -> None:
    s3_faults.enabled = False
    uris = [f"{s3_bucket}/{index}" for index in range(200)]
    for uri in uris:
        storage.write_bytes(uri, uri.encode())
    s3_faults.pause_s = 0.3
    assert storage.read_many(uris) == [uri.encode() for uri in uris]
    assert s3_faults.most_at_once >= 64


def test_a_uri_needs_a_bucket() -> None:
    with pytest.raises(StorageError, match="expected s3://bucket/key"):
        storage.read_bytes("s3:///x")
