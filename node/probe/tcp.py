"""TCP probes: a connection can be made, and says what is expected when asked."""

import asyncio

from node.health.service import Check
from node.probe.result import Progress
from node.probe.stream import Exchange, converse

EXPECT_OCTETS_MAX = 64 * 1024


async def probe_tcp(check: Check, address: str, progress: Progress) -> str:
    """Connect, send and expect; return the evidence of success. Raises ``Failed`` or ``OSError``."""
    return await converse(_TcpExchange(check, progress), address, check.port)


class _TcpExchange(Exchange):
    """Sends ``check.send`` and waits until ``check.expect`` stands somewhere in what comes."""

    def __init__(self, check: Check, progress: Progress) -> None:
        super().__init__(progress)
        self._send = check.send.encode()
        self._expect = check.expect.encode()
        self._heard = bytearray()

    def begin(self, transport: asyncio.Transport) -> None:
        """Say our words; without anything to expect the connection alone is enough."""
        if self._send:
            transport.write(self._send)
        if not self._expect:
            self.succeed("connected")

    def data_received(self, data: bytes) -> None:
        """Look for what is expected."""
        if self.finished.done():
            return
        self.progress.missing = "expected text not received"
        start = max(0, len(self._heard) - len(self._expect) + 1)
        self._heard += data
        if self._heard.find(self._expect, start, EXPECT_OCTETS_MAX) >= 0:
            self.succeed("expected text received")
        elif len(self._heard) >= EXPECT_OCTETS_MAX:
            self.fail("expected text not in the first 64 KiB")

    def eof_received(self) -> None:
        """Nothing more will come."""
        self.fail(
            "connection closed before the expected text" if self._heard else "connection closed unanswered"
        )
