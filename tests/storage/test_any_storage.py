"""What holds on the local disk and on object storage alike."""

import threading
from pathlib import Path

import pytest

from catalogtool import storage
from catalogtool.errors import StorageError

WRITERS = 8


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.s3)])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        bucket: str = request.getfixturevalue("s3_bucket")
        return f"{bucket}/folder"
    return str(tmp_path / "folder")


def test_what_was_written_is_read_back(root: str) -> None:
    uri = storage.join(root, "deep", "er.bin")
    storage.write_bytes(uri, b"one")
    storage.write_bytes(uri, b"two")
    assert storage.read_bytes(uri) == b"two"
    assert storage.exists(uri)


def test_of_many_writers_exactly_one_creates_a_file(root: str) -> None:
    for name in ("a", "b", "c"):
        uri = storage.join(root, name)
        won: list[bytes] = []
        start = threading.Barrier(WRITERS)

        def create(
            content: bytes, uri: str = uri, won: list[bytes] = won, start: threading.Barrier = start
        ) -> None:
            start.wait()
            if storage.create_bytes(uri, content):
                won.append(content)

        threads = [threading.Thread(target=create, args=(b"%d" % n,)) for n in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert storage.read_bytes(uri) == won[0]


def test_creating_leaves_an_existing_file_alone(root: str) -> None:
    uri = storage.join(root, "kept")
    storage.write_bytes(uri, b"old")
    assert not storage.create_bytes(uri, b"new")
    assert storage.read_bytes(uri) == b"old"


def test_a_missing_file_is_told_apart(root: str) -> None:
    uri = storage.join(root, "nothing")
    with pytest.raises(StorageError, match="does not exist") as caught:
        storage.read_bytes(uri)
    assert caught.value.context["missing"] is True
    assert not storage.exists(uri)
    with pytest.raises(StorageError, match="does not exist"):
        storage.file_info(uri)
    with pytest.raises(StorageError, match="does not exist"):
        storage.open_input(uri)
    storage.delete(uri)


def test_errors_stand_in_the_place_of_their_files(root: str) -> None:
    present = storage.join(root, "present")
    storage.write_bytes(present, b"x")
    first, second, third = storage.read_many([present, storage.join(root, "absent"), present])
    assert first == third == b"x"
    assert isinstance(second, StorageError)
    assert second.context["missing"]
    assert storage.read_many([]) == []


def test_listing_finds_all_files_below_a_folder_in_a_fixed_order(root: str) -> None:
    names = ["a/1", "a/2", "b", "c/d/e"]
    for name in reversed(names):
        storage.write_bytes(storage.join(root, name), name.encode())
    listed = list(storage.list_files(root))
    assert {info.uri for info in listed} == {storage.join(root, name) for name in names}
    assert listed == list(storage.list_files(root))
    assert all(info.size_bytes == len(storage.read_bytes(info.uri)) for info in listed)
    assert list(storage.list_files(storage.join(root, "nowhere"))) == []


def test_a_file_lists_itself(root: str) -> None:
    uri = storage.join(root, "alone.bin")
    storage.write_bytes(uri, b"x")
    assert [info.uri for info in storage.list_files(uri)] == [uri]


def test_identity_changes_with_the_content(root: str) -> None:
    uri = storage.join(root, "x")
    storage.write_bytes(uri, b"one")
    before = storage.file_info(uri).identity
    storage.write_bytes(uri, b"more")
    assert storage.file_info(uri).identity != before


def test_random_access_reads_ranges(root: str) -> None:
    uri = storage.join(root, "long")
    storage.write_bytes(uri, bytes(range(200)))
    with storage.open_input(uri) as source:
        source.seek(100)
        assert source.read(3) == b"\x64\x65\x66"
        assert source.size() == 200


def test_deleting_removes_a_file(root: str) -> None:
    uri = storage.join(root, "x")
    storage.write_bytes(uri, b"one")
    storage.delete(uri)
    assert not storage.exists(uri)


def test_a_part_of_a_file_is_read_alone(root: str) -> None:
    uri = storage.join(root, "ranged")
    storage.write_bytes(uri, bytes(range(100)))
    assert storage.read_range(uri, 10, 5) == bytes(range(10, 15))
    assert storage.read_range(uri, 95, 50) == bytes(range(95, 100))


def test_of_many_writers_that_read_the_same_version_exactly_one_replaces_it(root: str) -> None:
    uri = storage.join(root, "counter")
    storage.write_bytes(uri, b"0")
    outcomes: list[bool] = []
    start = threading.Barrier(WRITERS)

    def add_one() -> None:
        data, version = storage.read_versioned(uri)
        start.wait()
        outcomes.append(storage.replace_bytes(uri, b"%d" % (int(data) + 1), version))

    for rounds in range(1, 4):
        threads = [threading.Thread(target=add_one) for _ in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(outcomes) == rounds
        assert int(storage.read_bytes(uri)) == rounds


def test_nothing_is_replaced_where_nothing_is(root: str) -> None:
    uri = storage.join(root, "absent")
    assert not storage.replace_bytes(uri, b"new", "any-version")
    assert not storage.exists(uri)


def test_a_local_file_is_uploaded_whole(root: str, tmp_path: Path) -> None:
    source = tmp_path / "large.bin"
    source.write_bytes(bytes(range(256)) * (12 * 4096))
    uri = storage.join(root, "copies", "large.bin")
    storage.upload_file(source, uri)
    assert storage.read_bytes(uri) == source.read_bytes()
