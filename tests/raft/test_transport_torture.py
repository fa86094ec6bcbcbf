"""What strangers, bad networks and slow peers do to the port between nodes, and what they cannot do."""

import asyncio
import random
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from raft.certificates import make_authority
from raft.doorway import PENDING_CONNECTIONS_MAX
from raft.identity import peer_node
from raft.protection import Protection
from tests.raft.net import SECRET, Party, closing, until
from tests.raft.test_certificates import files_of

Change = Callable[[int, bytes], list[bytes]]


@pytest.fixture(params=["secret", "tls"])
def protections(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Protection, Protection]:
    """The protection of node a and of node b."""
    if request.param == "secret":
        return SECRET, SECRET
    authority = make_authority("c1")
    return files_of(tmp_path, "a", authority), files_of(tmp_path, "b", authority)


class Middle:
    """A man in the middle: passes frames from who dials him on, changed, and answers back unchanged."""

    def __init__(self, change: Change) -> None:
        self.change = change
        self.passes = asyncio.Event()
        self.passes.set()
        self.connections = 0
        self.target = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, port: int) -> str:
        self.target = port
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        there = asyncio.create_task(self._pass_frames(reader, far_writer, number))
        back = asyncio.create_task(self._pass_back(far_reader, writer))
        self._tasks |= {there, back}
        await asyncio.wait([there, back], return_when=asyncio.FIRST_COMPLETED)
        writer.close()
        far_writer.close()

    async def _pass_frames(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int
    ) -> None:
        count = 0
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(4)
                frame = head + await reader.readexactly(struct.unpack(">I", head)[0])
                await self.passes.wait()
                for out in self.change(count, frame) if connection == 1 else [frame]:
                    writer.write(out)
                count += 1

    async def _pass_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                await self.passes.wait()
                writer.write(data)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def between(change: Change) -> AsyncIterator[tuple[Party, Party, Middle]]:
    """Node a dials b through a man in the middle; b knows a at an address where nobody is."""
    a, b, middle = Party("a"), Party("b"), Middle(change)
    async with closing(a, b):
        a.transport.addNode(peer_node("b", await middle.start(b.port)))
        b.transport.addNode(peer_node("a", "127.0.0.1:1"))
        try:
            yield a, b, middle
        finally:
            await middle.stop()


def repeat(count: int, frame: bytes) -> list[bytes]:
    return [frame, frame] if count == 8 else [frame]


def leave_out(count: int, frame: bytes) -> list[bytes]:
    return [] if count == 8 else [frame]


def flip(count: int, frame: bytes) -> list[bytes]:
    return [frame[:10] + bytes((frame[10] ^ 1,)) + frame[11:]] if count == 8 else [frame]


def cut(count: int, frame: bytes) -> list[bytes]:
    return [struct.pack(">I", len(frame) - 9) + frame[4:-5]] if count == 8 else [frame]


def insert(count: int, frame: bytes) -> list[bytes]:
    return [struct.pack(">I", 30) + bytes(30), frame] if count == 8 else [frame]


def swapping() -> Change:
    held: list[bytes] = []

    def change(count: int, frame: bytes) -> list[bytes]:
        if count == 8:
            held.append(frame)
            return []
        return [frame, held.pop()] if held else [frame]

    return change


@pytest.mark.parametrize(
    "change",
    [repeat, leave_out, flip, cut, insert, swapping()],
    ids=["repeat", "omit", "flip", "cut", "insert", "swap"],
)
def test_frames_tampered_with_on_the_way_end_the_connection(change: Change) -> None:
    """Repeated, left out, changed, cut, foreign or reordered: nothing of it is delivered, and a new connection comes."""

    async def run() -> None:
        async with between(change) as (a, b, middle):
            to_b = a.transport._links["b"].node
            await until(lambda: a.transport.is_connected(to_b))
            for number in range(20):
                a.transport.send(to_b, {"text": number})
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            await until(lambda: ("disconnected", "a") in b.events)
            assert list(range(len(b.messages))) == b.texts()
            assert len(b.messages) < 20
            await until(lambda: middle.connections >= 2 and a.transport.is_connected(to_b))
            before = len(b.messages)
            assert a.transport.send(to_b, {"text": "again"})
            await until(lambda: b.texts()[before:] == ["again"])

    asyncio.run(run())


def test_a_peer_that_falls_silent_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection on which not even pings come is ended, and made anew when the network is back."""
    monkeypatch.setattr("raft.transport.PING_INTERVAL_S", 0.1)
    monkeypatch.setattr("raft.transport.SILENCE_MAX_S", 0.4)

    async def run() -> None:
        async with between(lambda _count, frame: [frame]) as (a, b, middle):
            to_b = a.transport._links["b"].node
            await until(lambda: ("connected", "a") in b.events and a.transport.is_connected(to_b))
            await asyncio.sleep(1.0)
            assert [("connected", "b")] == a.events, "pings keep an idle connection"
            middle.passes.clear()
            await until(lambda: ("disconnected", "b") in a.events and ("disconnected", "a") in b.events)
            heard = a.transport.last_contact(to_b)
            assert heard is not None
            middle.passes.set()
            await until(lambda: a.transport.is_connected(to_b))
            later = a.transport.last_contact(to_b)
            assert later is not None
            assert later > heard

    asyncio.run(run())


def test_a_peer_that_does_not_read_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a peer is bounded: beyond the limit the connection ends and memory is free."""
    monkeypatch.setattr("raft.connection.BACKLOG_BYTES_MAX", 4 << 20)

    async def run() -> None:
        async with between(lambda _count, frame: [frame]) as (a, _, middle):
            to_b = a.transport._links["b"].node
            await until(lambda: a.transport.is_connected(to_b))
            middle.passes.clear()
            sent = 0
            while a.transport.send(to_b, {"text": b"x" * (256 << 10)}):
                sent += 1
                assert sent < 200
                await asyncio.sleep(0)
            assert 15 <= sent
            assert 0 == a.transport.backlog_bytes(to_b)
            assert any("does not read" in reason for _, reason in a.refusals)

    asyncio.run(run())


def stranger(port: int, octets: bytes) -> socket.socket:
    """Connect, send without waiting, and keep the connection."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setblocking(False)
    with suppress(BlockingIOError, ConnectionError):
        connection.send(octets)
    return connection


async def echoed(party: Party, number: int) -> None:
    """Wait until this number was the last one to arrive."""
    await until(lambda: party.messages and party.texts()[-1] == number)


def garbage(rng: random.Random) -> bytes:
    return rng.choice(
        [
            rng.randbytes(rng.randrange(2000)),
            struct.pack(">I", rng.randrange(70_000)) + rng.randbytes(rng.randrange(300)),
            struct.pack(">I", 2**31) + rng.randbytes(20_000),
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(400),
            b"\0\0\0\x20\1raftlog\1" + rng.randbytes(23),
            b"",
        ]
    )


def test_messages_go_on_under_a_flood_of_strangers(protections: tuple[Protection, Protection]) -> None:
    """Hundreds of connections with random octets: no message is lost or late, and no memory of them remains."""

    async def run() -> None:
        a, b = Party("a", protection=protections[0]), Party("b", protection=protections[1])
        async with closing(a, b):
            to_b = a.meet(b)
            to_a = b.meet(a)
            await until(lambda: a.transport.is_connected(to_b) and b.transport.is_connected(to_a))
            loop, rng, kept = asyncio.get_running_loop(), random.Random(3), []
            slowest_s = 0.0
            for number in range(400):
                kept.append(stranger(b.port, garbage(rng)))
                if number % 5 == 0:
                    sent_at = loop.time()
                    assert a.transport.send(to_b, {"text": number})
                    await echoed(b, number)
                    slowest_s = max(slowest_s, loop.time() - sent_at)
                assert len(b.transport._doorway.pending) <= PENDING_CONNECTIONS_MAX
            assert list(range(0, 400, 5)) == b.texts()
            assert slowest_s < 1.0
            assert [("connected", "b")] == a.events
            for connection in kept:
                connection.close()
            await until(lambda: not b.transport._doorway.pending)
            assert 1 <= len(b.refusals) < 40, "refusals are told, and not every one"

    asyncio.run(run())


def test_who_only_waits_is_put_out_and_peers_still_get_in(protections: tuple[Protection, Protection]) -> None:
    """Connections that send an octet now and then hold no place for long; a peer connects meanwhile."""

    async def run() -> None:
        b = Party("b", protection=protections[1])
        async with closing(b):
            kept = [stranger(b.port, b"\0") for _ in range(100)]
            await until(lambda: len(b.transport._doorway.pending) == PENDING_CONNECTIONS_MAX)
            a = Party("a", protection=protections[0])
            async with closing(a):
                to_b = a.meet(b)
                b.meet(a)
                await until(lambda: a.transport.is_connected(to_b), 2.5)
                for connection in kept:
                    with suppress(OSError):
                        connection.send(b"\0")
                await until(lambda: not b.transport._doorway.pending, 5.0)
                assert a.transport.is_connected(to_b)
            for connection in kept:
                connection.close()

    asyncio.run(run())


def test_a_stranger_cannot_make_a_node_hold_much() -> None:
    """Before it has proved who it is, a connection that announces more than 64 KiB ends at once."""

    async def run() -> None:
        b = Party("b")
        async with closing(b):
            reader, writer = await asyncio.open_connection("127.0.0.1", b.port)
            writer.write(struct.pack(">I", 64 * 1024 + 1))
            assert b"\3frame" == (await asyncio.wait_for(reader.read(), 20))[4:]
            writer.close()
            assert any("65537 octets where at most 65536" in reason for _, reason in b.refusals)

    asyncio.run(run())


FEW_FILES = """
import asyncio, resource, sys
from tests.raft.net import Party, closing
from raft.identity import peer_node

async def run():
    b = Party("b")
    resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
    b.transport.addNode(peer_node("a", sys.argv[1]))
    b.on_message = lambda node, message: b.transport.send(node, message)
    print(b.address, flush=True)
    async with closing(b):
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(run())
"""


def started(program: str, argument: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", program, argument],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def test_running_out_of_file_descriptors_never_closes_the_port() -> None:
    """A node that may open no more files keeps its peers, and accepts again when it can."""

    async def run() -> None:
        a = Party("a")
        process = started(FEW_FILES, a.address)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with closing(a):
                loop = asyncio.get_running_loop()
                address = (await loop.run_in_executor(None, process.stdout.readline)).strip()
                to_b = peer_node("b", address)
                a.transport.addNode(to_b)
                await until(lambda: a.transport.is_connected(to_b))
                kept = [stranger(int(address.rpartition(":")[2]), b"\0") for _ in range(60)]
                for number in range(20):
                    assert a.transport.send(to_b, {"text": number})
                    await echoed(a, number)
                for connection in kept:
                    connection.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
                writer.write(struct.pack(">I", 2**31))
                assert b"frame" in await asyncio.wait_for(reader.read(), 5)
                writer.close()
        finally:
            process.stdin.close()
            process.wait(10)
            process.stdout.close()

    asyncio.run(run())
