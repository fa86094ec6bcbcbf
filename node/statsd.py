"""StatsD: the eight names of rrdnsd, once a second, from the counters of ``/metrics``.

One UDP socket that never blocks: what cannot be sent is lost. ``status_change.cnt`` is told by the node that leads,
so that the sum over all nodes is the number of transitions; the others tell of each node's own work.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import structlog

from node.tally import Tally

logger = structlog.get_logger()

PACKET_OCTETS_MAX = 1_432
"""What an Ethernet frame carries over IPv6 with room to spare."""
PERIOD_S = 1.0
TIMES_MAX = 500
"""So many times of probes are sent a period; of more, a sample with its rate."""
RESOLVE_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class StatsdSettings:
    """Where metrics go: host and port, a prefix before every name, and whether services are tags."""

    host: str
    port: int
    prefix: str = ""
    tags: Literal["none", "datadog"] = "none"


class Statsd:
    """Sends what has been counted since the last time."""

    def __init__(
        self,
        settings: StatsdSettings,
        tally: Tally,
        load_factor: Callable[[], float],
        is_leader: Callable[[], bool],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._tally = tally
        self._load_factor = load_factor
        self._is_leader = is_leader
        self._clock_s = clock_s
        self._sent_probes = dict(tally.probes)
        self._sent_transitions = tally.transitions.total()
        self._sent_votes = tally.votes_received
        self._address: tuple[socket.AddressFamily, tuple[str, int]] | None = None
        self._resolved_s = float("-inf")
        self._is_known = True
        self._socket: socket.socket | None = None

    async def run(self) -> None:
        """Send once a period, until cancelled."""
        try:
            while True:
                await asyncio.sleep(PERIOD_S)
                await self._resolve()
                self.flush()
        finally:
            self.close()

    def flush(self) -> None:
        """Send what is new; never waits and never raises."""
        lines = list(self._lines())
        for packet in packed(lines):
            with contextlib.suppress(OSError):
                self._send(packet)

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _lines(self) -> Iterator[bytes]:
        yield from self._probe_lines()
        transitions, votes = self._tally.transitions.total(), self._tally.votes_received
        if self._is_leader() and transitions > self._sent_transitions:
            yield self._line("status_change.cnt", f"{transitions - self._sent_transitions}|c")
        if votes > self._sent_votes:
            yield self._line("received_update.cnt", f"{votes - self._sent_votes}|c")
        self._sent_transitions, self._sent_votes = transitions, votes
        yield self._line("probe.load_factor", f"{self._load_factor():.3f}|g")

    def _probe_lines(self) -> Iterator[bytes]:
        counted = dict(self._tally.probes)
        fetched = 0
        for (service, up), count in sorted(counted.items()):
            new = count - self._sent_probes.get((service, up), 0)
            if new:
                name = "probe.success.cnt" if up else "probe.failure.cnt"
                yield self._line(name, f"{new}|c", service)
                fetched += new
        self._sent_probes = counted
        if fetched:
            yield self._line("fetch.cnt", f"{fetched}|c")
        recent = self._tally.recent_probes()
        step = -(-len(recent) // TIMES_MAX) if recent else 1
        rate = f"|@{1 / step:.4g}" if step > 1 else ""
        for service, _, took_s in recent[::step]:
            for name in ("probe_time_msec", "probe.duration"):
                yield self._line(name, f"{took_s * 1000:.3f}|ms{rate}", service)

    def _line(self, name: str, value: str, service: str = "") -> bytes:
        prefix = f"{self._settings.prefix}." if self._settings.prefix else ""
        tags = f"|#service:{service}" if service and self._settings.tags == "datadog" else ""
        return f"{prefix}{name}:{value}{tags}".encode()

    async def _resolve(self) -> None:
        """Look the host up again now and then, in a thread; while it is unknown nothing is sent."""
        now = self._clock_s()
        if now - self._resolved_s < RESOLVE_EVERY_S:
            return
        self._resolved_s = now
        settings = self._settings
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                settings.host, settings.port, type=socket.SOCK_DGRAM
            )
        except OSError as error:
            if self._is_known:
                logger.warning("statsd.unknown_host", host=settings.host, detail=str(error))
            self._is_known = False
            return
        self._is_known = True
        family, _, _, _, address = found[0]
        if self._address is None or self._address[0] != family:
            self.close()
            self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
        self._address = family, (str(address[0]), int(address[1]))

    def _send(self, packet: bytes) -> None:
        if self._socket is not None and self._address is not None:
            self._socket.sendto(packet, self._address[1])


def packed(lines: list[bytes]) -> Iterator[bytes]:
    """Yield packets of whole lines, each as full as may be."""
    packet = b""
    for line in lines:
        if packet and len(packet) + 1 + len(line) > PACKET_OCTETS_MAX:
            yield packet
            packet = b""
        packet = packet + b"\n" + line if packet else line
    if packet:
        yield packet
