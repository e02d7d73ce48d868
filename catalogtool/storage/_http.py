"""Static hosting: files of a web server, to read only."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import urljoin, urlsplit

import pyarrow as pa
import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, SSLError

from catalogtool.errors import StorageError
from catalogtool.storage._info import FileInfo
from catalogtool.storage._ranges import PIECE_BYTES, RangeReader, fetch_pieces
from catalogtool.storage._retries import READERS, each_or_error, persist
from catalogtool.storage._settings import storage_settings

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_WORTH_ANOTHER_TRY = (408, 425, 429)
_PAST_THE_END = 416
_SIGNATURE = re.compile(r"(^|&)(x-(amz|goog)-)?sig(nature)?=", re.IGNORECASE)
_CONNECT_S = 5
_STREAM_BYTES = 256 << 10

T = TypeVar("T")


@cache
def _pool(stall_s: float, process: int) -> urllib3.PoolManager:  # noqa: ARG001 - a fork needs its own
    return urllib3.PoolManager(
        maxsize=READERS,
        retries=False,
        timeout=urllib3.Timeout(connect=_CONNECT_S, read=stall_s),
        headers={"Accept-Encoding": "identity"},
    )


class HttpBackend:
    """Files of web servers, addressed by ``http://`` and ``https://``; redirects stay on a host."""

    def normalise(self, uri: str) -> str:
        """URI without a trailing slash.

        Raises
        ------
        StorageError
            If it has no host, or holds a name, password or signature: addresses are written down.
        """
        parts = urlsplit(uri)
        if not parts.hostname:
            raise StorageError(f"{uri}: no host; expected https://host/path")
        if "@" in parts.netloc:
            raise StorageError(
                f"{parts.scheme}://{parts.hostname}{parts.path}: an address must not hold a name "
                "or password; only public files are read over HTTP"
            )
        if _SIGNATURE.search(parts.query):
            raise StorageError(
                f"{_shown(uri)}: an address must not hold a signature, for it is written to "
                "records; read the file by s3:// and credentials of the usual AWS chain"
            )
        return uri.rstrip("/")

    def read_bytes(self, uri: str) -> bytes:
        """Whole content of a file."""
        return self.read_versioned(uri)[0]

    def read_versioned(self, uri: str) -> tuple[bytes, str]:
        """Content, and its ETag or what stands for it."""

        def get(answer: Any) -> tuple[bytes | None, FileInfo]:  # noqa: ANN401 - urllib3's
            info = _info(uri, answer)
            small = (
                info.size_bytes <= 2 * PIECE_BYTES or answer.headers.get("Accept-Ranges") is None
            )
            return (bytes(answer.read()) if small else None), info

        data, info = _ask("GET", uri, {}, get)
        if data is None:
            fetch = lambda start, length: self.read_range(uri, start, length)
            data = fetch_pieces(fetch, 0, info.size_bytes)
        return data, info.identity

    def read_range(self, uri: str, start: int, length: int) -> bytes:
        """Part of a file."""
        if length <= 0:
            return b""
        asked = {"Range": f"bytes={start}-{start + length - 1}"}
        try:
            return _ask("GET", uri, asked, lambda answer: _part(answer, start, length))
        except StorageError as error:
            if error.context.get("past_the_end"):
                return b""
            raise

    def read_stream(self, uri: str, start: int) -> Iterator[bytes]:
        """Content of a file from a byte on; a server without ranges sends what is before, too."""
        asked = {"Range": f"bytes={start}-"} if start else {}
        answer = _open(uri, asked)
        try:
            before = start if answer.status != 206 else 0
            while before > 0 and (skipped := answer.read1(min(before, _STREAM_BYTES))):
                before -= len(skipped)
            while piece := answer.read1(_STREAM_BYTES):
                yield bytes(piece)
        except HTTPError as error:
            raise _network_error(uri, error) from error
        finally:
            answer.close()

    def read_many(self, uris: Sequence[str]) -> list[bytes | StorageError]:
        """Contents or errors, in the order of the URIs; 64 requests in flight."""
        return each_or_error(self.read_bytes, uris)

    def info(self, uri: str) -> FileInfo | None:
        """Size and identity, None if there is no such file."""
        try:
            return _ask("HEAD", uri, {}, lambda answer: _info(uri, answer))
        except StorageError as error:
            if error.context.get("missing"):
                return None
            raise

    def list_files(self, uri: str) -> Iterator[FileInfo]:
        """The file itself.

        Raises
        ------
        StorageError
            If it is no file: web servers do not list folders.
        """
        itself = self.info(uri)
        if itself is None:
            raise StorageError(
                f"{_shown(uri)}: no such file, and a web server does not list folders; name one "
                "file, or use s3:// or a path",
                missing=True,
            )
        yield itself

    def open_input(self, uri: str) -> Any:  # noqa: ANN401 - a pyarrow.NativeFile
        """Open a file for ranged reads."""
        info = _ask("HEAD", uri, {}, lambda answer: _info(uri, answer))
        fetch = lambda start, length: self.read_range(uri, start, length)
        return pa.PythonFile(RangeReader(fetch, info.size_bytes), mode="r")

    def write_bytes(self, uri: str, data: bytes) -> None:  # noqa: ARG002 - refused
        """Refuse."""
        _refuse(uri)

    def create_bytes(self, uri: str, data: bytes) -> bool:  # noqa: ARG002 - refused
        """Refuse."""
        _refuse(uri)

    def replace_bytes(self, uri: str, data: bytes, version: str) -> bool:  # noqa: ARG002 - refused
        """Refuse."""
        _refuse(uri)

    def upload_file(self, source: Path, uri: str) -> None:  # noqa: ARG002 - refused
        """Refuse."""
        _refuse(uri)

    def write_stream(self, uri: str, pieces: Iterable[bytes]) -> None:  # noqa: ARG002 - refused
        """Refuse."""
        _refuse(uri)

    def delete(self, uri: str) -> None:
        """Refuse."""
        _refuse(uri)


def _refuse(uri: str) -> NoReturn:
    raise StorageError(f"{_shown(uri)}: web servers are read only; write to a path or to s3://")


def _shown(uri: str) -> str:
    """Address without its query, which may hold a secret."""
    return uri.partition("?")[0]


def _ask(method: str, uri: str, headers: dict[str, str], use: Callable[[Any], T]) -> T:
    """What `use` makes of the answer, tried until it works or cannot."""

    def attempt() -> T:
        try:
            answer = _follow(method, uri, headers)
            try:
                return use(answer)
            finally:
                answer.drain_conn() if answer.length_remaining == 0 else answer.close()
        except HTTPError as error:
            raise _network_error(uri, error) from error

    return persist(attempt)


def _open(uri: str, headers: dict[str, str]) -> Any:  # noqa: ANN401 - a urllib3 answer
    """An answer whose body is still to come."""

    def attempt() -> Any:  # noqa: ANN401 - a urllib3 answer
        try:
            return _follow("GET", uri, headers)
        except HTTPError as error:
            raise _network_error(uri, error) from error

    return persist(attempt)


def _follow(method: str, uri: str, headers: dict[str, str]) -> Any:  # noqa: ANN401 - a urllib3 answer
    pool = _pool(storage_settings().stall_seconds, os.getpid())
    here = uri
    for _ in range(_MOST_REDIRECTS):
        answer = pool.request(
            method,
            here,
            headers={**pool.headers, **headers},
            redirect=False,
            preload_content=False,
        )
        if answer.status not in _REDIRECTS:
            if answer.status >= 400:
                answer.close()
                raise _status_error(uri, answer.status)
            return answer
        there = urljoin(here, answer.headers.get("Location", ""))
        answer.close()
        if urlsplit(there).hostname != urlsplit(uri).hostname:
            raise StorageError(
                f"{_shown(uri)}: redirects to another host, {_shown(there)}; name that address "
                "itself if it can be trusted"
            )
        here = there
    raise StorageError(f"{_shown(uri)}: redirects more than {_MOST_REDIRECTS} times")


def _part(answer: Any, start: int, length: int) -> bytes:  # noqa: ANN401 - a urllib3 answer
    if answer.status == 206:
        return bytes(answer.read())
    answer.read(start)  # a server without ranges sends it all
    return bytes(answer.read(length))


def _info(uri: str, answer: Any) -> FileInfo:  # noqa: ANN401 - a urllib3 answer
    size = answer.headers.get("Content-Length")
    if size is None:
        raise StorageError(f"{_shown(uri)}: the server does not tell the size of the file")
    changed = f"{size}-{answer.headers.get('Last-Modified', '')}"
    tag = answer.headers.get("ETag", changed).removeprefix("W/").strip('"')
    return FileInfo(uri, int(size), tag)


def _status_error(uri: str, status: int) -> StorageError:
    shown = _shown(uri)
    if status in (404, 410):
        return StorageError(f"{shown}: does not exist", missing=True)
    if status in (401, 403):
        return StorageError(f"{shown}: access denied; only public files are read over HTTP")
    if status == _PAST_THE_END:
        return StorageError(f"{shown}: ends before the range that was asked for", past_the_end=True)
    if status >= 500 or status in _WORTH_ANOTHER_TRY:
        return StorageError(
            f"{shown}: the server keeps answering {status}; try again later", transient=True
        )
    return StorageError(f"{shown}: the server refuses the request: {status}")


def _network_error(uri: str, error: HTTPError) -> StorageError:
    host = urlsplit(uri).netloc
    if isinstance(error, SSLError):
        return StorageError(f"{_shown(uri)}: no safe connection to {host}: its certificate is bad")
    if isinstance(error, NewConnectionError):
        reason = f"cannot reach {host}; check the address and the network"
    else:
        reason = f"{host} broke off or went silent ({type(error).__name__})"
    return StorageError(f"{_shown(uri)}: {reason}", transient=True)
