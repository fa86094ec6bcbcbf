"""One zone as an immutable version: its names, its RRsets, its serial and its recent changes.

A reader holds a finished version; ``with_changes`` builds the next one, which shares all names it
did not touch.
"""

from collections.abc import Collection, Iterable, Iterator
from hashlib import blake2b
from heapq import merge
from itertools import islice

import msgspec
from immutables import Map

from node.zone import serial as serials
from node.zone.chain import Chain
from node.zone.lease import LeaseKey
from node.zone.name import Name, sort_key
from node.zone.nodes import Node, NodeEdit
from node.zone.rrset import SOA, RRset

HISTORY_DELTAS_MAX = 1_000
HISTORY_RRSETS_MAX = 10_000
_DIGEST_MODULUS = 2**128
_RUN_NAMES = 10_000
"""Names sorted at a time, which takes about 20 ms."""


class Delta(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one change took away and brought, whole RRsets; the serials before and after (RFC 1995)."""

    serial_from: int
    serial_to: int
    index: int
    removed: tuple[RRset, ...]
    added: tuple[RRset, ...]
    expired: tuple[LeaseKey, ...] = ()
    """The leases whose end the change is."""


NO_HISTORY: Chain[Delta] = Chain()


class Zone(msgspec.Struct, frozen=True, omit_defaults=True):
    """A zone version. The SOA is an ordinary RRset at the apex; its serial is kept beside it."""

    name: Name
    serial: int
    nodes: "Map[Name, Node]" = Map()
    rrset_count: int = 0
    digest: int = 0
    """Sum of the RRsets' hashes modulo 2^128: the same for the same contents, whatever the order."""
    history: Chain[Delta] = NO_HISTORY
    history_rrsets: int = 0
    """How many RRsets the history holds."""

    def node(self, name: Name) -> Node | None:
        """Return the node, which may be an empty non-terminal, or None when the name does not exist."""
        return self.nodes.get(name)

    def get(self, name: Name, type_: int) -> RRset | None:
        """Return an RRset, or None."""
        node = self.nodes.get(name)
        return None if node is None else node.get(type_)

    def iter_rrsets(self) -> Iterator[RRset]:
        """Yield every RRset, the SOA first, the rest in canonical order of their names."""
        soa = self.get(self.name, SOA)
        if soa is not None:
            yield soa
        for name in _in_order(self.nodes):
            for rrset in self.nodes[name].rrsets:
                if rrset is not soa:
                    yield rrset


def _in_order(names: Iterable[Name]) -> Iterator[Name]:
    """Yield names in canonical order, sorted in short runs that are then merged.

    To sort a million names at once lets no other thread run for seconds, whichever thread does it.
    """
    rest = iter(names)
    runs = []
    while run := sorted(islice(rest, _RUN_NAMES), key=sort_key):
        runs.append(run)
    return iter(runs[0]) if len(runs) == 1 else merge(*runs, key=sort_key)


class Replacement(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What an RRset becomes: the new one, or nothing."""

    name: Name
    type: int
    rrset: RRset | None


def with_changes(
    zone: Zone,
    replacements: Iterable[Replacement],
    index: int,
    *,
    serial: int | None = None,
    expired: tuple[LeaseKey, ...] = (),
) -> Zone:
    """Return the next version of the zone; the very same object when nothing really changes.

    The serial becomes the given one, else the next (RFC 1982), when anything but the SOA's own serial changed.
    """
    next_serial = serials.add(zone.serial, 1) if serial is None else serial
    edit = NodeEdit(zone.name, zone.nodes)
    removed: list[RRset] = []
    added: list[RRset] = []
    for replacement in replacements:
        name, new = replacement.name, replacement.rrset
        before = edit.get(name)
        old = before.get(replacement.type)
        if old == new:
            continue
        edit.put_over(before, name, replacement.type, new, index)
        if old is not None:
            removed.append(old)
        if new is not None:
            added.append(new)
    if not removed and not added:
        return zone
    return _finished(zone, edit, Delta(zone.serial, next_serial, index, tuple(removed), tuple(added), expired))


def served_as(zone: Zone, replacements: Iterable[Replacement]) -> Zone:
    """Return the zone as it is answered while these RRsets look otherwise: same serial, same history."""
    edit = NodeEdit(zone.name, zone.nodes)
    digest = zone.digest
    for replacement in replacements:
        node = edit.get(replacement.name)
        old = node.get(replacement.type)
        if old == replacement.rrset:
            continue
        edit.put(replacement.name, replacement.type, replacement.rrset, node.index)
        digest -= 0 if old is None else _hash(old)
        digest += 0 if replacement.rrset is None else _hash(replacement.rrset)
    return msgspec.structs.replace(zone, nodes=edit.finish(), digest=digest % _DIGEST_MODULUS)


def new_zone(name: Name, rrsets: Iterable[RRset], index: int, serial: int = 1) -> Zone:
    """Build a zone's first version, with this serial, from RRsets that include its SOA."""
    empty = Zone(name, (serial - 1) % serials.MODULUS)
    zone = with_changes(empty, (Replacement(rrset.name, rrset.type, rrset) for rrset in rrsets), index)
    return msgspec.structs.replace(zone, history=NO_HISTORY, history_rrsets=0)


def renumbered(zone: Zone, serial: int, history: tuple[Delta, ...]) -> Zone:
    """Return a zone that was built beside the one that is served, with the serial and the history it shall have."""
    edit = NodeEdit(zone.name, zone.nodes)
    before = zone.get(zone.name, SOA)
    assert before is not None
    soa = soa_with_serial(before, serial)
    edit.put(zone.name, SOA, soa, zone.nodes[zone.name].index)
    return msgspec.structs.replace(
        zone,
        serial=serial,
        nodes=edit.finish(),
        digest=(zone.digest + _hash(soa) - _hash(before)) % _DIGEST_MODULUS,
        history=Chain(history),
        history_rrsets=sum(map(_size, history)),
    )


def filled_zone(zone: Zone, rrsets: Collection[RRset], index: int) -> Zone:
    """Return the zone with RRsets that it does not hold yet, at the same serial and without a history of them."""
    edit = NodeEdit(zone.name, zone.nodes)
    for rrset in rrsets:
        edit.put(rrset.name, rrset.type, rrset, index)
    return msgspec.structs.replace(
        zone,
        nodes=edit.finish(),
        rrset_count=zone.rrset_count + len(rrsets),
        digest=digest_with(zone.digest, rrsets),
    )


def digest_with(digest: int, rrsets: Iterable[RRset]) -> int:
    """Return what a zone's digest becomes when these RRsets come into it."""
    return (digest + _sum(rrsets)) % _DIGEST_MODULUS


def soa_with_serial(soa: RRset, serial: int) -> RRset:
    """Return the SOA with another serial (RFC 1035 section 3.3.13: five 32-bit numbers end the rdata)."""
    rdata = soa.rdatas[0]
    return msgspec.structs.replace(soa, rdatas=(rdata[:-20] + serial.to_bytes(4, "big") + rdata[-16:],))


def _finished(zone: Zone, edit: NodeEdit, delta: Delta) -> Zone:
    """Advance the serial, keep history and digest, and close the version."""
    serial = delta.serial_to
    removed, added = list(delta.removed), list(delta.added)
    apex = edit.get(zone.name)
    current = apex.get(SOA)
    if current is not None:
        soa = soa_with_serial(current, serial)
        # A serial that only follows is no change of the apex: conditions on it must not fail for it.
        edit.put_over(apex, zone.name, SOA, soa, apex.index)
        before = zone.get(zone.name, SOA)
        removed = [rrset for rrset in removed if rrset.type != SOA] + ([] if before is None else [before])
        added = [rrset for rrset in added if rrset.type != SOA] + [soa]
    delta = Delta(delta.serial_from, serial, delta.index, tuple(removed), tuple(added), delta.expired)
    history, history_rrsets = _extended(zone, delta)
    return Zone(
        name=zone.name,
        serial=serial,
        nodes=edit.finish(),
        rrset_count=zone.rrset_count + len(added) - len(removed),
        digest=(zone.digest + _sum(added) - _sum(removed)) % _DIGEST_MODULUS,
        history=history,
        history_rrsets=history_rrsets,
    )


def _extended(zone: Zone, delta: Delta) -> tuple[Chain[Delta], int]:
    """Add a change to the history and forget the oldest ones beyond the limits."""
    history, count = zone.history, len(zone.history)
    size = zone.history_rrsets + _size(delta)
    gone = 0
    while gone < count and (size > HISTORY_RRSETS_MAX or count - gone >= HISTORY_DELTAS_MAX):
        size -= _size(history[gone])
        gone += 1
    if size > HISTORY_RRSETS_MAX:
        return NO_HISTORY, 0
    return history.followed_by(delta, gone), size


def _size(delta: Delta) -> int:
    return len(delta.removed) + len(delta.added)


def _sum(rrsets: Iterable[RRset]) -> int:
    """Return the sum of the hashes of RRsets."""
    return sum([_number(blake2b(octets, digest_size=16).digest(), "big") for octets in map(_encode, rrsets)])


def _hash(rrset: RRset) -> int:
    return _number(blake2b(_encode(rrset), digest_size=16).digest(), "big")


_encode = msgspec.msgpack.Encoder().encode
_number = int.from_bytes
