"""Servers that are silent, slow, confused or lying: every one is told apart and none harms the pusher."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rrset
import pytest

from node.push.delivery import Terms, deliver
from node.push.errors import PushError
from node.push.orders import Order, ZonePlan
from node.push.rfc2136 import Rfc2136, Server
from node.push.settings import TsigSecret
from tests.push.lab import WWW, ZONE, A, addresses
from tests.push.servers import KEY_NAME, SECRET

Script = Callable[[bytes, str], bytes | None]


class Scripted:
    """A server whose every answer is made by a function of the question and the transport."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[str] = []

    @asynccontextmanager
    async def running(self, host: str = "127.0.0.1") -> Any:
        server = await asyncio.start_server(self._serve, host, 0)
        port = server.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), (host, port))
        yield f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        transport.close()
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            octets = int.from_bytes(await reader.readexactly(2), "big")
            answer = self.answer(await reader.readexactly(octets), "tcp")
            if answer is None:
                await reader.read()
            else:
                writer.write(len(answer).to_bytes(2, "big") + answer)
                await writer.drain()
        finally:
            writer.close()

    def answer(self, wire: bytes, transport: str) -> bytes | None:
        self.asked.append(transport)
        return self.script(wire, transport)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, scripted: Scripted) -> None:
        self.scripted = scripted

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        answer = self.scripted.answer(data, "udp")
        if answer is not None:
            self.transport.sendto(answer, address)


def reply(wire: bytes, *texts: str, rcode: int = 0, authority: bool = True) -> bytes:
    """Return an answer without signature to a question or an update."""
    question = dns.message.from_wire(wire[:10] + b"\0\0" + wire[12:], ignore_trailing=True)
    response = dns.message.make_response(question)
    response.set_rcode(dns.rcode.Rcode(rcode))
    if authority:
        response.flags |= dns.flags.AA
    if question.opcode() == dns.opcode.QUERY and texts:
        response.answer = [dns.rrset.from_text(question.question[0].name, 5, "IN", "A", *texts)]
    return response.to_wire()


def is_update(wire: bytes) -> bool:
    return (wire[2] >> 3) & 15 == dns.opcode.UPDATE


def push(script: Script, *, signed: bool = False, timeout_s: float = 0.2) -> tuple[PushError, Scripted]:
    """Push to a scripted server and return how that failed."""
    scripted = Scripted(script)

    async def no_guard() -> None:
        pass

    async def main() -> None:
        async with scripted.running() as address:
            key = TsigSecret("hmac-sha256", SECRET) if signed else None
            server = Server(address, KEY_NAME if signed else "", key, timeout_s, timeout_s, timeout_s)
            order = Order(WWW, A, 5, addresses("192.0.2.1"), addresses("192.0.2.1"))
            await deliver(Rfc2136(server), ZonePlan(ZONE, (order,)), Terms(1), no_guard)

    with pytest.raises(PushError) as caught:
        asyncio.run(main())
    return caught.value, scripted


def truncated(wire: bytes) -> bytes:
    return wire[:2] + bytes((0x86, 0, 0, 1, 0, 0, 0, 0, 0, 0)) + wire[12:]


@pytest.mark.parametrize(
    ("script", "kind", "code"),
    [
        (lambda wire, _: None, "retryable", "silent"),
        (lambda wire, _: b"\xff" * 40, "retryable", "garbage"),
        (lambda wire, _: wire[:2] + b"garbage that is no message", "retryable", "garbage"),
        (lambda wire, _: wire[:2], "retryable", "garbage"),
        (lambda wire, _: wire, "retryable", "garbage"),
        (lambda wire, _: bytes((wire[0] ^ 1,)) + reply(wire)[1:], "retryable", "garbage"),
        (lambda wire, _: reply(wire, authority=False), "permanent", "lame"),
        (lambda wire, _: reply(wire, rcode=dns.rcode.REFUSED), "permanent", "refused"),
        (lambda wire, _: reply(wire, rcode=dns.rcode.SERVFAIL), "retryable", "server-failure"),
        (lambda wire, _: reply(wire, rcode=dns.rcode.NOTIMP), "permanent", "not-implemented"),
        (lambda wire, _: reply(wire, rcode=dns.rcode.FORMERR), "permanent", "form-error"),
        (lambda wire, _: reply(wire, rcode=dns.rcode.BADVERS & 15 or 11), "retryable", "rcode"),
        (lambda wire, way: truncated(wire) if way == "udp" else None, "retryable", "silent"),
        (lambda wire, way: truncated(wire) if way == "udp" else b"", "retryable", "garbage"),
    ],
)
def test_strange_answers_to_a_question(script: Script, kind: str, code: str) -> None:
    """Whatever comes back is an error with a kind and a sentence, within the deadline."""
    error, _ = push(script)
    assert (kind, code) == (error.kind, error.code)
    assert "127.0.0.1" in str(error)


def test_an_update_that_is_accepted_and_not_applied() -> None:
    """NOERROR is not taken for success: the server is read again."""
    error, _ = push(lambda wire, _: reply(wire))
    assert ("retryable", "not-applied") == (error.kind, error.code)


def test_a_server_that_always_says_that_somebody_was_faster() -> None:
    """Failed prerequisites are answered by reading again, but not for ever."""
    error, scripted = push(lambda wire, _: reply(wire, rcode=dns.rcode.NXRRSET if is_update(wire) else 0))
    assert "contended" == error.code
    assert len(scripted.asked) < 20


def test_an_unsigned_answer_to_a_signed_update() -> None:
    """Success without a signature (RFC 8945 section 5.3) proves nothing."""
    error, _ = push(lambda wire, _: reply(wire), signed=True)
    assert ("retryable", "unsigned") == (error.kind, error.code)


def test_udp_that_is_lost_is_tried_by_tcp() -> None:
    """A firewall that drops datagrams costs a timeout, not the push."""
    _, scripted = push(lambda wire, way: None if way == "udp" else reply(wire))
    assert {"udp", "tcp"} == set(scripted.asked)


def test_servers_by_ipv6_and_by_name() -> None:
    """An address in brackets and a host's name lead to the server as well as an IPv4 address."""

    async def read(host: str, shown: str) -> int:
        scripted = Scripted(lambda wire, _: reply(wire, "192.0.2.1"))
        async with scripted.running(host) as address:
            server = Server(address.replace(host, shown) if shown else address)
            return len(await Rfc2136(server).read(ZONE, [(WWW, A)]))

    assert 1 == asyncio.run(read("::1", ""))
    assert 1 == asyncio.run(read("127.0.0.1", "localhost"))


def test_a_name_that_does_not_resolve() -> None:
    """A server's name without an address is tried again, and named in the text."""
    with pytest.raises(PushError, match="bad") as caught:
        asyncio.run(Rfc2136(Server("bad..name:53")).serial(ZONE))
    assert "retryable" == caught.value.kind


def test_a_secret_that_is_no_base64() -> None:
    """A broken key is told without its value."""
    with pytest.raises(PushError, match="push") as caught:
        Rfc2136(Server("192.0.2.53:53", "push", TsigSecret("hmac-sha256", "not base64!")))
    assert "not base64" not in str(caught.value).replace("is its secret base64", "")
    assert "permanent" == caught.value.kind
