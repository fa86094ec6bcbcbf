"""A connection, plain or over TLS, writes all it is given, tells the protocol everything once, and is quiet after abort."""

import asyncio
import ssl

import pytest
import trustme

from node.probe.tls_wire import Tls, TlsWire
from node.probe.wire import Wire
from tests.ports import free_port
from tests.probe import gallery
from tests.probe.gallery import descriptors, eventually, listening


class Listener(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self, first_words=b""):
        self.first_words = first_words
        self.heard = bytearray()
        self.told = []

    def connected(self):
        """Over TLS, before the handshake."""

    def connection_made(self, transport):
        self.told.append("made")
        transport.write(self.first_words)

    def data_received(self, data):
        self.heard += data

    def eof_received(self):
        self.told.append("eof")

    def connection_lost(self, exc):
        self.told.append(type(exc).__name__)


class Way:
    """How to connect: plainly, or over TLS to a server that has this context."""

    def __init__(self, kind):
        self.context = self._tls = None
        if kind == "tls":
            authority = trustme.CA()
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("www.example.test").configure_cert(self.context)
            trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            authority.configure_trust(trusting)
            self._tls = Tls(trusting, "www.example.test")

    def connect(self, listener, port):
        if self._tls is None:
            return Wire(listener, "127.0.0.1", port)
        return TlsWire(listener, "127.0.0.1", port, self._tls)


@pytest.fixture(name="way", params=["plain", "tls"])
def _way(request):
    return Way(request.param)


def test_more_than_the_socket_takes_is_sent(way):
    """Octets that do not fit go when there is room, in order."""
    words = bytes(range(256)) * 40_000

    async def rogue(reader, writer):
        got = await reader.readexactly(len(words) + 3)
        writer.write(b"same" if got == words + b"end" else b"different")
        await writer.drain()
        writer.write_eof()
        await reader.read()

    async def play():
        async with listening(rogue, tls=way.context) as server:
            listener = Listener(words)
            wire = way.connect(listener, server.port)
            await eventually(lambda: "made" in listener.told)
            wire.write(b"end")
            await eventually(lambda: len(listener.told) == 3)
            return listener

    listener = asyncio.run(play())
    assert (b"same", ["made", "eof", "NoneType"]) == (bytes(listener.heard), listener.told)


def test_a_reset_is_told_once(way):
    """A connection that is reset is lost with the error."""

    async def play():
        async with listening(gallery.resets_after_request, tls=way.context) as server:
            listener = Listener(b"GET / HTTP/1.0\r\n\r\n")
            way.connect(listener, server.port)
            await eventually(lambda: len(listener.told) == 2)
            return listener.told

    assert ["made", "ConnectionResetError"] == asyncio.run(play())


def test_a_refusal_is_told(way):
    """Whether at once or later, a refusal is an error with its number."""

    async def play():
        listener = Listener()
        try:
            way.connect(listener, free_port())
        except ConnectionRefusedError:
            return ["ConnectionRefusedError"]
        await eventually(lambda: listener.told != [])
        return listener.told

    assert ["ConnectionRefusedError"] == asyncio.run(play())


@pytest.mark.parametrize("rogue", [gallery.never_answers, gallery.closes_at_once, gallery.echoes(b"hello")])
def test_abort_is_quiet_and_leaves_nothing(way, rogue):
    """After abort nothing is told and no descriptor is left, whenever it comes."""

    async def play():
        async with listening(rogue, tls=way.context) as server:
            await asyncio.sleep(0)
            before = descriptors()
            for wait_s in (0, 0, 0.002):
                listener = Listener()
                wire = way.connect(listener, server.port)
                await asyncio.sleep(wait_s)
                wire.abort()
                told = list(listener.told)
                wire.write(b"ignored")
                await asyncio.sleep(0.01)
                assert told == listener.told
                wire.abort()
            await eventually(lambda: server.open == 0)
            await eventually(lambda: descriptors() <= before)

    asyncio.run(play())
