"""Object storage that fails at random is used as if it did not."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fault_proxy import FAULTS, FaultProxy

from catalogtool import storage
from catalogtool.errors import StorageError

pytestmark = pytest.mark.s3

WRITERS = 6


def faults(proxy: FaultProxy) -> int:
    return sum(proxy.counts[kind] for kind in FAULTS)


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_hundreds_of_objects_are_read_exactly(
    s3_faults: FaultProxy, s3_bucket: str, share: float
) -> None:
    s3_faults.share = share
    rng = random.Random(1)
    contents = [rng.randbytes(rng.randrange(1, 60_000)) for _ in range(300)]
    uris = [f"{s3_bucket}/many/{index:03d}" for index in range(len(contents))]
    s3_faults.enabled = False
    for uri, content in zip(uris, contents, strict=True):
        storage.write_bytes(uri, content)
    s3_faults.enabled = True
    s3_faults.counts.clear()
    assert storage.read_many(uris) == contents
    assert faults(s3_faults) > 300 * share / 3
    assert [info.uri for info in storage.list_files(f"{s3_bucket}/many")] == uris


@pytest.mark.parametrize("kind", FAULTS)
def test_every_operation_survives_every_fault(
    s3_faults: FaultProxy, s3_bucket: str, kind: str, tmp_path: Path
) -> None:
    s3_faults.share, s3_faults.kinds = 0.25, (kind,)
    large = tmp_path / "large"
    large.write_bytes(random.Random(3).randbytes(18_000_000))
    for turn in range(2):
        folder = f"{s3_bucket}/{kind}{turn}"
        uri = f"{folder}/x"
        storage.write_bytes(uri, b"one")
        data, version = storage.read_versioned(uri)
        assert data == b"one"
        assert storage.replace_bytes(uri, b"second", version)
        assert not storage.replace_bytes(uri, b"late", version)
        assert storage.read_range(uri, 2, 3) == b"con"
        assert storage.file_info(uri).size_bytes == 6
        assert not storage.create_bytes(uri, b"other")
        assert storage.create_bytes(f"{folder}/y", b"new")
        assert len(list(storage.list_files(folder))) == 2
        storage.delete(uri)
        assert not storage.exists(uri)
    storage.upload_file(large, f"{s3_bucket}/large")
    with storage.open_input(f"{s3_bucket}/large") as source:
        assert source.read() == large.read_bytes()
    assert s3_faults.counts[kind] > 5


def test_of_many_writers_exactly_one_creates_a_file_though_answers_are_lost(
    s3_faults: FaultProxy, s3_bucket: str
) -> None:
    s3_faults.share, s3_faults.kinds = 0.4, ("500", "reset")
    for turn in range(8):
        uri = f"{s3_bucket}/once{turn}"
        won: list[bool] = []

        def create(uri: str = uri, won: list[bool] = won) -> None:
            won.append(storage.create_bytes(uri, b"the same from all"))

        threads = [threading.Thread(target=create) for _ in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(won) == [False] * (WRITERS - 1) + [True]
    assert faults(s3_faults) > 10


def test_patience_ends(
    s3_faults: FaultProxy, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_faults.share, s3_faults.kinds = 1.0, ("503",)
    monkeypatch.setenv("CATALOGTOOL_STORAGE", '{"retry_seconds": 0}')
    with pytest.raises(StorageError, match="it keeps answering 503 Injected; try again later"):
        storage.read_bytes(f"{s3_bucket}/x")
    assert s3_faults.counts["503"] > 3


def test_a_long_listing_goes_on_after_faults(s3_faults: FaultProxy, s3_bucket: str) -> None:
    s3_faults.enabled = False
    uris = [f"{s3_bucket}/long/{index:04d}" for index in range(1100)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda uri: storage.write_bytes(uri, b"x"), uris))
    s3_faults.enabled, s3_faults.share, s3_faults.kinds = True, 0.5, ("reset",)
    for _ in range(4):
        assert [info.uri for info in storage.list_files(f"{s3_bucket}/long")] == uris
    assert s3_faults.counts["reset"] > 3
