"""NOTIFY: telling secondaries that a zone has changed (RFC 1996), until they have heard it or the tries are used up.

The leader sends, for changed zones as they change and for all zones when it becomes the leader: its predecessor
may have died between applying and sending. A secondary that hears it twice asks once more, no harm done.
"""

import asyncio
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import structlog

from node.dns.listen import ListenAddress, read_address
from node.dns.message import notify_message
from node.dns.place import visible
from node.dns.query import NOTIFY, parse
from node.dns.tsig import Key, signed_request
from node.zone.name import Name, from_wire, iter_ancestors, to_text
from node.zone.rrset import AAAA, NS, SOA, A
from node.zone.zone import Zone

logger = structlog.get_logger()

Zones = Mapping[Name, Zone]
Flight = tuple[Name, ListenAddress]
_PORT = 53


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """Whom to tell, and how often to try. ``also`` are ``ip:port`` addresses, told of every zone."""

    also: tuple[str, ...] = ()
    own_addresses: frozenset[str] = frozenset()
    """IP addresses of the cluster's nodes, which need not be told."""
    name_servers: bool = True
    """Tell the zone's name servers, as far as our zones hold their addresses."""
    keys: Mapping[ListenAddress, Key] = field(default_factory=dict)
    """To sign with, by whom it is told; others are told without a signature."""
    reminder_s: float = 10.0
    """So long after the last word all is said once more: who was told of an old serial may have taken the newer
    one for a fault (NSD does), who failed to transfer may wait for its refresh time."""
    tries: int = 5
    first_wait_s: float = 1.0
    """For an answer; doubled with every try."""
    flights_max: int = 256
    """Notifications on their way at one time."""
    flights_each_max: int = 16
    """Of these, to one target: one that is deaf must not keep the others waiting."""


def targets(zones: Zones, zone: Zone, settings: NotifySettings) -> tuple[ListenAddress, ...]:
    """Return whom to tell of a zone: the configured, and its name servers but the one in the SOA (RFC 1996 section 2.3)."""
    found = {read_address(text): None for text in settings.also}
    servers = visible(zone.node(zone.name), NS)
    soa = visible(zone.node(zone.name), SOA)
    for rdata in servers.rdatas if servers is not None and settings.name_servers else ():
        if soa is not None and soa.rdatas[0].lower().startswith(rdata.lower()):
            continue
        for address in _addresses(zones, from_wire(rdata)):
            if address not in settings.own_addresses:
                found[ListenAddress(address, _PORT)] = None
    return tuple(found)


def _addresses(zones: Zones, name: Name) -> list[str]:
    """Return the addresses of a name in the deepest zone of ours that has them."""
    for ancestor in iter_ancestors(name):
        zone = zones.get(ancestor)
        node = None if zone is None else zone.node(name)
        rrsets = [visible(node, type_) for type_ in (A, AAAA)]
        found = [rdata for rrset in rrsets if rrset is not None for rdata in rrset.rdatas]
        if found:
            return [
                socket.inet_ntop(socket.AF_INET if len(each) == 4 else socket.AF_INET6, each) for each in found
            ]
    return []


class Notifier:
    """Sends notifications; one at a time to each target for each zone, always of the newest serial."""

    def __init__(
        self, settings: NotifySettings, zones: Callable[[], Zones], is_leader: Callable[[], bool]
    ) -> None:
        self.settings = settings
        self.zones = zones
        self.is_leader = is_leader
        self._flights: dict[Flight, asyncio.Task[None]] = {}
        self._again: set[Flight] = set()
        self._reminders: dict[Flight, asyncio.TimerHandle] = {}
        self._room = asyncio.Semaphore(settings.flights_max)
        self._rooms: WeakValueDictionary[ListenAddress, asyncio.Semaphore] = WeakValueDictionary()

    def zones_changed(self, names: Iterable[Name]) -> None:
        """Tell of these zones, if it is this node's turn; call it in the loop."""
        zones = self.zones()
        for name in names if self.is_leader() else ():
            zone = zones.get(name)
            for target in targets(zones, zone, self.settings) if zone is not None else ():
                self._start((name, target))

    def became_leader(self) -> None:
        """Tell of every zone."""
        self.zones_changed(sorted(self.zones()))

    async def stop(self) -> None:
        """Give up what is on its way."""
        for reminder in self._reminders.values():
            reminder.cancel()
        self._reminders.clear()
        tasks = list(self._flights.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, flight: Flight, *, is_reminder: bool = False) -> None:
        """Start a flight; one that is on its way already flies once more when it has ended."""
        if flight in self._flights:
            self._again.add(flight)
            return
        reminder = self._reminders.pop(flight, None)
        if reminder is not None:
            reminder.cancel()
        task = asyncio.get_running_loop().create_task(self._fly(*flight))
        self._flights[flight] = task
        task.add_done_callback(lambda done: self._landed(flight, done, is_reminder=is_reminder))

    def _landed(self, flight: Flight, done: "asyncio.Task[None]", *, is_reminder: bool) -> None:
        del self._flights[flight]
        if done.cancelled() or not self.is_leader():
            self._again.discard(flight)
        elif flight in self._again:
            self._again.discard(flight)
            self._start(flight)
        elif not is_reminder:
            loop = asyncio.get_running_loop()
            self._reminders[flight] = loop.call_later(self.settings.reminder_s, self._remind, flight)

    def _remind(self, flight: Flight) -> None:
        self._reminders.pop(flight, None)
        if self.is_leader():
            self._start(flight, is_reminder=True)

    async def _fly(self, name: Name, target: ListenAddress) -> None:
        room = self._rooms.setdefault(target, asyncio.Semaphore(self.settings.flights_each_max))
        async with room, self._room:
            wait_s = self.settings.first_wait_s
            for _ in range(self.settings.tries):
                zone = self.zones().get(name)
                if zone is None or not self.is_leader():
                    return
                if await self._told(zone, target, wait_s):
                    logger.debug("notify.heard", zone=to_text(name), target=str(target), serial=zone.serial)
                    return
                wait_s *= 2
        logger.warning("notify.failed", zone=to_text(name), target=str(target), tries=self.settings.tries)

    async def _told(self, zone: Zone, target: ListenAddress, wait_s: float) -> bool:
        """Send one notification; say whether it was answered, with whatever rcode (RFC 1996 section 3.12)."""
        id_ = secrets.randbelow(65_536)
        packet = notify_message(id_, zone.name, visible(zone.node(zone.name), SOA))
        key = self.settings.keys.get(target)
        if key is not None:
            packet = signed_request(packet, key, int(time.time()))
        loop = asyncio.get_running_loop()
        heard: asyncio.Future[bool] = loop.create_future()
        try:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Ear(id_, heard), remote_addr=(target.host, target.port)
            )
        except OSError:
            await asyncio.sleep(wait_s)
            return False
        try:
            transport.sendto(packet)
            async with asyncio.timeout(wait_s):
                return await heard
        except TimeoutError:
            return False
        finally:
            transport.close()


class _Ear(asyncio.DatagramProtocol):
    """Waits for the answer to one notification."""

    def __init__(self, id_: int, heard: "asyncio.Future[bool]") -> None:
        self.id = id_
        self.heard = heard

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - asyncio's signature
        answer = parse(data)
        is_ours = answer is not None and answer.is_answer and (answer.id, answer.opcode) == (self.id, NOTIFY)
        if is_ours and not self.heard.done():
            self.heard.set_result(True)
