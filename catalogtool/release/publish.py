"""Publishing: a committed run's catalog becomes an immutable release.

Everything is copied and hashed first, into a folder named by the content. One conditional write
makes the version visible, so a publishing that dies leaves no version at all, and the next one
goes on with its files.
"""

import hashlib
import io
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow.parquet as pq

from catalogtool import __version__, storage
from catalogtool.config._base import canonical_json
from catalogtool.errors import ReleaseError, StorageError
from catalogtool.progress import Progress
from catalogtool.release._collection import Collection, fields
from catalogtool.release._copy import Copied, Copy, copy_all
from catalogtool.release._documents import Described, ReleaseCard
from catalogtool.release._file_list import FileEntry, FileList, list_problems, place_of
from catalogtool.release._folder import MANIFEST, parse_manifest
from catalogtool.release._inputs import write_inputs
from catalogtool.release._run_facts import RunFacts
from catalogtool.release.releases import (
    MANIFEST_FILE,
    ReleaseRecord,
    ReleasesLayout,
    announce,
    check_word,
    find_record,
    to_bytes,
)

_INPUTS = "inputs.parquet"


@dataclass(frozen=True)
class Publication:
    """What a publishing did.

    Attributes
    ----------
    record : ReleaseRecord
        The visible release.
    uri, collection_uri : str
        Folder of its files, and of its HATS collection.
    was_there : bool
        Whether the version was visible before, with the same content.
    reused : int
        Files that an unfinished publishing had left.
    """

    record: ReleaseRecord
    uri: str
    collection_uri: str
    was_there: bool
    reused: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        facts = {"uri": self.uri, "collection_uri": self.collection_uri}
        return {**self.record.to_json(), **facts, "was_there": self.was_there}

    def row(self) -> tuple[str, ...]:
        """Texts of a table's row."""
        record = self.record
        notes = ["was there"] * self.was_there + ["simulated"] * record.simulated
        size = f"{record.size_bytes / 1e6:.1f}"
        counts = (str(record.rows), str(record.files), size)
        return (f"{record.name}@{record.version}", *counts, self.collection_uri, ", ".join(notes))


@dataclass(frozen=True)
class Order:
    """What to publish: where to, under which version, and what the publisher adds.

    `back` lets ``latest`` move to an older version.
    """

    releases: ReleasesLayout
    version: str
    card: ReleaseCard
    back: bool = False


def publish(facts: RunFacts, kind: str, order: Order, progress: Progress) -> Publication:
    """Publish one catalog of a committed run.

    Every byte is compared with what the run verified before it committed.

    Parameters
    ----------
    facts : RunFacts
        The run.
    kind : str
        Catalog kind, one of the run's.
    order : Order
        Where to and as what.
    progress : Progress
        Is told of the bytes copied.

    Raises
    ------
    ReleaseError
        If the catalog is not what the run verified, or the version is there with other content.
    StorageError
        If something cannot be read or written; publish again to go on.
    """
    check_word(order.version, "version")
    draft = _Draft(facts, kind, order)
    there = find_record(order.releases, draft.name, order.version)
    if there is not None:
        return draft.published(there, was_there=True)
    with progress.stage(f"publish {draft.name}@{order.version}"):
        files, reused = draft.copy(progress)
        manifest = to_bytes(files)
        storage.write_bytes(storage.join(draft.uri, MANIFEST_FILE), manifest)
        record = draft.record(files, hashlib.sha256(manifest).hexdigest())
        created = storage.create_bytes(
            order.releases.record(draft.name, order.version), to_bytes(record)
        )
    if not created:
        there = find_record(order.releases, draft.name, order.version)
        if there is not None:
            return draft.published(there, was_there=True)
        raise ReleaseError(f"{draft.name}@{order.version}: its record went while it was published")
    return replace(draft.published(record, was_there=False), reused=reused)


class _Draft:
    """A release before it is visible."""

    def __init__(self, facts: RunFacts, kind: str, order: Order) -> None:
        self.facts = facts
        self.order = order
        survey = facts.record["survey"]
        self.name = f"{survey}-{kind}"
        self.source = facts.run.catalog(survey, kind)
        self.collection_name = f"{survey}_{kind}"
        self.promised = self._promised(kind)
        primary = Collection(self.source, tuple(self.promised)).primary
        self.primary = primary.name
        self.described = Described(
            name=self.name,
            version=order.version,
            collection=self.collection_name,
            card=order.card,
            properties=primary.properties,
            fields=fields(primary.schema),
            provenance=facts.provenance(kind),
        )
        self.documents = self.described.documents()
        self.folder = self._identity(facts.catalogs[kind])[:16]
        version_folder = order.releases.version(self.name, order.version)
        self.uri = storage.join(version_folder, self.folder)

    def _promised(self, kind: str) -> dict[str, str]:
        """Hashes of the collection's files as the run verified them."""
        where = storage.join(self.source, MANIFEST)
        data = storage.read_bytes(where)
        verified = self.facts.catalogs[kind]
        if hashlib.sha256(data).hexdigest() != verified:
            raise ReleaseError(
                f"{where}: is not the list of hashes that the run verified; produce it again"
            )
        return {**parse_manifest(data), MANIFEST: verified}

    def _identity(self, collection_sha256: str) -> str:
        """Hash over all content that the publisher decides on."""
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in self.documents.items()}
        content = {"collection": collection_sha256, "documents": hashes}
        return hashlib.sha256(canonical_json(content).encode()).hexdigest()

    def copy(self, progress: Progress) -> tuple[FileList, int]:
        """Put all files in place; returns them, and how many were there."""
        with tempfile.TemporaryDirectory(prefix="catalogtool-publish-") as scratch:
            inputs = Path(scratch) / _INPUTS
            write_inputs(self.facts.record["manifest_uri"], inputs)
            copies = self._copies(inputs)
            copied = copy_all(list(copies.values()), _counter(progress, len(copies)))
        for name, data in self.documents.items():
            storage.write_bytes(storage.join(self.uri, name), data)
        rows = self._partition_rows()
        entries = [_entry(*pair, rows) for pair in zip(copies, copied, strict=True)]
        entries += [_document(name, data) for name, data in self.documents.items()]
        return self._file_list(tuple(entries)), sum(file.reused for file in copied)

    def _copies(self, inputs: Path) -> dict[str, Copy]:
        """What to copy, by its path in the release."""
        base = len(storage.normalise(self.source)) + 1
        sizes = {info.uri[base:]: info.size_bytes for info in storage.list_files(self.source)}
        missing = sorted(self.promised.keys() - sizes.keys())
        if missing:
            raise ReleaseError(f"{self.source}/{missing[0]}: is missing; produce it again")
        there = {info.uri for info in storage.list_files(self.uri)}
        copies = {}
        for name, digest in sorted(self.promised.items()):
            target = storage.normalise(self._target(name))
            source = storage.join(self.source, name)
            copy = Copy(source, target, digest, sizes[name], is_there=target in there)
            copies[f"{self.collection_name}/{name}"] = copy
        size = inputs.stat().st_size
        target = storage.join(self.uri, _INPUTS)
        return {**copies, _INPUTS: Copy(str(inputs), target, None, size, is_there=False)}

    def _target(self, name: str) -> str:
        return storage.join(self.uri, self.collection_name, name)

    def _partition_rows(self) -> dict[str, int]:
        """Rows of each data file, from the footers that the collection collects."""
        rows: dict[str, int] = {}
        for name in self.promised:
            if not name.endswith("/dataset/_metadata"):
                continue
            data = storage.read_bytes(storage.join(self.source, name))
            footer = pq.read_metadata(io.BytesIO(data))
            base = f"{self.collection_name}/{name.removesuffix('_metadata')}"
            for index in range(footer.num_row_groups):
                group = footer.row_group(index)
                path = base + group.column(0).file_path
                rows[path] = rows.get(path, 0) + group.num_rows
        return rows

    def _file_list(self, entries: tuple[FileEntry, ...]) -> FileList:
        problems = list(list_problems(entries))
        if problems:
            raise ReleaseError(f"{self.source}: cannot be published: {'; '.join(problems[:3])}")
        return FileList(
            name=self.name,
            version=self.order.version,
            collection=self.collection_name,
            primary=f"{self.collection_name}/{self.primary}",
            files=entries,
        )

    def record(self, files: FileList, manifest_sha256: str) -> ReleaseRecord:
        """The record that makes the version visible."""
        return ReleaseRecord(
            name=self.name,
            version=self.order.version,
            title=self.described.title,
            rows=self.described.rows,
            files=len(files.files),
            size_bytes=files.size_bytes,
            simulated=self.described.simulated,
            licence=self.order.card.licence,
            published=datetime.now(UTC).isoformat(timespec="seconds"),
            code_version=__version__,
            folder=self.folder,
            manifest_sha256=manifest_sha256,
        )

    def published(self, record: ReleaseRecord, *, was_there: bool) -> Publication:
        """Announce the visible release if it has this content."""
        if record.folder != self.folder:
            raise ReleaseError(
                f"{self.name}@{self.order.version}: is published with other content, and releases "
                "do not change; publish under another --version"
            )
        announce(self.order.releases, record, back=self.order.back)
        self._remove_other_attempts()
        collection_uri = storage.join(self.uri, self.collection_name)
        return Publication(record, self.uri, collection_uri, was_there)

    def _remove_other_attempts(self) -> None:
        """Delete what attempts with other content left; they cannot become visible any more."""
        folder = storage.normalise(self.order.releases.version(self.name, self.order.version))
        kept = (f"{folder}/{self.folder}/", f"{folder}/release.json")
        for info in list(storage.list_files(folder)):
            if not info.uri.startswith(kept):
                with suppress(StorageError):
                    storage.delete(info.uri)


def _counter(progress: Progress, total: int) -> Callable[[], None]:
    """Tells of finished files, whatever thread finished them."""
    lock = Lock()
    done = 0

    def count() -> None:
        nonlocal done
        with lock:
            done += 1
            progress.advance(done, total, "files")

    return count


def _entry(path: str, file: Copied, rows: dict[str, int]) -> FileEntry:
    order, pixel = place_of(path) or (None, None)
    return FileEntry(
        path=path,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        rows=rows.get(path),
        order=order,
        pixel=pixel,
    )


def _document(name: str, data: bytes) -> FileEntry:
    digest = hashlib.sha256(data).hexdigest()
    return FileEntry(path=name, size_bytes=len(data), sha256=digest)
