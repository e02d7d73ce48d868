"""A proxy that counts what a server sends, and cuts the connection where a test wants it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNK_BYTES = 1 << 14


class CuttingProxy:
    """Passes bytes between clients and a server.

    Attributes
    ----------
    port : int
        Where it listens on 127.0.0.1.
    bytes_sent : int
        What went to clients, heads of answers included.
    cuts : list of int
        At each of these totals of sent bytes a connection ends in the middle, ascending.
    """

    def __init__(self, server_port: int, cuts: list[int]) -> None:
        self.cuts = list(cuts)
        self.bytes_sent = 0
        self._server_port = server_port
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def serve(self) -> None:
        """Accept clients until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
                for work in (self._ask, self._answer):
                    threading.Thread(target=work, args=(client, server), daemon=True).start()

    def close(self) -> None:
        """End."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(_CHUNK_BYTES):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(_CHUNK_BYTES):
                data, is_cut = self._count(data)
                client.sendall(data)
                if is_cut:
                    break
        for end in (client, server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _count(self, data: bytes) -> tuple[bytes, bool]:
        with self._lock:
            is_cut = bool(self.cuts) and self.bytes_sent + len(data) > self.cuts[0]
            if is_cut:
                data = data[: self.cuts.pop(0) - self.bytes_sent]
            self.bytes_sent += len(data)
        return data, is_cut


@contextmanager
def cutting_proxy(server_port: int, cuts: list[int]) -> Iterator[CuttingProxy]:
    """Run a proxy until the block ends."""
    proxy = CuttingProxy(server_port, cuts)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
