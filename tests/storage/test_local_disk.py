"""What only a local disk can do wrong."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogtool import storage
from catalogtool.errors import StorageError

IS_ROOT = os.geteuid() == 0


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if not IS_ROOT or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a tiny disk needs root and the right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_named_and_leaves_nothing_behind(tiny_disk: Path) -> None:
    target = tiny_disk / "big.bin"
    target.write_bytes(b"old")
    with pytest.raises(StorageError, match="the disk is full; free space"):
        storage.write_bytes(str(target), bytes(1_000_000))
    assert target.read_bytes() == b"old"
    assert [entry.name for entry in tiny_disk.iterdir()] == ["big.bin"]


def test_a_read_only_disk_is_named(tiny_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    with pytest.raises(StorageError, match="read-only; choose another --output"):
        storage.create_bytes(str(tiny_disk / "x"), b"")


@pytest.mark.skipif(IS_ROOT, reason="root may write anywhere")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="permission denied"):
        storage.write_bytes(str(tmp_path / "x"), b"")


def test_a_file_in_place_of_a_folder_is_an_error_and_no_lost_race(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file" / "x", tmp_path / "file" / "deeper" / "x"):
        with pytest.raises(StorageError, match="is a file, not a folder"):
            storage.create_bytes(str(path), b"")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert not storage.exists(str(tmp_path))
    with pytest.raises(StorageError, match="is a folder, not a file"):
        storage.read_bytes(str(tmp_path))
    with pytest.raises(StorageError, match="is a folder, not a file"):
        storage.write_bytes(str(tmp_path), b"")


def test_unfinished_writes_are_not_listed(tmp_path: Path) -> None:
    (tmp_path / ".partial-abc").write_bytes(b"half")
    (tmp_path / "whole").write_bytes(b"x")
    assert [Path(info.uri).name for info in storage.list_files(str(tmp_path))] == ["whole"]


def test_paths_become_absolute_and_lose_their_scheme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    assert storage.normalise("a/b/") == str(tmp_path / "a" / "b")
    assert storage.normalise("file:///a/b") == "/a/b"
    assert storage.normalise("~/x") == "/home/someone/x"
    assert storage.normalise("s3://bucket/a/") == "s3://bucket/a"


@pytest.mark.parametrize("uri", ["gs://bucket/x", "s4://bucket"])
def test_other_schemes_are_refused(uri: str) -> None:
    with pytest.raises(
        StorageError, match=r"is not supported; use a path, file:// or s3://, and http"
    ):
        storage.read_bytes(uri)
