"""The DNS server: sockets on every listening address, one answer for each message, nothing that stops it."""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from node.dns import message
from node.dns.counters import Counters
from node.dns.datagram import DatagramListener
from node.dns.limiter import Limiter, LimiterSettings, LineLimit, Verdict
from node.dns.listen import (
    ListenAddress,
    ListenFailed,
    open_datagram,
    open_pair,
    open_stream,
    prepared,
    read_address,
)
from node.dns.respond import Client, Drop, Forward, Propose, Send, Stream, Transport, View, cut, respond
from node.dns.shared_limiter import SharedLimiter
from node.dns.stream import Messages, StreamListeners, StreamSettings
from node.state.command import ChangeZone
from raft.proposal import NotCommitted
from raft.proposal import Outcome as ProposalOutcome

logger = structlog.get_logger()

_FAILURES_LOGGED_MAX = 100
_REFUSALS_PER_S = 10
"""Lines in the log; strangers must not fill the disk."""

Place = tuple[str, str]
"""Kind (udp, tcp, tls) and address (``ip:port``) of a listening socket."""
Reply = bytes | Awaitable[bytes | None] | Messages | None


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """Where to listen. Addresses are ``ip:port``, ``[ip6]:port``; port 0 takes any free one."""

    listen: tuple[str, ...]
    tls_listen: tuple[str, ...] = ()
    tls: ssl.SSLContext | None = None
    """For ``tls_listen``; loading another certificate into it takes effect with the next connection."""
    stream: StreamSettings = field(default_factory=StreamSettings)
    proposals_max: int = 256
    """Updates on their way through the log at one time."""
    transfers_max: int = 32
    """Zones being sent at one time."""
    datagrams: bool = True
    """Answer UDP in this process; False leaves UDP on these addresses to ``fast.FastDns``."""
    limiter: LimiterSettings | None = None
    """Limits the rate of answers over UDP; None for no limit."""


class Proposer(Protocol):
    """What brings a change into the log; ``actor`` is who asked for it."""

    def __call__(self, command: ChangeZone, /, *, actor: str) -> Awaitable[ProposalOutcome]:
        """Propose; never raises, never hangs."""
        ...


class Asker(Protocol):
    """What asks another server."""

    def __call__(self, packet: bytes, /, *, is_stream: bool) -> Awaitable[bytes | None]:
        """Return the answer, None when there is none in time; never raises, never hangs."""
        ...


class DnsServer:
    """Answers DNS from whatever ``view`` returns at the moment of the question.

    Without ``propose`` every update is refused as if the log were not there.
    """

    def __init__(
        self,
        settings: DnsSettings,
        view: Callable[[], View],
        propose: Proposer | None = None,
        forward: Asker | None = None,
    ) -> None:
        self.settings = settings
        self.view = view
        self.propose = propose
        self.forward = forward
        """Asks another server; the view says for whom."""
        self._flights: dict[tuple[str, bytes], asyncio.Task[bytes | None]] = {}
        self._transfers = 0
        self.counters = Counters()
        self.addresses: tuple[str, ...] = ()
        """Where it answers UDP and TCP, with the ports it got."""
        self.tls_addresses: tuple[str, ...] = ()
        self.listening: dict[Place, socket.socket] = {}
        """All sockets that it listens on."""
        self._rotation = 0
        self.limit(settings.limiter)
        self._refusals = LineLimit(_REFUSALS_PER_S)
        self._datagrams: list[DatagramListener] = []
        self._streams = StreamListeners(settings.stream, self._answer, self._count_connection)

    def limit(self, settings: LimiterSettings | None) -> None:
        """Limit the rate of answers over UDP from now on, or no longer."""
        self.use_limiter(None if settings is None else Limiter(settings))

    def use_limiter(self, limiter: Limiter | SharedLimiter | None) -> None:
        """Let this one judge answers over UDP from now on."""
        self._limiter = limiter

    async def start(self, inherited: Mapping[Place, socket.socket] | None = None) -> None:
        """Listen and answer, on inherited sockets where they fit. Raises ``ListenFailed``, and then listens nowhere."""
        left = dict(inherited or {})
        if self.settings.tls_listen and self.settings.tls is None:
            raise ListenFailed("DNS over TLS needs a certificate and its key: give both, or no address for it")
        with contextlib.ExitStack() as closing:
            pairs = []
            for text in self.settings.listen:
                pairs.append(self._open(read_address(text), left))
                for opened in filter(None, pairs[-1]):
                    closing.callback(opened.close)
            tls = []
            for text in self.settings.tls_listen:
                address = read_address(text)
                key = "tls", str(address)
                tls.append(left.pop(key) if key in left else open_stream(address))
                closing.callback(tls[-1].close)
            closing.pop_all()
        for datagram, stream in pairs:
            if datagram is not None:
                listener = DatagramListener(datagram, self.answer_datagram, self._count_unsent)
                listener.start()
                self._datagrams.append(listener)
            await self._streams.listen(stream, None)
        for stream in tls:
            await self._streams.listen(stream, self.settings.tls)
        self.addresses = tuple(_text(stream) for _, stream in pairs)
        self.tls_addresses = tuple(map(_text, tls))
        for unfit in left.values():
            unfit.close()
        self.listening = {
            **{("udp", _text(datagram)): datagram for datagram, _ in pairs if datagram is not None},
            **{("tcp", _text(stream)): stream for _, stream in pairs},
            **{("tls", _text(stream)): stream for stream in tls},
        }

    async def stop(self) -> None:
        """Close every socket."""
        for listener in self._datagrams:
            listener.stop()
        self._datagrams.clear()
        for task in list(self._flights.values()):
            task.cancel()
        await self._streams.stop()

    def _open(
        self, address: ListenAddress, left: dict[Place, socket.socket]
    ) -> tuple[socket.socket | None, socket.socket]:
        """Open UDP and TCP, or TCP alone; for any free port one is taken that UDP has free as well."""
        stream = left.pop(("tcp", str(address)), None)
        if stream is not None:
            datagram = left.pop(("udp", str(address)), None) if self.settings.datagrams else None
            if self.settings.datagrams:
                datagram = open_datagram(address) if datagram is None else prepared(datagram, address)
            return datagram, stream
        if not self.settings.datagrams and address.port:
            return None, open_stream(address)
        datagram, stream = open_pair(address)
        if self.settings.datagrams:
            return datagram, stream
        datagram.close()
        return None, stream

    def answer_datagram(self, packet: bytes, address: str) -> bytes | Awaitable[bytes | None] | None:
        """Answer one message that came over UDP from an IP address; never raises."""
        answer = self._answer(packet, address, "udp")
        assert not isinstance(answer, Generator), "nothing is streamed over UDP"
        return answer

    def _answer(self, packet: bytes, address: str, transport: Transport) -> Reply:
        """Answer one message. A defect of ours costs this one answer and nothing else."""
        self._rotation += 1
        client = Client(_plain(address), transport, self.settings.stream.idle_s)
        try:
            view = self.view()
            outcome = respond(packet, client, view, self._rotation, int(time.time()))
            if isinstance(outcome, Send):
                outcome = self._limited(packet, client, view, outcome)
        except Exception as error:
            outcome = self._failed(packet, error)
        if isinstance(outcome, Propose):
            return self._proposed(packet, client, outcome)
        if isinstance(outcome, Forward):
            return self._forwarded(packet, client, outcome)
        if isinstance(outcome, Stream):
            self.counters.count(transport, outcome)
            return self._transferred(packet, outcome.messages)
        return self._told(client, outcome)

    def _told(self, client: Client, outcome: Send | Drop) -> bytes | None:
        """Count an outcome, and log why an update or a transfer was refused."""
        self.counters.count(client.transport, outcome)
        if isinstance(outcome, Drop):
            return None
        if outcome.note and self._refusals.admits(time.monotonic()):
            logger.info("request.refused", client=client.address, reason=outcome.note, rcode=outcome.rcode)
        return outcome.packet

    def _limited(self, packet: bytes, client: Client, view: View, outcome: Send) -> Send | Drop:
        """Drop or cut an answer that comes too often, unless its receiver has shown that it is who it says."""
        if self._limiter is None or client.transport != "udp" or outcome.is_trusted:
            return outcome
        match self._limiter.judge(client.address, outcome.rcode, outcome.source, time.monotonic()):
            case Verdict.SEND:
                return outcome
            case Verdict.CUT:
                self.counters.cut += 1
                return replace(outcome, packet=cut(packet, view))
            case Verdict.DROP:
                return Drop("limited")

    def _proposed(self, packet: bytes, client: Client, wish: Propose) -> Reply:
        """Bring a change into the log; a client that repeats itself meanwhile shares one flight."""
        flight = (client.address, packet)
        task = self._flights.get(flight)
        if task is not None and client.transport == "udp":
            self.counters.count(client.transport, Drop("repeated"))
            return None
        if task is None:
            if self.propose is None or len(self._flights) >= self.settings.proposals_max:
                busy = NotCommitted("busy", "too many updates at once")
                return self._told(client, wish.finish(busy, self.view(), int(time.time())))
            task = asyncio.get_running_loop().create_task(self._fly(packet, client, wish, self.propose))
            task.add_done_callback(lambda _: self._flights.pop(flight))
            self._flights[flight] = task
        # A client that goes away does not take its change with it.
        return asyncio.shield(task)

    async def _fly(self, packet: bytes, client: Client, wish: Propose, propose: Proposer) -> bytes | None:
        try:
            outcome = await propose(wish.command, actor=wish.actor)
            sent: Send | Drop = wish.finish(outcome, self.view(), int(time.time()))
        except Exception as error:
            sent = self._failed(packet, error)
        return self._told(client, sent)

    async def _forwarded(self, packet: bytes, client: Client, wish: Forward) -> bytes | None:
        """Ask another server; a defect of ours costs this one answer."""
        try:
            answer = None if self.forward is None else await self.forward(wish.packet, is_stream=wish.is_stream)
            sent: Send | Drop = wish.finish(answer)
            if isinstance(sent, Send):
                sent = self._limited(packet, client, self.view(), sent)
        except Exception as error:
            sent = self._failed(packet, error)
        return self._told(client, sent)

    def _transferred(self, packet: bytes, messages: Iterator[bytes]) -> Messages:
        """Send a zone while there are not too many on their way; a client sees when a defect of ours has ended it."""
        if self._transfers >= self.settings.transfers_max:
            yield message.bare_error(packet, message.SERVFAIL)
            return
        self._transfers += 1
        try:
            yield from messages
        except Exception as error:
            self._failed(packet, error)
        finally:
            self._transfers -= 1

    def _failed(self, packet: bytes, error: Exception) -> Send | Drop:
        self.counters.failures += 1
        if self.counters.failures <= _FAILURES_LOGGED_MAX:
            logger.error("query.failed", packet=packet[:512].hex(), exc_info=error)
        if len(packet) < 12 or packet[2] & 0x80:
            return Drop("short")
        return Send(message.bare_error(packet, message.SERVFAIL), message.SERVFAIL)

    def _count_connection(self, change: int) -> None:
        if change > 0:
            self.counters.connections_opened += 1
        else:
            self.counters.connections_closed += 1

    def _count_unsent(self) -> None:
        self.counters.dropped["unsent"] += 1


def _plain(address: str) -> str:
    """Cut the zone of a link-local address off."""
    return address.partition("%")[0]


def _text(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return str(ListenAddress(str(ipaddress.ip_address(_plain(host))), port))
