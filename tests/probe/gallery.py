"""The rogues' gallery: servers that do what real ones do on a bad day, one connection at a time."""

import asyncio
import contextlib
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
Rogue = Callable[[Reader, Writer], Awaitable[None]]


class Gallery:
    """A listening rogue: its port, what it was asked, and how many connections it still has."""

    def __init__(self, rogue: Rogue) -> None:
        self.port = 0
        self.requests: list[bytes] = []
        self.open = 0
        self._rogue = rogue

    async def serve(self, reader: Reader, writer: Writer) -> None:
        self.open += 1
        try:
            await self._rogue(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the probe has gone, or the test has ended
        finally:
            self.open -= 1
            writer.transport.abort()


@asynccontextmanager
async def listening(
    rogue: Rogue, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[Gallery]:
    """Let the rogue listen on a free port of the address, or on the one where another has just stopped."""
    gallery = Gallery(rogue)
    server = await asyncio.start_server(gallery.serve, address, port, ssl=tls)
    gallery.port = server.sockets[0].getsockname()[1]
    try:
        yield gallery
    finally:
        server.close()


async def read_head(reader: Reader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def says(*pieces: bytes, pause_s: float = 0.0) -> Rogue:
    """Read a request, say the pieces, close."""

    async def rogue(reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
        writer.write_eof() if writer.can_write_eof() else None
        await reader.read()

    return rogue


def says_and_stays(*pieces: bytes) -> Rogue:
    """Read a request, say the pieces, keep the connection open and silent."""

    async def rogue(reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        writer.write(b"".join(pieces))
        await reader.read()

    return rogue


def drips(octets: bytes, pause_s: float = 0.02) -> Rogue:
    """Read a request, then say one octet at a time."""

    async def rogue(reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        for octet in octets:
            writer.write(bytes((octet,)))
            await writer.drain()
            await asyncio.sleep(pause_s)

    return rogue


def pours(start: bytes, again: bytes) -> Rogue:
    """Read a request, say ``start``, then ``again`` without end."""

    async def rogue(reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        writer.write(start)
        while True:
            writer.write(again)
            await writer.drain()
            await asyncio.sleep(0)  # drain alone gives nobody else a turn

    return rogue


async def never_answers(reader: Reader, writer: Writer) -> None:
    await reader.read()


async def closes_at_once(reader: Reader, writer: Writer) -> None:
    writer.close()


async def resets_at_once(reader: Reader, writer: Writer) -> None:
    reset(writer)


async def resets_after_request(reader: Reader, writer: Writer) -> None:
    await read_head(reader)
    reset(writer)


def reset(writer: Writer) -> None:
    """End the connection with RST instead of FIN."""
    endpoint = writer.get_extra_info("socket")
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def echoes(banner: bytes = b"", replies: dict[bytes, bytes] | None = None) -> Rogue:
    """Say the banner, then answer each line by the table."""

    async def rogue(reader: Reader, writer: Writer) -> None:
        writer.write(banner)
        while line := await reader.readline():
            writer.write((replies or {}).get(line, b"-ERR\r\n"))

    return rogue


@contextlib.contextmanager
def full_backlog():
    """Listen without accepting, the queue full: a connection is neither made nor refused."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def descriptors() -> int:
    """Return how many file descriptors this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def eventually(condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
    """Wait until the condition holds; fail when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)
