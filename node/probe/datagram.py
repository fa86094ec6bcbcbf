"""One question and one answer over a connected datagram socket: UDP, and what is built on it."""

import asyncio
import socket
from collections.abc import Callable

from node.health.service import Check
from node.probe.result import Failed, Progress

_DATAGRAM_OCTETS_MAX = 65_535


async def ask(
    sock: socket.socket, question: bytes, judge: Callable[[bytes], str | None], progress: Progress
) -> str:
    """Send the question and hand datagrams to ``judge`` until it returns evidence.

    ``judge`` returns None for a datagram that is not an answer to this question, and raises ``Failed`` for
    a bad one. The socket is connected, so only its peer is heard; it is closed in every case. Raises
    ``OSError``, as when the peer's host says that nobody listens there.
    """
    loop = asyncio.get_running_loop()
    try:
        progress.missing = "no answer"
        await loop.sock_sendall(sock, question)
        while True:
            evidence = judge(await loop.sock_recv(sock, _DATAGRAM_OCTETS_MAX))
            if evidence is not None:
                return evidence
    finally:
        sock.close()


def open_datagram(address: str, port: int, protocol: int = 0) -> socket.socket:
    """Return a datagram socket that speaks with this peer only. Raises ``OSError``."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, protocol)
    try:
        sock.connect((address, port))
    except BaseException:
        sock.close()
        raise
    return sock


async def probe_udp(check: Check, address: str, progress: Progress) -> str:
    """Send ``check.send`` and expect ``check.expect`` in the first answer; any answer where that is empty."""
    expected = check.expect.encode()

    def judge(datagram: bytes) -> str:
        if expected not in datagram:
            raise Failed("answer without the expected text")
        return f"answered {len(datagram)} octets"

    return await ask(open_datagram(address, check.port), check.send.encode(), judge, progress)
