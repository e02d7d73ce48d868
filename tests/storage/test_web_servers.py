"""Static hosting is read like a disk, and nothing else is done to it."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_proxy import fault_proxy
from web_server import answering, serving

from catalogtool import storage
from catalogtool.errors import StorageError


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    with serving(tmp_path) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOGTOOL_STORAGE", '{"stall_seconds": 1, "retry_seconds": 60}')


def test_files_are_read_whole_in_parts_and_together(site: str, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(range(200)))
    (tmp_path / "b.bin").write_bytes(b"b")
    uri = f"{site}/a.bin"
    assert storage.read_bytes(uri) == bytes(range(200))
    assert storage.read_range(uri, 10, 5) == bytes(range(10, 15))
    assert storage.read_range(uri, 195, 50) == bytes(range(195, 200))
    assert storage.read_range(uri, 300, 5) == b""
    first, second, third = storage.read_many([uri, f"{site}/c.bin", f"{site}/b.bin"])
    assert (first, third) == (bytes(range(200)), b"b")
    assert isinstance(second, StorageError)
    assert second.context["missing"]
    with storage.open_input(uri) as source:
        source.seek(100)
        assert source.read(3) == b"\x64\x65\x66"
        assert source.size() == 200


def test_large_files_come_in_pieces(site: str, tmp_path: Path) -> None:
    content = random.Random(2).randbytes(20_000_000)
    (tmp_path / "large.bin").write_bytes(content)
    assert storage.read_bytes(f"{site}/large.bin") == content


def test_a_file_is_described_and_lists_itself(site: str, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"abc")
    uri = f"{site}/a.bin"
    assert storage.exists(uri)
    assert not storage.exists(f"{site}/b.bin")
    assert not storage.is_local(uri)
    assert [(info.uri, info.size_bytes) for info in storage.list_files(uri)] == [(uri, 3)]
    before = storage.file_info(uri).identity
    (tmp_path / "a.bin").write_bytes(b"abcd")
    assert storage.file_info(uri).identity != before
    with pytest.raises(StorageError, match="does not list folders; name one file"):
        list(storage.list_files(f"{site}/folder"))


def test_writing_is_refused(site: str, tmp_path: Path) -> None:
    uri = f"{site}/new.bin"
    for attempt in (
        lambda: storage.write_bytes(uri, b""),
        lambda: storage.create_bytes(uri, b""),
        lambda: storage.replace_bytes(uri, b"", "1"),
        lambda: storage.upload_file(tmp_path / "x", uri),
        lambda: storage.delete(uri),
    ):
        with pytest.raises(StorageError, match="web servers are read only; write to a path or"):
            attempt()


@pytest.mark.parametrize(
    ("status", "sentence", "transient"),
    [
        (404, "does not exist", None),
        (403, "access denied; only public files", None),
        (405, "refuses the request: 405", None),
        (503, "keeps answering 503; try again later", True),
    ],
)
def test_what_a_server_answers_becomes_a_sentence(
    status: int, sentence: str, transient: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOGTOOL_STORAGE", '{"retry_seconds": 0}')
    with (
        answering(status) as port,
        pytest.raises(StorageError, match=sentence) as caught,
    ):
        storage.read_bytes(f"http://127.0.0.1:{port}/x?key=secret")
    assert caught.value.context.get("transient") == transient
    assert "secret" not in str(caught.value)


def test_another_host_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"moved")
    with serving(tmp_path) as there, answering(302, headers={"Location": "/x"}) as circle:
        uri = f"http://127.0.0.1:{there}/x"
        with answering(301, headers={"Location": uri}) as here:
            assert storage.read_bytes(f"http://127.0.0.1:{here}/old") == b"moved"
        elsewhere = uri.replace("127.0.0.1", "localhost")
        with (
            answering(301, headers={"Location": elsewhere}) as here,
            pytest.raises(StorageError, match="redirects to another host, http://localhost"),
        ):
            storage.read_bytes(f"http://127.0.0.1:{here}/old")
        with pytest.raises(StorageError, match="redirects more than 5 times"):
            storage.read_bytes(f"http://127.0.0.1:{circle}/x")


def test_an_address_is_checked() -> None:
    with pytest.raises(StorageError, match=r"http://host/x: an address must not hold a name"):
        storage.read_bytes("http://user:secret@host/x")
    for query in ("X-Amz-Date=1&X-Amz-Signature=secret", "sig=secret"):
        with pytest.raises(StorageError, match=r"http://host/x: .* must not hold a signature") as e:
            storage.read_bytes(f"http://host/x?{query}")
        assert "secret" not in str(e.value)
    with pytest.raises(StorageError, match="no host; expected https://host/path"):
        storage.read_bytes("https:///x")


@pytest.mark.usefixtures("impatient")
def test_faults_are_overcome(site: str, tmp_path: Path) -> None:
    rng = random.Random(5)
    contents = [rng.randbytes(rng.randrange(50_000)) for _ in range(100)]
    for index, content in enumerate(contents):
        (tmp_path / f"{index}").write_bytes(content)
    port = int(site.rsplit(":", 1)[1])
    with fault_proxy(port, share=0.2, seed=1, stall_s=3) as proxy:
        uris = [f"http://127.0.0.1:{proxy.port}/{index}" for index in range(len(contents))]
        assert storage.read_many(uris) == contents
        with storage.open_input(uris[7]) as source:
            assert source.read() == contents[7]
        assert sum(count for kind, count in proxy.counts.items() if kind != "ok") > 10
