"""Downloading: a release or a selection of its rows, checked before, while and after it arrives."""

import hashlib
import io
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from catalogtool import storage
from catalogtool.errors import ReleaseError, StorageError, VerificationError
from catalogtool.progress import Progress
from catalogtool.release._fetch import Fetcher
from catalogtool.release._file_list import FileList, read_file_list
from catalogtool.release._local_folder import check_folder, claim_folder, settle_folder
from catalogtool.release._selection import Reader, Selection
from catalogtool.release._table_files import SUFFIXES, write_table
from catalogtool.release.releases import (
    MANIFEST_FILE,
    NAME_PATTERN,
    LatestPointer,
    ReleaseRecord,
    ReleasesLayout,
    check_word,
    find_record,
    parse_json,
    read_index,
)

_LARGEST_MANIFEST = 1 << 30


@dataclass(frozen=True)
class Release:
    """A visible release and its files, which are safe to write."""

    record: ReleaseRecord
    uri: str
    manifest: bytes
    files: FileList

    @property
    def title(self) -> str:
        """Name with version."""
        return f"{self.record.name}@{self.record.version}"


def find_release(layout: ReleasesLayout, wanted: str) -> Release:
    """Look a release up by ``name`` (its latest version) or ``name@version``.

    Raises
    ------
    ReleaseError
        If there is no such release, or its manifest is not acceptable.
    """
    name, _, version = wanted.partition("@")
    check_word(name, "release", NAME_PATTERN)
    version = version or _latest(layout, name)
    check_word(version, "version")
    record = find_record(layout, name, version)
    if record is None:
        raise ReleaseError(f"{layout.uri}: has no release {name}@{version}; {_known(layout)}")
    uri = layout.folder(record)
    where = storage.join(uri, MANIFEST_FILE)
    size = storage.file_info(where).size_bytes
    if size > _LARGEST_MANIFEST:
        raise ReleaseError(f"{where}: has {size} bytes, more than a list of files needs")
    manifest = storage.read_bytes(where)
    files = read_file_list(manifest, record.manifest_sha256, where)
    if (files.name, files.version) != (name, version):
        raise ReleaseError(f"{where}: lists the files of {files.name}@{files.version}")
    return Release(record, uri, manifest, files)


def _latest(layout: ReleasesLayout, name: str) -> str:
    where = layout.latest(name)
    try:
        return parse_json(LatestPointer, storage.read_bytes(where), where).version
    except StorageError as error:
        if error.context.get("missing"):
            raise ReleaseError(f"{layout.uri}: has no release {name}; {_known(layout)}") from error
        raise


def _known(layout: ReleasesLayout) -> str:
    try:
        releases = read_index(layout).releases
    except StorageError:
        return "and no index.json: is it a place of releases?"
    return f"it has: {', '.join(f'{r.name}@{r.version}' for r in releases)}"


@dataclass(frozen=True)
class Downloaded:
    """What a download left.

    Attributes
    ----------
    release : str
        Name and version.
    path : Path
        The folder of a whole release, or the table of a selection.
    rows : int
        Rows there.
    files : int
        Files of the release that were needed.
    bytes_received, bytes_kept : int
        What came over the network, and what was there from an earlier attempt.
    """

    release: str
    path: Path
    rows: int
    files: int
    bytes_received: int
    bytes_kept: int

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "path": str(self.path)}


def download_release(release: Release, target: Path, progress: Progress) -> Downloaded:
    """Bring all files of a release, each verified while it arrives.

    The folder gets its ``release.json`` when everything else is there. Run again after any
    failure: what is there is kept.

    Parameters
    ----------
    release : Release
        From `find_release`.
    target : Path
        Folder to write to.
    progress : Progress
        Is told of the megabytes.

    Raises
    ------
    ReleaseError
        If the folder or the server's sizes do not allow it; nothing was written then.
    VerificationError
        If files are damaged on the server; the good ones are in place.
    StorageError
        If the server fails for long.
    """
    files = release.files.files
    with progress.stage(f"download {release.title}"):
        fetcher = Fetcher(release.uri, target, _meter(progress, release.files.size_bytes))
        check_folder(target, release.record, files)
        fetcher.check_sizes(files)
        claim_folder(target, release.record)
        fetcher.fetch(files)
        (target / MANIFEST_FILE).write_bytes(release.manifest)
        settle_folder(target, release.record)
    return _downloaded(release, fetcher, target, (release.record.rows, len(files)))


def download_rows(
    release: Release, selection: Selection, target: Path, progress: Progress
) -> Downloaded:
    """Bring the rows of a selection as one table, beside the documents of the release.

    Only the partitions that the cone touches are transferred, each whole and verified; then rows
    and columns are chosen here.

    Parameters
    ----------
    release : Release
        From `find_release`.
    selection : Selection
        Which rows and columns, and the format.
    target : Path
        Folder to write to.
    progress : Progress
        Is told of the megabytes.

    Raises
    ------
    ConfigError
        If the selection does not fit the columns.
    ReleaseError, VerificationError, StorageError
        As of `download_release`.
    """
    reader = Reader(_read_schema(release), selection)
    partitions = selection.partitions(release.files.partitions)
    documents = [file for file in release.files.documents if not file.path.endswith(".parquet")]
    files = (*documents, *partitions)
    name = f"{release.record.name}-{release.record.version}"
    scratch = target / f".{name}-{release.record.folder}"
    with progress.stage(f"download from {release.title}"):
        fetcher = Fetcher(release.uri, scratch, _meter(progress, sum(f.size_bytes for f in files)))
        check_folder(scratch, release.record, files)
        fetcher.check_sizes(files)
        claim_folder(scratch, release.record)
        fetcher.fetch(files)
        table = target / f"{name}{SUFFIXES[selection.form]}"
        tables = reader.tables([scratch / file.path for file in partitions])
        rows = write_table(table, selection.form, reader.schema, tables)
        for document in documents:
            (scratch / document.path).replace(target / f"{name}.{document.path}")
        shutil.rmtree(scratch)
    return _downloaded(release, fetcher, table, (rows, len(files)))


def _downloaded(
    release: Release, fetcher: Fetcher, path: Path, counts: tuple[int, int]
) -> Downloaded:
    moved = fetcher.transfer
    return Downloaded(release.title, path, *counts, moved.bytes_received, moved.bytes_kept)


def _read_schema(release: Release) -> pa.Schema:
    """Columns of a release, from a small file of it."""
    wanted = f"{release.files.primary}/dataset/_common_metadata"
    for file in release.files.files:
        if file.path == wanted:
            uri = storage.join(release.uri, wanted)
            data = storage.read_bytes(uri)
            if hashlib.sha256(data).hexdigest() != file.sha256:
                raise VerificationError(f"{uri}: does not have the promised SHA-256 {file.sha256}")
            return pq.read_schema(io.BytesIO(data))
    raise ReleaseError(f"{release.uri}: has no {wanted}, so its columns are unknown")


def _meter(progress: Progress, total_bytes: int) -> Callable[[int], None]:
    """Counts the bytes of all threads and tells of the megabytes."""
    lock = Lock()
    done = 0

    def count(size: int) -> None:
        nonlocal done
        with lock:
            done += size
            progress.advance(done // 1_000_000, -(-total_bytes // 1_000_000), "MB")

    return count
