"""Fetches files of a release: several at once, resumed where they stopped, hashed as they arrive.

A file grows under the name ``<file>.partial`` and gets its own name when its hash is the promised
one. Whatever ends a download, the next one goes on with the bytes that are there.
"""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from threading import Event, Lock

from catalogtool import storage
from catalogtool.errors import CatalogtoolError, ReleaseError, StorageError, VerificationError
from catalogtool.release._file_list import FileEntry

PARTIAL = ".partial"
_FILES = 8
_HEADS = 32
_SHOWN = 5
_TRIES = 3
"""How often a file is fetched whose hash is wrong."""
_STALLS = 5
"""How often in a row a stream may bring nothing."""
_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 2.0
_READ_BYTES = 1 << 20


@dataclass
class Transfer:
    """What a download moved; several threads add to it."""

    bytes_received: int = 0
    bytes_kept: int = 0
    """Bytes that were there before, whole files and beginnings of files."""
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, received: int = 0, kept: int = 0) -> None:
        """Count bytes."""
        with self._lock:
            self.bytes_received += received
            self.bytes_kept += kept


class Fetcher:
    """Brings files from a release's folder into a local one.

    Parameters
    ----------
    uri : str
        Folder of the release.
    target : Path
        Local folder, which exists.
    on_bytes : callable
        Called with the bytes received so far, by several threads.
    """

    def __init__(self, uri: str, target: Path, on_bytes: Callable[[int], None]) -> None:
        self._uri = uri
        self._target = target
        self._on_bytes = on_bytes
        self._stopped = Event()
        self.transfer = Transfer()

    def check_sizes(self, files: Sequence[FileEntry]) -> None:
        """Ask for the size of every file, before anything is written.

        Raises
        ------
        ReleaseError
            If one is missing or has another size than the manifest says; each is named.
        """
        with ThreadPoolExecutor(_HEADS) as pool:
            problems = [text for text in pool.map(self._size_problem, files) if text]
        if problems:
            raise ReleaseError(
                f"{self._uri}: the manifest and the files differ, nothing was written:\n"
                f"{_lines(problems)}"
            )

    def _size_problem(self, file: FileEntry) -> str | None:
        uri = storage.join(self._uri, file.path)
        try:
            size = storage.file_info(uri).size_bytes
        except StorageError as error:
            if error.context.get("missing"):
                return f"{uri}: is missing"
            raise
        if size == file.size_bytes:
            return None
        return f"{uri}: has {size} bytes, the manifest promises {file.size_bytes}"

    def fetch(self, files: Sequence[FileEntry]) -> None:
        """Bring all files; those that are there and good are kept.

        Raises
        ------
        VerificationError
            If a file has another hash on the server than the manifest promises; all others are in
            their places then.
        StorageError
            If the server cannot be read; run again to go on.
        """
        failures: list[CatalogtoolError] = []
        pool = ThreadPoolExecutor(_FILES)
        try:
            for future in as_completed(pool.submit(self._fetch, file) for file in files):
                failure = _failure(future)
                if isinstance(failure, StorageError):
                    raise failure
                if failure:
                    failures.append(failure)
        finally:
            self._stopped.set()
            pool.shutdown(cancel_futures=True)
        if failures:
            raise VerificationError(
                f"{len(failures)} of {len(files)} files are damaged on the server; the others are "
                f"in place:\n{_lines([str(failure) for failure in failures])}"
            )

    def _fetch(self, file: FileEntry) -> None:
        target = self._target / file.path
        if _is_whole(target, file):
            self.transfer.add(kept=file.size_bytes)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(target.name + PARTIAL)
        for _ in range(_TRIES):
            if self._receive(file, partial) == file.sha256:
                partial.replace(target)
                return
            partial.unlink()
        uri = storage.join(self._uri, file.path)
        raise VerificationError(
            f"{uri}: does not have the promised SHA-256 {file.sha256}, after {_TRIES} attempts"
        )

    def _receive(self, file: FileEntry, partial: Path) -> str:
        """Continue a file until it has its size; returns the hash of all of it."""
        with _open_partial(partial) as sink:
            digest = _hash_there(sink, file.size_bytes)
            self.transfer.add(kept=sink.tell())
            stalls = 0
            while (size := sink.tell()) < file.size_bytes:
                failure = self._append(file, sink, digest)
                stalls = 0 if sink.tell() > size else stalls + 1
                if stalls >= _STALLS or (failure and not failure.context.get("transient")):
                    raise failure or self._too_short(file, size)
                if failure or stalls:
                    time.sleep(min(_PAUSE_S * 2**stalls, _LONGEST_PAUSE_S))
            os.fsync(sink.fileno())
        return digest.hexdigest()

    def _append(
        self, file: FileEntry, sink: FileIO, digest: "hashlib._Hash"
    ) -> StorageError | None:
        """Write what one stream brings; returns what ended it before its time."""
        uri = storage.join(self._uri, file.path)
        try:
            for piece in storage.read_stream(uri, sink.tell()):
                if self._stopped.is_set():
                    return StorageError(f"{uri}: not finished, because another file failed")
                if sink.tell() + len(piece) > file.size_bytes:
                    raise VerificationError(f"{uri}: is longer than the promised size")
                sink.write(piece)
                digest.update(piece)
                self.transfer.add(received=len(piece))
                self._on_bytes(len(piece))
        except StorageError as error:
            return error
        return None

    def _too_short(self, file: FileEntry, size: int) -> StorageError:
        uri = storage.join(self._uri, file.path)
        return StorageError(f"{uri}: ends after {size} of {file.size_bytes} bytes; run again")


def _failure(future: Future[None]) -> CatalogtoolError | None:
    """The error of a finished download; anything but our own errors is raised."""
    error = future.exception()
    if error is None or isinstance(error, CatalogtoolError):
        return error
    raise error


def _lines(texts: Sequence[str]) -> str:
    shown = [f"  {text}" for text in texts[:_SHOWN]]
    more = [f"  and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return "\n".join([*shown, *more])


def _open_partial(path: Path) -> FileIO:
    """Open for reading and writing, unless it is a link to somewhere else."""
    return FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644), "r+")


def _hash_there(sink: FileIO, size_bytes: int) -> "hashlib._Hash":
    """Hash what an earlier download left, and stand at its end; too much of it is dropped."""
    digest = hashlib.sha256()
    if os.fstat(sink.fileno()).st_size > size_bytes:
        sink.truncate(0)
    while piece := sink.read(_READ_BYTES):
        digest.update(piece)
    return digest


def _is_whole(path: Path, file: FileEntry) -> bool:
    """Whether a file is there under its own name with the promised content."""
    if not path.is_file() or path.stat().st_size != file.size_bytes:
        return False
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest() == file.sha256
