"""Answers to what answerers hand up: at once, or later when the log or another server is asked."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

from node.dns import answerer_link as links
from node.dns.answerer_batch import Sender

Answer = Callable[[bytes, str], bytes | Awaitable[bytes | None] | None]
"""From a message and the sender's IP address to the answer, perhaps a later one, or None for none."""
_LATER_MAX = 1_000


class Replies:
    """Asks ``answer``, and sends what it says back through the answerer that was asked."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._later: set[asyncio.Future[None]] = set()

    def ask(self, link: socket.socket, number: int, sender: Sender, packet: bytes) -> None:
        """Answer a packet that came in by the answerer's socket with this number."""
        answer = self._answer(packet, str(sender.address()[0]))
        if isinstance(answer, bytes):
            _reply(link, number, sender, answer)
        elif answer is not None and len(self._later) < _LATER_MAX:
            task = asyncio.ensure_future(_reply_later(link, number, sender, answer))
            self._later.add(task)
            task.add_done_callback(self._later.discard)


def _reply(link: socket.socket, number: int, sender: Sender, packet: bytes) -> None:
    with contextlib.suppress(OSError):
        link.send(links.wrapped(links.ANSWER, number, sender, packet))


async def _reply_later(
    link: socket.socket, number: int, sender: Sender, answer: Awaitable[bytes | None]
) -> None:
    packet = await answer
    if packet is not None and link.fileno() >= 0:
        _reply(link, number, sender, packet)
