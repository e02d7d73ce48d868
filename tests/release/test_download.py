"""A download brings every byte as it was published, and nothing else, to nowhere else."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from publish_samples import NAME, Shape, make_committed_run, publish_run

from catalogtool.errors import ConfigError, ReleaseError, VerificationError
from catalogtool.progress import Progress
from catalogtool.release._file_list import FileEntry, list_problems, path_problem
from catalogtool.release.download import Downloaded, download_release, find_release
from catalogtool.release.releases import ReleasesLayout
from catalogtool.release.verify import verify


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    run = make_committed_run(folder / "output", Shape(objects=60, rows_per_partition=40))
    publish_run(run, str(folder / "releases"))
    return folder / "releases"


@pytest.fixture
def releases(published: Path, tmp_path: Path) -> Path:
    """A copy of the releases that a test may damage."""
    return Path(shutil.copytree(published, tmp_path / "releases"))


def download(releases: Path, target: Path, wanted: str = NAME) -> Downloaded:
    found = find_release(ReleasesLayout(str(releases)), wanted)
    return download_release(found, target, Progress())


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def folder_of(releases: Path) -> Path:
    return next(releases.rglob("manifest.json")).parent


def a_partition(folder: Path) -> Path:
    return max(folder.rglob("Npix=*.parquet"), key=lambda path: (path.stat().st_size, path))


def rewrite_manifest(releases: Path, change: dict[str, object], path: str | None = None) -> None:
    """Change one entry of the manifest, and make the release vouch for it."""
    manifest = next(releases.rglob("manifest.json"))
    values = json.loads(manifest.read_bytes())
    entry = next(f for f in values["files"] if path is None or f["path"] == path)
    entry.update(change)
    manifest.write_text(json.dumps(values))
    vouch(releases, manifest)


def vouch(releases: Path, manifest: Path) -> None:
    record = next(releases.rglob("release.json"))
    values = json.loads(record.read_bytes())
    values["manifest_sha256"] = hashlib.sha256(manifest.read_bytes()).hexdigest()
    record.write_text(json.dumps(values))


def test_a_download_is_the_release_byte_for_byte_and_verifies(
    published: Path, tmp_path: Path
) -> None:
    done = download(published, tmp_path / "got")
    got = files_of(tmp_path / "got")
    record = got.pop("release.json")
    assert got == files_of(folder_of(published))
    assert json.loads(record)["version"] == "2026.1"
    assert done.bytes_received == sum(map(len, got.values())) - len(got["manifest.json"])
    assert verify(str(tmp_path / "got" / "toy_morphology")).passed


def test_a_second_download_keeps_what_is_there(published: Path, tmp_path: Path) -> None:
    first = download(published, tmp_path / "got", f"{NAME}@2026.1")
    again = download(published, tmp_path / "got")
    assert again.bytes_received == 0
    assert again.bytes_kept == first.bytes_received


def test_a_download_goes_on_where_it_stopped(published: Path, tmp_path: Path) -> None:
    first = download(published, tmp_path / "got")
    victim = a_partition(tmp_path / "got")
    data = victim.read_bytes()
    victim.unlink()
    (tmp_path / "got" / "release.json").unlink()
    half = len(data) // 2
    victim.with_name(f"{victim.name}.partial").write_bytes(data[:half])
    again = download(published, tmp_path / "got")
    assert victim.read_bytes() == data
    assert again.bytes_received == len(data) - half
    assert again.bytes_kept == first.bytes_received - again.bytes_received


@pytest.mark.parametrize("there", [b"garbage", b"x" * 1_000_000])
def test_a_beginning_that_is_not_the_files_is_thrown_away(
    published: Path, tmp_path: Path, there: bytes
) -> None:
    partition = a_partition(folder_of(published))
    partial = tmp_path / "got" / partition.relative_to(folder_of(published))
    partial.parent.mkdir(parents=True)
    partial.with_name(f"{partial.name}.partial").write_bytes(there)
    download(published, tmp_path / "got")
    assert partial.read_bytes() == partition.read_bytes()


def test_a_flipped_byte_on_the_server_is_named_and_the_good_files_are_kept(
    releases: Path, tmp_path: Path
) -> None:
    victim = a_partition(folder_of(releases))
    good = victim.read_bytes()
    victim.write_bytes(bytes([good[0] ^ 1]) + good[1:])
    with pytest.raises(VerificationError, match=f"1 of .* files are damaged.*\n.*{victim.name}"):
        download(releases, tmp_path / "got")
    got = files_of(tmp_path / "got")
    name = str(victim.relative_to(folder_of(releases)))
    assert name not in got
    expected = {n for n in files_of(folder_of(releases)) if n not in (name, "manifest.json")}
    assert set(got) == expected | {"release.json.partial"}
    victim.write_bytes(good)
    assert download(releases, tmp_path / "got").bytes_received == len(good)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("../evil", "leaves the folder"),
        ("toy_morphology/../../evil", "leaves the folder"),
        ("/etc/evil", "is an absolute path"),
        ("~/evil", "is an absolute path"),
        ("C:/evil", "is an absolute path"),
        ("a\\..\\evil", "holds a backslash"),
        ("s3://other/evil", "names another host"),
        ("https://other.host/evil", "names another host"),
        ("//other.host/evil", "is an absolute path"),
        ("a//b", "holds characters"),
        ("", "holds characters"),
        ("evil?x=1", "holds characters"),
        ("%2e%2e/evil", "holds characters"),
        ("a\nb", "holds characters"),
        ("a\0b", "holds characters"),
        (".ssh/evil", "starts or ends with a dot"),
        ("evil.partial", "in .partial"),
        ("a" * 300, "is too long"),
        ("release.json", "is written by the download"),
        ("README.md", "occurs twice"),
        ("readme.MD", "occurs twice"),
        ("README.md/x", "both a file and a folder"),
    ],
)
def test_a_malicious_path_is_refused_by_name_before_anything_is_written(
    releases: Path, tmp_path: Path, path: str, reason: str
) -> None:
    rewrite_manifest(releases, {"path": path})
    with pytest.raises(ReleaseError, match=reason):
        download(releases, tmp_path / "got")
    assert not (tmp_path / "got").exists()
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"size_bytes": -1}, "greater than or equal to 0"),
        ({"size_bytes": "12"}, "valid integer"),
        ({"size_bytes": 10**15}, "GB are to come"),
        ({"size_bytes": 3}, "the manifest promises 3"),
        ({"sha256": "0"}, "should match pattern"),
        ({"path": "toy_morphology/not-there"}, "not-there: is missing"),
    ],
)
def test_sizes_hashes_and_files_that_lie_are_refused_before_anything_is_written(
    releases: Path, tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    rewrite_manifest(releases, change)
    with pytest.raises(ReleaseError, match=reason):
        download(releases, tmp_path / "got")
    assert not (tmp_path / "got").exists()


def test_a_manifest_of_another_hash_is_refused(releases: Path, tmp_path: Path) -> None:
    manifest = next(releases.rglob("manifest.json"))
    manifest.write_bytes(manifest.read_bytes() + b" ")
    with pytest.raises(ReleaseError, match="is not the manifest that the release was published"):
        download(releases, tmp_path / "got")


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"files": 3}', "\xff"])
def test_records_and_manifests_of_nonsense_are_refused(
    releases: Path, tmp_path: Path, text: str
) -> None:
    manifest = next(releases.rglob("manifest.json"))
    manifest.write_bytes(text.encode("latin-1"))
    vouch(releases, manifest)
    with pytest.raises(ReleaseError, match=r"manifest\.json"):
        download(releases, tmp_path / "got")
    next(releases.rglob("release.json")).write_bytes(text.encode("latin-1"))
    with pytest.raises(ReleaseError, match=r"release\.json"):
        download(releases, tmp_path / "got")


@pytest.mark.parametrize("folder", ["../other", "/etc", "a/b", ".."])
def test_a_record_that_leads_elsewhere_is_refused(
    releases: Path, tmp_path: Path, folder: str
) -> None:
    record = next(releases.rglob("release.json"))
    record.write_text(json.dumps({**json.loads(record.read_text()), "folder": folder}))
    with pytest.raises(ReleaseError, match="folder"):
        download(releases, tmp_path / "got")


@pytest.mark.parametrize("link", ["toy_morphology", "README.md", "README.md.partial"])
def test_links_in_the_target_folder_are_refused(published: Path, tmp_path: Path, link: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "got").mkdir()
    (tmp_path / "got" / link).symlink_to(elsewhere)
    with pytest.raises(ReleaseError, match=f"{link}: is a link"):
        download(published, tmp_path / "got")
    assert list(elsewhere.iterdir()) == []


def test_two_releases_never_share_a_folder(published: Path, releases: Path, tmp_path: Path) -> None:
    download(published, tmp_path / "got")
    rewrite_manifest(releases, {"rows": 1})
    with pytest.raises(ReleaseError, match=f"holds {NAME}@2026.1"):
        download(releases, tmp_path / "got")


def test_a_release_that_is_not_there_is_an_error_that_lists_those_that_are(
    published: Path, tmp_path: Path
) -> None:
    with pytest.raises(ReleaseError, match="has no release toy-hosts; it has: toy-morphology@2026"):
        download(published, tmp_path, "toy-hosts")
    with pytest.raises(ReleaseError, match="has no release toy-morphology@2025"):
        download(published, tmp_path, "toy-morphology@2025")
    with pytest.raises(ConfigError, match=r"release '\.\./x'"):
        download(published, tmp_path, "../x")
    with pytest.raises(ReleaseError, match="is it a place of releases"):
        download(tmp_path, tmp_path / "got")


@given(st.text())
def test_accepted_paths_stay_inside_whatever_is_tried(path: str) -> None:
    if path_problem(path) is None:
        root = Path("/root-of/download")
        inside = (root / path).resolve()
        assert inside.is_relative_to(root)
        assert inside != root


@given(st.lists(st.sampled_from(["a", "b", "..", ".", "", "A", "a.b", "~", "c:"]), min_size=1))
def test_paths_of_tricky_names_are_accepted_only_if_they_are_plain(names: list[str]) -> None:
    accepted = path_problem("/".join(names)) is None
    assert accepted == set(names).issubset({"a", "b", "A", "a.b"})


@given(st.lists(st.sampled_from(["a", "A", "a/b", "a/B", "c", "c/d/e", "c/d"]), max_size=4))
def test_files_that_cannot_be_side_by_side_are_found(paths: list[str]) -> None:
    entries = tuple(FileEntry(path=path, size_bytes=0, sha256="0" * 64) for path in paths)
    folded = [path.casefold() for path in paths]
    clash = len(set(folded)) < len(folded) or any(
        one.startswith(f"{other}/") for one in folded for other in folded
    )
    assert bool(list(list_problems(entries))) == clash
