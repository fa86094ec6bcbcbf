"""One message to a name server and its answer, by UDP or by TCP."""

import asyncio
import socket

Address = tuple[str, int]
"""An IP address as text and a port."""


class _Answers(asyncio.DatagramProtocol):
    """Takes the first datagram that carries the id, or what the network says instead."""

    def __init__(self, message_id: bytes) -> None:
        self._id = message_id
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, _address: object) -> None:
        """Take the answer; one to another question is late or made up, and passed over."""
        if data[:2] == self._id and not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, error: Exception) -> None:
        """Take an ICMP error, such as a closed port's."""
        if not self.answer.done():
            self.answer.set_exception(error)

    def connection_lost(self, _error: Exception | None) -> None:
        """Nobody waits any more."""
        self.answer.cancel()


async def by_udp(wire: bytes, address: Address, timeout_s: float) -> bytes:
    """Send a datagram from a connected socket and return the answer. Raises ``OSError``, ``TimeoutError``."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    transport, answers = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Answers(wire[:2]), remote_addr=address, family=family
    )
    try:
        transport.sendto(wire)
        async with asyncio.timeout(timeout_s):
            return await answers.answer
    finally:
        transport.close()


async def by_tcp(wire: bytes, address: Address, timeout_s: float) -> bytes:
    """Send over a new connection and return the answer (RFC 1035 section 4.2.2).

    Raises ``OSError``, ``TimeoutError``, ``EOFError``.
    """
    async with asyncio.timeout(timeout_s):
        reader, writer = await asyncio.open_connection(*address)
        try:
            writer.write(len(wire).to_bytes(2, "big") + wire)
            await writer.drain()
            octets = int.from_bytes(await reader.readexactly(2), "big")
            return await reader.readexactly(octets)
        finally:
            writer.close()
