"""From zones to the blocks of the serving table, by the same ``lookup`` and ``message`` that serve TCP. Pure.

A node's block holds the answers to all questions at one name. It is made as if nothing above the name were
delegated or renamed, which readers check on their way, so a delegation above costs no work below. What
else an answer was made from is recorded while it is made: a change there makes it anew.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from node.dns import message
from node.dns import table_layout as layout
from node.dns.choice import Choice, is_chosen
from node.dns.lookup import DS, RRSIG, Answer, Kind, lookup, zone_for
from node.dns.message import Response
from node.dns.place import Standing, locate, visible
from node.dns.query import IN, Edns, Query, Question
from node.dns.table_plain import plain_block
from node.dns.table_record import names_beside, names_in, packed, suffixes_below, unprepared
from node.dns.table_watch import WatchedZones, exists, is_signed
from node.zone.name import ROOT, Name, is_wildcard, is_within, parent
from node.zone.nodes import Node
from node.zone.rrset import ANY, CNAME, DNAME, NS, SOA, A
from node.zone.zone import Zone

_PRIVATE_TYPES = range(65_280, 65_535)
_ENTRIES_MAX = 254
_TEMPLATES_MAX = 64
_MESSAGE_OCTETS_MAX = 65_535

Zones = Mapping[Name, Zone]
Choices = Mapping[Name, Choice]


@dataclass(frozen=True, slots=True)
class RenderedNode:
    """A block without its head, and what it was made from."""

    block: bytes
    flags: int
    depends: frozenset[Name]
    """Names elsewhere whose change makes the answers here anew."""
    serials: frozenset[Name]
    """Zones whose SOA stands in an answer."""


@dataclass(frozen=True, slots=True)
class Found:
    """An answer with its entry's type, and whether it is the same with DNSSEC records."""

    type: int
    answer: Answer
    differs: bool


class Renderer:
    """Makes blocks. ``cell_of`` tells where a zone's serial stands in the table, 0 for a zone that has none."""

    def __init__(
        self, payload_octets: int, cell_of: Callable[[Name], int], choices: Callable[[], Choices] = dict
    ) -> None:
        """``choices`` tells which names' answers are made for each question anew, by ``respond``."""
        self.payload_octets = payload_octets
        self._choices = choices
        self._cell_of = cell_of

    def node(self, zones: Zones, number: int, zone: Zone, name: Name) -> RenderedNode | None:
        """Make the block of a name, None when the name does not exist."""
        short = self.plain_node(number, zone, name)
        if short is not None:
            return short
        return self.any_node(zones, number, zone, name)

    def plain_node(self, number: int, zone: Zone, name: Name) -> RenderedNode | None:
        """Make the block of a name the short way, None where that cannot be."""
        node = zone.node(name)
        apex = zone.node(zone.name)
        if name in self._choices():
            return None
        if name == zone.name or not exists(zone, name) or node is None or visible(apex, SOA) is None:
            return None
        if is_signed(zone) or (apex is not None and apex.get(RRSIG) is not None):
            return None
        block = plain_block(number, node, name, self.payload_octets)
        return None if block is None else RenderedNode(block, 0, frozenset(), frozenset())

    def any_node(self, zones: Zones, number: int, zone: Zone, name: Name) -> RenderedNode | None:
        """Make the block of any name the long way, None when the name does not exist."""
        watched = WatchedZones(zones, zone, name)
        place = locate(watched.zone, name, DS)
        if place.standing is not Standing.EXACT:
            return None
        flags = _flags(zone, place.node, name)
        entries, any_entry = self._entries(watched, place.node, name, flags)
        records = [self._entry(each, name) for each in entries]
        templates = self._referrals(watched, name) if flags & layout.NODE_CUT else []
        block = b"".join(
            (
                layout.NODE_KEY_HEAD.pack(number, len(name)),
                name,
                layout.NODE_HEAD.pack(flags, any_entry, len(records), len(templates)),
                *records,
                *templates,
            )
        )
        return RenderedNode(block, flags, watched.depends(), watched.serials())

    def unprepared_node(self, number: int, zone: Zone, name: Name) -> RenderedNode | None:
        """Make the block of a name whose answers ``respond`` must give, None when the name does not exist."""
        if not exists(zone, name):
            return None
        flags = _flags(zone, zone.node(name), name)
        block = b"".join(
            (
                layout.NODE_KEY_HEAD.pack(number, len(name)),
                name,
                layout.NODE_HEAD.pack(flags, layout.NO_ENTRY, 1, 0),
                unprepared(layout.TYPE_DEFAULT),
            )
        )
        return RenderedNode(block, flags, frozenset(), frozenset())

    def zone(self, number: int, zone: Zone) -> bytes:
        """Make a zone's row in the list of zones: how it says no."""
        return self._row(number, zone, self._denials(zone))

    def unprepared_zone(self, number: int, zone: Zone) -> bytes:
        """Make the row of a zone that ``respond`` must answer for."""
        return self._row(number, zone, [])

    def _row(self, number: int, zone: Zone, templates: list[bytes]) -> bytes:
        head = layout.ZONE_HEAD.pack(
            number,
            self._cell_of(zone.name),
            bool(templates),
            len(zone.name),
            0x8400 | Kind.NODATA.rcode,
            0x8400 | Kind.NXDOMAIN.rcode,
            len(templates),
        )
        return head + zone.name + b"".join(templates)

    def constants(self, refusal: Callable[[Query], bytes]) -> bytes:
        """Make the block of what holds for all answers; ``refusal`` answers a question outside all zones."""
        question = Question(ROOT, A, IN, ROOT)
        edns = Edns(self.payload_octets, 0, dnssec_ok=False)
        opt = message.render(Query(0, 0, question, edns), Response(0), 512, payload_octets=self.payload_octets)[
            17:
        ]
        refused = refusal(Query(0, 0, question, edns))
        return (
            layout.CONSTANTS.pack(
                self.payload_octets, int.from_bytes(refused[2:4], "big"), len(opt), len(refused) - 17
            )
            + opt
            + refused[17:]
        )

    # --- what is asked of a name -----------------------------------------------------------------

    def _entries(self, watched: WatchedZones, node: Node, name: Name, flags: int) -> tuple[list[Found], int]:
        """Look up all that can be asked of a name, and which of it answers ANY."""
        types = [rrset.type for rrset in node.rrsets if not rrset.disabled]
        if flags & layout.NODE_CUT:
            types = [DS] if DS in types or CNAME in types else []
        entries = [_found(watched, name, type_) for type_ in types[:_ENTRIES_MAX]]
        if flags & layout.NODE_CUT or len(types) > _ENTRIES_MAX or not types:
            return entries, layout.NO_ENTRY
        first = lookup(watched, name, ANY)
        any_entry = next(
            (number for number, each in enumerate(entries) if _is_same(each.answer, first)), layout.NO_ENTRY
        )
        if visible(node, CNAME) is not None:
            entries += self._aliased(watched, name, types)
        return entries[:_ENTRIES_MAX], any_entry

    def _aliased(self, watched: WatchedZones, name: Name, types: list[int]) -> list[Found]:
        """Look up what is asked through a CNAME: every type that its end has, and one for all others."""
        end = _end(watched, name)
        there = [] if end is None else [rrset.type for rrset in end.rrsets if not rrset.disabled]
        absent = next(type_ for type_ in _PRIVATE_TYPES if type_ not in there and type_ not in types)
        default = _found(watched, name, absent)
        others = [type_ for type_ in there if type_ not in types and type_ != DS]
        return [
            Found(layout.TYPE_DEFAULT, default.answer, default.differs),
            *(_found(watched, name, type_) for type_ in others),
        ]

    def _entry(self, found: Found, name: Name) -> bytes:
        """Write one answer of a name; below a wildcard's parent it is moved, so its pointers are told."""
        if found.answer.kind in (Kind.OUTSIDE, Kind.BROKEN) or is_chosen(self._choices(), found.answer.answer):
            return unprepared(found.type)
        if not is_wildcard(name):
            return self._record(found, name, keep_owner=True, avoid=(), is_moved=False)
        if any(is_within(each, name) for each in names_beside(found.answer)):
            return unprepared(found.type)
        encloser = parent(name)
        below = suffixes_below(names_in(found.answer), encloser) - {name}
        labels = sorted(suffix[1 : 1 + suffix[0]] for suffix in below if parent(suffix) == encloser)
        return self._record(found, name, keep_owner=True, avoid=labels, is_moved=True)

    def _referrals(self, watched: WatchedZones, name: Name) -> list[bytes]:
        """Write the referral of a cut, once for every end that a question can share with its names."""
        return self._templates(_found(watched, name, A), name)

    def _denials(self, zone: Zone) -> list[bytes]:
        """Write the zone's answer to what does not exist; nothing when it cannot be prepared."""
        watched = WatchedZones({zone.name: zone}, zone, zone.name)
        apex = zone.node(zone.name)
        if apex is None or visible(apex, SOA) is None or any(visible(apex, each) for each in (CNAME, DNAME)):
            return []
        present = {rrset.type for rrset in apex.rrsets}
        found = _found(watched, zone.name, next(type_ for type_ in _PRIVATE_TYPES if type_ not in present))
        return self._templates(found, zone.name) if found.answer.kind is Kind.NODATA else []

    def _templates(self, found: Found, base: Name) -> list[bytes]:
        suffixes = sorted(suffixes_below(names_in(found.answer), base) | {base})
        rows = []
        for suffix in suffixes:
            is_few = len(suffixes) <= _TEMPLATES_MAX
            record = (
                self._record(found, suffix, keep_owner=False, avoid=(), is_moved=True)
                if is_few
                else unprepared(found.type)
            )
            rows.append(bytes((len(suffix),)) + suffix + record)
        return rows if len(rows) <= 255 else []

    def _record(
        self, found: Found, asked: Name, *, keep_owner: bool, avoid: Iterable[bytes], is_moved: bool
    ) -> bytes:
        answer = found.answer
        response = Response(
            answer.kind.rcode,
            answer.authoritative,
            answer.answer,
            answer.authority,
            answer.glue,
            answer.additional,
        )
        type_ = found.type or _PRIVATE_TYPES[0]
        query = Query(0, 0, Question(asked, type_, IN, asked))
        wire = message.render(query, response, _MESSAGE_OCTETS_MAX)
        required = len(wire)
        if answer.additional:
            bare = Response(
                response.rcode, response.authoritative, response.answer, response.authority, response.glue
            )
            required = len(message.render(query, bare, _MESSAGE_OCTETS_MAX))
        soa = next((rrset for rrset in (*answer.answer, *answer.authority) if rrset.type == SOA), None)
        return packed(
            found.type,
            wire,
            16 + len(asked),
            required_octets=required - 16 - len(asked),
            body_octets_max=self.payload_octets,
            cell=0 if soa is None else self._cell_of(soa.name),
            has_serial=soa is not None,
            differs=found.differs,
            is_moved=is_moved,
            keep_owner=keep_owner,
            avoid=avoid,
        )


def _found(watched: WatchedZones, name: Name, type_: int) -> Found:
    watched.begin()
    answer = lookup(watched, name, type_)
    watched.note(answer)
    return Found(type_, answer, watched.saw_signatures)


def _is_same(first: Answer, second: Answer) -> bool:
    return (first.kind, first.authoritative, first.answer, first.authority) == (
        second.kind,
        second.authoritative,
        second.answer,
        second.authority,
    ) and (first.glue, first.additional) == (second.glue, second.additional)


def _flags(zone: Zone, node: Node | None, name: Name) -> int:
    is_cut = name != zone.name and visible(node, NS) is not None
    return layout.NODE_CUT * is_cut | layout.NODE_DNAME * (visible(node, DNAME) is not None)


def _end(watched: WatchedZones, name: Name) -> Node | None:
    """Return the node at which a name's CNAMEs end, None when they leave our zones or lead nowhere."""
    watched.begin()
    answer = lookup(watched, name, _PRIVATE_TYPES[-1])
    aliases = [rrset for rrset in answer.answer if rrset.type == CNAME]
    target = Name(aliases[-1].rdatas[0].lower()) if aliases else name
    zone = zone_for(watched, target, A)
    if zone is None or zone.node(zone.name) is None:
        return None
    place = locate(zone, target, A)
    return place.node if place.standing in (Standing.EXACT, Standing.WILDCARD) else None
