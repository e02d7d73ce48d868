"""A proxy in front of an HTTP server that answers a share of the requests with faults.

The requests that reach the server are untouched, so that signatures hold: a client signs the
address of the proxy, and the server checks what the client signed.
"""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

FAULTS = ("500", "503", "stall", "reset")
_HEAD_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 14
_REASONS = {"500": "Internal Server Error", "503": "Slow Down"}
_BODILESS = (204, 304)


class FaultProxy:
    """A proxy on a port of its own.

    Attributes
    ----------
    port : int
        Where it listens on 127.0.0.1.
    share : float
        Share of the requests that meet a fault.
    enabled : bool
        Whether there are faults at all; can be switched at any time.
    kinds : tuple of str
        Faults that take turns: ``500``, ``503``, ``stall``, ``reset``.
    pause_s : float
        How long every request waits before it is passed on, as over a long way.
    most_at_once : int
        The most requests that were under way together.
    counts : Counter
        Requests passed on whole as ``ok``, and faults by their kinds. Half of the faults come
        before the server sees the request, half after it has done the work: the answer of the
        former is lost, of the latter the question.
    """

    def __init__(self, server_port: int, share: float, seed: int, stall_s: float) -> None:
        self.share = share
        self.enabled = True
        self.kinds: tuple[str, ...] = FAULTS
        self.pause_s = 0.0
        self.most_at_once = 0
        self.counts: Counter[str] = Counter()
        self.port = 0
        self._at_once = 0
        self._faults = 0
        self._server_port = server_port
        self._stall_s = stall_s
        self._random = random.Random(seed)

    async def serve(self, stop: asyncio.Event, ready: threading.Event) -> None:
        server = await asyncio.start_server(self._client, "127.0.0.1", 0, limit=_HEAD_BYTES)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        server.close()

    def _choose(self) -> str:
        if not self.enabled or self._random.random() >= self.share:
            return "ok"
        # In turn, so that a few faults are of all kinds.
        self._faults += 1
        return self.kinds[self._faults % len(self.kinds)]

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream: list[asyncio.StreamWriter] = []
        try:
            source, sink = await asyncio.open_connection("127.0.0.1", self._server_port)
            upstream.append(sink)
            while await self._exchange((reader, writer), (source, sink)):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # either side went away, or the proxy ends
        finally:
            for stream in (writer, *upstream):
                stream.close()
                with contextlib.suppress(OSError, asyncio.CancelledError):
                    await stream.wait_closed()

    async def _exchange(self, client: "_Ends", server: "_Ends") -> bool:
        """Serve one request; False ends the connection."""
        head = await client[0].readuntil(b"\r\n\r\n")
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await asyncio.sleep(self.pause_s)
            return await self._pass_on(head, client, server)
        finally:
            self._at_once -= 1

    async def _pass_on(self, head: bytes, client: "_Ends", server: "_Ends") -> bool:
        fault = self._choose()
        self.counts[fault] += 1
        lost_question = fault != "ok" and self._random.random() < 0.5
        if b"\r\nexpect: 100-continue" in head.lower():
            client[1].write(b"HTTP/1.1 100 Continue\r\n\r\n")
            head = _without_expect(head)
        if lost_question:
            async for _ in _body(client[0], head):
                pass
            await self._fail(fault, client[1])
            return False
        server[1].write(head)
        async for data in _body(client[0], head):
            server[1].write(data)
            await server[1].drain()
        return await self._answer(fault, head, client[1], server[0])

    async def _answer(
        self,
        fault: str,
        question: bytes,
        writer: asyncio.StreamWriter,
        source: asyncio.StreamReader,
    ) -> bool:
        head = await source.readuntil(b"\r\n\r\n")
        bodiless = question.startswith(b"HEAD ")
        if fault in _REASONS:
            await self._fail(fault, writer)
            return False
        length = 0 if bodiless else _length(head) or 0
        cut = self._random.randrange(length + 1) if fault != "ok" else None
        writer.write(head)
        if not bodiless and int(head.split(b" ", 2)[1]) not in _BODILESS:
            sent = 0
            async for data in _body(source, head):
                if cut is not None and sent + len(data) > cut:
                    writer.write(data[: cut - sent])
                    break
                writer.write(data)
                sent += len(data)
                await writer.drain()
        if cut is not None:
            await writer.drain()
            await self._fail(fault, writer)
            return False
        await writer.drain()
        return True

    async def _fail(self, fault: str, writer: asyncio.StreamWriter) -> None:
        if fault == "stall":
            await asyncio.sleep(self._stall_s)
        elif fault == "reset":
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        else:
            body = b"<Error><Code>Injected</Code></Error>"
            head = f"HTTP/1.1 {fault} {_REASONS[fault]}\r\nContent-Length: {len(body)}\r\n"
            writer.write(f"{head}Content-Type: application/xml\r\n\r\n".encode() + body)
            await writer.drain()


_Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def _header(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return None


def _length(head: bytes) -> int | None:
    """Length of the body; None where it comes in chunks."""
    if _header(head, b"transfer-encoding") is not None:
        return None
    return int(_header(head, b"content-length") or 0)


def _without_expect(head: bytes) -> bytes:
    lines = head.split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.lower().startswith(b"expect:"))


async def _body(reader: asyncio.StreamReader, head: bytes) -> AsyncIterator[bytes]:
    """The body that follows a head, as it is on the wire."""
    length = _length(head)
    while length is None:
        size = await reader.readuntil(b"\r\n")
        yield size + await reader.readexactly(int(size.split(b";")[0], 16) + 2)
        if int(size.split(b";")[0], 16) == 0:
            return
    while length:
        data = await reader.read(min(length, _CHUNK_BYTES))
        if not data:
            raise asyncio.IncompleteReadError(b"", length)
        length -= len(data)
        yield data


async def _all_of(tasks: set["asyncio.Task[None]"]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def fault_proxy(
    server_port: int, share: float = 0.05, seed: int = 0, stall_s: float = 600
) -> Iterator[FaultProxy]:
    """Run a proxy in a thread until the block ends.

    Parameters
    ----------
    server_port : int
        Where the server listens on 127.0.0.1.
    share : float
        Share of the requests that meet a fault.
    seed : int
        Decides which ones.
    stall_s : float
        How long a stalled answer sends nothing before its connection is closed.
    """
    proxy = FaultProxy(server_port, share, seed, stall_s)
    loop = asyncio.new_event_loop()
    stop, ready = asyncio.Event(), threading.Event()

    def run() -> None:
        with contextlib.closing(loop):
            loop.run_until_complete(proxy.serve(stop, ready))
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            loop.run_until_complete(_all_of(tasks))

    thread = threading.Thread(target=run, name="fault-proxy", daemon=True)
    thread.start()
    ready.wait()
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
