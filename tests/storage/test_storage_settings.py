"""What the storage settings may say, where they are found, and what workers get of them."""

import json
from pathlib import Path

import pytest

from catalogtool.errors import ConfigError
from catalogtool.storage import worker_environment
from catalogtool.storage._settings import storage_settings

SETTINGS = """
stall_seconds = 3

[buckets.archive]
endpoint = "https://s3.example.org"
region = "eu-west-2"
anonymous = true
path_style = false
"""


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CATALOGTOOL_STORAGE", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def test_without_a_file_the_environment_decides() -> None:
    settings = storage_settings()
    assert (settings.stall_seconds, settings.retry_seconds, settings.buckets) == (10, 30, {})


def test_the_settings_are_found_in_the_users_folder_or_where_the_variable_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = tmp_path / "catalogtool" / "storage.toml"
    usual.parent.mkdir()
    usual.write_text(SETTINGS)
    assert storage_settings().buckets["archive"].region == "eu-west-2"
    other = tmp_path / "other.toml"
    other.write_text("stall_seconds = 4")
    monkeypatch.setenv("CATALOGTOOL_STORAGE", str(other))
    assert storage_settings().stall_seconds == 4
    monkeypatch.setenv("CATALOGTOOL_STORAGE", str(tmp_path / "missing.toml"))
    with pytest.raises(ConfigError, match=r"missing.toml: cannot be read: No such file"):
        storage_settings()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"buckets": {"b": {"secret_key": "x"}}}', "b.secret_key: is not a known key"),
        ('{"buckets": {"b": {"endpoint": "s3.org"}}}', "expected an address like https://s3"),
        ('{"buckets": {"b": {"endpoint": "https://me:pw@s3.org"}}}', "leave credentials to AWS"),
        ('{"buckets": {"b": {"anonymous": true, "profile": "p"}}}', "not both"),
        ('{"stall_seconds": 0}', "greater than 0"),
        ("{", "CATALOGTOOL_STORAGE: neither a file nor JSON"),
    ],
)
def test_mistakes_are_refused(text: str, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOGTOOL_STORAGE", text)
    with pytest.raises(ConfigError, match=sentence) as caught:
        storage_settings()
    assert "pw" not in str(caught.value)


def test_workers_get_addresses_and_no_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS)
    given = {
        "CATALOGTOOL_STORAGE": str(file),
        "AWS_REGION": "us-west-1",
        "AWS_ENDPOINT_URL": "http://10.0.0.1:8333",
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "hidden",
        "AWS_SESSION_TOKEN": "hidden",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    passed = worker_environment()
    assert "hidden" not in json.dumps(passed)
    assert passed["AWS_REGION"] == "us-west-1"
    here = storage_settings()
    monkeypatch.setenv("CATALOGTOOL_STORAGE", passed["CATALOGTOOL_STORAGE"])
    assert storage_settings() == here
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://me:hidden@10.0.0.1")
    with pytest.raises(ConfigError, match="must not hold a name, a password") as caught:
        worker_environment()
    assert "hidden" not in str(caught.value)
