"""Finding the answer to a question in our zones (RFC 1034 section 4.3.2). Pure.

``lookup`` walks from name to name: one pass for the question and one more for every CNAME or DNAME
met on the way. ``locate`` says what a zone has at a name; what goes with an answer for the asker's
convenience is found in ``additional``, and the proofs of signed zones in ``proofs``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import msgspec

from node.dns import proofs
from node.dns.additional import addresses_for, glue_for
from node.dns.place import Place, Standing, as_owner, locate, signatures, visible
from node.zone.name import NAME_OCTETS_MAX, ROOT, Name, iter_ancestors, parent
from node.zone.nodes import Node
from node.zone.rrset import ANY, CNAME, DNAME, NS, SOA, RRset
from node.zone.zone import Zone

DS, RRSIG, NSEC = 43, 46, 47
STEPS_MAX = 16
"""CNAME and DNAME steps followed for one question."""


class Kind(Enum):
    """What became of a question; the value is the rcode that tells it."""

    ANSWER = "answer", 0
    NODATA = "nodata", 0
    REFERRAL = "referral", 0
    NXDOMAIN = "nxdomain", 3
    OVERFLOW = "overflow", 6
    """A DNAME would make the name too long (RFC 6672 section 2.2)."""
    OUTSIDE = "outside", 5
    """None of our zones holds the name."""
    BROKEN = "broken", 2
    """The zone has no SOA that could be shown."""

    @property
    def rcode(self) -> int:
        """The rcode of RFC 1035 section 4.1.1 and RFC 2136 section 2.2."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Answer:
    """The sections of an answer, RRsets in the order they are sent.

    ``glue`` is what a referral is useless without, ``additional`` is courtesy (RFC 9471).
    """

    kind: Kind
    authoritative: bool
    answer: tuple[RRset, ...] = ()
    authority: tuple[RRset, ...] = ()
    glue: tuple[RRset, ...] = ()
    additional: tuple[RRset, ...] = ()
    source: Name = ROOT
    """What the answer comes from: the name, the wildcard, the cut, or the zone of a denial."""


def lookup(zones: Mapping[Name, Zone], name: Name, type_: int, *, dnssec: bool = False) -> Answer:
    """Find the answer to a question of class IN; ``dnssec`` adds signatures and proofs (RFC 4035 section 3.1)."""
    walk = _Walk(zones, type_, dnssec=dnssec)
    target: Name | None = name
    for _ in range(STEPS_MAX + 1):
        if target is None or target in walk.seen:
            break
        target = walk.step(target)
    return walk.answer()


def zone_for(zones: Mapping[Name, Zone], name: Name, type_: int) -> Zone | None:
    """Return the zone that answers for a name: the longest one, for a DS the one above (RFC 4035 section 3.1.4.1)."""
    if type_ == DS and name in zones:
        above = _longest(zones, parent(name))
        if above is not None and name != above.name:
            return above
    return _longest(zones, name)


def _longest(zones: Mapping[Name, Zone], name: Name) -> Zone | None:
    return next((zones[ancestor] for ancestor in iter_ancestors(name) if ancestor in zones), None)


class _Walk:
    """One question on its way through our zones, and the sections collected so far."""

    def __init__(self, zones: Mapping[Name, Zone], type_: int, *, dnssec: bool) -> None:
        self.zones = zones
        self.type = type_
        self.dnssec = dnssec
        self.seen: set[Name] = set()
        self.kind = Kind.OUTSIDE
        self.source = ROOT
        self.authoritative = True
        self.answers: list[RRset] = []
        self.authorities: list[RRset] = []
        self.glue: tuple[RRset, ...] = ()
        self.additional: list[RRset] = []

    def step(self, name: Name) -> Name | None:
        """Take the question one name further; return the name where it goes on, or None at the end."""
        self.seen.add(name)
        zone = zone_for(self.zones, name, self.type)
        if zone is None:
            return None
        soa = visible(zone.node(zone.name), SOA)
        if soa is None:
            self.kind = Kind.BROKEN
            return None
        place = locate(zone, name, self.type)
        self.source = place.owner
        match place.standing:
            case Standing.CUT:
                self._refer(zone, place)
            case Standing.DNAME:
                return self._rename(place, name)
            case Standing.MISSING:
                self._deny(self._missing_kind(zone, name), zone, soa, place, name)
            case Standing.EXACT | Standing.WILDCARD:
                return self._take(zone, soa, place, name)
        return None

    def answer(self) -> Answer:
        """Close the sections."""
        present = {(rrset.name, rrset.type) for rrset in (*self.answers, *self.authorities, *self.glue)}
        additional = {
            (rrset.name, rrset.type, rrset.rdatas): rrset
            for rrset in self.additional
            if rrset.type == RRSIG or (rrset.name, rrset.type) not in present
        }
        return Answer(
            self.kind,
            self.authoritative,
            tuple(self.answers),
            tuple(self.authorities),
            self.glue,
            tuple(additional.values()),
            self.source,
        )

    def _take(self, zone: Zone, soa: RRset, place: Place, name: Name) -> Name | None:
        """Answer from the node of the name, or of the wildcard that stands for it (RFC 4592 section 3.3)."""
        found = _chosen(place.node, self.type)
        if found is None:
            found_alias = visible(place.node, CNAME)
            if found_alias is None:
                self._deny(Kind.NODATA, zone, soa, place, name)
                return None
            self._put_answer(zone, place, found_alias, name)
            return Name(found_alias.rdatas[0].lower())
        if self.type == RRSIG:
            self.kind = Kind.ANSWER
            self.answers += _by_ttl(found, name)
            return None
        self._put_answer(zone, place, found, name)
        # Under the name that was asked for: "." of a SVCB record stands for that one (RFC 9460 section 2.5).
        self.additional += addresses_for(zone, as_owner(found, name), dnssec=self.dnssec)
        return None

    def _put_answer(self, zone: Zone, place: Place, rrset: RRset, owner: Name) -> None:
        self.kind = Kind.ANSWER
        self.answers += self._signed(place.node, rrset, owner)
        if self.dnssec and place.standing is Standing.WILDCARD:
            self._put_authorities(proofs.expanded(zone, place, owner))

    def _rename(self, place: Place, name: Name) -> Name | None:
        """Answer with a DNAME and the CNAME that follows from it (RFC 6672 section 3.1)."""
        rrset = visible(place.node, DNAME)
        assert rrset is not None
        if rrset not in self.answers:  # no record stands twice in an RRset (RFC 2181 section 5)
            self.answers += self._signed(place.node, rrset, rrset.name)
        target = Name(name[: -len(place.owner)] + rrset.rdatas[0].lower())
        if len(target) > NAME_OCTETS_MAX:
            self.kind = Kind.OVERFLOW
            return None
        self.kind = Kind.ANSWER
        self.answers.append(RRset(name, CNAME, rrset.ttl, (target,)))
        return None if self.type == CNAME else target

    def _refer(self, zone: Zone, place: Place) -> None:
        """Send the asker to the servers of a delegated name (RFC 1034 section 4.3.2 step 3b)."""
        if not self.answers:
            self.authoritative = False
        self.kind = Kind.REFERRAL
        servers = visible(place.node, NS)
        assert servers is not None
        self.authorities.append(servers)
        if self.dnssec:
            self._put_authorities(proofs.delegation(zone, place))
        self.glue, courtesy = glue_for(zone, servers)
        self.additional += courtesy

    def _missing_kind(self, zone: Zone, name: Name) -> Kind:
        """Deny only the type where a zone of ours exists that the one above does not delegate.

        That it has no DS is true; that its name does not exist would take all below it with it (RFC 8020). A signed
        zone above has the proof that the name does not exist, and nothing else to show.
        """
        is_apex = self.type == DS and name in self.zones and name != zone.name
        return Kind.NODATA if is_apex and not proofs.is_signed(zone) else Kind.NXDOMAIN

    def _deny(self, kind: Kind, zone: Zone, soa: RRset, place: Place, name: Name) -> None:
        """Say that the name or the type does not exist, and for how long (RFC 2308 section 3)."""
        self.kind = kind
        self.source = zone.name
        ttl = min(soa.ttl, int.from_bytes(soa.rdatas[0][-4:], "big"))
        apex = zone.node(zone.name)
        assert apex is not None
        self.authorities += self._signed(apex, msgspec.structs.replace(soa, ttl=ttl), zone.name)
        if self.dnssec:
            proof = proofs.missing if kind is Kind.NXDOMAIN else proofs.no_data
            self._put_authorities(proof(zone, place, name))

    def _signed(self, node: Node, rrset: RRset, owner: Name) -> list[RRset]:
        """Return an RRset under its owner's name, with its signatures where they are wanted."""
        shown = rrset if rrset.name == owner else msgspec.structs.replace(rrset, name=owner)
        return [shown, *signatures(node, shown)] if self.dnssec else [shown]

    def _put_authorities(self, rrsets: list[RRset]) -> None:
        self.authorities += [rrset for rrset in rrsets if rrset not in self.authorities]


def _chosen(node: Node, type_: int) -> RRset | None:
    """Return the RRset that answers the type; for ANY one of them is enough (RFC 8482 section 4.1)."""
    if type_ != ANY:
        return visible(node, type_)
    shown = [rrset for rrset in node.rrsets if not rrset.disabled]
    plain = [rrset for rrset in shown if rrset.type not in (RRSIG, NSEC)]
    return next(iter(plain or shown), None)


def _by_ttl(signed: RRset, owner: Name) -> list[RRset]:
    """Return signatures with the ttl of what they cover, which is written in them (RFC 4034 section 3.1.4)."""
    groups: dict[int, list[bytes]] = {}
    for rdata in signed.rdatas:
        groups.setdefault(int.from_bytes(rdata[4:8], "big"), []).append(rdata)
    return [RRset(owner, RRSIG, ttl, tuple(rdatas)) for ttl, rdatas in groups.items()]
