"""The folder that a download writes to: is there room, is it safe, is it this release's."""

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from catalogtool.errors import ReleaseError
from catalogtool.release._fetch import PARTIAL
from catalogtool.release._file_list import FileEntry
from catalogtool.release.releases import RECORD_FILE, ReleaseRecord, parse_json, to_bytes

_SPARE_BYTES = 64 << 20


def check_folder(target: Path, record: ReleaseRecord, files: Sequence[FileEntry]) -> None:
    """Refuse a folder before anything is written to it.

    Raises
    ------
    ReleaseError
        If it holds another release, or links where files go, or the disk has no room.
    """
    _refuse_another_release(target, record)
    _refuse_links(target, files)
    needed = sum(file.size_bytes - _there(target / file.path) for file in files)
    free = shutil.disk_usage(_existing(target)).free
    if needed + _SPARE_BYTES > free:
        raise ReleaseError(
            f"{target}: {needed / 1e9:.3g} GB are to come and {free / 1e9:.3g} GB are free; make "
            "room, choose another --to, or select with --cone and --where"
        )


def claim_folder(target: Path, record: ReleaseRecord) -> None:
    """Note which release a folder is for; `settle_folder` says that it is whole."""
    target.mkdir(parents=True, exist_ok=True)
    if not (target / RECORD_FILE).exists():
        (target / f"{RECORD_FILE}{PARTIAL}").write_bytes(to_bytes(record))


def settle_folder(target: Path, record: ReleaseRecord) -> None:
    """Say that a folder is whole."""
    claim = target / f"{RECORD_FILE}{PARTIAL}"
    claim.write_bytes(to_bytes(record))
    claim.replace(target / RECORD_FILE)


def _refuse_another_release(target: Path, record: ReleaseRecord) -> None:
    for name in (RECORD_FILE, f"{RECORD_FILE}{PARTIAL}"):
        path = target / name
        if not path.is_file():
            continue
        there = parse_json(ReleaseRecord, path.read_bytes(), str(path))
        if there.manifest_sha256 != record.manifest_sha256:
            raise ReleaseError(
                f"{target}: holds {there.name}@{there.version}, published {there.published}; "
                "choose another --to, or remove it"
            )


def _refuse_links(target: Path, files: Sequence[FileEntry]) -> None:
    if target.exists() and not target.is_dir():
        raise ReleaseError(f"{target}: is a file; choose another --to")
    for name in sorted({*_written_names(files)}):
        path = target / name
        if path.is_symlink():
            raise ReleaseError(
                f"{path}: is a link, through which a download would write elsewhere; remove it or "
                "choose another --to"
            )


def _written_names(files: Iterable[FileEntry]) -> Iterable[str]:
    for file in files:
        yield from (file.path, f"{file.path}{PARTIAL}")
        folder = os.path.dirname(file.path)  # noqa: PTH120 - a relative text with slashes
        while folder:
            yield folder
            folder = os.path.dirname(folder)  # noqa: PTH120 - as above


def _there(path: Path) -> int:
    """Bytes that an earlier download left of a file."""
    for candidate in (path, path.with_name(path.name + PARTIAL)):
        if candidate.is_file():
            return candidate.stat().st_size
    return 0


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path
