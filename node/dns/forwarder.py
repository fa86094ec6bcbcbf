"""Asking other servers on behalf of clients: a port and an id of its own for each question, and an end to waiting."""

import asyncio
import secrets
from dataclasses import dataclass

from node.dns.forward import is_answer_to, is_cut, is_failure
from node.dns.listen import ListenAddress, read_address

_WRONG_MAX = 16
"""Messages that answer something else, after which a port is given up: somebody is guessing."""


@dataclass(frozen=True, slots=True)
class ForwardSettings:
    """Whom to ask (``ip:port``, in this order), and for how long."""

    servers: tuple[str, ...]
    try_s: float = 1.5
    """For an answer of one server."""
    total_s: float = 5.0
    rounds: int = 2
    pending_max: int = 512
    """Questions on their way at one time; more are told at once that nobody answers."""


class Forwarder:
    """Forwards questions; keeps nothing between two of them."""

    def __init__(self, settings: ForwardSettings) -> None:
        self.settings = settings
        self._servers = [read_address(each) for each in settings.servers]
        self.pending = 0

    async def ask(self, packet: bytes, *, is_stream: bool) -> bytes | None:
        """Return the answer to a question that has an id of 0; None when nobody gave one in time.

        An answer that is cut is asked for again over TCP where the client can take it. Never raises.
        """
        if self.pending >= self.settings.pending_max:
            return None
        self.pending += 1
        failure: bytes | None = None
        try:
            async with asyncio.timeout(self.settings.total_s):
                for server in self._servers * self.settings.rounds:
                    answer = await self._try(server, packet, is_stream=is_stream)
                    if answer is not None and not is_failure(answer):
                        return answer
                    failure = answer or failure
        except TimeoutError:
            pass
        finally:
            self.pending -= 1
        return failure

    async def _try(self, server: ListenAddress, packet: bytes, *, is_stream: bool) -> bytes | None:
        id_ = secrets.randbelow(65_536)
        asked = id_.to_bytes(2, "big") + packet[2:]
        try:
            async with asyncio.timeout(self.settings.try_s):
                answer = await _by_datagram(server, asked, id_)
                if answer is not None and is_stream and is_cut(answer):
                    return await _by_stream(server, asked, id_)
                return answer
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            return None


async def _by_datagram(server: ListenAddress, asked: bytes, id_: int) -> bytes | None:
    """Ask over UDP from a fresh port, which the kernel chooses at random; others' datagrams do not reach it."""
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[bytes | None] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Ear(asked, id_, heard), remote_addr=(server.host, server.port)
    )
    try:
        transport.sendto(asked)
        return await heard
    finally:
        transport.close()


async def _by_stream(server: ListenAddress, asked: bytes, id_: int) -> bytes | None:
    reader, writer = await asyncio.open_connection(server.host, server.port)
    try:
        writer.write(len(asked).to_bytes(2, "big") + asked)
        answer = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        return answer if is_answer_to(asked, answer, id_) else None
    finally:
        writer.close()


class _Ear(asyncio.DatagramProtocol):
    """Waits for the answer to one question."""

    def __init__(self, asked: bytes, id_: int, heard: "asyncio.Future[bytes | None]") -> None:
        self.asked = asked
        self.id = id_
        self.heard = heard
        self.wrong = 0

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - asyncio's signature
        if self.heard.done():
            return
        if is_answer_to(self.asked, data, self.id):
            self.heard.set_result(data)
            return
        self.wrong += 1
        if self.wrong >= _WRONG_MAX:
            self.heard.set_result(None)

    def error_received(self, exc: Exception) -> None:  # noqa: ARG002 - asyncio's signature
        """Know at once that nobody listens there (asyncio's call)."""
        if not self.heard.done():
            self.heard.set_result(None)
