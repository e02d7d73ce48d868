"""The files of a release, and why a list of them may not be trusted."""

import hashlib
import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from catalogtool.config._base import Settings
from catalogtool.errors import ReleaseError
from catalogtool.release.releases import MANIFEST_FILE, RECORD_FILE, Count, Sha256, parse_json

_SHOWN = 5
_OWN_FILES = (MANIFEST_FILE, RECORD_FILE)
_LONGEST_NAME = 200
_LONGEST_PATH = 1000
_MOST_FILES = 2_000_000
_PLAIN = re.compile(r"[A-Za-z0-9_.=+-]+")
_DATA_FILE = re.compile(r"Norder=(\d+)/Dir=\d+/Npix=(\d+)(?:/[^/]+)?\.parquet")


class FileEntry(Settings):
    """One file of a release."""

    path: str
    """Relative to the folder of the release, with slashes."""
    size_bytes: Count
    sha256: Sha256
    rows: Count | None = None
    """Rows of a partition; None for other files."""
    order: Annotated[int, Field(strict=True, ge=0, le=29)] | None = None
    pixel: Count | None = None
    """Nested HEALPix cell of a partition at `order`."""


class FileList(Settings):
    """Content of a release's ``manifest.json``."""

    format: Literal[1] = 1
    name: str
    version: str
    collection: str
    """Folder of the HATS collection."""
    primary: str
    """Folder of the table of all rows."""
    files: tuple[FileEntry, ...]

    @property
    def partitions(self) -> tuple[FileEntry, ...]:
        """Data files of the table of all rows."""
        prefix = f"{self.primary}/dataset/"
        return tuple(f for f in self.files if f.pixel is not None and f.path.startswith(prefix))

    @property
    def documents(self) -> tuple[FileEntry, ...]:
        """Files for people, beside the collection."""
        return tuple(file for file in self.files if "/" not in file.path)

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size_bytes for file in self.files)


def place_of(path: str) -> tuple[int, int] | None:
    """HEALPix order and pixel of a partition's file, None for other files."""
    match = _DATA_FILE.search(path)
    return (int(match[1]), int(match[2])) if match else None


def read_file_list(data: bytes, sha256: str, where: str) -> FileList:
    """Parse a manifest, and refuse one that could write anything but the release's own files.

    Raises
    ------
    ReleaseError
        If its hash is another one, or an entry is not acceptable; each is named.
    """
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ReleaseError(f"{where}: is not the manifest that the release was published with")
    files = parse_json(FileList, data, where)
    problems = list(list_problems(files.files))
    if problems:
        shown = "\n".join(f"  {problem}" for problem in problems[:_SHOWN])
        more = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise ReleaseError(
            f"{where}: refused, nothing was written:\n{shown}{more}", problems=len(problems)
        )
    return files


def list_problems(files: tuple[FileEntry, ...]) -> Iterator[str]:
    """What is wrong with the files of a manifest."""
    if len(files) > _MOST_FILES:
        yield f"{len(files)} files, more than {_MOST_FILES}"
        return
    seen: set[str] = set()
    folders: set[str] = set()
    for file in files:
        problem = path_problem(file.path)
        if file.path in _OWN_FILES:
            problem = "is written by the download itself"
        folded = file.path.casefold()
        if not problem and folded in seen:
            problem = "occurs twice (in upper and lower case alike)"
        if problem:
            yield f"{file.path!r}: {problem}"
        seen.add(folded)
        folders.update(_parents(folded))
    for path in sorted(seen & folders):
        yield f"{path!r}: is both a file and a folder"


def _parents(path: str) -> Iterator[str]:
    parts = path.split("/")
    for count in range(1, len(parts)):
        yield "/".join(parts[:count])


def path_problem(path: str) -> str | None:
    """Why a path may not be written to; None for a good one.

    Good paths consist of plain names with slashes between them, and so mean the same on every
    system and below every address.
    """
    names = path.split("/")
    faults = (
        ("://" in path, "names another host or scheme"),
        (path.startswith(("/", "~")) or path[1:2] == ":", "is an absolute path"),
        ("\\" in path, "holds a backslash"),
        (".." in names, "leaves the folder of the release"),
        (len(path) > _LONGEST_PATH or max(map(len, names)) > _LONGEST_NAME, "is too long"),
        (not all(map(_PLAIN.fullmatch, names)), "holds characters other than A-Z a-z 0-9 _.=+-"),
        (any(map(_is_hidden, names)), "has a name that starts or ends with a dot, or in .partial"),
    )
    return next((text for is_fault, text in faults if is_fault), None)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.endswith((".", ".partial"))
