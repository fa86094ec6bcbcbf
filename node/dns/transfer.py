"""Zone transfers as iterators of messages: AXFR (RFC 5936) and IXFR from the zone's history (RFC 1995). Pure.

A transfer walks one zone version, which never changes, so it is one point in time however long it takes. Every node
has the same serials, so any node can go on where another one stopped.
"""

from collections.abc import Iterable, Iterator

from node.dns.lookup import RRSIG
from node.dns.message import Response, pack_stream
from node.dns.query import Query
from node.zone.rrset import SOA, RRset
from node.zone.serial import is_newer
from node.zone.zone import Delta, Zone

MESSAGE_OCTETS = 16_384
"""Messages grow to this size: pointers reach no further, and a client gets its turn between two."""


def axfr(query: Query, zone: Zone, soa: RRset, limit: int = MESSAGE_OCTETS) -> Iterator[bytes]:
    """Yield the whole zone between two copies of its SOA (RFC 5936 section 2.2), in no order."""
    return pack_stream(query, _whole(zone, soa), limit)


def ixfr(query: Query, zone: Zone, soa: RRset, serial: int, limit: int = MESSAGE_OCTETS) -> Iterator[bytes]:
    """Yield what has changed since a serial; the whole zone when that is not known or is shorter."""
    if serial == zone.serial or is_newer(serial, zone.serial):
        return pack_stream(query, [soa], limit)
    deltas = since(zone, serial)
    if deltas is None or sum(len(delta.removed) + len(delta.added) for delta in deltas) > zone.rrset_count:
        return axfr(query, zone, soa, limit)
    return pack_stream(query, _differences(deltas, soa), limit)


def only_soa(soa: RRset) -> Response:
    """Answer an IXFR over UDP: who is behind comes back over TCP (RFC 1995 section 2)."""
    return Response(0, authoritative=True, answer=(soa,))


def since(zone: Zone, serial: int) -> tuple[Delta, ...] | None:
    """Return the changes that lead from a serial to the zone as it is, or None when they are forgotten."""
    for number, delta in enumerate(zone.history):
        if delta.serial_from == serial:
            return zone.history[number:]
    return None


def _whole(zone: Zone, soa: RRset) -> Iterator[RRset]:
    yield soa
    for node in zone.nodes.values():
        for rrset in node.rrsets:
            if not rrset.disabled and rrset.type != SOA:
                yield from _records(rrset)
    yield soa


def _differences(deltas: tuple[Delta, ...], soa: RRset) -> Iterator[RRset]:
    """Yield each change as the old SOA, what went, the new SOA, what came (RFC 1995 section 4)."""
    yield soa
    for delta in deltas:
        removed, added = _shown(delta.removed), _shown(delta.added)
        yield from _soa_of(delta.removed)
        yield from _without(removed, added)
        yield from _soa_of(delta.added)
        yield from _without(added, removed)
    yield soa


def _shown(rrsets: Iterable[RRset]) -> list[RRset]:
    return [rrset for rrset in rrsets if not rrset.disabled and rrset.type != SOA]


def _soa_of(rrsets: Iterable[RRset]) -> list[RRset]:
    return [rrset for rrset in rrsets if rrset.type == SOA]


def _without(rrsets: list[RRset], others: list[RRset]) -> Iterator[RRset]:
    """Yield the records that the others do not have as well, so that a change of one record is one record."""
    present = {(other.name, other.type, other.ttl): set(other.rdatas) for other in others}
    for rrset in rrsets:
        kept = present.get((rrset.name, rrset.type, rrset.ttl), set())
        rdatas = tuple(rdata for rdata in rrset.rdatas if rdata not in kept)
        if rdatas:
            yield from _records(RRset(rrset.name, rrset.type, rrset.ttl, rdatas))


def _records(rrset: RRset) -> Iterator[RRset]:
    """Yield an RRset record by record; a signature has the ttl that is written in it (RFC 4034 section 3)."""
    for rdata in rrset.rdatas:
        ttl = int.from_bytes(rdata[4:8], "big") if rrset.type == RRSIG else rrset.ttl
        yield RRset(rrset.name, rrset.type, ttl, (rdata,))
