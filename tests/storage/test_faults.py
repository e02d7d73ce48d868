"""Object storage that fails at random is used as if it did not."""

import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_proxy import FAULTS, FaultProxy, fault_proxy

from catalogtool import storage
from catalogtool.errors import StorageError

pytestmark = pytest.mark.s3

WRITERS = 6


@pytest.fixture
def proxy(
    s3_bucket: str,  # noqa: ARG001 - sets the credentials
    s3_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[FaultProxy]:
    with fault_proxy(s3_port, seed=4, stall_s=4) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{running.port}")
        patience = {"stall_seconds": 0.4, "retry_seconds": 20}
        monkeypatch.setenv("CATALOGTOOL_STORAGE", json.dumps(patience))
        yield running


def faults(proxy: FaultProxy) -> int:
    return sum(proxy.counts[kind] for kind in FAULTS)


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_hundreds_of_objects_are_read_exactly(
    proxy: FaultProxy, s3_bucket: str, share: float
) -> None:
    proxy.share = share
    rng = random.Random(1)
    contents = [rng.randbytes(rng.randrange(1, 60_000)) for _ in range(300)]
    uris = [f"{s3_bucket}/many/{index:03d}" for index in range(len(contents))]
    proxy.enabled = False
    for uri, content in zip(uris, contents, strict=True):
        storage.write_bytes(uri, content)
    proxy.enabled = True
    proxy.counts.clear()
    assert storage.read_many(uris) == contents
    assert faults(proxy) > 300 * share / 3
    assert [info.uri for info in storage.list_files(f"{s3_bucket}/many")] == uris


@pytest.mark.parametrize("kind", FAULTS)
def test_every_operation_survives_every_fault(
    proxy: FaultProxy, s3_bucket: str, kind: str, tmp_path: Path
) -> None:
    proxy.share, proxy.kinds = 0.3, (kind,)
    large = tmp_path / "large"
    large.write_bytes(random.Random(3).randbytes(18_000_000))
    for turn in range(3):
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
    assert proxy.counts[kind] > 5


def test_of_many_writers_exactly_one_creates_a_file_though_answers_are_lost(
    proxy: FaultProxy, s3_bucket: str
) -> None:
    proxy.share, proxy.kinds = 0.4, ("500", "reset")
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
    assert faults(proxy) > 10


def test_patience_ends(proxy: FaultProxy, s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy.share, proxy.kinds = 1.0, ("503",)
    monkeypatch.setenv("CATALOGTOOL_STORAGE", '{"retry_seconds": 0}')
    with pytest.raises(StorageError, match="it keeps answering 503 Injected; try again later"):
        storage.read_bytes(f"{s3_bucket}/x")
    assert proxy.counts["503"] > 3
