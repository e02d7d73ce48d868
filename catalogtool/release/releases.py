"""Published releases: where they are and what makes them visible.

::

    RELEASES/
      index.json                        all releases, for hosts where nothing can be listed
      <name>/                           survey-kind, for example clash-morphology
        latest.json                     the version that people get who ask for none
        <version>/
          release.json                  created last, by one conditional write: the version exists
          <folder>/                     named by the content, so attempts never mix
            manifest.json               every file: path, size, SHA-256, rows, HEALPix pixel
            README.md card.json CITATION.cff LICENSE.txt provenance.json inputs.parquet
            <survey>_<kind>/            HATS collection
"""

import json
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from pydantic import Field

from catalogtool import storage
from catalogtool.config._base import Settings, build_settings, canonical_json
from catalogtool.errors import ConfigError, ReleaseError, StorageError

MANIFEST_FILE = "manifest.json"
RECORD_FILE = "release.json"
NAME_PATTERN = r"^[a-z][a-z0-9_]*-[a-z][a-z0-9_]*$"
WORD_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_+-]*(\.[A-Za-z0-9_+-]+)*$"

_POINTER_TRIES = 50
_PAUSE_S = 0.05

Count = Annotated[int, Field(strict=True, ge=0)]
Word = Annotated[str, Field(pattern=WORD_PATTERN, max_length=64)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
S = TypeVar("S", bound=Settings)


class ReleaseRecord(Settings):
    """One release: content of its ``release.json``, and its entry in the index."""

    name: Annotated[str, Field(pattern=NAME_PATTERN, max_length=128)]
    version: Word
    title: str
    rows: Count
    files: Count
    size_bytes: Count
    simulated: bool
    licence: str
    published: str
    """UTC, ISO 8601."""
    code_version: str
    """Version that published."""
    folder: Word
    """Folder of the files, beside ``release.json``."""
    manifest_sha256: Sha256

    def row(self) -> tuple[str, ...]:
        """Texts of a table's row."""
        name, size = f"{self.name}@{self.version}", f"{self.size_bytes / 1e6:.1f}"
        simulated = "yes" if self.simulated else ""
        return (name, str(self.rows), size, self.published, self.licence, simulated, self.title)


class ReleaseIndex(Settings):
    """All releases of a place, sorted by name and version."""

    releases: tuple[ReleaseRecord, ...] = ()

    def with_release(self, record: ReleaseRecord) -> "ReleaseIndex":
        """The index with one more release."""
        others = [r for r in self.releases if (r.name, r.version) != (record.name, record.version)]
        ranked = sorted([*others, record], key=lambda r: (r.name, version_key(r.version)))
        return ReleaseIndex(releases=tuple(ranked))


class LatestPointer(Settings):
    """Content of ``latest.json``."""

    version: Word


@dataclass(frozen=True)
class ReleasesLayout:
    """Addresses below a place of releases."""

    uri: str

    @property
    def index(self) -> str:
        """The list of all releases."""
        return storage.join(self.uri, "index.json")

    def latest(self, name: str) -> str:
        """Pointer to a release's newest version."""
        return storage.join(self.uri, name, "latest.json")

    def version(self, name: str, version: str) -> str:
        """Folder of one version."""
        return storage.join(self.uri, name, version)

    def record(self, name: str, version: str) -> str:
        """The file that makes a version visible."""
        return storage.join(self.version(name, version), RECORD_FILE)

    def folder(self, record: ReleaseRecord) -> str:
        """Folder of a version's files."""
        return storage.join(self.version(record.name, record.version), record.folder)


def parse_json(model: type[S], data: bytes, where: str) -> S:
    """Settings from the content of a published JSON file.

    Raises
    ------
    ReleaseError
        If it is not one.
    """
    try:
        return build_settings(model, json.loads(data), where)
    except (ValueError, RecursionError, ConfigError) as error:
        raise ReleaseError(f"{where}: not what a release says there: {error}") from error


def to_bytes(settings: Settings) -> bytes:
    """Content of a published JSON file."""
    return canonical_json(settings.to_json()).encode()


def find_record(layout: ReleasesLayout, name: str, version: str) -> ReleaseRecord | None:
    """Record of a visible release; None where there is none.

    Raises
    ------
    ReleaseError
        If the record is damaged or another release's.
    """
    where = layout.record(name, version)
    try:
        record = parse_json(ReleaseRecord, storage.read_bytes(where), where)
    except StorageError as error:
        if error.context.get("missing"):
            return None
        raise
    if (record.name, record.version) != (name, version):
        raise ReleaseError(f"{where}: is the record of {record.name}@{record.version}")
    return record


def read_index(layout: ReleasesLayout) -> ReleaseIndex:
    """All releases of a place.

    Raises
    ------
    StorageError
        If the place has no index.
    """
    return parse_json(ReleaseIndex, storage.read_bytes(layout.index), layout.index)


def announce(layout: ReleasesLayout, record: ReleaseRecord, *, back: bool) -> None:
    """Put a visible release into the index, and move ``latest`` to it.

    ``latest`` never moves to an older version unless `back` is true.
    """

    def indexed(data: bytes | None) -> bytes:
        old = parse_json(ReleaseIndex, data, layout.index) if data else ReleaseIndex()
        return to_bytes(old.with_release(record))

    where = layout.latest(record.name)

    def moved(data: bytes | None) -> bytes:
        if data and not back:
            old = parse_json(LatestPointer, data, where)
            if version_key(old.version) > version_key(record.version):
                return data
        return to_bytes(LatestPointer(version=record.version))

    _change(layout.index, indexed)
    _change(where, moved)


def _change(uri: str, change: Callable[[bytes | None], bytes]) -> None:
    """Change a small file of which several processes take care."""
    for _ in range(_POINTER_TRIES):
        if _changed(uri, change):
            return
        time.sleep(random.uniform(0, _PAUSE_S))  # noqa: S311 - no secret
    raise ReleaseError(f"{uri}: others change it all the time; publish again")


def _changed(uri: str, change: Callable[[bytes | None], bytes]) -> bool:
    try:
        old, version = storage.read_versioned(uri)
    except StorageError as error:
        if error.context.get("missing"):
            return storage.create_bytes(uri, change(None))
        raise
    new = change(old)
    return new == old or storage.replace_bytes(uri, new, version)


def version_key(version: str) -> tuple[tuple[bool, int, str], ...]:
    """Sorting key: numbers by value, words by letters and before numbers; 2026.9 < 2026.10."""
    parts = re.findall(r"\d+|[a-z]+", version.lower())
    return tuple((p.isdigit(), int(p), "") if p.isdigit() else (False, 0, p) for p in parts)


def check_word(word: str, what: str, pattern: str = WORD_PATTERN) -> None:
    """Refuse a name or version that cannot be part of an address.

    Raises
    ------
    ConfigError
        With what was expected.
    """
    if len(word) > 64 or not re.fullmatch(pattern, word):
        raise ConfigError(f"{what} {word!r}: expected letters, digits and dots, such as 2026.1")
