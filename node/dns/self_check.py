"""Asking our own sockets a real question, as a client would: what does not answer is not there, whatever we think of it.

Several questions go to each address from ports of their own, so that with several answerers behind one address the
kernel spreads them (``SO_REUSEPORT``). An answer of any kind counts; what is in it is other checks' business.
"""

import asyncio
import contextlib
import secrets
import socket
import time
from collections.abc import Callable, Sequence

from node.dns.listen import read_address
from node.zone.name import ROOT, Name
from node.zone.rrset import SOA

QUESTIONS = 4
PATIENCE_S = 1.0
FRESH_S = 1.0
"""So long what was found is told to others who ask, too."""
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - it is read here, not listened on


class SelfCheck:
    """Whether the addresses of this node answer; who asks at the same time shares one round of questions."""

    def __init__(self, addresses: Callable[[], Sequence[str]], zone: Callable[[], Name | None]) -> None:
        """``zone`` is one of ours, whose SOA is asked for; None while there is none."""
        self._addresses = addresses
        self._zone = zone
        self._round: asyncio.Task[tuple[str, ...]] | None = None
        self._begun_at = float("-inf")

    async def silent(self) -> tuple[str, ...]:
        """Return the addresses that did not answer every question in time."""
        if self._round is None or (self._round.done() and time.monotonic() - self._begun_at > FRESH_S):
            self._begun_at = time.monotonic()
            self._round = asyncio.create_task(self._ask_all())
        return await asyncio.shield(self._round)

    async def close(self) -> None:
        """Give up what is being asked."""
        if self._round is not None:
            self._round.cancel()
            await asyncio.gather(self._round, return_exceptions=True)

    async def _ask_all(self) -> tuple[str, ...]:
        addresses = tuple(self._addresses())
        zone = self._zone() or ROOT
        rounds = (self._ask(each, zone) for each in addresses for _ in range(QUESTIONS))
        answered = await asyncio.gather(*rounds)
        return tuple(
            address
            for number, address in enumerate(addresses)
            if not all(answered[number * QUESTIONS : (number + 1) * QUESTIONS])
        )

    async def _ask(self, address: str, zone: Name) -> bool:
        """Ask once, and once more when nothing comes: a datagram may be lost."""
        for _ in range(2):
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(PATIENCE_S / 2):
                    await _exchange(address, zone)
                    return True
        return False


async def _exchange(address: str, zone: Name) -> None:
    """Send one question and wait for its answer. Raises ``OSError``."""
    listen = read_address(address)
    host = _ANY.get(listen.host, listen.host)
    loop = asyncio.get_running_loop()
    query = secrets.token_bytes(2) + b"\0\0\0\1\0\0\0\0\0\0" + zone + SOA.to_bytes(2, "big") + b"\0\1"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        await loop.sock_connect(client, (host, listen.port))
        await loop.sock_sendall(client, query)
        while True:
            answer = await loop.sock_recv(client, 4096)
            if len(answer) >= 12 and answer[:2] == query[:2] and answer[2] & 0x80:
                return
