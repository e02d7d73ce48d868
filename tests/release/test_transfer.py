"""Releases on a real S3 server and on static hosting, over connections that break."""

import hashlib
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cutting_proxy import cutting_proxy
from fault_proxy import FAULTS, fault_proxy
from publish_samples import NAME, Shape, make_committed_run, publish_run
from web_server import serving

from catalogtool import storage
from catalogtool.errors import StorageError, VerificationError
from catalogtool.layout import RunLayout
from catalogtool.progress import Progress
from catalogtool.release._fetch import Fetcher
from catalogtool.release._file_list import FileEntry
from catalogtool.release._selection import parse_selection
from catalogtool.release.download import download_release, download_rows, find_release
from catalogtool.release.releases import ReleasesLayout, read_index
from catalogtool.release.verify import verify

pytestmark = pytest.mark.s3

LARGE_BYTES = 48_000_000
LARGE_NAME = "large.parquet"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunLayout:
    shape = Shape(objects=300, rows_per_partition=60)
    return make_committed_run(tmp_path_factory.mktemp("output"), shape)


@pytest.fixture(scope="module")
def large() -> bytes:
    return random.Random(3).randbytes(LARGE_BYTES)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "site").mkdir()
    with serving(tmp_path / "site") as port:
        yield f"http://127.0.0.1:{port}"


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    patience = {"stall_seconds": 0.5, "retry_seconds": 20}
    monkeypatch.setenv("CATALOGTOOL_STORAGE", json.dumps(patience))


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def large_entry(large: bytes) -> FileEntry:
    digest = hashlib.sha256(large).hexdigest()
    return FileEntry(path=LARGE_NAME, size_bytes=len(large), sha256=digest)


def test_releases_on_s3_and_the_web_are_those_of_a_folder(
    run: RunLayout, s3_bucket: str, site: str, tmp_path: Path
) -> None:
    local = tmp_path / "site" / "releases"
    publish_run(run, str(local))
    done = publish_run(run, f"{s3_bucket}/releases")
    assert verify(done.collection_uri).passed
    got = {}
    for uri in (str(local), f"{s3_bucket}/releases", f"{site}/releases"):
        layout = ReleasesLayout(uri)
        assert [r.version for r in read_index(layout).releases] == ["2026.1"]
        target = tmp_path / f"got-{len(got)}"
        download_release(find_release(layout, NAME), target, Progress())
        got[uri] = files_of(target)
        del got[uri]["release.json"]  # says when it was published
    first, *others = got.values()
    assert all(other == first for other in others)


def test_a_selection_from_the_web_transfers_its_partitions(
    run: RunLayout, site: str, tmp_path: Path
) -> None:
    publish_run(run, str(tmp_path / "site"))
    release = find_release(ReleasesLayout(site), NAME)
    selection = parse_selection("ra,dec", "45,0,2 arcmin", None, "csv")
    assert selection is not None
    with cutting_proxy(int(site.rsplit(":", 1)[1]), []) as proxy:
        layout = ReleasesLayout(f"http://127.0.0.1:{proxy.port}")
        found = find_release(layout, NAME)
        before = proxy.bytes_sent
        done = download_rows(found, selection, tmp_path / "got", Progress())
        sent = proxy.bytes_sent - before
    touched = selection.partitions(release.files.partitions)
    assert len(touched) < len(release.files.partitions)
    heads = 400 * 2 * (done.files + 2)
    schema = 20_000
    assert done.bytes_received <= sent < done.bytes_received + heads + schema
    assert sent < release.files.size_bytes / 2


@pytest.mark.parametrize("place", ["s3", "web"])
def test_a_cut_connection_resumes_where_it_stopped(
    place: str,
    large: bytes,
    site: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    impatient(monkeypatch)
    s3_bucket = request.getfixturevalue("s3_bucket")
    s3_port = request.getfixturevalue("s3_port")
    if place == "s3":
        storage.write_bytes(f"{s3_bucket}/{LARGE_NAME}", large)
    else:
        (tmp_path / "site" / LARGE_NAME).write_bytes(large)
    server = s3_port if place == "s3" else int(site.rsplit(":", 1)[1])
    with cutting_proxy(server, [LARGE_BYTES // 3, LARGE_BYTES // 2]) as proxy:
        address = f"http://127.0.0.1:{proxy.port}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        uri = s3_bucket if place == "s3" else address
        (tmp_path / "got").mkdir()
        fetcher = Fetcher(uri, tmp_path / "got", lambda _: None)
        fetcher.fetch([large_entry(large)])
    assert proxy.cuts == []
    assert (tmp_path / "got" / LARGE_NAME).read_bytes() == large
    assert proxy.bytes_sent < LARGE_BYTES * 1.01


def test_a_download_that_was_cut_for_good_is_continued_by_the_next_one(
    large: bytes, site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOGTOOL_STORAGE", '{"stall_seconds": 0.2, "retry_seconds": 0}')
    (tmp_path / "site" / LARGE_NAME).write_bytes(large)
    (tmp_path / "got").mkdir()
    entry = large_entry(large)
    port = int(site.rsplit(":", 1)[1])
    half = LARGE_BYTES // 2
    with cutting_proxy(port, [half] * 100) as proxy:
        broken = Fetcher(f"http://127.0.0.1:{proxy.port}", tmp_path / "got", lambda _: None)
        with pytest.raises(StorageError, match=LARGE_NAME):
            broken.fetch([entry])
    assert not (tmp_path / "got" / LARGE_NAME).exists()
    again = Fetcher(site, tmp_path / "got", lambda _: None)
    again.fetch([entry])
    assert (tmp_path / "got" / LARGE_NAME).read_bytes() == large
    assert again.transfer.bytes_kept == broken.transfer.bytes_received
    assert again.transfer.bytes_kept > 0.99 * half


def test_publishing_and_downloading_overcome_five_percent_faults(
    run: RunLayout,
    s3_bucket: str,
    s3_port: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    impatient(monkeypatch)
    with fault_proxy(s3_port, share=0.05, seed=5, stall_s=2) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
        releases = f"{s3_bucket}/releases"
        publish_run(run, releases)
        found = find_release(ReleasesLayout(releases), NAME)
        download_release(found, tmp_path / "got", Progress())
    assert sum(proxy.counts[kind] for kind in FAULTS) > 3
    assert verify(str(tmp_path / "got" / "toy_morphology")).passed
    published = Path(publish_run(run, str(tmp_path / "local")).uri)
    got = files_of(tmp_path / "got")
    del got["release.json"]
    assert got == files_of(published)


def test_large_files_are_published_in_parts_and_hashed_on_the_way(
    run: RunLayout, s3_bucket: str, tmp_path: Path
) -> None:
    folder = tmp_path / "output"
    shutil.copytree(Path(run.uri), folder)
    copied = RunLayout(str(folder))
    collection = Path(copied.catalog("toy", "morphology"))
    extra = random.Random(4).randbytes(20_000_000)
    (collection / "extra.bin").write_bytes(extra)
    manifest = collection / "MANIFEST.sha256"
    line = f"{hashlib.sha256(extra).hexdigest()}  extra.bin\n"
    manifest.write_bytes(manifest.read_bytes() + line.encode())
    commit = {"catalogs": {"morphology": hashlib.sha256(manifest.read_bytes()).hexdigest()}}
    Path(copied.commit).write_text(json.dumps(commit))
    done = publish_run(copied, f"{s3_bucket}/releases")
    assert storage.read_bytes(f"{done.collection_uri}/extra.bin") == extra
    (collection / "extra.bin").write_bytes(extra[:-1] + b"?")
    with pytest.raises(Exception, match=r"extra\.bin: is not what it was"):
        publish_run(copied, f"{s3_bucket}/others")
    names = [info.uri for info in storage.list_files(f"{s3_bucket}/others")]
    assert not any(name.endswith(("extra.bin", "release.json")) for name in names)


def test_a_flipped_byte_on_the_web_server_is_named(
    run: RunLayout, site: str, tmp_path: Path
) -> None:
    done = publish_run(run, str(tmp_path / "site"))
    victim = min(Path(done.collection_uri).rglob("Npix=*.parquet"))
    data = victim.read_bytes()
    victim.write_bytes(data[:100] + bytes([data[100] ^ 4]) + data[101:])
    found = find_release(ReleasesLayout(site), NAME)
    with pytest.raises(VerificationError, match=victim.name):
        download_release(found, tmp_path / "got", Progress())
