"""Object storage for Ray Train, reached by the settings that everything else goes by.

Ray Train keeps small files of its own beside the checkpoints; with a client of Arrow's, profiles
and patience of the storage settings would not count for them.
"""

import io
from typing import Any

import fsspec
from pyarrow.fs import FSSpecHandler, PyFileSystem

from catalogtool import storage
from catalogtool.errors import StorageError


def object_storage() -> PyFileSystem:
    """File system of the paths ``bucket/key``."""
    return PyFileSystem(FSSpecHandler(_SmallFiles()))


class _SmallFiles(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """Files read and written whole; folders need not be made."""

    protocol = "catalogtool"
    cachable = False

    def info(self, path: str, **_: Any) -> dict[str, Any]:  # noqa: ANN401 - as fsspec has it
        """Size of a file."""
        try:
            found = storage.file_info(_uri(path))
        except StorageError as error:
            if error.context.get("missing"):
                raise FileNotFoundError(path) from error
            raise
        return {"name": path, "size": found.size_bytes, "type": "file"}

    def _open(self, path: str, mode: str = "rb", **_: Any) -> io.BytesIO:  # noqa: ANN401 - as above
        uri = _uri(path)
        return io.BytesIO(storage.read_bytes(uri)) if mode == "rb" else _Upload(uri)


class _Upload(io.BytesIO):
    """Becomes an object when it is closed."""

    def __init__(self, uri: str) -> None:
        super().__init__()
        self._uri = uri

    def close(self) -> None:
        if not self.closed:
            storage.write_bytes(self._uri, self.getvalue())
        super().close()


def _uri(path: str) -> str:
    return f"s3://{path}"
