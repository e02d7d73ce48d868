"""A folder being released: every file is hashed while it is written."""

import hashlib
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP_ROWS = 100_000
MANIFEST = "MANIFEST.sha256"


class _HashingFile(io.RawIOBase):
    """Writes through to a file and hashes what passes."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._digest = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        self._digest.update(data)
        written = self._file.write(data)
        self.size += written
        return written

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


@dataclass
class ReleaseFolder:
    """Local folder whose files are known by their hashes.

    Attributes
    ----------
    root : Path
        Where files are written.
    hashes, sizes : dict
        SHA-256 and bytes of each file by its relative path.
    """

    root: Path
    hashes: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write a small file."""
        with self._open(name) as sink:
            sink.write(data)
        self._record(name, sink)

    def write_parquet(self, name: str, table: pa.Table) -> pq.FileMetaData:
        """Write a table and return its footer."""
        footers: list[pq.FileMetaData] = []
        with self._open(name) as sink:
            pq.write_table(
                table,
                sink,
                compression="zstd",
                row_group_size=ROW_GROUP_ROWS,
                metadata_collector=footers,
            )
        self._record(name, sink)
        return footers[0]

    def manifest(self) -> bytes:
        """Content of `MANIFEST`, in the format of ``sha256sum``."""
        lines = (f"{digest}  {name}\n" for name, digest in sorted(self.hashes.items()))
        return "".join(lines).encode()

    def adopt(self, other: "ReleaseFolder", name: str) -> None:
        """Know the files of a folder below this one as well."""
        self.hashes |= {f"{name}/{path}": digest for path, digest in other.hashes.items()}
        self.sizes |= {f"{name}/{path}": size for path, size in other.sizes.items()}

    def _open(self, name: str) -> _HashingFile:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return _HashingFile(path)

    def _record(self, name: str, sink: _HashingFile) -> None:
        self.hashes[name] = sink.sha256
        self.sizes[name] = sink.size


def parse_manifest(data: bytes) -> dict[str, str]:
    """SHA-256 of each file by its relative path; lines of another form are ignored."""
    pairs = (line.split("  ", 1) for line in data.decode("utf-8", "replace").splitlines())
    return {pair[1]: pair[0] for pair in pairs if len(pair) == 2}
