"""The local disk: whole writes by rename, commits by hard link."""

import errno
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from catalogtool.errors import StorageError
from catalogtool.storage._info import FileInfo

_READERS = 8
_SCRATCH = ".partial-"
_MODE = 0o644
_COPY_BYTES = 1 << 20
_REMEDIES = {
    errno.ENOSPC: "the disk is full; free space or choose another --output, then run again",
    errno.EROFS: "the file system is read-only; choose another --output",
    errno.EACCES: "permission denied; check the owner and mode",
    errno.EPERM: "operation not permitted; the file system may lack hard links, choose another",
    errno.EDQUOT: "the disk quota is used up; free space or choose another --output",
    errno.ENOENT: "does not exist",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EEXIST: "a part of the path is a file, not a folder",
    errno.EISDIR: "is a folder, not a file",
}


def _storage_error(path: str, error: OSError) -> StorageError:
    text = _REMEDIES.get(error.errno or 0, error.strerror or str(error))
    return StorageError(f"{path}: {text}", missing=error.errno == errno.ENOENT)


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise _storage_error(str(error.filename), error) from error


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Keep other processes out; the lock goes with the process that holds it."""
    with target.with_name(f"{_SCRATCH}lock-{target.name}").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def scratch_folder(path: str | None) -> Iterator[Path]:
    """A hidden folder inside of another (None: the system's), which goes when the block ends."""
    try:
        if path is not None:
            _make_folder(Path(path))
        with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=path) as scratch:
            yield Path(scratch)
    except OSError as error:
        raise _storage_error(path or tempfile.gettempdir(), error) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:  # of a system folder such as /proc
        raise StorageError(f"{folder}: cannot be written here; choose another --output") from error


class LocalBackend:
    """Files of this machine, addressed by absolute paths."""

    def normalise(self, uri: str) -> str:
        """Absolute path of a path or ``file://`` URI."""
        return os.path.abspath(Path(uri.removeprefix("file://")).expanduser())  # noqa: PTH100 - no links

    def read_bytes(self, path: str) -> bytes:
        """Whole content of a file."""
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise _storage_error(path, error) from error

    def read_range(self, path: str, start: int, length: int) -> bytes:
        """Part of a file."""
        try:
            with Path(path).open("rb") as file:
                file.seek(start)
                return file.read(length)
        except OSError as error:
            raise _storage_error(path, error) from error

    def read_stream(self, path: str, start: int) -> Iterator[bytes]:
        """Content of a file from a byte on."""
        try:
            with Path(path).open("rb", buffering=0) as file:
                file.seek(start)
                while piece := file.read(_COPY_BYTES):
                    yield piece
        except OSError as error:
            raise _storage_error(path, error) from error

    def read_versioned(self, path: str) -> tuple[bytes, str]:
        """Content and its hash."""
        data = self.read_bytes(path)
        return data, hashlib.sha256(data).hexdigest()

    def read_many(self, paths: Sequence[str]) -> list[bytes | StorageError]:
        """Contents or errors, in the order of the paths."""
        with ThreadPoolExecutor(_READERS) as pool:
            return list(pool.map(self._read_or_error, paths))

    def _read_or_error(self, path: str) -> bytes | StorageError:
        try:
            return self.read_bytes(path)
        except StorageError as error:
            return error

    def write_bytes(self, path: str, data: bytes) -> None:
        """Replace a file at once."""
        with self._scratch(path, data) as scratch:
            os.replace(scratch, path)  # noqa: PTH105 - beside os.link, which pathlib turns round

    def create_bytes(self, path: str, data: bytes) -> bool:
        """Write a file unless there is one."""
        with self._scratch(path, data) as scratch:
            try:
                os.link(scratch, path)
            except FileExistsError:
                return False
        return True

    def replace_bytes(self, path: str, data: bytes, version: str) -> bool:
        """Write a file if its content has the given hash; writers wait for each other."""
        with self._scratch(path, data) as scratch, _locked(Path(path)):
            try:
                _, current = self.read_versioned(path)
            except StorageError as error:
                if error.context.get("missing"):
                    return False
                raise
            if current != version:
                return False
            os.replace(scratch, path)  # noqa: PTH105 - as above
        return True

    def upload_file(self, source: Path, path: str) -> None:
        """Copy a file, and rename the copy when it is on disk."""
        with self._scratch(path, b"") as scratch:
            with source.open("rb") as reader, Path(scratch).open("wb") as writer:
                shutil.copyfileobj(reader, writer, _COPY_BYTES)
                writer.flush()
                os.fsync(writer.fileno())
            os.replace(scratch, path)  # noqa: PTH105 - as above

    def write_stream(self, path: str, pieces: Iterable[bytes]) -> None:
        """Write piece by piece beside the file, and rename when all is on disk."""
        with self._scratch(path, b"") as scratch:
            with Path(scratch).open("wb", buffering=0) as writer:
                writer.writelines(pieces)
                os.fsync(writer.fileno())
            os.replace(scratch, path)  # noqa: PTH105 - as above

    @contextmanager
    def _scratch(self, path: str, data: bytes) -> Iterator[str]:
        """A hidden file beside `path` that is complete and on disk; it is gone afterwards."""
        target = Path(path)
        scratch = ""
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, scratch = tempfile.mkstemp(prefix=_SCRATCH, dir=target.parent)
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            Path(scratch).chmod(_MODE)
            yield scratch
        except FileNotFoundError as error:
            raise StorageError(
                f"{path}: cannot be written here; choose another --output"
            ) from error
        except OSError as error:
            raise _storage_error(path, error) from error
        finally:
            if scratch:
                Path(scratch).unlink(missing_ok=True)

    def delete(self, path: str) -> None:
        """Remove a file if it is there."""
        try:
            Path(path).unlink(missing_ok=True)
        except OSError as error:
            raise _storage_error(path, error) from error

    def info(self, path: str) -> FileInfo | None:
        """Size and identity, None if there is no such file."""
        try:
            status = Path(path).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _storage_error(path, error) from error
        if not stat.S_ISREG(status.st_mode):
            return None
        return FileInfo(path, status.st_size, f"{status.st_size}-{status.st_mtime_ns}")

    def list_files(self, path: str) -> Iterator[FileInfo]:
        """Files below a folder, or the file itself; scratch files of unfinished writes are not."""
        itself = self.info(path)
        if itself is not None:
            yield itself
            return
        for folder, folders, files in os.walk(path, onerror=_raise_unless_missing):
            folders[:] = sorted(name for name in folders if not name.startswith(_SCRATCH))
            for name in sorted(files):
                info = self.info(os.path.join(folder, name))  # noqa: PTH118 - a hot loop
                if info is not None and not name.startswith(_SCRATCH):
                    yield info

    def open_input(self, path: str) -> Any:  # noqa: ANN401 - a pyarrow.NativeFile
        """Open a file for random access."""
        try:
            return pa.OSFile(path, "rb")
        except OSError as error:
            raise _storage_error(path, error) from error
