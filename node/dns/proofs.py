"""Proofs of signed zones: what shows that a name or type does not exist (RFC 4035 section 3.1.3, RFC 5155 section 7.2). Pure.

The records come with the zone; here they are only chosen. An unsigned zone has none, and gives none.
"""

import base64
import hashlib
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from dataclasses import dataclass
from heapq import merge
from itertools import islice

from node.dns.place import NSEC3, Place, Standing, signatures, visible
from node.zone.name import (
    NAME_OCTETS_MAX,
    Name,
    from_labels,
    is_within,
    iter_labels,
    parent,
    sort_key,
    wildcard_of,
)
from node.zone.rrset import RRset
from node.zone.zone import Zone

DS, NSEC, NSEC3PARAM = 43, 47, 51
NSEC3_ITERATIONS_MAX = 500
"""A zone that wants more (RFC 9276 says 0) is answered without proofs: they would cost too much."""
_CHAINS_KEPT = 8
_LARGE_NAMES = 20_000
_RUN_NAMES = 10_000


def is_signed(zone: Zone) -> bool:
    """Say whether the zone comes with a chain of proofs."""
    apex = zone.node(zone.name)
    return visible(apex, NSEC) is not None or _hashing(visible(apex, NSEC3PARAM)) is not None


def expanded(zone: Zone, place: Place, name: Name) -> list[RRset]:
    """Prove that a wildcard stands for the name because the name itself does not exist."""
    chain = _chain_of(zone)
    if chain is None:
        return []
    return chain.covering(chain.denied(name, chain.provable(place.encloser)))


def missing(zone: Zone, place: Place, name: Name) -> list[RRset]:
    """Prove that neither the name nor a wildcard for it exists."""
    chain = _chain_of(zone)
    if chain is None:
        return []
    encloser = chain.provable(place.encloser)
    proof = chain.enclosing(encloser) + chain.covering(chain.denied(name, encloser))
    if len(encloser) + 2 <= NAME_OCTETS_MAX:
        proof += chain.covering(wildcard_of(encloser))
    return _each_once(proof)


def no_data(zone: Zone, place: Place, name: Name) -> list[RRset]:
    """Prove that the name, or the wildcard that stands for it, does not have the type."""
    chain = _chain_of(zone)
    if chain is None:
        return []
    if place.standing is Standing.WILDCARD:
        encloser = chain.provable(place.encloser)
        proof = chain.enclosing(encloser) + chain.covering(chain.denied(name, encloser))
        return _each_once(proof + chain.matching(place.owner))
    return chain.matching(name) or _unsigned_span(chain, zone, name)


def delegation(zone: Zone, place: Place) -> list[RRset]:
    """Return the DS of a delegation, or the proof that it has none (RFC 4035 section 3.1.4)."""
    chain = _chain_of(zone)
    if chain is None:
        return []
    keys = visible(place.node, DS)
    if keys is not None:
        return [keys, *signatures(place.node, keys)]
    return chain.matching(place.owner) or _unsigned_span(chain, zone, place.owner)


def _unsigned_span(chain: "_Chain", zone: Zone, name: Name) -> list[RRset]:
    """Prove a name without record in the chain: an empty non-terminal, or one that opted out."""
    encloser = name
    while encloser != zone.name:
        denied, encloser = encloser, parent(encloser)
        enclosing = chain.matching(encloser)
        if enclosing:
            shown = enclosing if chain.is_hashed else []
            return _each_once(shown + chain.covering(denied if chain.is_hashed else name))
    return []


def _each_once(rrsets: list[RRset]) -> list[RRset]:
    return [rrset for number, rrset in enumerate(rrsets) if rrset not in rrsets[:number]]


@dataclass(slots=True)
class _Chain:
    """The NSEC or NSEC3 records of a zone in their order."""

    zone: Zone
    keys: list[tuple[bytes, ...]]
    owners: list[Name]
    hashing: tuple[int, bytes] | None
    """Iterations and salt of an NSEC3 chain."""

    @property
    def is_hashed(self) -> bool:
        return self.hashing is not None

    def matching(self, name: Name) -> list[RRset]:
        """Return the record that stands at the name, with its signatures."""
        owner = self._owner(name)
        return self._shown(owner) if owner is not None else []

    def covering(self, name: Name) -> list[RRset]:
        """Return the record whose span the name falls into."""
        owner = self._owner(name)
        if owner is None or not self.owners:
            return []
        return self._shown(self.owners[bisect_right(self.keys, sort_key(owner)) - 1])

    def provable(self, encloser: Name) -> Name:
        """Return the closest encloser that can be proven: names that opted out have no record (RFC 5155 section 7.2.1)."""
        while self.is_hashed and encloser != self.zone.name and not self.matching(encloser):
            encloser = parent(encloser)
        return encloser

    def enclosing(self, encloser: Name) -> list[RRset]:
        """Return what proves the closest encloser; an NSEC chain shows it by the covering record."""
        return self.matching(encloser) if self.is_hashed else []

    def denied(self, name: Name, encloser: Name) -> Name:
        """Return what is to be proven absent: the name, in a hashed chain the next closer one (RFC 5155 section 1.3)."""
        if not self.is_hashed:
            return name
        while (above := parent(name)) != encloser:
            name = above
        return name

    def _owner(self, name: Name) -> Name | None:
        if self.hashing is None:
            return name
        return _hashed_owner(name, self.zone.name, *self.hashing)

    def _shown(self, owner: Name) -> list[RRset]:
        node = self.zone.node(owner)
        rrset = visible(node, NSEC3 if self.is_hashed else NSEC)
        return [] if node is None or rrset is None else [rrset, *signatures(node, rrset)]


_chains: OrderedDict[tuple[Name, int, int], _Chain] = OrderedDict()
"""The newest chains; the answering table has a thread of its own that asks as well, so each step stands alone."""
_announced: set[Name] = set()
"""Zones whose chain is being made."""


class NotPrepared(Exception):
    """The chain of a large zone is being made; what needs its proofs cannot be answered yet."""


def needs_preparing(zone: Zone) -> bool:
    """Say whether the first question would make the chain of a large zone, which takes seconds."""
    if len(zone.nodes) < _LARGE_NAMES or not is_signed(zone) or _key(zone) in _chains:
        return False
    return _base(zone, _hashing(visible(zone.node(zone.name), NSEC3PARAM))) is None


def announce(zone: Zone) -> None:
    """Let questions that need the chain raise ``NotPrepared`` until ``prepare`` has made it, perhaps in a thread."""
    _announced.add(zone.name)


def prepare(zone: Zone) -> None:
    """Make the chain of a zone that was announced."""
    try:
        _keep(zone, _built(zone, _hashing(visible(zone.node(zone.name), NSEC3PARAM))))
    finally:
        _announced.discard(zone.name)


def _chain_of(zone: Zone) -> _Chain | None:
    """Return the zone version's chain, made from an earlier version's where one is kept; None for an unsigned zone."""
    if not is_signed(zone):
        return None
    chain = _chains.get(_key(zone))
    return _keep(zone, _made(zone)) if chain is None else chain


def _made(zone: Zone) -> _Chain:
    hashing = _hashing(visible(zone.node(zone.name), NSEC3PARAM))
    base = _base(zone, hashing)
    if base is not None:
        return _followed(base, zone)
    if zone.name in _announced:
        raise NotPrepared
    return _built(zone, hashing)


def _key(zone: Zone) -> tuple[Name, int, int]:
    return zone.name, zone.serial, zone.digest


def _keep(zone: Zone, chain: _Chain) -> _Chain:
    _chains[_key(zone)] = chain
    for oldest in list(_chains)[:-_CHAINS_KEPT]:
        _chains.pop(oldest, None)
    return chain


def _built(zone: Zone, hashing: tuple[int, bytes] | None) -> _Chain:
    """Walk over the zone. Names are sorted in short runs, as one long sort would let no other thread go on."""
    type_ = _type(hashing)
    owners = (
        (sort_key(name), name)
        for name, node in zone.nodes.items()
        if visible(node, type_) is not None and is_within(name, zone.name)
    )
    runs = []
    while run := sorted(islice(owners, _RUN_NAMES)):
        runs.append(run)
    pairs = runs[0] if len(runs) == 1 else list(merge(*runs))
    return _Chain(zone, [key for key, _ in pairs], [name for _, name in pairs], hashing)


def _type(hashing: tuple[int, bytes] | None) -> int:
    return NSEC if hashing is None else NSEC3


def _base(zone: Zone, hashing: tuple[int, bytes] | None) -> _Chain | None:
    """Return the newest chain that the zone's history leads on from."""
    serials = {delta.serial_from for delta in zone.history}
    for chain in reversed(list(_chains.values())):
        known = chain.zone
        if known.name == zone.name and known.serial in serials and chain.hashing == hashing:
            return chain
    return None


def _followed(base: _Chain, zone: Zone) -> _Chain:
    """Make the chain from an earlier version's by what has changed since."""
    type_ = _type(base.hashing)
    start = next(number for number, delta in enumerate(zone.history) if delta.serial_from == base.zone.serial)
    touched = {
        rrset.name
        for delta in zone.history[start:]
        for rrset in (*delta.removed, *delta.added)
        if rrset.type == type_ and is_within(rrset.name, zone.name)
    }
    return _changed(base, zone, sorted(touched), type_)


def _changed(chain: _Chain, zone: Zone, touched: list[Name], type_: int) -> _Chain:
    keys, owners = chain.keys.copy(), chain.owners.copy()
    for name in touched:
        key = sort_key(name)
        place = bisect_left(keys, key)
        is_there = place < len(keys) and keys[place] == key
        is_wanted = visible(zone.node(name), type_) is not None
        if is_there and not is_wanted:
            del keys[place], owners[place]
        elif is_wanted and not is_there:
            keys.insert(place, key)
            owners.insert(place, name)
    return _Chain(zone, keys, owners, chain.hashing)


def _hashing(parameters: RRset | None) -> tuple[int, bytes] | None:
    """Read iterations and salt of an NSEC3PARAM (RFC 5155 section 4.2); algorithm 1 is the only one."""
    for rdata in () if parameters is None else parameters.rdatas:
        iterations = int.from_bytes(rdata[2:4], "big")
        if rdata[0] == 1 and len(rdata) == 5 + rdata[4] and iterations <= NSEC3_ITERATIONS_MAX:
            return iterations, rdata[5:]
    return None


def _hashed_owner(name: Name, apex: Name, iterations: int, salt: bytes) -> Name | None:
    """Return the owner of a name's NSEC3 (RFC 5155 section 5), None where the apex leaves no room for it."""
    digest = hashlib.sha1(name + salt, usedforsecurity=False).digest()
    for _ in range(iterations):
        digest = hashlib.sha1(digest + salt, usedforsecurity=False).digest()
    label = base64.b32hexencode(digest).lower()
    if len(label) + 1 + len(apex) > NAME_OCTETS_MAX:
        return None
    return from_labels([label, *iter_labels(apex)])
