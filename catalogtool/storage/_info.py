"""What storage tells about a file."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FileInfo:
    """One file or object."""

    uri: str
    size_bytes: int
    identity: str
    """Changes when the content does: the ETag of an object, size and mtime of a file."""
